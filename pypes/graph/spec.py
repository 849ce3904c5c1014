"""ComponentSpec: what one needs to know of a component to draw, validate and document it without importing it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import msgspec

from pypes.component import ERROR_PORT, JOINS, KINDS, Component, is_publisher, kind_of
from pypes.errors import InvalidComponent


@dataclass(frozen=True, slots=True)
class ComponentSpec:
    """Everything that the catalogue knows of a component.

    ``kind`` is a value of ``KINDS`` (``ADAPTER`` …), empty when ``error`` says why the component cannot be used.
    ``inputs`` and ``outputs`` map ports to descriptions, without the implicit ``error``. ``module`` is a module's name or the
    path of a load file, ``attr`` the name of the class in it.
    """

    name: str
    kind: str = ""
    distribution: str = ""
    version: str = ""
    doc: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    schema: Mapping[str, Any] = field(default_factory=dict)
    accepts: tuple[str, ...] = ()
    original: bool = False
    holds: bool = False
    isolated: bool = False
    reconfigures: bool = False
    fetches: bool = False
    error: str | None = None
    module: str = ""
    attr: str = ""

    def to_obj(self) -> dict[str, Any]:
        """As plain JSON values."""
        obj = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**obj, "inputs": dict(self.inputs), "outputs": dict(self.outputs), "accepts": list(self.accepts)}

    @classmethod
    def from_obj(cls, obj: Mapping[str, Any]) -> ComponentSpec:
        """Read what :meth:`to_obj` returned."""
        return cls(**{**obj, "accepts": tuple(obj.get("accepts", ()))})


def describe(
    cls: type[Component],
    *,
    name: str = "",
    distribution: str = "",
    version: str = "",
    module: str = "",
    attr: str = "",
    make: Callable[[type[Component]], Component] = lambda cls: cls(),
) -> ComponentSpec:
    """Describe a component class by an instance of it. Raises :class:`InvalidComponent` if it breaks the contract.

    Whatever ``make`` raises goes through, its ``__init__`` by default.
    """
    if not (isinstance(cls, type) and issubclass(cls, Component)):
        raise InvalidComponent(f"{cls!r} is no component; derive a class from one of the kinds in pypes.component")
    made = make(cls)
    kind = kind_of(made)
    if kind not in KINDS.values():
        raise InvalidComponent(
            f"its kind (__metatype__) is {made.get_type()!r}; use one of {', '.join(KINDS.values())}", where=cls.__name__
        )
    if made.isolated:
        check_isolation(cls)
    if made.joins not in JOINS:
        raise InvalidComponent(f"joins is {made.joins!r}; use one of {', '.join(map(repr, JOINS))}", where=cls.__name__)
    schema = made.schema()
    try:
        msgspec.json.encode(schema)
    except TypeError as error:
        raise InvalidComponent(f"a default or option of its parameters is no JSON value: {error}", where=cls.__name__) from error
    return ComponentSpec(
        name=name or cls.__name__,
        kind=kind,
        distribution=distribution,
        version=version,
        doc=inspect.cleandoc(cls.__doc__ or ""),
        inputs={port: made.get_port_description(port) or "" for port in made.get_in_ports()},
        outputs={port: _output_description(made, port) for port in made.get_out_ports() if port != ERROR_PORT},
        schema=msgspec.to_builtins(schema),
        accepts=tuple(getattr(cls, "accepts", ("*/*",))) if kind == "ADAPTER" else (),
        original=cls.is_original_style(),
        holds=bool(made.holds),
        # what runs in a process of its own is set up anew there
        reconfigures=made.reconfigure is not None and not made.isolated,
        isolated=bool(made.isolated),
        fetches=getattr(made, "fetch", None) is not None,
        module=module or cls.__module__,
        attr=attr or cls.__qualname__,
    )


def check_isolation(cls: type[Component]) -> None:
    """Raise :class:`InvalidComponent` unless a component with ``isolated = True`` can run in a process of its own."""
    if is_publisher(cls):
        reason = (
            "a publisher cannot be isolated: what it took counts only when commit returns; isolate the work in a filter before it"
        )
    elif cls.is_original_style():
        reason = "a component with a run loop cannot be isolated; write it with process"
    elif getattr(cls, "fetch", None) is not None:
        reason = "a component that fetches cannot be isolated: isolate the work in a filter behind it"
    elif cls.holds:
        reason = "a component that holds packets cannot be isolated; hold them in an operator behind it"
    else:
        return
    raise InvalidComponent(reason, where=cls.__name__)


def _output_description(made: Component, port: str) -> str:
    # an output may share its name with an input, whose description get_port_description prefers
    return made._outputs[port] or ""
