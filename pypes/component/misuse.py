"""Errors for calls that a component makes where they make no sense, whatever it runs in."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from pypes.errors import ComponentError


class Ported(Protocol):
    """A component, as far as its output ports are concerned."""

    name: str

    def get_out_ports(self) -> Iterable[str]: ...


def no_port(component: Ported, port: str) -> ComponentError:
    """The error of ``send`` to an output port that a component does not have."""
    return ComponentError(
        f"no output port {port!r}; it has {', '.join(component.get_out_ports()) or 'none'}",
        code="component.no_port",
        where=component.name,
    )


def only_in_run(method: str, name: str) -> ComponentError:
    """The error of a call that belongs to ``run``, by the component of this filter, which has ``process``."""
    return ComponentError(
        f"{method} belongs to the run() loop of the original style; with process() packets are handed to the component",
        code="component.style",
        where=name,
    )


def fault_of_keywords(cls: Any, args: tuple[Any, ...], params: Mapping[str, Any]) -> str:
    """The reason why a class with an ``__init__`` of its own cannot be given parameters by keyword, or empty."""
    try:
        inspect.signature(cls.__init__).bind(None, *args, **params)
    except TypeError:
        given = ", ".join(f"{name}=…" for name in params)
        return (
            f"{cls.__name__}({given}): its __init__ takes no such keywords; have it take **params and hand them to "
            f"super().__init__(**params), or write node({cls.__name__}, {given}) in a pipeline"
        )
    return ""
