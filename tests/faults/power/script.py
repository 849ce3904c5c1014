"""The run that is recorded: ``python -m tests.faults.power.script FOLDER DURABILITY SEED STEPS``.

It says on its output, one JSON object a line, what it promised to a client (after the promise is durable) and what it is about to
take away (before). A line is one write, so that the recording has it at its place among the writes to the disk.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from pypes.core.limits import Limits
from pypes.core.nodetime import Clock
from pypes.errors import Conflict
from pypes.ingest.contracts.intake import Key
from pypes.ingest.contracts.leasing import Lease
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.outcome import DeadLetter, Outcome, dead_letter_id
from pypes.ingest.queues.embedded import EmbeddedQueue
from pypes.ingest.store.shards import Shards
from tests.ingest.harness import lease_any

MANY = 1 << 30
GRAPH = "power"


class Said(msgspec.Struct, omit_defaults=True):
    """A promise, or what is about to end one.

    ``what``: accepted (``n``, ``receipt``), finishing (``receipt``; ``letters`` it will leave), and with a ``letter`` replaying,
    replayed (``receipt``), editing, edited, deleting, deleted.
    """

    what: str
    n: int = -1
    receipt: str = ""
    letters: list[str] = []
    letter: str = ""


def body_of(n: int) -> bytes:
    """What is posted as number ``n``: small, of a few pages, or (every seventh) too large for memory."""
    rng = random.Random(n)
    return rng.randbytes(rng.choice((40_000, 150_000)) if is_spooled(n) else rng.choice((10, 300, 3_000, 70_000)))


def is_spooled(n: int) -> bool:
    return n % 7 == 3


def key_of(n: int) -> Key | None:
    return Key(f"key {n}", n.to_bytes(8)) if n % 5 == 0 else None


def edited(letter: str) -> bytes:
    return msgspec.json.encode({"fields": {"edited": letter}, "meta": {}, "field_meta": {}})


def header_of(n: int) -> Header:
    return Header(GRAPH, content_type="application/octet-stream", id=str(n), documents=1, length=len(body_of(n)))


class EagerConnection(sqlite3.Connection):
    """Folds SQLite's log into the file after few pages, so that a short run has many checkpoints."""

    def execute(self, sql: str, *rest: Any) -> sqlite3.Cursor:
        if "wal_autocheckpoint" in sql:
            sql = "PRAGMA wal_autocheckpoint = 24"
        return super().execute(sql, *rest)


class JustStarted(Clock):
    """A clock by which nothing is forgotten yet."""

    def is_steady(self) -> bool:
        return False


def connect(*args: Any, **options: Any) -> sqlite3.Connection:
    return sqlite3.connect(*args, factory=EagerConnection, **options)


