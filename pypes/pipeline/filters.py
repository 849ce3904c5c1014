"""Filters of functions: components that call steps over what comes, bundles of items or packets."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import Any, ClassVar, Protocol, cast

from pypes.component import Operator
from pypes.packet import Packet
from pypes.pipeline.chain import Chain, Join, Step, merged
from pypes.pipeline.items import Bundle, Done, Failed
from pypes.pipeline.pool import FunctionExecutor
from pypes.placement.executor import Outcome

#: The output port of what passes over all other filters of a graph, where items are packets.
DONE = "done"


class FunctionFilter(Operator):
    """Calls steps in this thread.

    ``is_bare``: what comes and goes are not bundles of items but the values themselves, since components stand before or behind.
    Then a value that fails is for the graph to account for, and one that is done goes to a port of its own.
    """

    outputs: ClassVar[Mapping[str, str]] = {"out": "Results", DONE: "Results that pass over all other filters"}

    def __init__(self, chain: Chain, *, is_bare: bool) -> None:
        super().__init__()
        self.chain = chain
        self.is_bare = is_bare

    def process(self, packet: Any) -> Any:
        if not self.is_bare:
            return self.made_of_bundle(packet)
        if _is_deletion(packet):
            return packet  # as on a node: functions are for documents
        self.send_each(self.made_of(Bundle((0,), [packet])))
        return None

    def made_of_bundle(self, bundle: Bundle) -> Bundle:
        """The bundle that the steps make of one that comes from another filter of functions."""
        batch = bundle.batch
        made = Bundle((), []) if batch is not None and batch.is_cancelled else self.made_of(bundle)
        made.batch = batch
        return made

    def made_of(self, bundle: Bundle) -> Bundle:
        """The bundle that the steps make of one."""
        return self.chain.run(bundle)

    def send_each(self, bundle: Bundle) -> None:
        """Send the values by themselves. Raises the error of one that has failed."""
        lost = next((value for value in bundle.values if type(value) is Failed), None) if bundle.is_marked else None
        if lost is not None:
            raise lost.error
        for value in bundle.values:
            if type(value) is Done:
                self.send(DONE, value.value)
            else:
                self.send("out", value)


class _InPool(Protocol):
    def run_each_in_pool(self, values: list[Any]) -> list[Outcome]: ...


class PooledFilter(FunctionFilter):
    """Has the workers of a pool call one step."""

    is_pooled = True
    most_bytes = 0
    is_timed = False
    takes_batches = False

    def __init__(self, step: Step, executor: FunctionExecutor, stride: int, *, is_bare: bool, keeps_order: bool) -> None:
        super().__init__(Chain((step,)), is_bare=is_bare)
        self.executor = executor
        self.most_together = stride
        self.keeps_order = keeps_order
        step.results = self._results  # type: ignore[method-assign]
        self.step = step

    def setup(self) -> None:
        self.executor.setup()

    def _results(self, values: list[Any]) -> list[Any]:
        if not values:
            return []
        begun = perf_counter()
        return self.results_of(values, cast(_InPool, self._run_context).run_each_in_pool(values), begun)

    def results_of(self, values: list[Any], outcomes: list[Outcome], begun: float) -> list[Any]:
        """The results of values that workers have had since ``begun``."""
        step, worked_s = self.step, 0.0
        results = []
        for value, outcome in zip(values, outcomes, strict=True):
            if outcome.error is not None:
                results.append(step.fail(value, outcome.error))
            else:
                seconds, result = outcome.value
                worked_s += seconds
                results.append(result)
        took_s = perf_counter() - begun
        step.waiting_s += max(0.0, took_s * len(values) - worked_s)
        step.seconds += worked_s - took_s  # the step adds the time that all of this took
        return results

    def teardown(self) -> None:
        self.executor.close()


class JoinFilter(FunctionFilter):
    """Has the values meet that were made of one item on several ways."""

    def __init__(self, join: Join, parameters: tuple[str, ...], *, is_bare: bool) -> None:
        super().__init__(Chain((join,)), is_bare=is_bare)
        self._inputs = dict.fromkeys(parameters)
        self._join = join
        self._ways = parameters

    # a loop, because several input ports are told apart
    process = Operator.process

    def run(self) -> None:
        while True:
            found = {parameter: [*self._receive_each(parameter)] for parameter in self._ways}
            if self.is_bare:
                self._pass_deletions(found)
            if any(found.values()):
                made = self._join.meet({parameter: _one(bundles) for parameter, bundles in found.items()})
                made.batch = next(bundle.batch for bundles in found.values() for bundle in bundles)
                if self.is_bare:
                    self.send_each(made)
                else:
                    self.send("out", made)
            self.yield_ctrl()

    def _pass_deletions(self, found: dict[str, list[Bundle]]) -> None:
        """Send the deletions of a document on, which have come on each way, and leave the others."""
        deletions = {way: [each for each in bundles if _is_deletion(each.values[0])] for way, bundles in found.items()}
        for bundle in max(deletions.values(), key=len):
            self.send("out", bundle.values[0])
        for way, bundles in found.items():
            found[way] = [each for each in bundles if not _is_deletion(each.values[0])]

    def _receive_each(self, parameter: str) -> Any:
        while (packet := self.receive(parameter)) is not None:
            yield Bundle((0,), [packet]) if self.is_bare else packet


def _is_deletion(value: Any) -> bool:
    return isinstance(value, Packet) and value.is_deletion


def _one(bundles: list[Bundle]) -> Bundle:
    return bundles[0] if len(bundles) == 1 else merged(*bundles) if bundles else Bundle((), [])
