"""ComponentSpec: what one needs to know of a component to draw, validate and document it without importing it."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

import msgspec

from pypes.component import (
    ERROR_PORT,
    JOINS,
    KINDS,
    Batching,
    Component,
    Example,
    check_batching,
    is_publisher,
    is_told,
    kind_of,
    takes_batches,
)
from pypes.core import numbers
from pypes.errors import BadRequest, InvalidComponent
from pypes.graph.part_kinds import part_kinds

#: A longer example, in bytes of JSON, is no example: every instance is told of the components that it runs.
MAX_EXAMPLE_BYTES: Final = 64 * 1024

#: Fields that are lists in JSON.
_LISTS: Final = ("accepts", "parts", "tags", "missing")
_WORD: Final = re.compile(r"[a-z0-9]+([-.][a-z0-9]+)*")
_MODULE: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclass(frozen=True, slots=True)
class ComponentSpec:
    """Everything that the catalogue knows of a component.

    ``kind`` is a value of ``KINDS`` (``ADAPTER`` …), empty when the class could not be described. ``error`` says why a component
    cannot be used.
    ``inputs`` and ``outputs`` map ports to descriptions, without the implicit ``error``. ``module`` is a module's name or the
    path of a load file, ``attr`` the name of the class in it.

    ``batches``: packets are gathered for it as ``batch_size``, ``batch_bytes`` and ``batch_s`` of a filter say; these
    three are those of the class.

    ``completes``: it is told of each document that is complete, with the parameters that it has by default; ``concludes``: of
    each that is done everywhere. ``searches``: it can be asked by ``GET /search``.

    ``privileged``: only a client with the scope ``admin`` may place it (:mod:`pypes.graph.privileges`).

    ``unpooled`` says why it cannot run in a pool, empty if it can. ``max_attempts`` and ``timeout_s`` are those of the class.

    ``parts`` are the kinds of parts that its code says it makes (:mod:`pypes.graph.part_kinds`).

    ``icon``, ``tags``, ``example`` (``Example.to_obj``) and ``needs`` are those of the class. ``missing`` names the modules of
    ``needs`` that are not installed here, or a module without which that of the component cannot be imported: then ``error``
    says so, and the component is a placeholder that no graph can use until they are installed.
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
    batches: bool = False
    batch_size: int | None = None
    batch_bytes: int | None = None
    batch_s: float = 0.0
    isolated: bool = False
    privileged: bool = False
    unpooled: str = ""
    max_attempts: int = 5
    timeout_s: float | None = None
    reconfigures: bool = False
    fetches: bool = False
    completes: bool = False
    concludes: bool = False
    searches: bool = False
    parts: tuple[str, ...] = ()
    icon: str = ""
    tags: tuple[str, ...] = ()
    example: Mapping[str, Any] | None = None
    needs: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    error: str | None = None
    module: str = ""
    attr: str = ""

    @property
    def error_code(self) -> str:
        """The code of problems with a component that has an ``error``."""
        return "component.missing_library" if self.missing else "component.broken"

    def to_obj(self) -> dict[str, Any]:
        """As plain JSON values."""
        obj = {f.name: getattr(self, f.name) for f in fields(self)}
        lists = {name: list(obj[name]) for name in _LISTS}
        return {**obj, **lists, "inputs": dict(self.inputs), "outputs": dict(self.outputs), "needs": dict(self.needs)}

    @classmethod
    def from_obj(cls, obj: Mapping[str, Any]) -> ComponentSpec:
        """Read what :meth:`to_obj` returned."""
        return cls(**{**obj, **{name: tuple(obj.get(name, ())) for name in _LISTS}})


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
    check_batching(made)
    if made.joins not in JOINS:
        raise InvalidComponent(f"joins is {made.joins!r}; use one of {', '.join(map(repr, JOINS))}", where=cls.__name__)
    schema = made.schema()
    _as_json(lambda: schema, "a default or option of its parameters is no JSON value", cls.__name__)
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
        batches=takes_batches(made),
        **Batching.of(made)._asdict(),
        # what runs in a process of its own is set up anew there
        reconfigures=made.reconfigure is not None and not made.isolated,
        isolated=bool(made.isolated),
        privileged=bool(made.privileged),
        unpooled=why_unpooled(made),
        **_numbers(made),
        fetches=getattr(made, "fetch", None) is not None,
        completes=made.complete is not None,
        concludes=made.conclude is not None,
        searches=getattr(made, "search", None) is not None,
        parts=part_kinds(cls),
        **_shown(cls),
        module=module or cls.__module__,
        attr=attr or cls.__qualname__,
    )


