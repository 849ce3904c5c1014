"""Handing the shards of a node over to another node of its fleet: the steps of the one that gives (decision 0095).

It has closed its shards. Each of their files goes over a link in pieces, the other node compares them all, and then the file
``handed-over`` in the data directory decides: until it is there, the shards are of this node, and from then on it never opens
them again. The other node opens them when it is told to, once, however often it is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from pypes import logs
from pypes.core.durable import write_whole
from pypes.errors import StoreError, Unavailable
from pypes.ingest.store.arrivals import SentShard, files_of, sent_file
from pypes.ingest.store.shards import Shard
from pypes.runtime.contracts.handing import PREFIX, HandingCalls
from pypes.runtime.fleet.link import connect
from pypes.runtime.fleet.secret import FleetAccess
from pypes.runtime.rpc import RpcClient
from pypes.runtime.rpc.contract import stub

#: Name of the file that decides, in the data directory.
FILE = "handed-over"

#: A piece of a file, in bytes.
PIECE_BYTES = 1 << 20

#: Time between two tries to reach the node that the shards have gone to, in seconds.
RETRY_S = 1.0


class HandedOver(msgspec.Struct, frozen=True):
    """The shards of a node, given as node and shard in their receipts, have gone to the node ``to``, at ``url``.

    ``node`` is the number of the node that gave them, ``id`` that of the attempt. ``is_done``: the other node has opened them.
    """

    to: str
    url: str
    node: int
    id: str
    shards: list[tuple[int, int]]
    is_done: bool = False

    def write(self, data: Path) -> None:
        """Keep it in a data directory, durably on return. Blocks."""
        write_whole(data / FILE, msgspec.json.encode(self))


def read_handed_over(data: Path) -> HandedOver | None:
    """The place that the shards of a data directory have gone to, ``None`` if they are there. Raises :class:`StoreError`."""
    try:
        return msgspec.json.decode((data / FILE).read_bytes(), type=HandedOver)
    except FileNotFoundError:
        return None
    except ValueError as error:  # of msgspec, or of the text in it
        raise StoreError(
            f"the file that tells where the shards have gone cannot be read: {error}; put back a copy",
            code="store.damaged",
            where=str(data / FILE),
        ) from error


def calls_over(link: RpcClient) -> HandingCalls:
    """The calls of handing over, over a link."""
    return stub(HandingCalls, link.carry, PREFIX)


def described(shard: Shard, node: int, name: str) -> SentShard:
    """A shard as the other node is told of it, without its files; ``node`` and ``name`` are of the node that hands over."""
    if shard.origin is not None:
        return SentShard(shard.number, shard.origin.node, shard.origin.shard, shard.origin.name)
    return SentShard(shard.number, node, shard.number, name)


async def send(calls: HandingCalls, node: int, name: str, id: str, shards: Sequence[Shard]) -> None:
    """Send locked shards that nobody has open, and have them compared. Raises :class:`PypesError`, and ``OSError``."""
    sent = []
    for shard in shards:
        paths = await asyncio.to_thread(files_of, shard.path)
        for path in paths:
            await _send(calls, node, id, shard, path)
        files = [await asyncio.to_thread(sent_file, shard.path, path) for path in paths]
        sent.append(msgspec.structs.replace(described(shard, node, name), files=tuple(files)))
    await calls.verify(node, id, sent)


async def _send(calls: HandingCalls, node: int, id: str, shard: Shard, path: Path) -> None:
    name, offset = str(path.relative_to(shard.path)), 0
    with path.open("rb") as file:
        while True:
            data = await asyncio.to_thread(file.read, PIECE_BYTES)
            if data or not offset:  # a file may be empty
                await calls.receive(node, id, shard.number, name, offset, data)
            if not data:
                return
            offset += len(data)


async def have_adopted(handed: HandedOver, data: Path, url: Callable[[], str], access: FleetAccess) -> None:
    """Have the other node open the shards, however long it takes to reach it; returns when it has.

    ``url()`` is where it is now. Raises :class:`NotFound` (``drain.unknown``) if it says that they never came.
    """
    if handed.is_done:
        return
    log, said = logs.get("pypes.fleet"), ""
    while True:
        try:
            link = await connect(url(), access)
            try:
                await calls_over(link).adopt(handed.node, handed.id, handed.shards)
            finally:
                await link.close()
            break
        except Unavailable as error:
            if str(error) != said:
                said = str(error)
                log.warning("the node that has the shards is asked again and again to open them", to=handed.to, reason=said)
            await asyncio.sleep(RETRY_S)
    msgspec.structs.replace(handed, is_done=True).write(data)
