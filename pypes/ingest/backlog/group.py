"""A commit in memory: the group of its deliveries, and how far each of them has come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypes.ingest.accounts import Account
from pypes.ingest.delivery import Header, Spooled

if TYPE_CHECKING:
    from pypes.ingest.backlog.waiting import Waiting

_OVERHEAD_BYTES = 512  # what a waiting delivery takes in memory besides its body


class Delivery:
    """One delivery in memory. ``token`` is 0 unless leased, ``started`` the first hand-over, ms since the epoch (0: not yet).

    ``waiting`` is its stream, from when it is in a backlog. In an ordered graph, ``has_claims`` from when it stands in the lines
    of its keys until it is finished, ``waits`` counts those in which it is not first, ``is_aside`` while live ones may pass it.
    """

    __slots__ = (
        "attempt",
        "body",
        "cached_bytes",
        "crashes",
        "decoded",
        "group",
        "has_claims",
        "header",
        "id",
        "is_aside",
        "is_suspect",
        "position",
        "started",
        "token",
        "waiting",
        "waits",
    )

    def __init__(
        self, group: Group, position: int, id: str, header: Header, body: bytes | Spooled, decoded: bytes | None
    ) -> None:
        self.group = group
        self.position = position
        self.id = id
        self.header = header
        self.body = body
        self.decoded = decoded
        self.token = 0
        self.attempt = 0
        self.crashes = 0
        self.is_suspect = False
        self.started = 0
        inline = 0 if isinstance(body, Spooled) else len(body)
        self.cached_bytes = inline + (len(decoded) if decoded else 0) + _OVERHEAD_BYTES
        self.waiting: Waiting | None = None
        self.waits = 0
        self.has_claims = False
        self.is_aside = False


class Group:
    """The deliveries of one commit.

    ``deliveries`` is None while all of them are only in the store; an item is None while that one is, and once it is finished.
    """

    __slots__ = ("crashes", "deliveries", "entries", "has_progress", "key", "outcomes", "remaining", "salt", "size")

    def __init__(self, key: int, salt: int, size: int, entries: int) -> None:
        self.key = key
        self.salt = salt
        self.size = size
        self.deliveries: list[Delivery | None] | None = None
        self.entries = entries
        # PERF: a backlog may be a million groups of one, so nothing is made before it is needed
        self.outcomes: list[Account | None] | None = None
        self.remaining = entries
        self.has_progress = False
        self.crashes: dict[int, int] | None = None

    def account(self, position: int) -> Account | None:
        """The account of a finished delivery, None of one that is not."""
        return self.outcomes[position] if self.outcomes is not None else None

    def finish(self, position: int, account: Account) -> None:
        if self.outcomes is None:
            self.outcomes = [None] * self.entries
        self.outcomes[position] = account
        self.remaining -= 1
        if self.deliveries is not None:
            self.deliveries[position] = None
