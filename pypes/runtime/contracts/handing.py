"""Calls of a node that hands its shards over to another one, and calls about what was handed over."""

from __future__ import annotations

from typing import Protocol

import msgspec

from pypes.access.audit import ITSELF, Cause
from pypes.ingest.contracts.intake import Key
from pypes.ingest.store.arrivals import SentShard
from pypes.runtime.rpc.contract import once

#: Before the names of the calls, on a link.
PREFIX = "handing."


class Adopted(msgspec.Struct, frozen=True):
    """A node whose shards another one has: its number, and its name among the members.

    ``is_new``: they came a short while ago, so that keys that the node had may still be repeated.
    """

    node: int
    name: str
    is_new: bool = True


class HandingCalls(Protocol):
    """Calls to the node that the shards go to. ``node`` is the number of the node that hands over, ``id`` that of the attempt.

    All can be made again. Nobody opens a shard there before ``adopt``.
    """

    async def offer(self, node: int, id: str, graphs: list[str], size: int, shards: list[tuple[int, int]]) -> None:
        """Begin: ``shards`` are given as node and shard in their receipts, ``graphs`` have deliveries in them, ``size`` is bytes.

        Raises :class:`Conflict` for what stands against it.
        """

    async def receive(self, node: int, id: str, slot: int, file: str, offset: int, data: bytes) -> None:
        """Write a piece of a file. Raises :class:`StoreError`."""

    async def verify(self, node: int, id: str, shards: list[SentShard]) -> None:
        """Compare all files with what was sent, and have them on the disk. Raises :class:`StoreError`."""

    async def adopt(self, node: int, id: str, shards: list[tuple[int, int]]) -> None:
        """Open the shards: from now on they are of this node. Raises :class:`NotFound` if they never came whole."""

    async def withdraw(self, node: int, id: str) -> None:
        """Forget what has come: the other node has given up."""

    async def known(self, key: Key, former: int) -> str | None:
        """The receipt that a key had at a node whose shards are here; ``None``: it has none. Raises :class:`Unavailable`."""

    async def unfinished(self, graph: str, former: int) -> int:
        """The number of unfinished deliveries of a graph in the shards of such a node. Raises :class:`Unavailable`."""


class Handing(msgspec.Struct, frozen=True):
    """A handing over that has begun: the node that the shards go to, graphs that have deliveries in them, their bytes."""

    to: str
    graphs: list[str]
    bytes: int


class DrainCalls(Protocol):
    """Calls of a worker to its supervisor."""

    @once
    async def begin(self, to: str, leave_files: bool = False, cause: Cause = ITSELF) -> Handing:
        """Begin to hand the shards of this node over to the node ``to``, a name or a URL, and to end then.

        ``leave_files``: although graphs have written files into the data directory, which stay behind. Raises
        :class:`NotFound` and :class:`Conflict` for what stands against it, or :class:`Unavailable`.
        """
