"""The concurrent driver: runs components that work on several packets at once, and those in pools.

While calls of some packets run in threads, or their strides are away in a pool, others are begun. Each packet is a *work item*
with a greenlet, and a hold on its epoch, of its own. At most ``concurrency`` of them are out, or as many as the pool can use,
whichever deliveries they belong to. What they make goes on in the order in which they were taken.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from greenlet import GreenletExit, getcurrent, greenlet

from pypes.core.returned import fault_of
from pypes.core.shown import shown
from pypes.packet import Packet
from pypes.placement.executor import Outcome
from pypes.runtime.scheduler.breaker import charged
from pypes.runtime.scheduler.core import Ended, is_no_failure
from pypes.runtime.scheduler.driver import Driver
from pypes.runtime.scheduler.epoch import Epoch
from pypes.runtime.scheduler.lineage import Lineage
from pypes.runtime.scheduler.pooling import Pooling, Shares, placing_of
from pypes.runtime.scheduler.work_item import Item

T = TypeVar("T")


class ConcurrentDriver(Driver):
    """Calls ``process`` for up to ``concurrency`` packets at once; see the module."""

    sees_packets_alone = True

    __slots__ = ("away", "finished", "items", "keeps_order", "pooling", "resumable", "todo", "working")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        #: Items that are out, in the order in which they were taken.
        self.items: deque[Item] = deque()
        #: Items that can go on: their calls have ended.
        self.resumable: deque[Item] = deque()
        #: Packets that were taken from a wire and not begun yet; the hold of their chunk is kept until all of them have.
        self.todo: tuple[Epoch, deque[tuple[Any, Lineage]]] | None = None
        #: Items that could not reach a service: nothing more is begun, and when nothing is out any more they go back.
        self.away: list[Item] = []
        #: The item whose code runs now.
        self.working: Item | None = None
        self.finished = 0
        placing = placing_of(self.component)
        #: Set if the component runs in a pool.
        self.pooling = None if placing is None else Pooling(self.core, placing)
        #: False if items go on as soon as they are done.
        self.keeps_order = placing is None or placing.keeps_order

    @property
    def width(self) -> int:
        """Items that may be out at once: one where it must be known which is to blame, and where a service is tried again."""
        if self.core.record_turn is not None or self in self.broken:
            return 1
        return self.component.concurrency if self.pooling is None else self.pooling.width

    # -- a turn -------------------------------------------------------------------------------------------

    def step(self) -> None:
        while self.resumable:
            self._go_on(self.resumable.popleft())
        if not self.keeps_order:
            self.items = deque(sorted(self.items, key=lambda item: not item.is_done))
        self._finish_in_order()
        while not (self.away or self.full_wires) and len(self.items) < self.width and self._begin_next():
            self._finish_in_order()
        if self.pooling is not None:
            self.pooling.send()
        if self.away and not self.items:
            self._rest()
        self.epoch = None
        if self.broken and not self.items:
            self.resting.end_turn(self)
        self.note_waiting()

    def _begin_next(self) -> bool:
        """Begin to work on the next packet; False if there is none."""
        if self.todo is None and not self._take_chunk():
            return False
        assert self.todo is not None
        epoch, left = self.todo
        self.epoch = epoch
        item = Item(self, epoch, *left[0])
        item.greenlet = greenlet(self._work)
        self.items.append(item)
        epoch.acquire()
        left.popleft()  # not before all is made for which memory is needed
        if not left:
            self.todo = None
            epoch.release()
        self._go_on(item)
        if item.is_done and not self.keeps_order:
            self.items.rotate()  # to the front
        return True

    def _take_chunk(self) -> bool:
        if (epoch := self.next_epoch()) is None:
            if not self.triggers:
                return False
            epoch = self.triggers.pop(0)
            if self.component.get_in_ports():
                epoch.release()
                return False
            self.todo = epoch, deque([(None, ())])
            return True
        self.epoch = None
        for wires in self.inputs.values():
            chunk = self.take(wires, epoch)
            if chunk is not None:
                # the pin's hold is that of the chunk, until all of it was begun
                self.todo, self.epoch = (epoch, deque(zip(*chunk, strict=True))), None
                return True
        return False

    def _go_on(self, item: Item) -> None:
        """Run an item until it waits for something, or is done."""
        assert item.greenlet is not None
        self.working, self.epoch = item, item.epoch
        if item.epoch.traces:
            self.core.turn_times.mark(item.epoch.traces)
        self.core.turns += 1
        item.greenlet.parent = getcurrent()
        item.greenlet.switch(item)
        self.working = None

    def _work(self, item: Item) -> None:
        """The item's own greenlet."""
        try:
            item.result = self.component.process(item.value)
        except BaseException as error:
            if is_no_failure(error):
                raise
            item.error = error
        item.is_done = True

    def _wait(self, item: Item) -> None:
        """Leave an item where it stands until it is gone on with."""
        assert item.greenlet is not None
        assert item.greenlet.parent is not None
        try:
            item.greenlet.parent.switch()
        except GreenletExit as error:
            raise Ended from error

    # -- how items end ------------------------------------------------------------------------------------

    def _finish_in_order(self) -> None:
        """Account for the items that are done, in their order; have the first one send that sends more than a wire holds."""
        while self.items and not self.full_wires:
            item = self.items[0]
            if item.is_done:
                self.items.popleft()
                self._finish(item)
            elif item.is_stalled:
                self._go_on(item)
                if item.is_stalled:
                    return
            else:
                return

    def _finish(self, item: Item) -> None:
        self.epoch = item.epoch
        self.finished += 1
        error = item.error
        if error is None and type(item.result) is not Packet and item.result is not None:
            error = fault_of(item.result, item.value)
        if item.is_of_all and item.stride is not None:  # what was made of all of them fails with the first
            error = item.stride.error = item.stride.error or error
        is_unreachable = self.failing.is_unreachable(error)
        if is_unreachable and not item.was_emitted:
            self.away.append(item)
            if self.naming is not None:
                self.naming.forget(item.value)
            return
        if error is not None:
            self.failing.failed(item.value, item.lineage, charged(error) if is_unreachable else error)
        else:
            if item.result is not None:
                if self.naming is not None:
                    self.naming.sent(item.result, item.value, item.lineage)
                item.sent.append(("out", item.result))
            is_gone = not item.sent and not item.was_emitted
            self._emit_sent(item)
            if is_gone and self.drops:
                self.note_dropped(item.epoch, (item.lineage,))
                if item.is_kept:
                    self.keep_behind(item.epoch, (item.lineage,))
            if self.broken:
                self.resting.succeed(self)
        attempt = self.attempts.get(id(item.value))
        if attempt is not None and not attempt.waiting:
            del self.attempts[id(item.value)]
        if self.naming is not None:
            self.naming.forget(item.value)
        if self.provenance is not None:
            self.provenance.forget_one(item.value)
        self.epoch = None
        item.stride = None  # which refers to the item: it would stay until a collection of garbage
        item.release()

    def _emit_sent(self, item: Item) -> None:
        """Put on the wires what was sent over a packet, in its order."""
        if item.joint is not None:
            together, item.sent_of_all = item.sent_of_all, []
            self.epoch = epoch = item.joint.epoch
            for port, data in together:
                self.emit(self.outs[port], epoch, [data], [item.joint.lineage])
        sent, item.sent = item.sent, []
        self.epoch = item.epoch
        for port, data in sent:
            out = self.outs.get(port)
            if out is not None:
                item.was_emitted = True
                self.emit(out, item.epoch, [data], [item.lineage])

    def _rest(self) -> None:
        """Give back what could not reach a service, in its order, and what was not begun after it."""
        away, self.away = self.away, []
        if self.todo is not None:
            epoch, left = self.todo
            self.todo = None
            self.give_back(self.taken_from, epoch, [value for value, _ in left], [lineage for _, lineage in left])
            epoch.release()
        for item in reversed(away[1:]):
            self.give_back(self.taken_from, item.epoch, [item.value], [item.lineage])
            item.epoch.release()
        first = away[0]
        assert first.error is not None
        self.epoch = first.epoch
        self.failing.rest([first.value], [first.lineage], first.error)
        self.epoch = None
        first.epoch.release()

    # -- what a component asks ----------------------------------------------------------------------------

    def send(self, port: str, data: Any) -> bool:
        if port not in self.outs:
            return self.unwired(port)
        item = self.working
        assert item is not None
        if self.naming is not None:
            self.naming.sent(data, item.value, item.lineage)
        item.sent.append((port, data))
        self._wait_for_room(item)
        return True

    def send_of_all(self, port: str, data: Any) -> bool:
        """Send what was made of the whole batch in the pool whose first item is the one in hand."""
        if port not in self.outs:
            return self.unwired(port)
        item = self.working
        assert item is not None
        joint = item.join()
        if self.naming is not None:
            self.naming.made_of(data, joint.values)
        item.sent_of_all.append((port, data))
        self._wait_for_room(item)
        return True

    def _wait_for_room(self, item: Item) -> None:
        """Have an item wait for its turn to send, and for room, once it has sent more than a wire holds."""
        if len(item.sent) + len(item.sent_of_all) > self.capacity:
            item.is_stalled = True
            while self.items[0] is not item or self.full_wires:
                self._wait(item)
            item.is_stalled = False
            self._emit_sent(item)

    def keep(self, packet: Any) -> None:
        assert self.working is not None
        self.working.is_kept = True

    def offload(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        item = self.working
        assert item is not None
        began_s = self.core.clock()
        future = self.core.calls.start(item, fn, args, kwargs)
        while not future.done():
            self._wait(item)
        self.core.waited(self, self.core.clock() - began_s)
        return future.result()

    def run_in_pool(self, value: Any) -> Outcome:
        """Have the pool work on ``value``; only this item waits for it. Raises what was raised there."""
        item = self.working
        assert item is not None
        assert self.pooling is not None
        self.pooling.add(item, value)
        while item.outcome is None:
            self._wait(item)
        outcome, item.outcome = item.outcome, None
        if outcome.error is not None:
            raise outcome.error
        return outcome

    def worked_in_pool(self, seconds: float) -> None:
        """So long a pool worker has worked on what the item in hand was sent there with."""
        self.meter.worked(seconds)
        if self.observation is not None:
            self.observation.worked_in_pool(self.name, seconds)
        for trace in self.epoch.traces if self.epoch is not None else ():
            trace.of(self.name).ran_s += seconds

    def run_each_in_pool(self, values: Sequence[Any]) -> list[Outcome]:
        """Have the pool work on several values; only this item waits for them."""
        item = self.working
        assert item is not None
        assert self.pooling is not None
        shares = Shares(item, values)
        for share in shares.all:
            self.pooling.add(share, share.value)
        while shares.left:
            self._wait(item)
        return shares.taken()

    def made_together(self) -> None:
        """Something was made of the whole batch in the pool that the item in hand was part of."""
        assert self.working is not None
        self.working.is_of_all = True

    def current(self) -> Any:
        return self.working.value if self.working is not None else None

    def position(self) -> int:
        return self.finished

    # -- what others ask ----------------------------------------------------------------------------------

    @property
    def is_working(self) -> bool:
        return bool(self.items or self.todo or self.away) or super().is_working

    def in_hand(self) -> Sequence[Lineage]:
        return ()  # told by `carried`, with the epoch of each

    def carried(self) -> Iterator[tuple[Epoch, Sequence[Lineage]]]:
        for item in (*self.items, *self.away):
            yield item.epoch, (item.lineage,)
            if item.joint is not None:
                yield item.joint.epoch, (item.joint.lineage,)
        if self.todo is not None:
            yield self.todo[0], [lineage for _, lineage in self.todo[1]]
        yield from super().carried()

    def has(self, epoch: Epoch) -> bool:
        own = any(item.epoch is epoch for item in (*self.items, *self.away))
        return own or (self.todo is not None and self.todo[0] is epoch) or super().has(epoch)

    def note_waiting(self) -> None:
        ready, items = self.core.ready, self.items
        can_begin = len(items) < self.width and not self.away
        has_input = self.todo is not None or bool(self.triggers) or any(wire.waiting for wire in self.wires)
        head = items[0] if items else None
        can_finish = head is not None and (head.is_done or head.is_stalled)
        if not (self.resumable or can_finish or (can_begin and has_input)):
            ready.waiting &= ~self.bit

    # -- the end --------------------------------------------------------------------------------------------

    def kill(self) -> None:
        for item in self.items:
            if item.greenlet is not None and not item.is_done:
                self.working = item
                item.is_done = True
                item.greenlet.parent = getcurrent()
                item.greenlet.throw(GreenletExit)
        self.working = None

    def failed_step(self, error: BaseException) -> None:
        """Our own bug in the bookkeeping, or the end of a graph that stands still: what is out goes to the dead letters."""
        if not is_no_failure(error):
            self.component.log.error("turn failed", exc_info=error)
        try:
            self.kill()
        except BaseException as refusal:  # a component would not end quietly
            self.component.log.error("turn failed", exc_info=refusal)
        reason = shown(error, self.core.secrets.redact)
        items, away = [*self.items], self.away
        self.items.clear()
        self.resumable.clear()
        self.away, self.working = [], None
        for item in (*items, *away):
            self.epoch = item.epoch
            self.failing.dead_letter(item.epoch, item.value, item.lineage, "internal", reason, error)
            item.release()
        if self.todo is not None:
            epoch, left = self.todo
            self.todo = None
            for value, lineage in left:
                self.failing.dead_letter(epoch, value, lineage, "internal", reason, error)
            epoch.release()
        self.epoch = None
        self.note_waiting()
