"""Slots: the numbers of the shards that ingest workers take, each one that is free."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from pypes.errors import StoreError
from pypes.ingest.store.shards import Shard, Shards
from pypes.runtime.worker.config import WorkerConfig

#: Longest wait of a worker for its slot beyond the grace that a dying one may take.
WAIT_S: Final = 10.0
POLL_S: Final = 0.02


async def lock_slot(shards: Shards, config: WorkerConfig) -> Shard:
    """The shard of a free slot, waited for while all are taken. Raises :class:`StoreError`."""
    deadline = time.monotonic() + config.grace_s + WAIT_S
    while True:
        for number in range(config.workers):
            try:
                shard = shards.lock(number)
                if shard.origin is None:
                    return shard
                shard.release()
                raise StoreError(
                    f"shard {number} came from another node, so the node can have {number} workers at most; set workers",
                    code="store.adopted",
                    where=str(shard.path),
                )
            except StoreError as error:
                if error.code != "store.locked" or (number == config.workers - 1 and time.monotonic() > deadline):
                    raise
        await asyncio.sleep(POLL_S)
