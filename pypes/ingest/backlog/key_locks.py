"""Key locks: which deliveries of an ordered graph may run beside each other, by the order keys of their documents.

A delivery stands in one line for each of its keys, behind those that were appended before, and may run when it is first in all
of them: it holds the locks of its keys until it is finished, through retries, delays and crashes. Bulk deliveries that were
never lent are *passable* and stand in lines of their own: a live delivery does not wait for them but passes (and supersedes
what they hold of its keys); from their first lease on they stand where all others do. Pure bookkeeping.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypes.ingest.ordering import EVERY, Overtaken, unpack_keys

if TYPE_CHECKING:
    from pypes.core.identity import Identity
    from pypes.ingest.backlog.deliveries import Delivery, StreamBacklog

_NONE = Overtaken()


class KeyLocks:
    """The key locks of one graph, each with the line of those that wait for it. ``live`` and ``bulk`` are its streams.

    ``sole`` is a delivery with :data:`EVERY` that was let go: nothing else of the graph is before it is finished. ``holders``
    counts deliveries in lines, passable ones not included. ``fresh`` maps order keys, then identities (``None``: not known) to
    the commit of the newest live document that came while bulk deliveries were unfinished.
    """

    __slots__ = ("_bulk_lines", "_lines", "bulk", "fresh", "holders", "live", "sole")

    def __init__(self, live: StreamBacklog, bulk: StreamBacklog) -> None:
        self.live = live
        self.bulk = bulk
        self.sole: Delivery | None = None
        self.holders = 0
        self.fresh: dict[int, dict[Identity | None, int]] = {}
        self._lines: dict[int, list[Delivery]] = {}
        self._bulk_lines: dict[int, list[Delivery]] = {}

    def lock_all(self, delivery: Delivery) -> bool:
        """Let a delivery with :data:`EVERY` go if nothing else stands in any line."""
        if self.holders or self._bulk_lines:
            return False
        self.sole = delivery
        self.holders = 1
        delivery.is_in_line = True
        return True

    def request(self, delivery: Delivery) -> bool:
        """Put a live delivery into its lines; True if it is first in all of them."""
        for key in unpack_keys(delivery.header.keys):
            line = self._lines.get(key)
            if line is not None:
                line.append(delivery)
                delivery.waits += 1
                continue
            self._lines[key] = [delivery]
            if key in self._bulk_lines:
                self._bulk_lines[key][0].waits += 1
        self.holders += 1
        delivery.is_in_line = True
        return delivery.waits == 0

    def request_passable(self, delivery: Delivery) -> bool:
        """Put a bulk delivery into the lines of the passable; True if nothing stands before it."""
        for key in unpack_keys(delivery.header.keys):
            line = self._bulk_lines.setdefault(key, [])
            if line or key in self._lines:
                delivery.waits += 1
            line.append(delivery)
        delivery.is_in_line = delivery.is_passable = True
        return delivery.waits == 0

    def lock(self, delivery: Delivery) -> None:
        """A bulk delivery before which nothing stands is lent: from now on live ones wait for it, too."""
        for key in unpack_keys(delivery.header.keys):
            line = self._bulk_lines[key]
            line.pop(0)
            if not line:
                del self._bulk_lines[key]
            self._lines[key] = [delivery]
        delivery.is_passable = False
        self.holders += 1

    def release(self, delivery: Delivery) -> list[Delivery]:
        """Take a delivery out of its lines, wherever it stands; returns those that nothing stands before any more."""
        delivery.is_in_line = False
        if self.sole is delivery:
            self.sole = None
            self.holders = 0
            return []
        freed: list[Delivery] = []
        for key in unpack_keys(delivery.header.keys):
            if delivery.is_passable:
                self._leave(self._bulk_lines, key, delivery, freed, is_barred=key in self._lines)
                continue
            self._leave(self._lines, key, delivery, freed, is_barred=False)
            if key not in self._lines and key in self._bulk_lines:
                _advance(self._bulk_lines[key][0], freed)
        if not delivery.is_passable:
            self.holders -= 1
        return freed

    @staticmethod
    def _leave(lines: dict[int, list[Delivery]], key: int, delivery: Delivery, freed: list[Delivery], *, is_barred: bool) -> None:
        line = lines[key]
        was_first = line[0] is delivery
        line.remove(delivery)
        if not line:
            del lines[key]
        elif was_first and not is_barred:
            _advance(line[0], freed)

    def unbar(self, taken_from: StreamBacklog | None) -> None:
        """Something was lent or stands in line now, or (None) was finished: look again at what could not even stand in line."""
        for backlog in (self.live, self.bulk):
            if backlog is not taken_from:
                backlog.is_barred = False

    def superseded(self, delivery: Delivery) -> Overtaken:
        """Of which documents newer live ones were taken, among those that share an order key with a bulk delivery."""
        fresh = self.fresh
        if not fresh:
            return _NONE
        packed, own = delivery.header.keys, delivery.group.key
        identities: list[Identity] = []
        unknown: list[int] = []
        for key in fresh if packed == EVERY else unpack_keys(packed):
            for identity, commit in fresh.get(key, {}).items():
                if commit <= own:
                    continue
                if identity is None:
                    unknown.append(key)
                else:
                    identities.append(identity)
        return Overtaken(tuple(sorted(identities)), tuple(sorted(unknown)))


def _advance(delivery: Delivery, freed: list[Delivery]) -> None:
    delivery.waits -= 1
    if delivery.waits == 0:
        freed.append(delivery)
