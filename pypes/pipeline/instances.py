"""Instances: copies of a whole pipeline in processes, each of which works on some of the items."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Final, NamedTuple

import cloudpickle

from pypes.component import Component
from pypes.component.placed import Placed
from pypes.core.interruptible import LOOK_S, News
from pypes.core.pools import MOST_PROCESSES, MOST_STRIDE
from pypes.errors import InvalidGraph, Problem
from pypes.observe import FilterTotal, Totals
from pypes.pipeline.building import Given, build
from pypes.pipeline.chain import Step
from pypes.pipeline.copies import Folded, fault_of_files, fault_of_travel
from pypes.pipeline.flow import GraphFlow, Lendable, Settling
from pypes.pipeline.inflow import Held
from pypes.pipeline.items import Bundle, Failed, failed, item_of
from pypes.pipeline.making import FlowMaker, Made
from pypes.pipeline.nodes import Node
from pypes.pipeline.reading import Installed
from pypes.pipeline.results import Batch, Pull, Results, adapted
from pypes.placement.executor import Outcome
from pypes.placement.process_executor import processes
from pypes.placement.retold import Told, heard, told
from pypes.runtime.one_thread import OneThread

#: Time that a stride takes at least, where items are quick; see :func:`adapted`.
STRIDE_S: Final = 0.002


class Lost(NamedTuple):
    """A failure on its way from a copy."""

    value: Any
    node: str
    told: Told
    traceback: str
    code: str
    reason: str


class Spent(NamedTuple):
    """The work of a copy on one stride: seconds, and by filter what functions, and what components, have done."""

    seconds: float
    #: Items, failures, seconds, those of waiting, and the results that are kept.
    steps: Mapping[str, tuple[int, int, float, float, list[Any]]]
    totals: Mapping[str, FilterTotal]
    counts: Mapping[str, Mapping[str, int]]


class Split(dict[str, Any]):
    """An item for each entry, by its name."""


class ByItem(Settling):
    """Keeps the results of each item by themselves."""

    can_stream = False

    def __init__(self) -> None:
        super().__init__("return")
        self._found: dict[int, list[Any]] = {}

    def settle(self, batch: Batch, made: Bundle) -> None:
        """Take the results of a batch, which is done."""
        found: list[list[Any]] = [[] for _ in range(batch.count)]
        for at, value in zip(made.positions, made.values, strict=True):
            found[item_of(at) - batch.first] += self.results_of(value, at)
        self._found.update(enumerate(found, batch.first))
        batch.run.batch_done(batch)

    def take(self) -> list[list[Any]]:
        """The results of all items since this was last asked."""
        found, self._found = self._found, {}
        return [found[at] for at in sorted(found)]


class Copy:
    """One copy of a pipeline, as work of a process (``BatchWork``)."""

    def __init__(self, given: Given, make: FlowMaker) -> None:
        self._given = given
        self._make = make
        self._settling = ByItem()
        self._made: Made | None = None

    def setup(self) -> None:
        self._made = self._make(self._given, self._settling)

    def run(self, item: Any) -> tuple[list[Any], Spent]:
        """The results of one item."""
        return self.run_batch([item])[0].value  # type: ignore[no-any-return]

    def run_batch(self, items: Sequence[Any]) -> list[Outcome]:
        """The results of each of the items; what was spent is beside those of the first."""
        assert self._made is not None
        begun = time.perf_counter()
        flow, totals = self._made.flow, self._made.totals
        is_split = type(items[0]) is Split
        count = len(items)
        pull = Pull(flow, Held([*items]), buffer=count + 1, ordered=True, wave=count, is_split=is_split)
        for _ in Results(pull, self):
            """They are kept beside their items."""
        found = [[_leaving(result) for result in results] for results in self._settling.take()]
        counts = flow.graph.take_counts() if isinstance(flow, GraphFlow) else {}
        spent = Spent(time.perf_counter() - begun, _spent(self._made.steps), totals.take(), counts)
        return [Outcome((results, spent if not at else None)) for at, results in enumerate(found)]

    def close(self) -> None:
        if self._made is not None:
            self._made.flow.close()


def _leaving(result: Any) -> Any:
    """A result as it travels: a failure with an exception that does, and without a value that does not."""
    if type(result) is not Failed:
        return result
    value = result.value
    try:
        cloudpickle.dumps(value)
    except Exception:  # whatever the value refers to raises
        value = None
    return Lost(value, result.node, told(result.error), result.traceback, result.code, result.reason)


def _arrived(result: Any) -> Any:
    if type(result) is not Lost:
        return result
    return Failed(result.value, result.node, heard(result.told), result.traceback, (), result.code, result.reason)


def _spent(steps: Mapping[str, Step]) -> dict[str, tuple[int, int, float, float, list[Any]]]:
    found = {}
    for name, step in steps.items():
        kept = step.kept or []
        found[name] = (step.items, step.failures, step.seconds, step.waiting_s, kept)
        step.items, step.failures, step.seconds, step.waiting_s = 0, 0, 0.0, 0.0
        if step.kept is not None:
            step.kept = []
    return found


class CopyMaker:
    """Makes a copy in the process that it is called in. It travels there with cloudpickle."""

    def __init__(self, given: Given, make: FlowMaker) -> None:
        self._given = replace(given, nodes={name: _folded(node) for name, node in given.nodes.items()})
        self._make = make

    def __call__(self) -> Copy:
        nodes = {name: _unfolded(node) for name, node in self._given.nodes.items()}
        return Copy(replace(self._given, nodes=nodes), self._make)


def _folded(node: Node) -> Node:
    return replace(node, target=Folded(node.target)) if isinstance(node.target, Component) else node


def _unfolded(node: Node) -> Node:
    return replace(node, target=node.target.unfolded()) if isinstance(node.target, Folded) else node


class CopiesFlow(Lendable):
    """Gives strides of items to copies of a pipeline, each to one of them."""

    call = None

    def __init__(self, given: Given, make: FlowMaker, count: int, settling: Settling, *, buffer: int) -> None:
        """Raises :class:`InvalidGraph`, and what else the pipeline raises when it is made in a copy."""
        super().__init__()
        _check(given, make, count)
        self._settling = settling
        #: The functions, by name, with what all copies have spent; they are not called here.
        self.steps = build(given, track=make.track, ordered=make.ordered).steps
        self._spent: dict[str, FilterTotal] = {}
        self.totals = Totals(lambda: dict(self._spent))
        self.counts: dict[str, dict[str, int]] = {}
        self._executor = processes(CopyMaker(given, make), count, name="instances")
        self._most = max(1, min(MOST_STRIDE, buffer // self._executor.capacity))
        self.stride = 1
        self._out = 0
        self._done: deque[tuple[Batch, Future[list[Outcome]]]] = deque()
        self._news = News()
        self._use = OneThread()
        self._executor.setup()

    @property
    def has_room(self) -> bool:
        return self._out < self._executor.capacity

    def submit(self, batch: Batch) -> None:
        with self._use.at_work():
            items = [Split(item) for item in batch.items] if batch.run.is_split else batch.items
            self._out += 1
            future = self._executor.submit(items, together=True)
        future.add_done_callback(lambda done: self._ended(batch, done))

    def _ended(self, batch: Batch, done: Future[list[Outcome]]) -> None:
        """In any thread."""
        self._done.append((batch, done))
        self._news.tell()

    def run(self) -> None:
        with self._use.at_work():
            self._take_done()

    def _take_done(self) -> None:
        while self._done:
            batch, done = self._done.popleft()
            self._out -= 1
            if not batch.is_cancelled:
                error = done.exception()
                outcomes = [Outcome(None, error)] * batch.count if error is not None else done.result()
                self._settling.settle(batch, self._bundle(batch, outcomes))

    def _bundle(self, batch: Batch, outcomes: Sequence[Outcome]) -> Bundle:
        positions: list[int] = []
        values: list[Any] = []
        for at, (value, outcome) in enumerate(zip(batch.items, outcomes, strict=True), batch.first):
            if outcome.error is not None:
                found = [failed(value, "pipeline", outcome.error)]
            else:
                results, spent = outcome.value
                found = [_arrived(result) for result in results]
                if spent is not None:
                    self._add(spent, batch.count)
            positions += [at] * len(found)
            values += found
        return Bundle(positions, values, is_marked=any(type(value) is Failed for value in values))

    def _add(self, spent: Spent, count: int) -> None:
        self.stride = adapted(self.stride, count, spent.seconds, STRIDE_S, self._most)
        for name, (items, failures, seconds, waiting_s, kept) in spent.steps.items():
            step = self.steps[name]
            step.items, step.failures = step.items + items, step.failures + failures
            step.seconds, step.waiting_s = step.seconds + seconds, step.waiting_s + waiting_s
            if step.kept is not None:
                step.kept += kept
        for name, total in spent.totals.items():
            self._spent.setdefault(name, FilterTotal()).add(total)
        for name, counts in spent.counts.items():
            totals = self.counts.setdefault(name, {})
            for each, count in counts.items():
                totals[each] = totals.get(each, 0) + count

    def wait(self, timeout_s: float, *, is_last: bool) -> None:
        with self._use.at_work():
            if not self._done:
                self._news.wait(timeout_s)

    def wake(self) -> None:
        self._news.tell()

    def drain(self) -> None:
        with self._use.at_work():
            while self._out:
                self._news.wait(LOOK_S)
                self._take_done()

    def leave_thread(self) -> None:
        self._use.leave_thread()

    def close(self) -> None:
        self._use.check_idle()
        self._executor.close()


def _check(given: Given, make: FlowMaker, count: int) -> None:
    """Raise :class:`InvalidGraph` for what cannot run as copies."""
    if type(count) is not int or not 1 <= count <= MOST_PROCESSES:
        raise InvalidGraph(
            f"instances must be a whole number from 1 to {MOST_PROCESSES}, not {count!r}", code="pipeline.instances"
        )
    if make.observer is not None:
        raise InvalidGraph("an observer sees what runs in its own process: leave out instances=", code="pipeline.instances")
    problems = []
    for name, node in given.nodes.items():
        target = node.target
        options = {**(target.options if isinstance(target, Placed | Installed) else {}), **make.pools.get(name, {})}
        if options.get("processes") or (node.pool is not None and node.pool.processes):
            problems.append((name, "it has processes of its own, and each of the instances is one: leave out one of them"))
        elif isinstance(target, Component) and (fault := fault_of_files(target) or fault_of_travel(target)):
            problems.append((name, fault))
    if problems:
        found = [Problem(f"nodes.{name}", text, "pipeline.instances") for name, text in problems]
        raise InvalidGraph("the pipeline cannot run in instances", problems=found)
