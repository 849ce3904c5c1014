"""Components made of functions, for quick work: ``from pypes import component``."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any, overload

from pypes.component.base import Component
from pypes.component.example import Example
from pypes.component.kinds import Transformer
from pypes.component.parameters import Parameters
from pypes.errors import InvalidComponent
from pypes.packet import Packet


@overload
def component(target: Callable[..., Any], /) -> type[Component]: ...


@overload
def component(
    *,
    kind: type[Component] = Transformer,
    name: str | None = None,
    icon: str = "",
    tags: tuple[str, ...] = (),
    example: Example | None = None,
    needs: Mapping[str, str] | None = None,
) -> Callable[[Callable[..., Any]], type[Component]]: ...


def component(target: Any = None, /, *, kind: type[Component] = Transformer, name: str | None = None, **shown: Any) -> Any:
    """Make a component class of a function: ``@component`` or ``@component(kind=Extractor)``.

    The first argument is the packet, the others are parameters (annotation and default as in ``Params``).
    The function returns a packet, ``None`` to drop it; a generator function emits what it yields. ``icon``, ``tags``, ``example``
    and ``needs`` are the attributes of :class:`Component` of these names.
    """
    if target is None:
        return lambda fn: _made_of(fn, kind, name, **shown)
    return _made_of(target, kind, name, **shown)


def _made_of(
    target: Any,
    kind: type[Component],
    name: str | None,
    icon: str = "",
    tags: tuple[str, ...] = (),
    example: Example | None = None,
    needs: Mapping[str, str] | None = None,
) -> Any:
    if not inspect.isroutine(target):
        raise InvalidComponent(f"@component makes a component of a function, not of {target!r}; write a class for the rest")
    try:
        signature = inspect.signature(target)
    except ValueError as error:  # some of C cannot say
        raise InvalidComponent(f"@component: {error}; define a function that calls it") from error
    hints = typing.get_type_hints(target, include_extras=True)
    names = list(signature.parameters)
    if not names:
        raise InvalidComponent("a component function takes at least one argument, the packet", where=target.__name__)
    namespace: dict[str, Any] = {"__annotations__": {n: hints.get(n, Any) for n in names[1:]}, "__module__": target.__module__}
    for n in names[1:]:
        if signature.parameters[n].default is not inspect.Parameter.empty:
            namespace[n] = signature.parameters[n].default
    params: Any = type(Parameters)("Params", (Parameters,), namespace)  # type: ignore[misc]

    class FunctionComponent(kind):  # type: ignore[misc, valid-type]
        def setup(self) -> None:
            self._given = {n: getattr(self.params, n) for n in names[1:]}

    emits_many = inspect.isgeneratorfunction(target)

    def process(self: Any, packet: Packet) -> Any:
        result = target(packet, **self._given)
        if not emits_many:
            return result
        for each in result:
            self.send("out", each)
        return None

    for attribute, value in (("icon", icon), ("tags", tags), ("example", example), ("needs", needs)):
        if value:  # else those of the kind
            setattr(FunctionComponent, attribute, value)
    FunctionComponent.Params = params
    FunctionComponent.process = process
    FunctionComponent.__name__ = FunctionComponent.__qualname__ = name or target.__name__
    FunctionComponent.__doc__ = target.__doc__
    FunctionComponent.__module__ = target.__module__
    FunctionComponent.function = staticmethod(target)
    return FunctionComponent
