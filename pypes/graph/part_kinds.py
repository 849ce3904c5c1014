"""Kinds of parts that a component makes, read from its code without running it."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from types import CodeType, FunctionType

from pypes.component import Component


def part_kinds(cls: type[Component]) -> tuple[str, ...]:
    """The kinds that a class gives to ``derive`` as constants, in alphabetical order.

    Methods are looked at, those of its bases as well, and functions of the same modules that they call. A kind that is
    computed is not among them.
    """
    return tuple(sorted({kind for code in _codes(cls) if "derive" in code.co_names for kind in _constants(code)}))


def _codes(cls: type[Component]) -> Iterator[CodeType]:
    members = [member for each in cls.__mro__[: cls.__mro__.index(Component)] for member in vars(each).values()]
    # of a static method, or one of the class, the function
    waiting = [each for member in members if isinstance(each := getattr(member, "__func__", member), FunctionType)]
    seen = set(waiting)
    while waiting:
        function = waiting.pop()
        for code in _nested(function.__code__):
            yield code
            called = [function.__globals__.get(name) for name in code.co_names]
            fresh = {each for each in called if isinstance(each, FunctionType) and each.__module__ == function.__module__}
            waiting += fresh - seen
            seen |= fresh


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


def _constants(code: CodeType) -> Iterator[str]:
    """The first argument of each call of ``derive``, where that is a constant text."""
    instructions = iter(dis.get_instructions(code))
    for instruction in instructions:
        if instruction.argval == "derive":
            first = next(instructions, None)
            if first is not None and "CONST" in first.opname and type(first.argval) is str:
                yield first.argval
