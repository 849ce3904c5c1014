"""Statistics: the snapshot of a queue whose order is kept in memory."""

from __future__ import annotations

from pypes.ingest.backlog.backlog import Backlog
from pypes.ingest.contracts.queue import QueueStats
from pypes.ingest.queues.room import Room


def stats_of(backlog: Backlog, room: Room, *, appended: int, now: float, is_failed: bool) -> QueueStats:
    """Present counts of a queue; ``now`` is seconds of the node's clock, ``appended`` counts since the queue was opened."""
    room.show_drain()
    leased, delayed = len(backlog.leased), backlog.delayed
    bulk_deliveries, bulk_bytes = backlog.bulk
    oldest = next((g for g in backlog.groups.values() if g.remaining), None)
    return QueueStats(
        deliveries=room.deliveries,
        bytes=room.bytes,
        ready=room.deliveries - leased - delayed,
        leased=leased,
        delayed=delayed,
        appended=appended,
        acknowledged=room.acknowledged,
        dead_letters=room.letters,
        cached_bytes=backlog.cache.bytes,
        oldest_s=max(0.0, now - (oldest.key >> 6) / 1000) if oldest else 0.0,
        commits=len(backlog.groups),
        is_failed=is_failed,
        drain_bytes_s=room.drain_bytes_s,
        bulk_deliveries=bulk_deliveries,
        bulk_bytes=bulk_bytes,
        dead_letter_bytes=room.letter_bytes,
        held=room.held_deliveries,
    )
