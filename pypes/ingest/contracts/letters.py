"""Letters: dead letters, found, changed, and turned into deliveries again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pypes.access.audit import ITSELF, Cause
from pypes.ingest.deadletter import History, KeptLetter, LetterGroup, LetterQuery, Origin, Replayed
from pypes.ingest.outcome import DeadLetter


class Letters(Protocol):
    """The dead letters of a shard. ``cause`` is what the audit log says of the request for a change."""

    async def find(
        self, query: LetterQuery | None = None, limit: int = 100, after: str = "", *, newest: bool = False
    ) -> list[DeadLetter]:
        """Up to ``limit`` dead letters that match, in the order of their ids, those beyond ``after``.

        With ``newest``, in the opposite order: those of the newest deliveries first. Without packets and tracebacks, which
        :meth:`get` has.
        """
        ...

    async def get(self, id: str) -> KeptLetter | None:
        """One dead letter with the kept part of its delivery's body."""
        ...

    async def origin(self, id: str) -> Origin | None:
        """A dead letter without its packet, with the delivery that it is of, as far as that is kept."""
        ...

    async def groups(self, query: LetterQuery | None = None, history: History | None = None) -> list[LetterGroup]:
        """The dead letters that match, counted by graph, filter and code; most first. With ``history``, also step by step."""
        ...

    async def edit(self, id: str, packet: bytes, cause: Cause = ITSELF) -> bool:
        """Replace the packet (its JSON form) of a dead letter, durably on return; False if there is no such dead letter."""
        ...

    async def delete(self, ids: Sequence[str], cause: Cause = ITSELF) -> int:
        """Delete dead letters, durably on return; returns how many there were."""
        ...

    async def replay(self, id: str, from_start: bool, is_traced: bool = False, cause: Cause = ITSELF) -> str:
        """Turn a dead letter into a new delivery in one transaction; returns the new receipt once it is durable.

        From the filter in which it failed on, with the packet as it was there (or was edited to); or from the start, with those
        documents of the delivery's body that it was made from, and all other dead letters of these documents go with it. What
        failed before the first filter, or stands for many, always goes from the start, unless it was edited. ``is_traced``: what
        its filters do is kept, as it is if the first run was traced.

        Raises :class:`NotFound`, :class:`Conflict` (``deadletters.not_kept``) if what it takes is not kept, :class:`QueueFull`
        and :class:`StoreError`.
        """
        ...

    async def replay_together(
        self, ids: Sequence[str], from_start: bool | None, is_traced: bool = False, cause: Cause = ITSELF
    ) -> Replayed:
        """Turn dead letters of one receipt into one delivery that runs their documents from the start, body read once.

        Without ``from_start`` only those that cannot go on from their filter; the others are ``left``, each to be replayed by
        itself. If it is None, parts of documents whose versions matter go from the start as well, if none of them was edited:
        publishers show a new version when they have all of it. Raises as :meth:`replay`.
        """
        ...
