"""Standstill: epochs that nothing can end any more are found and ended; it takes a bug of our own to make one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence, Set
from typing import Any, Final

from pypes.core.identity import NAMELESS, Named
from pypes.errors import InternalError
from pypes.runtime.scheduler.completing import Completing
from pypes.runtime.scheduler.core import Core
from pypes.runtime.scheduler.dead import as_json, named
from pypes.runtime.scheduler.driver import Driver
from pypes.runtime.scheduler.epoch import FAILED, Epoch
from pypes.runtime.scheduler.failures import Failure
from pypes.runtime.scheduler.feeds import Feeds
from pypes.runtime.scheduler.holding import Holding
from pypes.runtime.scheduler.lineage import Lineage
from pypes.runtime.scheduler.policies import Policies

log = logging.getLogger(__name__)

#: Seconds for which nothing must be able to end an epoch before it is ended, and between two looks at that.
STANDSTILL_S: Final = 30.0
LOOK_S: Final = 5.0

REASON = "the document stands still, which is a bug of Pypes; the log has details. Replay the document, and please report the bug"


class Standstill:
    """Tells since when nothing could end an epoch that is in flight, and ends those of which it is so for too long.

    There are two ways for that. Nobody has anything of the epoch, so its count will never be zero; the others go on. Or the
    scheduler is idle, and there is no timer, call, hold or rest that would wake it; then all that is in flight stands still.
    """

    def __init__(
        self,
        core: Core,
        policies: Policies,
        feeds: Feeds,
        drivers: Sequence[Driver],
        epochs: Set[Epoch],
        graph: str,
        stands_still: Callable[[], bool],
        completing: Completing | None = None,
    ) -> None:
        self._core = core
        self._policies = policies
        self._feeds = feeds
        self._drivers = drivers
        self._epochs = epochs
        self._graph = graph
        self._stands_still = stands_still
        self._completing = completing
        #: Clock time from which it is to be looked again.
        self.look_at = core.clock() + LOOK_S
        #: By epoch, the time at which it was first seen that nothing can end it.
        self._since: dict[Epoch, float] = {}
        self._turns = 0

    def look(self) -> None:
        """Look for epochs that stand still, and end those that have for too long. Called between slices."""
        core = self._core
        now = core.clock()
        self.look_at = now + LOOK_S
        lost = self._epochs - self._carried()
        is_still = self._stands_still() and core.turns == self._turns
        self._turns = core.turns
        self._since = {epoch: self._since.get(epoch, now) for epoch in (self._epochs if is_still else lost)}
        due = {epoch for epoch, since in self._since.items() if now - since >= STANDSTILL_S}
        if due <= lost:
            self._end(due, {})
        elif not core.flush_holds():
            self.end_all()

    def end_all(self) -> None:
        """Nothing would ever go on by itself: end all that is in flight, and leave the graph as it was before any of it."""
        packets: dict[Epoch, list[tuple[Driver, Any, tuple[int, ...]]]] = {}
        state = [(driver.name, driver.blocks, sum(wire.packets for wire in driver.wires)) for driver in self._drivers]
        known = [f"{name}: blocked {blocks}, waiting {waiting}" for name, blocks, waiting in state if blocks or waiting]
        log.error("graph stands still", extra={"graph": self._graph, "filters": known})
        for driver in self._drivers:
            for epoch, value, lineage in _given_up(driver):
                for root, documents in epoch.roots((lineage,)):
                    packets.setdefault(root, []).append((driver, value, tuple(documents)))
                    break  # one packet, one dead letter
        core = self._core
        if self._completing is not None:
            self._completing.clear()
        self._feeds.waiting.clear()
        self._policies.resting.open.clear()
        self._policies.jams.grown.clear()
        core.ready.clear()
        self._end(set(self._epochs), packets)

    def _end(self, epochs: set[Epoch], packets: dict[Epoch, list[tuple[Driver, Any, tuple[int, ...]]]]) -> None:
        for epoch in epochs:
            if epoch not in self._epochs:
                continue  # it was done by what was given up of another
            self._since.pop(epoch, None)
            known = {"documents": epoch.feed.documents, "fed": epoch.fed, "feeding": epoch.feeding, "holds": epoch.holds}
            log.error("documents stand still", extra={"graph": self._graph, **known})
            found = packets.get(epoch, ())
            for driver, value, documents in found:
                driver.meter.fail(self._core.wall_clock())
                names = named(value, self._core.secrets)
                form, is_whole = as_json(value, self._core.secrets)
                self._fail(epoch, documents, driver.name, type(driver.component).__name__, form, is_whole, names)
            # where nothing was found of it, nobody knows of which documents something is missing
            fates, runs = epoch.fates()
            kept = {"published", "dropped"} if found and not epoch.feeding else set()
            document = 0
            for count, place in zip(runs[::2], runs[1::2], strict=True):
                fate = fates[place]
                is_known = fate.outcome == "published" or bool(fate.filter)
                for each in range(document, document + count):
                    if not epoch.flags[each] & FAILED and not (fate.outcome in kept and is_known):
                        self._fail(epoch, (each,), "", "", b"", False)
                document += count
            if not epoch.feed.documents:  # of sources that were triggered
                self._fail(epoch, (), "", "", b"", True)
            epoch.feeding = False
            if self._completing is not None:
                self._completing.forget(epoch)
            epoch.force_end()

    def _fail(
        self,
        epoch: Epoch,
        documents: tuple[int, ...],
        filter: str,
        component: str,
        packet: bytes,
        is_whole: bool,
        names: Named = NAMELESS,
    ) -> None:
        now = self._core.wall_clock()
        epoch.fail(Failure(documents, filter, component, "internal", REASON, "", packet, 1, now, is_whole, None, names))

    def _carried(self) -> set[Epoch]:
        """The epochs of which a feed or a filter has something, with those that they are derived from."""
        found: set[Epoch] = set(self._feeds.waiting)
        for driver in self._drivers:
            found.update(driver.triggers)
            if driver.holding is not None:
                found.update(driver.holding.held)
            found.update(epoch for epoch, _ in driver.carried())
        if self._completing is not None:
            found.update(self._completing.awaiting())
        waiting = list(found)
        while waiting:
            for parent, _ in waiting.pop().parents:
                if parent not in found:
                    found.add(parent)
                    waiting.append(parent)
        return found


def _given_up(driver: Driver) -> Iterator[tuple[Epoch, Any, Lineage]]:
    """All packets that a filter has, with their epoch and lineage; afterwards it is as before the first."""
    if driver.is_working:
        try:
            driver.kill()
        except BaseException as error:  # the component would not end quietly
            driver.component.log.error("turn failed", exc_info=error)
        driver.greenlet = None
        driver.failed_step(InternalError("the filter stands still in the middle of its turn"))
    for wire in driver.wires:
        for waiting, (values, lineages) in wire.waiting.items():
            for value, lineage in zip(values, lineages, strict=True):
                yield waiting, value, lineage
        wire.clear()
    for attempt in driver.attempts.values():
        if attempt.waiting:
            yield attempt.epoch, attempt.value, attempt.lineage
    driver.attempts.clear()
    driver.take_together()
    if driver.joining is not None:
        yield from driver.joining.packets()
        driver.joining = None
    if driver.holding is not None:
        for epoch, held in driver.holding.held.items():
            for value, lineage in held:
                yield epoch, value, lineage
        driver.holding = Holding(driver, driver.failing)
    driver.triggers.clear()
    driver.epoch = driver.chosen = None
    driver.blocks = driver.full_wires = 0
    driver.meter.let_go(driver.core.clock())
    driver.stall = None
    driver.wired()
