"""WholePublisher: what publishers of whole documents over the network share."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from pypes import Packet, Publisher
from pypes.core.identity import Completed
from pypes.core.trace_context import TraceContext
from pypes_basic.records import Record, Shape, Told, record_of, told_of
from pypes_basic.timing import FORGET_INTERVAL_S
from pypes_basic.unended import End, Of, Unended


@dataclass
class Turn:
    """Records since the last commit, and documents of which nothing more comes."""

    records: list[Record] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    #: The traces that the records belong to, if they do.
    contexts: list[TraceContext] = field(default_factory=list)
    #: Number of parts at the destination, by document and version; looked up when that is first needed.
    look: dict[str, dict[str, int]] = field(default_factory=dict)
    #: Number of parts in this turn, by document and version, once they are counted.
    own: Counter[tuple[str, str]] | None = None

    @property
    def unended(self) -> set[Of]:
        """The versions with records in this turn of which nobody has told yet that they end."""
        begun = {(each.document, _label(each.route, each.id), each.version_text) for each in self.records if each.is_told}
        return begun - {each[:3] for each in map(_end_of, self.told)}


class WholePublisher(Publisher):
    """Gathers a turn and writes it as a whole: a subclass says how, in :meth:`write`.

    ``prepare`` sets it up, ``shape`` says which fields have a place of their own. A subclass with
    :meth:`forget` forgets documents that have been gone for long enough, now and then.
    """

    # documents that are posted one by one share a request
    batch_size = 256

    def prepare(self, shape: Shape) -> None:
        """To be called by ``setup``."""
        self._shape = shape
        self._turn = Turn()
        #: Header fields of the requests of a turn, by which they belong to the traces of its packets.
        self.trace_fields: dict[str, str] = {}
        self._unended = Unended()
        self._forgot_s = -FORGET_INTERVAL_S  # not yet, also where the clock has just begun

    def write(self, records: Sequence[Record], told: Sequence[Told]) -> None:
        """Write records, then end versions; durable when it returns. May be repeated, also after half of it.

        Deletions without a version come first: what they were to delete of this turn is left out already.

        Blocks, and is called in a thread.
        """
        raise NotImplementedError

    def forget(self) -> None:
        """Forget documents that have been gone for long enough. Blocks, and is called in a thread."""

    def count_removed(self, turn: Turn, told: Sequence[Told]) -> int | None:
        """The number of parts that go when these versions end, if that is known before they do."""
        return None

    def sum_removed(self, turn: Turn, told: Sequence[Told]) -> int:
        """The number of parts that older versions have more than these, where ``turn.look`` knows their documents."""
        if turn.own is None:
            turn.own = Counter((record.document, record.version_text) for record in turn.records)
        total = 0
        for each in told:
            if each.is_whole:
                versions, turn.look[each.document] = turn.look[each.document], {}
                older = sum(count for version, count in versions.items() if version < each.version or not each.version)
                total += max(0, older - max(turn.own[each.document, each.version], versions.get(each.version, 0)))
        return total

    def process_batch(self, packets: list[Packet]) -> None:
        seen: Counter[str] = Counter()
        made = [record_of(packet, self._shape, seen) for packet in packets]
        turn = self._turn
        turn.contexts += self.trace_contexts(packets)
        turn.own = None
        for each in made:
            if isinstance(each, Record):
                turn.records.append(each)
                continue
            turn.told.append(each)
            if not each.version:  # outside of a node the order alone tells what is newer
                turn.records = [record for record in turn.records if record.document != each.document]

    def complete(self, documents: list[Completed]) -> int | None:
        told = [told_of(each) for each in documents]
        try:
            count = self.count_removed(self._turn, told)
        except BaseException:
            self._turn = Turn()  # as after a commit that raised: the packets come again
            raise
        self._turn.told += told
        return count

    def commit(self) -> None:
        turn, self._turn = self._turn, Turn()
        if not (turn.records or turn.told):
            return
        begun = turn.unended
        ends = list(map(_end_of, turn.told))
        others = self._unended.ending(ends, begun)
        told = turn.told + [Told(of, *_named(label), version, *flags) for of, label, version, *flags in others]
        self.trace_fields = self.trace_headers(turn.contexts)
        self.offload(self._write_turn, turn.records, told)
        self._unended.committed(ends, begun)

    def _write_turn(self, records: Sequence[Record], told: Sequence[Told]) -> None:
        self.write(records, told)
        if time.monotonic() - self._forgot_s > FORGET_INTERVAL_S:
            self.forget()
            self._forgot_s = time.monotonic()


def _label(route: str, id: str | None) -> str:
    return f"{route}\0{id or ''}"  # neither has this character


def _named(label: str) -> tuple[str, str]:
    route, _, id = label.partition("\0")
    return route, id


def _end_of(told: Told) -> End:
    document, route, id, version, is_whole, is_deleted = told
    return document, _label(route, id), version, is_whole, is_deleted
