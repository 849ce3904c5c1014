"""What waits in a queue, in memory: order, leases, delays and progress. Pure bookkeeping, no clock, no loop, no store."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence

from pypes.ingest.accounts import Account
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.queue import Lease

_OVERHEAD_BYTES = 512  # what a waiting delivery takes in memory besides its body


class Delivery:
    """One delivery in memory. ``token`` is 0 unless leased, ``started`` the first hand-over, ms since the epoch (0: not yet)."""

    __slots__ = (
        "attempt",
        "body",
        "crashes",
        "decoded",
        "expires",
        "group",
        "header",
        "id",
        "is_suspect",
        "position",
        "started",
        "token",
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
        self.expires: float | None = None

    @property
    def cached_bytes(self) -> int:
        inline = 0 if isinstance(self.body, Spooled) else len(self.body)
        return inline + (len(self.decoded) if self.decoded else 0) + _OVERHEAD_BYTES


class Group:
    """The deliveries of one commit. ``deliveries`` is None while they are only in the store; an item is None once finished."""

    __slots__ = ("crashes", "cursor", "deliveries", "entries", "has_progress", "key", "outcomes", "remaining", "salt", "size")

    def __init__(self, key: int, salt: int, size: int, entries: int) -> None:
        self.key = key
        self.salt = salt
        self.size = size
        self.deliveries: list[Delivery | None] | None = None
        self.entries = entries
        # PERF: a backlog may be a million groups of one, so nothing is made before it is needed
        self.outcomes: list[Account | None] | None = None
        self.remaining = entries
        self.cursor = 0
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


class Backlog:
    """Deliveries in the order in which they were appended; those given back go first.

    ``max_cached_bytes`` bounds what is kept of those that wait: groups beyond it are *cold* (only their key is
    kept) until :meth:`wanted` asks for them and :meth:`fill` brings them.
    """

    def __init__(self, first_token: int, max_cached_bytes: int | None = None) -> None:
        self.groups: dict[int, Group] = {}
        self.cached_bytes = 0
        self.leased: dict[int, Delivery] = {}
        self._max_cached_bytes = max_cached_bytes
        self._order: deque[Group] = deque()
        self._cold = 0
        self._returned: deque[Delivery] = deque()
        self._delayed: list[tuple[float, int, Delivery]] = []
        self._expiries: list[tuple[float, int]] = []
        self._token = first_token
        #: The time of day, ms since the epoch, which :meth:`lease` notes as the first hand-over; kept by whoever leases.
        self.now_ms = 0

    @property
    def delayed(self) -> int:
        return len(self._delayed)

    def add(self, group: Group, deliveries: list[Delivery | None] | None) -> None:
        """Put a group at the end; without ``deliveries``, or when the cache is full, it is cold."""
        self.groups[group.key] = group
        if group.remaining == 0:
            return
        self._order.append(group)
        if deliveries is None:
            self._cold += 1
            return
        size = sum(d.cached_bytes for d in deliveries if d is not None)
        # never a warm group behind a cold one: bodies are kept for those that go next
        is_behind_cold = len(self._order) > 1 and self._order[-2].deliveries is None
        if self._max_cached_bytes is None or (not is_behind_cold and self.cached_bytes + size <= self._max_cached_bytes):
            group.deliveries = deliveries
            self.cached_bytes += size
        else:
            self._cold += 1

    def lease(self, n: int, max_bytes: int, expires: float | None) -> list[Lease]:
        """As :meth:`Queue.lease`; what became due is to be brought back with :meth:`tick` before."""
        leases: list[Lease] = []
        order, returned = self._order, self._returned
        while n > 0:
            if returned:
                delivery: Delivery | None = returned[0]
            elif order:
                group = order[0]
                if group.deliveries is None:
                    break
                delivery = group.deliveries[group.cursor]
            else:
                break
            if delivery is not None:
                size = len(delivery.body)
                if leases and size > max_bytes:
                    break
                max_bytes -= size
                n -= 1
                leases.append(self._lend(delivery, expires))
            if returned:
                returned.popleft()
            else:
                group.cursor += 1
                if group.cursor == group.entries:
                    order.popleft()
        return leases

    def _lend(self, delivery: Delivery, expires: float | None) -> Lease:
        self._token = token = self._token + 1
        self.cached_bytes -= delivery.cached_bytes
        delivery.token = token
        delivery.attempt += 1
        if not delivery.started:
            delivery.started = self.now_ms
        delivery.expires = expires
        self.leased[token] = delivery
        if expires is not None:
            heapq.heappush(self._expiries, (expires, token))
        return Lease(
            delivery.id,
            token,
            delivery.attempt,
            delivery.header,
            delivery.body,
            delivery.decoded,
            delivery.is_suspect,
            delivery.crashes,
        )

    def extend(self, token: int, expires: float) -> bool:
        delivery = self.leased.get(token)
        if delivery is None:
            return False
        delivery.expires = expires
        heapq.heappush(self._expiries, (expires, token))
        return True

    def settle(self, token: int) -> Delivery | None:
        """End a lease; the delivery is the caller's to finish or to give back. None if the lease is not valid."""
        return self.leased.pop(token, None)

    def give_back(self, delivery: Delivery, due: float | None = None) -> None:
        """Make a delivery whose lease ended leasable again, at ``due`` or now."""
        delivery.token = 0
        self.cached_bytes += delivery.cached_bytes
        if due is None:
            self._returned.append(delivery)
        else:
            self._token += 1
            heapq.heappush(self._delayed, (due, self._token, delivery))

    def has_bulk(self, graph: str) -> bool:
        """True while bulk deliveries of a graph are unfinished."""
        return False

    def supersede(self, graph: str, keys: Sequence[int], commit_key: int) -> None:
        """Documents with these order keys came in a live delivery: bulk deliveries from before must not run over them."""

    def tick(self, now: float) -> bool:
        """Bring back what is due and what was leased for too long; True if there was any."""
        found = False
        while self._delayed and self._delayed[0][0] <= now:
            self._returned.append(heapq.heappop(self._delayed)[2])
            found = True
        while self._expiries and self._expiries[0][0] <= now:
            delivery = self.leased.get(heapq.heappop(self._expiries)[1])
            if delivery is not None and delivery.expires is not None and delivery.expires <= now:
                del self.leased[delivery.token]
                self.give_back(delivery)
                found = True
        return found

    def next_due(self) -> float | None:
        """When :meth:`tick` has something to do next."""
        while self._expiries and self._expiries[0][1] not in self.leased:
            heapq.heappop(self._expiries)
        times = [heap[0][0] for heap in (self._delayed, self._expiries) if heap]
        return min(times) if times else None

    @property
    def has_cold(self) -> bool:
        return self._cold > 0

    @property
    def is_leasable(self) -> bool:
        return bool(self._returned) or bool(self._order and self._order[0].deliveries is not None)

    def wanted(self, max_bytes: int, max_groups: int = 256) -> list[Group]:
        """The cold groups that go next, up to ``max_bytes`` (at least one); empty while the cache is half full or more."""
        wanted: list[Group] = []
        if not self._cold or (self._max_cached_bytes is not None and 2 * self.cached_bytes >= self._max_cached_bytes):
            return wanted
        for group in self._order:
            if group.deliveries is not None:
                if wanted:
                    break
                continue
            if len(wanted) == max_groups or (wanted and group.size > max_bytes):
                break
            max_bytes -= group.size
            wanted.append(group)
        return wanted

    def fill(self, group: Group, deliveries: list[Delivery | None]) -> None:
        """Bring the bodies of a cold group; finished deliveries are None."""
        for position, count in (group.crashes or {}).items():
            delivery = deliveries[position]
            if delivery is not None:
                delivery.crashes, delivery.is_suspect = count, True
        group.deliveries = deliveries
        self._cold -= 1
        self.cached_bytes += sum(d.cached_bytes for d in deliveries if d is not None)