def _shown(cls: type[Component]) -> dict[str, Any]:
    """The fields of a spec that the class says in plain attributes. Raises :class:`InvalidComponent`."""
    icon, tags, example, needs = cls.icon, cls.tags, cls.example, cls.needs
    if not (isinstance(icon, str) and (not icon or _WORD.fullmatch(icon))):
        raise InvalidComponent(f"icon is {icon!r}; name one by a plain word such as 'file'", where=cls.__name__)
    if not (isinstance(tags, tuple | list) and all(isinstance(tag, str) and _WORD.fullmatch(tag) for tag in tags)):
        raise InvalidComponent(f"tags are {tags!r}; write words in lower case, such as ('format', 'table')", where=cls.__name__)
    if not (isinstance(needs, Mapping) and all(_is_need(module, line) for module, line in needs.items())):
        raise InvalidComponent(
            f"needs is {needs!r}; write the name of each module and the line that installs it, "
            "such as {'numpy': 'pip install numpy'}",
            where=cls.__name__,
        )
    return {"icon": icon, "tags": tuple(tags), "needs": dict(needs), "example": _example(cls.__name__, example)}


def _is_need(module: Any, line: Any) -> bool:
    is_text = isinstance(module, str) and isinstance(line, str)
    return is_text and bool(_MODULE.fullmatch(module) and line.strip()) and "\n" not in line


def _as_json(make: Callable[[], Any], complaint: str, component: str) -> bytes:
    """JSON text of what ``make`` returns. Raises :class:`InvalidComponent` if JSON cannot express it."""
    try:
        text = msgspec.json.encode(make())
        # the API cannot say longer integers
        numbers.check(text)
    except (TypeError, AttributeError, ValueError, BadRequest) as error:
        raise InvalidComponent(f"{complaint}: {error}", where=component) from error
    return text


def _example(component: str, example: Any) -> dict[str, Any] | None:
    if example is None:
        return None
    if not isinstance(example, Example):
        raise InvalidComponent(f"example is {example!r}; write Example(Packet(…), Packet(…))", where=component)
    text = _as_json(example.to_obj, "its example holds what is no packet, or no JSON value", component)
    if len(text) > MAX_EXAMPLE_BYTES:
        raise InvalidComponent(f"its example is over {MAX_EXAMPLE_BYTES >> 10} KiB of JSON; show less", where=component)
    shown: dict[str, Any] = msgspec.json.decode(text)
    return shown


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
    elif is_told(cls):
        reason = "a component that is told of complete documents cannot be isolated; be told in a filter behind it"
    else:
        return
    raise InvalidComponent(reason, where=cls.__name__)


def why_unpooled(made: Component) -> str:
    """The reason why a component cannot run in a pool, with what to do instead; empty if it can."""
    if is_publisher(made):
        return "a publisher's packets count when its commit returns, in the instance; do the work in a filter before it"
    if made.is_original_style():
        return "it has a run loop of its own; write it with process"
    if getattr(made, "fetch", None) is not None:
        return "a source fetches by itself; do the work in a filter behind it"
    if made.holds:
        return "it holds packets; hold them in an operator behind it"
    if is_told(made):
        return "it is told of complete documents; be told in a filter behind it"
    if made.isolated:
        return "an isolated component has a process of its own in each instance; leave out pool, or isolated = True"
    if made.concurrency != 1:
        return "it works on several packets at once; leave out pool, or concurrency"
    return ""


def _numbers(made: Component) -> dict[str, Any]:
    """Attempts and time of a component, as far as they are what they should be: who runs it says what is wrong."""
    attempts, timeout_s = made.max_attempts, made.timeout_s
    found: dict[str, Any] = {}
    if type(attempts) is int:
        found["max_attempts"] = attempts
    if type(timeout_s) in (int, float) and 0 <= timeout_s < math.inf:  # type: ignore[operator]
        found["timeout_s"] = timeout_s
    return found


def _output_description(made: Component, port: str) -> str:
    # an output may share its name with an input, whose description get_port_description prefers
    return made._outputs[port] or ""
