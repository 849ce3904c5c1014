"""Typed parameters of a component: one declaration gives validation, JSON Schema, the editor's form and the docs."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, dataclass_transform

import msgspec

from pypes.component.harmless import Harmless
from pypes.errors import InvalidInput, Problem

#: The ``format`` that a parameter has in the schema if it is a path.
PATH = "path"
#: The ``format`` of a parameter that names a function.
FUNCTION = "function"
#: The ``format`` of a list with an entry for each input that must have a wire.
INPUTS = "inputs"
#: Stands for standard output where a path is expected; a file of this name is ``./-``.
STREAM = "-"


def Help(
    text: str,
    *,
    path: bool = False,
    function: bool = False,
    inputs: bool = False,
    harmless: Harmless | None = None,
    **constraints: Any,
) -> msgspec.Meta:
    """Describe a parameter: ``Annotated[int, Help("Rows per batch.", ge=1)] = 100``.

    ``path``: the text is a file or folder (relative: from the data directory), or ``-`` for standard output. The node checks
    where it leads (:class:`pypes.core.paths.Paths`) when a graph is deployed and when the component is set up.
    ``function``: the text names a function of Python, ``package.module:name``; the node checks likewise that it may be called.
    ``inputs``: each entry of the list belongs to an input, in their order; ``pypes lint`` warns of those without a wire.
    ``harmless``: the value is an address or options for a library that may reach files or sockets of the server by them; what is
    not in this list is for administrators (:mod:`pypes.graph.privileges`).
    ``constraints`` are those of ``msgspec.Meta`` (``ge gt le lt multiple_of pattern min_length max_length``).
    """
    more: dict[str, Any] = {}
    if path or function or inputs:
        more["format"] = FUNCTION if function else INPUTS if inputs else PATH
    if harmless is not None:
        more["harmless"] = harmless.to_schema()
    if more:
        constraints["extra_json_schema"] = {**(constraints.get("extra_json_schema") or {}), **more}
    return msgspec.Meta(description=text, **constraints)


@dataclass_transform(kw_only_default=True, field_specifiers=(msgspec.field,))
class _ParametersMeta(msgspec.StructMeta):
    """Lets a default be a filled list or dict (each instance gets its own copy), and fixes the struct's options."""

    def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> Any:
        annotated = namespace.get("__annotations__", {})
        for key, value in namespace.items():
            if key in annotated and isinstance(value, (list, dict, set)) and value:
                namespace[key] = msgspec.field(default_factory=partial(copy.deepcopy, value))
        options.setdefault("kw_only", True)
        options.setdefault("forbid_unknown_fields", True)
        return super().__new__(mcls, name, bases, namespace, **options)


# here too: checkers of types go by the nearest base for which it is said, and for Struct it says that order matters
@dataclass_transform(kw_only_default=True, field_specifiers=(msgspec.field,))
class Parameters(msgspec.Struct, metaclass=_ParametersMeta):
    """Base of a component's ``Params``: annotated attributes with defaults; one without a default is required."""


def schema_of(params: type[Parameters]) -> dict[str, Any]:
    """JSON Schema (2020-12) of a ``Params`` class, with defaults and help texts, references inlined at the top."""
    schema = msgspec.json.schema(params)
    definitions: dict[str, Any] = schema.get("$defs", {})
    top: dict[str, Any] = definitions.pop(schema["$ref"].rsplit("/", 1)[-1])
    for info in msgspec.structs.fields(params):
        if info.default_factory is not msgspec.NODEFAULT:
            top["properties"][info.encode_name]["default"] = msgspec.to_builtins(info.default_factory())
    # the description would be the docstring of Params; the component's own documentation says more
    top.pop("description", None)
    if definitions:
        top["$defs"] = definitions
    return top


def paths_in(schema: Mapping[str, Any], params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The paths among parameters (plain JSON values), defaults included: the place of each (``files.0``), and the path."""
    return ((place, value) for place, value in texts_in(schema, params, PATH) if value != STREAM)


def texts_in(schema: Mapping[str, Any], params: Mapping[str, Any], format: str) -> Iterator[tuple[str, str]]:
    """The texts of a format among parameters, defaults included: the place of each, and the text."""
    for place, declared, value in _declared_in(schema, params):
        if isinstance(value, str) and declared.get("format") == format:
            yield place, value


def lists_in(schema: Mapping[str, Any], params: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], Any]]:
    """The parameters with a list of what is harmless, defaults included: the place of each, the list, and the value."""
    for place, declared, value in _declared_in(schema, params):
        if "harmless" in declared:
            yield place, declared["harmless"], value


def _declared_in(schema: Mapping[str, Any], params: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], Any]]:
    definitions: Mapping[str, Any] = schema.get("$defs", {})
    for name, declared in schema.get("properties", {}).items():
        if name in params or "default" in declared:
            yield from _values(declared, definitions, params.get(name, declared.get("default")), name)


def _values(
    declared: Any, definitions: Mapping[str, Any], value: Any, place: str
) -> Iterator[tuple[str, Mapping[str, Any], Any]]:
    """The place of each value within one, what its schema says, and the value."""
    if not isinstance(declared, Mapping):
        return
    if "$ref" in declared:
        # what is said beside a reference is said of this place
        declared = {**definitions.get(declared["$ref"].rsplit("/", 1)[-1], {}), **declared}
    for each in declared.get("anyOf", ()):
        yield from _values(each, definitions, value, place)
    yield place, declared, value
    if isinstance(value, Mapping):
        named, others = declared.get("properties", {}), declared.get("additionalProperties")
        for key, item in value.items():
            yield from _values(named.get(key, others), definitions, item, f"{place}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _values(declared.get("items"), definitions, item, f"{place}.{index}")


def convert(params: type[Parameters], given: Mapping[str, Any]) -> tuple[Parameters | None, list[Problem]]:
    """Build ``params`` from plain JSON values; returns the object, or ``None`` and *all* problems found."""
    problems: list[Problem] = []
    known = {info.encode_name: info for info in msgspec.structs.fields(params)}
    values: dict[str, Any] = {}
    for name, value in given.items():
        info = known.get(name)
        if info is None:
            problems.append(Problem(name, f"unknown parameter; it has {', '.join(sorted(known)) or 'none'}", "param.unknown"))
            continue
        try:
            values[name] = msgspec.convert(value, info.type)
        except msgspec.ValidationError as error:
            problems.append(Problem(name, str(error), "param.invalid"))
    for name, info in known.items():
        if info.required and name not in given:
            problems.append(Problem(name, "is required and has no default", "param.missing"))
    if problems:
        return None, problems
    try:
        return params(**{known[name].name: value for name, value in values.items()}), []
    except InvalidInput as error:  # raised by a __post_init__ that knows the places
        return None, [*error.problems]
    except (ValueError, TypeError) as error:  # raised by one that checks parameters against each other
        return None, [Problem("", str(error), "param.invalid")]
