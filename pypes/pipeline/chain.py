"""Chains: functions that are called one after the other, over bundles of items or over one item."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any

from pypes.core.raised import is_interruption
from pypes.pipeline.items import PASSING, SPECIAL, Bundle, Done, Failed, Position, failed


class Step:
    """A function as a filter: its name, and the way in which it is called and counted.

    ``emits_many``: it returns lists, of which each value is a result.
    """

    def __init__(self, name: str, function: Callable[..., Any], *, emits_many: bool = False) -> None:
        self.name = name
        self.function = function
        self.emits_many = emits_many
        self.items = self.failures = 0
        #: Seconds in the function, and those for which items were with a pool and not worked on.
        self.seconds = self.waiting_s = 0.0
        #: The results that are kept, if they are to be.
        self.kept: list[Any] | None = None

    def run(self, bundle: Bundle) -> Bundle:
        """The bundle that is made of one here. Raises only when the user interrupts the program."""
        begun = perf_counter()
        if bundle.is_marked:
            made = self._around(bundle)
        else:
            self.items += len(bundle.values)
            made = self.sorted_out(bundle.positions, self.results(bundle.values))
        return self.noted(made, begun)

    def noted(self, made: Bundle, begun: float) -> Bundle:
        """The bundle that was made, of which note is taken; ``begun`` is the time at which this was begun."""
        self.seconds += perf_counter() - begun
        if self.kept is not None:
            self.kept += [value for value in made.values if type(value) not in PASSING]
        return made

    def results(self, values: list[Any]) -> list[Any]:
        """A result for each value, or its :class:`Failed`.

        PERF: a loop in C. It ends at what the function raises, and has appended all results before: so their number tells whose
        turn it was, and it goes on with the next one.
        """
        results: list[Any] = []
        each = iter(values)
        function = self.function
        while True:
            try:
                results.extend(map(function, each))
                if len(results) == len(values):
                    return results
                error: BaseException = RuntimeError("the function raised StopIteration")
                raise error
            except BaseException as raised:
                if is_interruption(raised):
                    raise
                error = raised
            results.append(self.fail(values[len(results)], error))

    def fail(self, value: Any, error: BaseException) -> Failed:
        """The record of a value that failed here."""
        self.failures += 1
        return failed(value, self.name, error)

    def sorted_out(self, positions: Sequence[Position], results: list[Any], *, start: int = 0) -> Bundle:
        """A bundle of results of which each belongs to the item beside it: several become values of their own, and none goes.

        ``start`` is the number of results that were made of each item before.
        """
        if self.emits_many:
            positions, results = self._spread(positions, results, start)
        kinds = _kinds(results)
        if kinds.isdisjoint(SPECIAL):
            return Bundle(positions, results)
        pairs = [(at, result) for at, result in zip(positions, results, strict=True) if result is not None]
        return Bundle.of(pairs, is_marked=not kinds.isdisjoint(PASSING))

    def _spread(self, positions: Sequence[Position], results: list[Any], start: int) -> tuple[list[Position], list[Any]]:
        found: list[tuple[Position, Any]] = []
        for at, result in zip(positions, results, strict=True):
            if type(result) in SPECIAL:
                found.append((at, result))
            else:
                within = at if type(at) is tuple else (at,)
                found += (((*within, number), each) for number, each in enumerate(result, start))
        return [at for at, _ in found], [result for _, result in found]

    def _around(self, bundle: Bundle) -> Bundle:
        """The same for a bundle of which some values pass over this filter."""
        own = [(at, value) for at, value in zip(bundle.positions, bundle.values, strict=True) if type(value) not in PASSING]
        self.items += len(own)
        made = self.sorted_out([at for at, _ in own], self.results([value for _, value in own]))
        return merged(made, passing(bundle))


class Group(Step):
    """A function of several results that were made of one item: of ``size`` of them, which follow one another.

    Those of which nothing was made are missing in their group. One that has failed fails its group, and no other. ``depth`` is
    the length of their positions: what failed before they were made has a shorter one, and belongs to no group.
    """

    depth = 1

    def __init__(self, name: str, function: Callable[..., Any], size: int, *, emits_many: bool = False) -> None:
        super().__init__(name, function, emits_many=emits_many)
        self.size = size

    def run(self, bundle: Bundle) -> Bundle:
        groups: dict[Position, list[Any]] = {}
        kept: list[tuple[Position, Any]] = []
        for at, value in zip(bundle.positions, bundle.values, strict=True):
            if type(value) is Done or (type(value) is Failed and _depth_of(at) < self.depth):
                # not among the numbers of groups
                kept.append((_short(at[:-1]) if isinstance(at, tuple) and len(at) == self.depth > 1 else at, value))
                continue
            key = (*at[:-1], at[-1] // self.size) if isinstance(at, tuple) else at
            groups.setdefault(key, []).append(value)
        gathered = Bundle([*groups], [*groups.values()])
        for place, values in enumerate(gathered.values):
            lost = next((value for value in values if type(value) is Failed), None)
            if lost is not None:
                gathered.values[place], gathered.is_marked = lost, True
        made = super().run(gathered)
        return merged(made, Bundle.of(kept, is_marked=True)) if kept else made


class Join(Step):
    """A function of several parameters: each call gets, by parameter, what was made of one value on the way to it.

    Values belong together whose positions are the same up to ``depth``: those of the value that the ways have in common. Where
    several results were made of that on each way, the first meet, then the second and so on; where only one way has several,
    each of them meets the one of the others. A value of which a way brings nothing is dropped here.
    """

    depth = 1

    def meet(self, bundles: Mapping[str, Bundle]) -> Bundle:
        """The bundle that is made of those of the same items, by parameter."""
        ways = {parameter: _by_common(bundle, self.depth) for parameter, bundle in bundles.items()}
        positions: list[Position] = []
        calls: list[Any] = []
        is_marked = False
        for common in sorted(set().union(*ways.values())):
            found = {parameter: way.get(common, []) for parameter, way in ways.items()}
            special = next((value for pairs in found.values() for _, value in pairs if type(value) in PASSING), None)
            counts = {len(pairs) for pairs in found.values()} - {1}
            if special is None and len(counts - {0}) > 1 and 0 not in counts:
                told = ", ".join(f"{len(pairs)} by {parameter!r}" for parameter, pairs in found.items())
                error = ValueError(f"results that were made of one item do not meet: {told}")
                special = self.fail({parameter: [value for _, value in pairs] for parameter, pairs in found.items()}, error)
            if special is not None:
                positions.append(_short(common))
                calls.append(special)
                is_marked = True
            elif 0 not in counts:
                count = max(counts, default=1)
                deepest = max(
                    (pairs for pairs in found.values() if len(pairs) == count), key=lambda pairs: _depth_of(pairs[0][0])
                )
                positions += [at for at, _ in deepest]
                calls += [
                    {parameter: pairs[number % len(pairs)][1] for parameter, pairs in found.items()} for number in range(count)
                ]
        return self.run(Bundle(positions, calls, is_marked=is_marked))


def _by_common(bundle: Bundle, depth: int) -> dict[tuple[int, ...], list[tuple[Position, Any]]]:
    """The values of a bundle by what their positions have in common with those on other ways."""
    found: dict[tuple[int, ...], list[tuple[Position, Any]]] = {}
    for at, value in zip(bundle.positions, bundle.values, strict=True):
        found.setdefault(at[:depth] if isinstance(at, tuple) else (at,), []).append((at, value))
    return found


def _short(at: tuple[int, ...]) -> Position:
    return at if len(at) > 1 else at[0]


def _depth_of(at: Position) -> int:
    return len(at) if isinstance(at, tuple) else 1


class Chain:
    """Steps one after the other."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps

    @property
    def calls(self) -> Sequence[tuple[Step, Callable[[Any], Any]]]:
        """Its steps and their functions, if each makes one result of one value and nothing of it is kept; else none."""
        is_plain = all(type(step) is Step and not step.emits_many and step.kept is None for step in self.steps)
        return [(step, step.function) for step in self.steps] if is_plain else []

    def run(self, bundle: Bundle) -> Bundle:
        """The bundle that is made of one. Raises only when the user interrupts the program."""
        for step in self.steps:
            bundle = step.run(bundle)
        return bundle


def _kinds(values: list[Any]) -> set[type]:
    """The types of values. PERF: most often there is one, which is counted faster than all are put into a set."""
    kinds = [*map(type, values)]
    return {kinds[0]} if kinds and kinds.count(kinds[0]) == len(kinds) else {*kinds}


def passing(bundle: Bundle) -> Bundle:
    """The values of a bundle that pass over the filters that are left."""
    pairs = [(at, value) for at, value in zip(bundle.positions, bundle.values, strict=True) if type(value) in PASSING]
    return Bundle.of(pairs, is_marked=True)


def merged(*bundles: Bundle) -> Bundle:
    """The values of several bundles by the positions of their items; those of one position stay in their order."""
    pairs = [pair for bundle in bundles for pair in zip(bundle.positions, bundle.values, strict=True)]
    pairs.sort(key=lambda pair: pair[0] if type(pair[0]) is tuple else (pair[0],))
    return Bundle.of(pairs, is_marked=any(bundle.is_marked for bundle in bundles))
