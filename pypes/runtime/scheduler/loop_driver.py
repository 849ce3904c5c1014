"""The loop driver: runs components of the original style, whose ``run`` loop receives, sends and yields."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from operator import eq
from typing import Any

from greenlet import GreenletExit, greenlet

from pypes.component import ERROR_PORT
from pypes.core.returned import fault_of, packets_of
from pypes.core.shown import shown
from pypes.errors import ComponentError
from pypes.runtime.scheduler.core import Ended, is_no_failure
from pypes.runtime.scheduler.lineage import Lineage, flatten
from pypes.runtime.scheduler.outport import OutPort
from pypes.runtime.scheduler.portion import is_exhausted
from pypes.runtime.scheduler.receiving import NOTHING_MORE, ReceivingDriver


class LoopDriver(ReceivingDriver):
    """Runs ``run()``; works out from what each sent packet was made."""

    __slots__ = ("following", "gone_on", "home", "missing", "own", "resumes_at_once")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        #: The greenlet that ``run`` lives in, and the runner it goes back to when it yields.
        self.own: greenlet | None = None
        self.home: greenlet | None = None
        #: The loop to which it may hand a chunk past the wire.
        self.following: LoopDriver | None = None
        #: Lineages of what was sent in this turn and is on its wires already.
        self.gone_on: set[Lineage] = set()
        #: Ports that it sent to and does not have.
        self.missing: set[str] = set()

    def wired(self) -> None:
        super().wired()
        is_simple = not self.is_publisher and self.holding is None
        one_in = is_simple and self.only_wire is not None and self.observation is None and self.provenance is None
        self.only_port = next(iter(self.inputs)) if one_in else None
        # only a filter that no wire leads to is ever triggered
        self.resumes_at_once = is_simple and bool(self.ancestors)
        for name in self.outs:
            self.expected.setdefault(name, NOTHING_MORE)
        if len(self.outs) == 1:
            self.used = list(self.outs.values())
            self.only_out = self.used[0]
        self.following = None
        if self.only_port is not None and self.only_out is not None and len(self.only_out.wires) == 1:
            target = self.core.target_of(self.only_out.wires[0])
            if isinstance(target, LoopDriver) and target.only_port is not None and self.core.record_turn is None:
                self.following = target

    def step(self) -> None:
        runner = self.core.runner
        if not self.own:
            self.own, self.home = greenlet(self._body), None
        if self.home is not runner:
            self.home = runner
            self.own.parent = runner  # type: ignore[assignment]
        self.own.switch()

    def kill(self) -> None:
        self.greenlet = self.own
        super().kill()

    def let_go(self) -> None:
        super().let_go()
        self.own = self.home = None

    def _body(self) -> None:
        """The filter's own greenlet: ``run``, again and again."""
        while True:
            self._begin_trigger()
            try:
                self.component.run()
                # A loop that returns is run again when there is input for it; what it had taken is done with.
                self._flush_and_commit(raised=False)
            except BaseException as error:
                if is_no_failure(error):
                    raise
                self._failed_run(error)
            self.end_turn()
            self._go_home()

    def failed_step(self, error: BaseException) -> None:
        """Our own bug in the bookkeeping: the greenlet is gone; what was in hand goes to the dead letters."""
        if not is_no_failure(error):
            self.component.log.error("turn failed", exc_info=error)
        self.decline()
        epoch = self.epoch
        if epoch is None:
            return
        pairs = [*zip(self.taken, self.lineages, strict=False)]
        if self.portion is not None:
            pairs += zip(self.portion.values, self.portion.lineages, strict=False)
        for values, lineages in self.left.values():
            pairs += zip(values, lineages, strict=False)
        for value, lineage in pairs:
            self.failing.dead_letter(epoch, value, lineage, "internal", shown(error, self.core.secrets.redact), error)
        self.portion = None
        self.taken, self.lineages = [], []
        self.left.clear()
        self.last.clear()
        for out in self.outs.values():
            out.values, out.lineages = [], []
            self.expected[out.name] = NOTHING_MORE
        self.end_turn()

    # -- sending ----------------------------------------------------------------------------------------

    def send(self, port: str, data: Any) -> bool:
        """Send something else than what was expected next, which the component has taken off ``expected`` by now."""
        out = self.outs.get(port)
        if out is None:
            return self.unwired(port)
        self.decline()
        if self.passes(out):
            self._stop_passing(out, 0 if is_exhausted(self.expected[port]) else 1)
        elif out not in self.used:
            # nothing was made of a packet yet: it would have to be told from those that go on as they are
            is_plain = not self.used or all(map(self.passes, self.used))
            self.used.append(out)
            if is_plain and self.portion is not None and data is self.portion.values[0]:
                expected = self.expected[port] = iter(self.portion.values)
                next(expected)
                return True
        self.is_fresh = False
        lineage = self.lineage_of(data)
        if self.naming is not None:
            parent = self.parent_of(data)
            if parent is not None:
                self._stop_all_passing()
                self.naming.sent(data, parent, lineage)
            else:
                self.naming.made_of(data, self.taken if self.portion is None else self.portion.values)
        out.values.append(data)
        out.lineages.append(lineage)
        if len(out.values) >= self.capacity:
            if self.naming is not None:
                self.naming.let_go()
            self._flush(out)
            self.park_while_full()
        return True

    def unwired(self, port: str) -> bool:
        """``send`` to a port without a wire: False, as in the original also where there is no such port; the log says so once."""
        if port != ERROR_PORT and port not in self.missing and not self.component.has_port(port):
            self.missing.add(port)
            known = ", ".join(self.component.get_out_ports()) or "none"
            self.component.log.warning("sent to port %r, which is not there; it has %s", port, known)
        return False

    def _flush(self, out: OutPort) -> None:
        values, lineages = out.values, out.lineages
        out.values, out.lineages = [], []
        if self.drops:
            self.gone_on.update(lineages)
        epoch = self.epoch
        if epoch is None and self.holding is not None and self.holding.held:
            epoch = next(iter(self.holding.held))  # only a place holder: what it holds travels in a derived epoch
        if epoch is None:
            raise ComponentError(
                "send() outside a turn: receive a packet first, since a packet that belongs to no delivery cannot be followed",
                code="component.no_turn",
                where=self.name,
            )
        self.emit(out, epoch, values, lineages)

    # -- turns ------------------------------------------------------------------------------------------

    def yield_ctrl(self) -> None:
        target = self._pass_on()
        if target is None:
            self._flush_and_commit(raised=False)
            self.end_turn()
            target = self.home
        try:  # PERF: as in _go_home, without the call
            target.switch()  # type: ignore[union-attr]
        except GreenletExit as error:
            raise Ended from error
        if self.resumes_at_once:
            return
        while self.holding is not None and self.holding.flush_asked:
            self.flush()
            self.end_turn()
            self._go_home()
        self._begin_trigger()

    def _go_home(self) -> None:
        """Let the others run, until there is something to do again."""
        try:
            self.home.switch()  # type: ignore[union-attr]
        except GreenletExit as error:
            raise Ended from error

    def _pass_on(self) -> greenlet | None:
        """End a turn in which all that was taken was sent on as it was; returns who goes on, ``None`` if it was not so.

        PERF: the pin on the epoch becomes the hold of the chunk on the wire. Where the following loop has nothing else to do, it
        gets the portion with the pin, and goes on at once, which spares both the wire and the way by the runner.
        """
        out = self.only_out or (self.used[0] if len(self.used) == 1 else None)
        if out is None or (expected := self.expected[out.name]) is NOTHING_MORE:
            return None
        if next(expected, NOTHING_MORE) is not NOTHING_MORE:  # PERF: quicker than to ask what is left
            self._stop_passing(out, 1)
            return None
        if self.attempts or self.broken or self.lone is not None or self.core.special:
            return None
        core, portion, following, target = self.core, self.portion, self.following, self.home
        states = core.ready
        count = len(portion.values)  # type: ignore[union-attr]
        if (
            following is not None
            and not (states.waiting | states.blocked) & following.bit
            and following.home is target
            and following.own
        ):
            following.portion, following.epoch, following.is_handed = portion, self.epoch, True
            # PERF: counts as if by the wire, and time as by `Core.begin_turn`
            wire = out.wires[0]
            wire.total += count
            if wire.taps:
                wire.show(portion.values)  # type: ignore[union-attr]
            now_s = core.clock()
            self.meter.seconds += now_s - core.since_s
            core.since_s = now_s
            core.running = following
            target = following.own
        elif self.only_port is None or len(out.wires) > 1 or (wire := out.wires[0]).overflowed or wire.taps:
            return None
        else:
            wire.total += count
            if wire.hand_over(self.epoch, portion.values, portion.lineages) and wire.parked is None:  # type: ignore[union-attr, arg-type]
                self.park_at(wire)
        self.expected[out.name] = NOTHING_MORE
        self.portion = self.epoch = self.stall = None
        self.is_fresh = True
        if out is not self.only_out:
            self.used.clear()
        if states.waiting & self.bit:
            self.note_waiting()
        return target

    def _begin_trigger(self) -> None:
        if self.triggers and self.epoch is None:
            self.epoch = self.triggers.pop(0)

    def flush(self) -> None:
        holding = self.holding
        assert holding is not None
        if holding.held:
            try:
                for packet in packets_of(self.component.flush(), "flush"):
                    fault = fault_of(packet, hook="flush")
                    if fault is not None:
                        raise fault
                    self.send("out", packet)
                for out in self.used:
                    if out.values:
                        self._flush(out)
            except BaseException as error:
                if is_no_failure(error):
                    raise
                holding.fail(error)
        holding.release()

    def _flush_and_commit(self, *, raised: bool, failed: Sequence[Lineage] = ()) -> None:
        """Flush what was sent, commit, and put what was not taken back on the wires; ``failed`` are packets that did."""
        self.decline_untouched(raised=raised)
        self.is_fresh = True
        if self.epoch is None:
            return
        epoch = self.epoch
        leftover: list[tuple[str, list[Any], Sequence[Lineage]]] = []
        portion = self.portion
        if portion is not None and not self.taken:  # the common case: one portion, nothing else
            self._stop_all_passing()
            taken, lineages = portion.values, portion.lineages
            done = portion.done
            if done < len(taken):
                leftover.append((portion.port, taken[done:], lineages[done:]))
                taken, lineages = taken[:done], lineages[:done]
            self.portion = None
        else:
            if portion is not None:
                self._close(portion)
            taken, lineages = self.taken, self.lineages
            leftover += [(port, values[::-1], rest[::-1]) for port, (values, rest) in self.left.items() if values]
            self.taken, self.lineages = [], []
            self.left.clear()
            self.last.clear()
        if self.drops and taken:
            self._note_drops(lineages, failed)
        for out in self.used:
            if out.values:
                self._flush(out)
        if self.only_out is None:
            self.used.clear()
        self.gone_on.clear()
        if self.naming is not None:
            self.naming.forget()
        for port, values, rest_lineages in leftover:
            self.give_back(self.inputs[port][0], epoch, values, rest_lineages)
        if not raised and taken:
            if self.is_publisher:
                self._commit(taken, lineages, self.ports)
            elif self.broken:
                self.resting.succeed(self)
            if self.attempts:
                self.failing.forget_successes(epoch)
        self.ports = []
        if self.holding is not None and self.holding.release_asked:
            self.holding.release()

    def _note_drops(self, lineages: Sequence[Lineage], failed: Sequence[Lineage]) -> None:
        """Note documents as dropped that were taken and not sent on."""
        sent = self.gone_on.union(failed)
        for out in self.used:
            if len(out.lineages) == len(lineages) and all(map(eq, out.lineages, lineages)):
                return
            sent.update(out.lineages)
        gone = set(flatten(lineages)).difference(flatten(sent))
        if gone:
            assert self.epoch is not None
            self.note_dropped(self.epoch, tuple(gone))

    def _commit(self, taken: list[Any], lineages: Sequence[Lineage], ports: list[str]) -> None:
        try:
            self.publish(lineages)
        except BaseException as error:
            if is_no_failure(error):
                raise
            if self.failing.is_unreachable(error):
                self._rest_over(taken, lineages, ports, error)
                return
            for value, lineage, port in zip(taken, lineages, ports or repeat(None), strict=False):
                self.failing.failed(value, lineage, error, port)

    def _failed_run(self, error: BaseException) -> None:
        """``run`` raised: the packet under the cursor failed, or, past the end, all that was not sent on."""
        self.decline_untouched(raised=True)
        portion = self.portion
        if portion is not None:
            exhausted = portion.is_exhausted
            taken = [*self.taken, *portion.values[: portion.done]]
            lineages: list[Lineage] = [*self.lineages, *portion.lineages[: portion.done]]
            port: str | None = portion.port
        else:
            taken, lineages, port = self.taken, self.lineages, None
            exhausted = len(self.last) == 0
        is_unreachable = self.failing.is_unreachable(error)
        if not taken:
            if is_unreachable:
                self.stall = None
                self.resting.fail(self, error)
            else:  # a stall, unless it goes on to take its input next time
                self.component.log.exception("run() raised", exc_info=error)
            return
        self._stop_all_passing()
        sent = {id(value) for out in self.used for value in out.values}
        if exhausted:
            guilty = [i for i, value in enumerate(taken) if id(value) not in sent]
        elif portion is None:
            current = {id(value) for value, _ in self.last.values()}
            guilty = [i for i, value in enumerate(taken) if id(value) in current and id(value) not in sent]
        else:
            guilty = [len(taken) - 1]
        ports = self.ports
        if not is_unreachable:
            for i in guilty:
                self.failing.failed(taken[i], lineages[i], error, ports[i] if ports else port)

        def chosen(places: list[int]) -> tuple[list[Any], list[Lineage], list[str]]:
            return [taken[i] for i in places], [lineages[i] for i in places], [ports[i] for i in places] if ports else []

        # what was not taken goes back first, to be last
        self._flush_and_commit(raised=True, failed=[lineages[i] for i in guilty])
        innocent = [i for i in range(len(taken)) if i not in guilty]
        if not self.is_publisher:
            if innocent and self.broken:
                self.resting.succeed(self)
            if is_unreachable:
                self._rest_over(*chosen(guilty), error)
            return
        if not innocent or exhausted:
            if is_unreachable:
                self._rest_over(*chosen(guilty), error)
            return
        if is_unreachable:
            self._take_back(*chosen(guilty))
        self._commit(*chosen(innocent))
        if is_unreachable and not self.resting.is_resting(self):
            self.failing.rest_over(taken[guilty[0]], len(guilty), error)
