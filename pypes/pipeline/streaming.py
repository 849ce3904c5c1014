"""Streaming: results of generator functions that go on as they are made, where functions in this thread are all there is."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import groupby, islice
from time import perf_counter
from typing import Any, Final

from pypes.core.raised import is_interruption
from pypes.pipeline.calling import Collected
from pypes.pipeline.chain import Chain, Group, Step
from pypes.pipeline.flow import ChainFlow, Settling
from pypes.pipeline.items import PASSING, Bundle, Position
from pypes.pipeline.results import WAVE_S, Batch, adapted

#: Results that a generator function makes at most before they go on.
MOST_TOGETHER: Final = 1000


def can_stream(chain: Chain) -> bool:
    """True for a chain with a generator function, unless something in it gathers what that makes."""
    return any(map(_makes_stream, chain.steps)) and not any(isinstance(step, Group) for step in chain.steps)


def _makes_stream(step: Step) -> bool:
    return type(step.function) is Collected


class Stream:
    """The results of a batch, which are made as they are asked for."""

    def __init__(self, results: Generator[Any, None, None]) -> None:
        self._results = results

    def __iter__(self) -> Iterator[Any]:
        return self._results  # PERF: each result costs no call

    def clear(self) -> None:
        """Let go of those that are left: generator functions end where they are."""
        self._results.close()


class Wave:
    """The number of results that a generator function makes before they go on: one at first, more where they are quick."""

    def __init__(self) -> None:
        self.count = 1

    def adapt(self, took_s: float) -> None:
        """Choose it by the time in which one was made and went through all functions behind."""
        self.count = adapted(self.count, self.count, took_s, WAVE_S, MOST_TOGETHER)


class StreamFlow(ChainFlow):
    """Calls functions one after the other as results are asked for: what a generator function makes goes on before it makes more.

    Items are taken one by one, since nobody knows how much is made of one. What a generator function has made before it raises
    goes on, too, and its failure comes after that.
    """

    stride = 1

    def __init__(self, chain: Chain, settling: Settling) -> None:
        super().__init__(chain, settling)
        #: Generator functions, and the chains between them.
        self._parts: list[Step | Chain] = []
        for is_stream, steps in groupby(chain.steps, _makes_stream):
            group = [*steps]
            self._parts += group if is_stream else [Chain(group)]
        self._wave = Wave()

    def submit(self, batch: Batch) -> None:
        if not batch.first:
            self._wave = Wave()
        batch.results = Stream(self._results(batch, batch.items))
        batch.run.batch_done(batch)

    def _results(self, batch: Batch, items: Sequence[Any]) -> Generator[Any, None, None]:
        wave = self._wave
        try:
            for position, item in enumerate(items, batch.first):
                with closing(_through(self._parts, wave, position, item)) as made:
                    while (bundle := self._next(made, wave)) is not None:
                        if not bundle.is_marked:
                            yield from bundle.values
                            continue
                        for at, value in zip(bundle.positions, bundle.values, strict=True):
                            yield from self._settling.results_in(batch, value, at)
        except GeneratorExit:
            raise
        except BaseException as error:  # the user's own, or an interruption
            batch.error = error

    def _next(self, made: Iterator[Bundle], wave: Wave) -> Bundle | None:
        if self.is_closed:
            return None
        self.check_free()
        free = self._begin()
        begun = perf_counter()
        try:
            return next(made, None)
        finally:
            free.append(None)
            wave.adapt(perf_counter() - begun)


def _through(parts: Iterable[Step | Chain], wave: Wave, position: Position, item: Any) -> Generator[Bundle, None, None]:
    """The bundles that an item becomes."""
    found: Iterator[Bundle] = iter([Bundle((position,), [item])])
    for part in parts:
        found = map(part.run, found) if isinstance(part, Chain) else _spread(part, wave, found)
    yield from found


def _spread(step: Step, wave: Wave, bundles: Iterable[Bundle]) -> Iterator[Bundle]:
    """The results that a generator function makes of each of the values."""
    for bundle in bundles:
        for at, value in zip(bundle.positions, bundle.values, strict=True):
            if type(value) in PASSING:
                yield Bundle((at,), [value], is_marked=True)
            else:
                yield from _made(step, wave, at, value)


def _made(step: Step, wave: Wave, at: Position, value: Any) -> Iterator[Bundle]:
    collected: Any = step.function
    step.items += 1
    count, each = 0, None
    while True:
        begun = perf_counter()
        results: list[Any] = []
        most = wave.count
        error: BaseException | None = None
        try:
            each = collected.each(value) if each is None else each
            results.extend(islice(each, most))
        except BaseException as raised:
            if is_interruption(raised):
                raise
            error = raised  # results has what was made before
        is_over = len(results) < most
        made = step.noted(step.sorted_out((at,), [results], start=count), begun)
        count += len(results)
        if made.values:
            yield made
        if error is not None:
            yield Bundle((at,), [step.fail(value, error)], is_marked=True)
        if is_over:
            return