class Script:
    def __init__(self, folder: Path, durability: str, seed: int) -> None:
        self.folder = folder
        self.durability = durability
        self.rng = random.Random(seed)
        self.posted = 0
        self.leases: list[Lease] = []
        self.queue: EmbeddedQueue

    async def open(self) -> None:
        self.queue = await EmbeddedQueue.open(
            Shards(self.folder).lock(0),
            node=1,
            limits=Limits(receipts_s=0.01),  # receipts are folded at once
            clock=JustStarted(),
            durability=self.durability,
            # rows of which little is left are written anew at once, some because of their bytes and together
            rewrite_s=0.02,
            spare_bytes=100_000,
            connect=connect,
        )

    async def run(self, steps: int) -> None:
        await self.open()
        await self.post(1)
        choices = [
            self.post_one,
            self.post_many,
            self.finish,
            self.finish,
            self.finish_many,
            self.finish_most,
            self.letters,
            self.reopen,
            self.fold,
        ]
        weights = [6, 3, 4, 4, 2, 3, 6, 1, 4]
        for _ in range(steps):
            await self.rng.choices(choices, weights)[0]()
        await self.queue.close()

    async def post_one(self) -> None:
        await self.post(1)

    async def post_many(self) -> None:
        await self.post(self.rng.randint(2, 12))

    async def post(self, count: int) -> None:
        async def one(n: int) -> None:
            body: bytes | Spooled = body_of(n)
            if is_spooled(n):
                async with self.queue.blobs.create() as writer:
                    await writer.write(body_of(n))
                    body = await writer.finish()
            say(Said("accepted", n, receipt=await self.queue.intake.append(header_of(n), body, key=key_of(n))))

        first, self.posted = self.posted, self.posted + count
        await asyncio.gather(*[one(n) for n in range(first, first + count)])

    async def finish(self) -> None:
        """Acknowledge some of what waits, without waiting for that to be durable."""
        for lease in lease_any(self.queue, self.rng.randint(1, 3), MANY):
            await self.finish_one(lease)

    async def finish_many(self) -> None:
        for lease in lease_any(self.queue, 12, MANY):
            await self.finish_one(lease)
        await asyncio.sleep(0.02)  # longer than acknowledgements wait for an append to ride with

    async def finish_most(self) -> None:
        """Leave one of a commit, whose row is then written anew."""
        await self.post(self.rng.randint(6, 12))
        leases = lease_any(self.queue, 12, MANY)
        for lease in leases[1:]:
            await self.finish_one(lease)
        for lease in leases[:1]:
            self.queue.leasing.nack(lease)
        await asyncio.sleep(0.06)  # longer than a row is left alone

    async def finish_one(self, lease: Lease) -> None:
        chance = self.rng.random()
        if chance < 0.5:
            say(Said("finishing", receipt=lease.id))
            self.queue.leasing.ack(lease, Outcome(published=1), id=lease.header.id)
        elif chance < 0.8:
            letter = letter_of(lease)
            say(Said("finishing", receipt=lease.id, letters=[letter.id]))
            self.queue.leasing.ack(
                lease, Outcome(failed=1, dead_letters=(letter,), keeps_body=self.rng.random() < 0.5), id=lease.header.id
            )
        else:
            say(Said("finishing", receipt=lease.id, letters=["?"]))
            self.queue.leasing.dead_letter(lease, "test.refused", "the script says so")

    async def letters(self) -> None:
        """Edit, delete or replay a dead letter."""
        found = await self.queue.letters.find()
        if not found:
            return
        letter = self.rng.choice(found)
        chance = self.rng.random()
        if chance < 0.4 and letter.packet:
            say(Said("editing", letter=letter.id))
            assert await self.queue.letters.edit(letter.id, edited(letter.id))
            say(Said("edited", letter=letter.id))
        elif chance < 0.6:
            say(Said("deleting", letter=letter.id))
            assert await self.queue.letters.delete([letter.id]) == 1
            say(Said("deleted", letter=letter.id))
        else:
            say(Said("replaying", letter=letter.id))
            try:
                receipt = await self.queue.letters.replay(letter.id, from_start=False)
            except Conflict:  # the packet is not whole
                receipt = await self.queue.letters.replay(letter.id, from_start=True)
            say(Said("replayed", letter=letter.id, receipt=receipt))

    async def fold(self) -> None:
        """Have finished receipts folded into blocks, all but those of the last moment."""
        await self.queue._committer.settled()
        await self.queue._retention.look()

    async def reopen(self) -> None:
        await self.queue.close()
        await self.open()


def letter_of(lease: Lease) -> DeadLetter:
    packet = msgspec.json.encode({"fields": {"receipt": lease.id}, "meta": {}, "field_meta": {}})
    return DeadLetter(
        dead_letter_id(lease.id, 0, "f"), (0,), GRAPH, 1, "f", "F", "test.failed", "failed", "", 1, packet, time.time()
    )


def say(said: Said) -> None:
    os.write(1, msgspec.json.encode(said) + b"\n")


def main() -> None:
    folder, durability, seed, steps = sys.argv[1:]
    asyncio.run(Script(Path(folder), durability, int(seed)).run(int(steps)))


if __name__ == "__main__":
    main()
