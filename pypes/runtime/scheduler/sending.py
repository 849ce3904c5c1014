"""Sending: the half of drivers that orders what a component sends while it works on a chunk, before it goes on the wires."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pypes.packet import Packet
from pypes.runtime.scheduler.checking import Checking
from pypes.runtime.scheduler.driver import Driver
from pypes.runtime.scheduler.epoch import Epoch
from pypes.runtime.scheduler.lineage import Lineage
from pypes.runtime.scheduler.outport import OutPort


class Sending(Driver, Checking):
    """The part of a :class:`ProcessDriver` that sends."""

    __slots__ = ("emitted", "gone", "gone_at", "kept", "lineages", "lost", "results", "sent", "sent_from", "values")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.values: list[Any] = []
        self.lineages: Sequence[Lineage] = ()
        self.results: list[Any] = []
        #: Results before this position are on their way already.
        self.emitted = 0
        #: Packets that ``send('out')`` sent while a chunk is worked on: (position among the results, packet).
        self.sent: list[tuple[int, Any]] = []
        #: Positions in this chunk of packets over which anything was sent, to any port.
        self.sent_from: set[int] = set()
        #: Positions in this chunk of packets that failed.
        self.lost: list[int] = []
        #: Once something of a chunk has gone on that is still worked on: the packets that did, by identity.
        self.gone: set[int] | None = None
        #: Packets of this turn whose documents are to stay as they are behind this filter.
        self.kept: list[Any] = []
        #: The position of a packet that sent more than a wire holds, some of which has gone on.
        self.gone_at = -1

    def send(self, port: str, data: Any) -> bool:
        out = self.outs.get(port)
        if out is None:
            return self.unwired(port)
        at = len(self.results)
        if self.naming is not None:
            self.name_sent(data, at)
        self.sent_from.add(at)
        if port == "out":
            self.sent.append((at, data))
            waiting = len(self.sent)
        else:
            if out.at != at:
                out.at, out.mark = at, len(out.values)
            out.values.append(data)
            out.lineages.append(self.lineages[at])
            waiting = len(out.values)
        if waiting > self.capacity:
            self.gone = self.gone or set()
            if self.sent[0][0] < at if port == "out" else out.mark:
                self._flush_before(at)
                self.park_while_full()
                return True
            self.gone_at = at
            if self.naming is not None:
                self.naming.let_go()
            if port == "out":
                self._emit_in_order(out)
            else:
                self._flush_port(out)
            if self.full_wires:
                # whoever waits for documents of this turn gets all there is of them meanwhile
                self._flush_ports()
                if (main := self.outs.get("out")) is not None and len(self.results) > self.emitted:
                    self._emit_in_order(main)
                self.park_while_full()
        return True

    def keep(self, packet: Any) -> None:
        if self.holding is not None:
            super().keep(packet)
        self.kept.append(packet)

    def note_kept(self, values: Sequence[Any], lineages: Sequence[Lineage]) -> None:
        """Of these packets nothing went on: what is behind is not told of the documents of those that were kept."""
        kept = {id(packet) for packet in self.kept}
        own = [lineage for value, lineage in zip(values, lineages, strict=True) if id(value) in kept]
        self.keep_behind(self._pinned(), own)

    def note_kept_at(self, positions: Iterable[int]) -> None:
        """The same of the packets at ``positions`` that returned nothing, sent nothing and did not fail."""
        others = self.sent_from.union(self.lost)
        gone = [i for i in positions if self.results[i] is None and i not in others]
        self.note_kept([self.values[i] for i in gone], [self.lineages[i] for i in gone])

    def name_sent(self, data: Any, at: int) -> None:
        """Name a packet that is sent over the packet at ``at``."""
        assert self.naming is not None
        if at < len(self.values):
            self.naming.sent(data, self.values[at], self.lineages[at])

    def _flush_before(self, at: int) -> None:
        """Put on the wires what comes of earlier packets than the one at ``at``, whose own can still be taken back."""
        own = [(position, data) for position, data in self.sent if position == at]
        if (main := self.outs.get("out")) is not None:
            del self.sent[len(self.sent) - len(own) :]
            self._emit_in_order(main)
            self.sent = own
        for out in self.outs.values():
            mark = out.mark if out.at == at else len(out.values)
            values, lineages = out.values[mark:], out.lineages[mark:]
            if mark:
                del out.values[mark:], out.lineages[mark:]
                self._flush_port(out)
                out.values, out.lineages, out.at, out.mark = values, lineages, at, 0

    def _pinned(self) -> Epoch:
        assert self.epoch is not None
        return self.epoch

    def _unsend(self, at: int) -> bool:
        """Take back what a packet sent before it raised; False if some of it has gone on, and would go on once more."""
        if at not in self.sent_from or self.is_publisher:
            return True
        if at == self.gone_at:
            return False
        self.sent_from.discard(at)
        self.sent = [(position, data) for position, data in self.sent if position != at]
        for out in self.outs.values():
            if out.at == at:
                del out.values[out.mark :], out.lineages[out.mark :]
                out.at = -1
        return True

    def _emit_in_order(self, out: OutPort) -> None:
        """Put results and what was sent between them on the wires, in the order in which they came to be."""
        results, lineages = self.results, self.lineages
        values: list[Any] = []
        sources: list[Lineage] = []
        start = self.emitted
        sent, self.sent = self.sent, []
        self.emitted = len(results)
        for at in range(start, len(results)):
            if type(results[at]) is not Packet and results[at] is not None:
                self._check_result(at)
        if self.kept and self.values:
            self.note_kept_at(range(start, len(results)))  # from now on nobody carries them
        if self.naming is not None:
            self.naming.returned(results[start:], self.values[start:], lineages[start:])
        for at, data in sent:
            if start < at:
                for i in range(start, at):
                    if results[i] is not None:
                        values.append(results[i])
                        sources.append(lineages[i])
                start = at
            values.append(data)
            sources.append(lineages[at])
        for i in range(start, len(results)):
            if results[i] is not None:
                values.append(results[i])
                sources.append(lineages[i])
        if values:
            self.emit(out, self._pinned(), values, sources)

    def _flush_ports(self) -> None:
        for out in self.outs.values():
            if out.values:
                self._flush_port(out)

    def _flush_port(self, out: OutPort) -> None:
        values, lineages = out.values, out.lineages
        out.values, out.lineages, out.at = [], [], -1
        self.emit(out, self._pinned(), values, lineages)
