"""The shelf of a queue in memory: everything it keeps."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from pypes.access.audit import Cause, line_of
from pypes.access.trail import TRAIL, Trail
from pypes.core.limits import Limits
from pypes.core.nodetime import Clock
from pypes.errors import StoreError
from pypes.ingest.backlog.backlog import Backlog
from pypes.ingest.backlog.deliveries import Delivery, Group
from pypes.ingest.contracts.callbacks import Callback
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.outcome import DeadLetter, Details, KeptTrace
from pypes.ingest.queues.lending import Finished, Lending
from pypes.ingest.queues.receipt_maker import ReceiptMaker
from pypes.ingest.queues.room import Room
from pypes.ingest.receipt import ReceiptIds, commit_key
from pypes.ingest.replaying import Link
from pypes.ingest.store.write_batch import Remains
from tests.ingest.memory.bodies import discard
from tests.ingest.memory.callbacks import MemoryCallbacks


class Shelf:
    """What the queue keeps, shared by its parts."""

    def __init__(self, limits: Limits, node: int, shard: int, clock: Clock) -> None:
        self.limits = limits
        self.node = node
        self.shard = shard
        self.clock = clock
        self.maker = ReceiptMaker(node, shard, clock)
        self.backlog = Backlog(first_token=1)
        self.room = Room(limits, self.backlog.held, shard, lambda: self.lending.notify_soon())
        self.callbacks = MemoryCallbacks()
        self.lending = Lending(
            self.backlog,
            self.room,
            clock,
            max_kept_bytes=limits.dead_letter_body_bytes,
            on_finished=self.finished,
            on_crashed=lambda delivery, poisons: None,
            fetch=lambda: None,
        )
        self.appended = 0
        self.is_closed = False
        self.last_key = 0
        self.groups: dict[int, Group] = {}
        self.details: dict[int, Details] = {}
        self.traces: dict[int, KeptTrace] = {}
        self.keys: dict[str, tuple[bytes, str]] = {}
        self.letters: dict[str, DeadLetter] = {}
        self.edited: set[str] = set()
        self.bodies: dict[str, Remains] = {}
        self.paths: dict[str, str] = {}
        #: What replays run again, by their receipt.
        self.links: dict[str, Link] = {}
        self.cursors: dict[tuple[str, str], str] = {}
        self.trail = Trail(clock, shard + 1)
        self.lines = sqlite3.connect(":memory:")
        self.lines.executescript(TRAIL)

    def note(self, cause: Cause, operation: str, **more: Any) -> None:
        self.trail.write(self.lines, [line_of(cause, operation, **more)])

    def put(self, header: Header, body: bytes | Spooled, decoded: bytes | None = None, *, is_replay: bool = False) -> str:
        if self.is_closed:
            raise StoreError("the queue is closed", code="store.closed")
        self.room.reserve(header, len(body), is_replay=is_replay)
        self.last_key = commit_key(self.clock.now(), self.last_key)
        group = Group(self.last_key, 0, len(body), 1)
        id = ReceiptIds(self.node, self.shard, group.key, 0)[0]
        self.backlog.add(group, [Delivery(group, 0, id, header, body, decoded)])
        self.appended += 1
        self.lending.notify_soon()
        return id

    def finished(self, finished: Finished) -> None:
        for delivery in finished.deliveries:
            if finished.trace is not None:
                self.traces[delivery.group.key] = finished.trace
            self.finish(delivery, finished.details, finished.remains)

    def finish(self, delivery: Delivery, details: Details | None, remains: Remains | None) -> None:
        group, header, body = delivery.group, delivery.header, delivery.body
        del self.backlog.groups[group.key]
        self.groups[group.key] = group
        if details is not None:
            self.details[group.key] = details
        if remains is not None:
            self.letters |= {letter.id: letter for letter in remains.letters}
            self.bodies[remains.receipt] = remains
            self.count_letters()
        if header.callback:
            self.callbacks.add(Callback(delivery.id, header.callback, self.clock.now(), 0))
        if isinstance(body, Spooled):
            if remains is not None and remains.spool is not None:
                self.paths[remains.receipt] = body.path
            else:
                discard(body)

    def count_letters(self) -> None:
        found = [(letter.graph, 1, len(letter.packet) + len(letter.error)) for letter in self.letters.values()]
        found += [(remains.graph, 0, remains.size) for remains in self.bodies.values() if remains.has_body]
        self.room.set_letters(found)

    def delete_letter(self, id: str) -> bool:
        letter = self.letters.pop(id, None)
        if letter is None:
            return False
        self.edited.discard(id)
        if not any(other.startswith(f"{letter.receipt}-") for other in self.letters):
            self.bodies.pop(letter.receipt, None)
            if (path := self.paths.pop(letter.receipt, None)) is not None:
                Path(path).unlink(missing_ok=True)
        self.count_letters()
        self.lending.notify_soon()
        return True
