"""A model of pipelines of functions, for property tests: one item after the other, as a tree of what was made of it.

A branch of the tree is what one call made of one value. A dropped value leaves its place empty, so that what belongs together is
found by its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from zlib import crc32

from pypes import Done, node


class Lost:
    """A failure: the node, the value that it was given, and the error."""

    def __init__(self, name: str, value: Any, error: Exception) -> None:
        self.name, self.value, self.error = name, value, error


@dataclass
class Branch:
    """The places of what ``maker`` made of one value."""

    maker: str
    places: list[Any]
    #: What passes over filters, and came of the one value itself.
    early: list[Any] = field(default_factory=list)


#: Nothing is here.
EMPTY = object()


@dataclass(frozen=True)
class Filter:
    """One function of a graph: its name, those that it gets values from, and the way in which it is called."""

    name: str
    sources: tuple[str, ...]
    kind: str = "plain"
    consumes: int = 0
    place: str = "here"
    stride: int = 1
    #: The functions before it that made several values of one.
    makers: tuple[str, ...] = ()
    #: How many of them are the same on both ways.
    common: int = 0
    #: Results of generator functions go on as they are made, also if one raises after that.
    streams: bool = False

    def function(self) -> Callable[..., Any]:
        """The function: every choice that it makes follows from its name and what it gets."""
        name, kind = self.name, self.kind

        def chosen(value: Any) -> Any:
            choice = crc32(repr((name, value)).encode()) % 11
            if choice == 0:
                return None
            if choice == 1:
                raise ValueError(f"{name} refuses {value}")
            return Done(f"{name} ends {value}") if choice == 2 else f"{name}({value})"

        def many(value: Any) -> Iterator[str]:
            count = crc32(repr((value, name)).encode()) % 5
            yield from (f"{name}{number}({value})" for number in range(count))
            if count == 4:
                raise KeyError(name)

        def two(value: Any) -> Any:
            found = chosen(value)
            return [f"{found}a", f"{found}b"] if isinstance(found, str) else found

        def join(left: Any, right: Any) -> Any:
            return chosen((left, right))

        if len(self.sources) == 2:
            return join
        return {"plain": chosen, "many": many, "two": two, "repeated": chosen}[kind]

    def node(self, pools: dict[str, Any]) -> Any:
        """The function as a node of a pipeline."""
        options: dict[str, Any] = {"consumes": self.consumes or None}
        if self.kind in ("two", "repeated"):
            options |= {"produces": 2, "repeat": self.kind == "repeated"}
        if self.place != "here":
            options |= {"pool": pools[self.place]} if self.place in pools else {self.place: 2}
            options["stride"] = self.stride
        return node(self.function(), **options)

    # -- the model ----------------------------------------------------------------------------------------

    def made_of(self, trees: list[Any]) -> Any:
        """The tree that is made of those that it gets."""
        tree = self._met(trees[0], trees[1], self.common) if len(trees) == 2 else trees[0]
        return self._grouped(tree, len(self.makers)) if self.consumes else mapped(tree, self._called)

    def _called(self, value: Any) -> Any:
        if isinstance(value, Lost | Done):
            return value
        if self.streams and self.kind == "many":
            return Branch(self.name, [*self._streamed(value)])
        try:
            found = self.function()(**value) if isinstance(value, dict) else self.function()(value)
            places = [found, found] if self.kind == "repeated" else found
            if self.kind == "many" or (self.kind in ("two", "repeated") and not isinstance(found, Done | None)):
                return Branch(self.name, [*places])
        except (ValueError, KeyError) as error:
            return Lost(self.name, value, error)
        return EMPTY if found is None else found

    def _streamed(self, value: Any) -> Iterator[Any]:
        try:
            yield from self.function()(value)
        except Exception as error:
            yield Lost(self.name, value, error)

    def _grouped(self, tree: Any, levels: int) -> Any:
        if tree is EMPTY or isinstance(tree, Lost | Done):
            return tree
        if not levels:
            return self._called([tree])
        if levels > 1:
            return Branch(tree.maker, [self._grouped(place, levels - 1) for place in tree.places], tree.early)
        made, passed = [], []
        for at in range(0, len(tree.places), self.consumes):
            group = [value for value in tree.places[at : at + self.consumes] if value is not EMPTY]
            passed += [value for value in group if isinstance(value, Done)]
            group = [value for value in group if not isinstance(value, Done)]
            lost = [value for value in group if isinstance(value, Lost)]
            made.append(lost[0] if lost else self._called(group) if group else EMPTY)
        return Branch(self.name, made, tree.early + passed)

    def _met(self, left: Any, right: Any, levels: int) -> Any:
        branches = [tree for tree in (left, right) if isinstance(tree, Branch)]
        if levels and branches:
            count = max(len(tree.places) for tree in branches)
            ways = [tree.places if isinstance(tree, Branch) else [] for tree in (left, right)]
            both = [places + [EMPTY] * (count - len(places)) for places in ways]
            early = [value for tree in (left, right) for value in (tree.early if isinstance(tree, Branch) else leaves(tree))]
            met = [self._met(one, other, levels - 1) for one, other in zip(*both, strict=True)]
            return Branch(branches[0].maker, met, early[:1])
        ways = [[*leaves(tree)] for tree in (left, right)]
        special = [value for way in ways for value in way if isinstance(value, Lost | Done)]
        if special:
            return special[0]
        if not all(ways):
            return EMPTY
        if isinstance(right, Branch):
            return mapped(right, lambda value: {"left": ways[0][0], "right": value})
        return mapped(left, lambda value: {"left": value, "right": ways[1][0]})


F = TypeVar("F", bound=Filter)


def mapped(tree: Any, called: Callable[[Any], Any]) -> Any:
    """A tree with what a function makes of its leaves."""
    if isinstance(tree, Branch):
        return Branch(tree.maker, [mapped(place, called) for place in tree.places], tree.early)
    return EMPTY if tree is EMPTY else called(tree)


def leaves(tree: Any) -> Iterator[Any]:
    """The values of a tree, in their order."""
    if isinstance(tree, Branch):
        for place in (*tree.early, *tree.places):
            yield from leaves(place)
    elif tree is not EMPTY:
        yield tree


def streamed(filters: Sequence[F]) -> list[F]:
    """The filters with a note of whether results of generator functions go on as they are made: in a row in this thread."""
    rows = zip(filters, [(), *((each.name,) for each in filters)], strict=False)
    streams = all(each.sources == before and each.place == "here" and not each.consumes for each, before in rows)
    return [replace(each, streams=streams) for each in filters]


def ends_of(filters: Sequence[Filter], item: Any) -> list[Any]:
    """What comes of one item at the outputs of a graph: values, and each failure once."""
    trees: dict[str, Any] = {}
    for each in filters:
        trees[each.name] = each.made_of([trees[name] for name in each.sources] or [item])
    inner = {name for each in filters for name in each.sources}
    found: list[Any] = []
    for each in filters:
        if each.name not in inner:
            for value in leaves(trees[each.name]):
                if not (isinstance(value, Lost | Done) and any(value is other for other in found)):
                    found.append(value)
    return found
