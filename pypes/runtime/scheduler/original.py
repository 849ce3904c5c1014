"""Driving components of the original style: a ``run`` loop that receives, sends and yields."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from greenlet import greenlet

from pypes.core.ports import Origin
from pypes.errors import ComponentError
from pypes.runtime.scheduler.epoch import flatten
from pypes.runtime.scheduler.tasklet import OutPort, Tasklet

#: The mark of a packet sent after the cursor ran out: it is made of all that was taken.
AFTER_THE_END = -1
NOTHING: list[Any] = []


class OriginalTasklet(Tasklet):
    """Runs ``run()``; works out from what each sent packet was made.

    With one input port ``receive_all`` is a plain list iterator, and ``send`` only notes how much of it is
    left; origins are looked up when the turn ends. With several ports the last packet taken from each is kept.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.capacity = self.hub.limits.wire_packets
        #: How many packets ``send`` keeps before it puts them on the wire: what was taken always has room.
        self.room = self.capacity
        #: What this turn took from its ports, in order, with origins beside.
        self.taken: list[Any] = []
        self.origins: list[Origin] = []
        #: Ports read in this turn: what is left of them, in reverse (the next packet is at the end).
        self.left: dict[str, tuple[list[Any], list[Origin]]] = {}
        self.current: dict[str, tuple[Any, Origin]] = {}
        self.cursor: Iterator[Any] | None = None
        self.hint: Callable[[], int] | None = None
        self.cursor_values: list[Any] = []
        self.cursor_origins: Sequence[Origin] = ()
        self.cursor_port = ""
        self.by_identity: dict[int, Origin] | None = None
        #: The greenlet that ``run`` lives in, and the runner it goes back to when it yields.
        self.own: greenlet | None = None
        self.home: greenlet | None = None
        #: True while nothing was taken or sent in this turn, so that a plain iterator will do.
        self.is_fresh = True
        #: How many values may still be told apart by their position alone: the cursor's, until a flush in mid-turn.
        self.aligned = 0

    def wired(self) -> None:
        super().wired()
        simple = not self.is_publisher and self.holding is None
        self.only_out = next(iter(self.outs.values())) if simple and len(self.outs) == 1 else None

    def step(self) -> None:
        own, runner = self.own, self.hub.runner
        if own is None or own.dead:
            own = self.own = greenlet(self._body)
            self.home = None
        if self.home is not runner:
            own.parent = self.home = runner
        own.switch()

    def _leave(self) -> None:
        self.home.switch()  # type: ignore[union-attr]

    def kill(self) -> None:
        self.greenlet = self.own
        super().kill()

    def _body(self) -> None:
        """The filter's own greenlet: ``run``, again and again."""
        while True:
            self._begin()
            try:
                self.component.run()
                # A loop that returns is run again when there is input for it; what it had taken is settled.
                self._settle(raised=False)
            except (Exception, SystemExit) as error:
                self._failed_run(error)
            self.end_turn()
            self._leave()

    def failed_step(self, error: BaseException) -> None:
        """Our own bug in the bookkeeping: the greenlet is gone; what was in hand goes to the dead letters."""
        self.component.log.error("turn failed", exc_info=error)
        epoch = self.epoch
        if epoch is None:
            return
        pairs = [*zip(self.taken, self.origins, strict=False), *zip(self.cursor_values, self.cursor_origins, strict=False)]
        for values, origins in self.left.values():
            pairs += zip(values, origins, strict=False)
        for value, origin in pairs:
            self.dead_letter(epoch, value, origin, "internal", f"{type(error).__name__}: {error}", error)
        self._forget_cursor()
        self.taken, self.origins = [], []
        self.left.clear()
        self.current.clear()
        for out in self.outs.values():
            out.values, out.origins, out.marks = [], [], []
        self.end_turn()

    # -- receiving --------------------------------------------------------------------------------------

    def receive_all(self, port: str) -> Iterator[Any]:
        if self.is_fresh and not self.is_join:
            self.is_fresh = False
            epoch = self.epoch or self.next_epoch()
            chunk = self.take(self.inputs.get(port, []), epoch) if epoch is not None else None
            if chunk is None:
                self.is_fresh = True
                self._check_input(port)
                return iter(())
            values, self.cursor_origins = chunk
            self.cursor_values, self.cursor_port = values, port
            self.aligned = len(values)
            self.room = max(self.capacity, self.aligned)
            cursor = iter(values)
            self.cursor = cursor
            self.hint = cursor.__length_hint__
            return cursor
        return self._each(port)

    def _each(self, port: str) -> Iterator[Any]:
        while (item := self._next(port)) is not None:
            yield item[0]
        self.current.pop(port, None)

    def receive(self, port: str) -> Any:
        item = self._next(port)
        if item is None:
            self.current.pop(port, None)
            return None
        return item[0]

    def _next(self, port: str) -> tuple[Any, Origin] | None:
        self.is_fresh = False
        if self.hint is not None:
            self._close_cursor()
        left = self.left.get(port)
        if left is None or not left[0]:
            epoch = self.epoch or self.next_epoch()
            chunk = self.take(self.inputs.get(port, []), epoch) if epoch is not None else None
            if chunk is None:
                self._check_input(port)
                return None
            left = self.left[port] = (chunk[0][::-1], list(chunk[1])[::-1])
        value, origin = left[0].pop(), left[1].pop()
        self.taken.append(value)
        self.origins.append(origin)
        self.current[port] = (value, origin)
        return value, origin

    def _check_input(self, port: str) -> None:
        if not self.component.has_port(port):
            raise ComponentError(
                f"no input port {port!r}; it has {', '.join(self.component.get_in_ports()) or 'none'}",
                code="component.no_port",
                where=self.name,
            )

    def _close_cursor(self) -> None:
        """Settle what was sent under the cursor, and go over to keeping the last packet per port."""
        assert self.hint is not None
        self._settle_marks()
        done = len(self.cursor_values) - self.hint()
        self.taken += self.cursor_values[:done]
        self.origins += self.cursor_origins[:done]
        if done < len(self.cursor_values):
            self.left[self.cursor_port] = (self.cursor_values[done:][::-1], list(self.cursor_origins[done:])[::-1])
            if done:
                self.current[self.cursor_port] = (self.taken[-1], self.origins[-1])
        self._forget_cursor()

    def _forget_cursor(self) -> None:
        self.cursor = self.hint = None
        self.aligned = 0
        self.cursor_values, self.cursor_origins, self.by_identity = [], (), None

    # -- sending ----------------------------------------------------------------------------------------

    def send(self, port: str, data: Any) -> bool:
        try:
            out = self.outs[port]
        except KeyError:
            return self.unwired(port)
        values = out.values
        n = len(values)
        values.append(data)
        # PERF: most components send on just what they took, in order; then nothing need be noted
        if n < self.aligned and data is self.cursor_values[n] and not out.marks:
            pass
        elif self.aligned:
            self._mark(out, n, self.hint())  # type: ignore[misc]
        elif self.hint is not None:
            out.origins.append(self._origin_under_cursor(data))
        else:
            self.is_fresh = False
            out.origins.append(self._origin_of(data))
        if n >= self.room:
            self._settle_marks()
            self._flush(out)
            self.park_while_full()
        return True

    def _mark(self, out: OutPort, n: int, left: int) -> None:
        """Note how much the cursor had left when the ``n``-th value was sent."""
        if not out.marks and n:
            out.marks = [self.aligned - 1 - i for i in range(n)]
        # only the last packet can be followed by the end, so only there is it worth asking
        out.marks.append(AFTER_THE_END if not left and self._is_exhausted() else left)

    def _is_exhausted(self) -> bool:
        # A list iterator that has raised StopIteration no longer refers to its list: its reduced form has no index.
        return len(self.cursor.__reduce__()) == 2  # type: ignore[union-attr, arg-type]

    def _origin_of(self, data: Any) -> Origin:
        current = self.current
        for value, origin in current.values():
            if value is data:
                return origin
        for value, origin in zip(reversed(self.taken), reversed(self.origins), strict=True):
            if value is data:
                return origin
        if current:
            return flatten(origin for _, origin in current.values())
        return flatten(self.origins)

    def _origin_under_cursor(self, data: Any) -> Origin:
        if self.by_identity is None:
            self.by_identity = {id(value): origin for value, origin in zip(self.cursor_values, self.cursor_origins, strict=True)}
        own = self.by_identity.get(id(data))
        if own is not None:
            return own
        left = self.hint()  # type: ignore[misc]
        if not left and self._is_exhausted():
            return flatten(self.cursor_origins)
        return self.cursor_origins[len(self.cursor_values) - left - 1]

    def _settle_marks(self) -> None:
        """Turn positions into origins: the packet's own if it was taken, else that of the one under the cursor."""
        if not self.aligned:
            return
        self.aligned = 0
        taken, origins = self.cursor_values, self.cursor_origins
        for out in self.outs.values():
            if not out.marks:
                out.origins = list(origins[: len(out.values)])
                continue
            by_identity = {id(value): origin for value, origin in zip(taken, origins, strict=True)}
            last = len(taken) - 1
            everything = flatten(origins)
            out.origins = [
                by_identity.get(id(value), everything if left == AFTER_THE_END else origins[min(last - left, last)])
                for value, left in zip(out.values, out.marks, strict=True)
            ]
            out.marks = []

    def _flush(self, out: OutPort) -> None:
        values, origins = out.values, out.origins
        out.values, out.origins = [], []
        self._emit_pinned(out, values, origins)

    def _emit_pinned(self, out: OutPort, values: list[Any], origins: Sequence[Origin]) -> None:
        epoch = self.epoch
        if epoch is None and self.holding is not None and self.holding.held:
            epoch = next(iter(self.holding.held))  # only a place holder: what it holds travels in a carrier
        if epoch is None:
            raise ComponentError(
                "send() outside a turn: receive something first; what belongs to no delivery cannot be followed",
                code="component.no_turn",
                where=self.name,
            )
        self.emit(out, epoch, values, origins)

    # -- turns ------------------------------------------------------------------------------------------

    def yield_ctrl(self) -> None:
        self._settle(raised=False)
        self.end_turn()
        self._leave()
        while self.holding is not None and self.holding.flush_asked:
            self.flush()
            self.end_turn()
            self._leave()
        self._begin()

    def _begin(self) -> None:
        if self.triggers and self.epoch is None:
            self.epoch = self.triggers.pop(0)

    def flush(self) -> None:
        holding = self.holding
        assert holding is not None
        if holding.held:
            try:
                for packet in self.component.flush() or ():
                    self.send("out", packet)
                for out in self.outs.values():
                    if out.values:
                        self._flush(out)
            except (Exception, SystemExit) as error:
                holding.fail(error)
        holding.release()

    def _settle(self, *, raised: bool) -> None:
        """Flush what was sent, commit, and put what was not taken back on the wires."""
        self.is_fresh = True
        if self.epoch is None:
            return
        epoch = self.epoch
        out = self.only_out
        if out is not None and 0 < self.aligned == len(out.values) and not (out.marks or self.attempts or self.hint()):  # type: ignore[misc]
            # PERF: all that was taken was sent on, as it was: nothing to look up, nothing left
            values, out.values = out.values, []
            self.emit(out, epoch, values, self.cursor_origins)
            self.hint = None
            self.aligned = 0
            self.cursor_values, self.cursor_origins = NOTHING, ()
            return
        leftover: list[tuple[str, list[Any], Sequence[Origin]]] = []
        hint = self.hint
        if self.aligned:  # the common case: one cursor, nothing else
            taken, origins = self.cursor_values, self.cursor_origins
            rest = hint()  # type: ignore[misc]
            if rest:
                done = len(taken) - rest
                leftover.append((self.cursor_port, taken[done:], origins[done:]))
                taken, origins = taken[:done], origins[:done]
            for out in self.outs.values():
                if out.values and not out.marks and len(out.values) == len(taken):
                    values, out.values = out.values, []
                    self._emit_pinned(out, values, origins)
            self._settle_marks()
            self._forget_cursor()
        else:
            if hint is not None:
                self._close_cursor()
            taken, origins = self.taken, self.origins
            leftover += [(port, values[::-1], rest[::-1]) for port, (values, rest) in self.left.items() if values]
            self.taken, self.origins = [], []
            self.left.clear()
            self.current.clear()
        for out in self.outs.values():
            if out.values:
                self._flush(out)
        if not raised and taken:
            if self.is_publisher:
                self._commit(taken, origins)
            if self.attempts:
                self.settle_attempts(epoch)
        if self.holding is not None and self.holding.release_asked:
            self.holding.release()
        for port, values, rest_origins in leftover:
            if self.inputs[port][0].put_back(epoch, values, rest_origins):
                epoch.pending += 1

    def _commit(self, taken: list[Any], origins: Sequence[Origin]) -> None:
        try:
            self.publish(origins)
        except Exception as error:
            for value, origin in zip(taken, origins, strict=True):
                self.failed(value, origin, error)

    def _failed_run(self, error: BaseException) -> None:
        """``run`` raised: the packet under the cursor failed, or, past the end, all that was not sent on."""
        exhausted = self.hint is not None and not self.hint() and self._is_exhausted()
        if self.hint is not None:
            done = len(self.cursor_values) - self.hint()
            taken = [*self.taken, *self.cursor_values[:done]]
            origins: list[Origin] = [*self.origins, *self.cursor_origins[:done]]
        else:
            taken, origins = self.taken, self.origins
            exhausted = len(self.current) == 0
        if not taken:
            # it raised before it took anything: a stall, unless it goes on to take its input next time
            self.component.log.exception("run() raised", exc_info=error)
            return
        self._settle_marks()
        sent = {id(value) for out in self.outs.values() for value in out.values}
        if exhausted:
            guilty = [i for i, value in enumerate(taken) if id(value) not in sent]
        elif self.hint is None:
            current = {id(value) for value, _ in self.current.values()}
            guilty = [i for i, value in enumerate(taken) if id(value) in current and id(value) not in sent]
        else:
            guilty = [len(taken) - 1]
        for i in guilty:
            self.failed(taken[i], origins[i], error, self.cursor_port or None)
        if self.is_publisher and not exhausted:
            innocent = [i for i in range(len(taken)) if i not in guilty]
            if innocent:
                self._commit([taken[i] for i in innocent], [origins[i] for i in innocent])
        self._settle(raised=True)
