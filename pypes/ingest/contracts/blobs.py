"""Blobs: bodies too large for memory, each under a key of its own."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Protocol, Self

from pypes.ingest.delivery import Spooled


class BlobWriter(Protocol):
    """Writes one blob: ``async with`` removes the file unless :meth:`finish` was called."""

    size: int

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def write(self, chunk: bytes) -> None:
        """Take a chunk; waits for the disk now and then. Raises :class:`StoreError` when the disk refuses."""
        ...

    async def finish(self) -> Spooled:
        """Make the blob durable; it may be appended to the queue now. Raises :class:`StoreError`."""
        ...


class Blobs(Protocol):
    """Large bodies beside a queue. A blob belongs to its writer, from ``Intake.append`` on to the queue."""

    def create(self) -> BlobWriter:
        """Start a blob under a new key; nothing is opened before the first write."""
        ...

    def locate(self, key: str) -> Spooled:
        """The body under a key, to be opened on this machine.

        Raises :class:`StoreError` (``store.spool_missing``) if it is gone.
        """
        ...

    def link(self, body: Spooled) -> Spooled:
        """A second key for a body, durable on return: two owners may remove theirs. Blocks. Raises :class:`StoreError`."""
        ...

    def remove(self, keys: Iterable[str]) -> None:
        """Remove blobs that nothing refers to any more. Blocks; one that is gone is no error."""
        ...
