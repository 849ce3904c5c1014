"""Typed parameters of a component: one declaration gives validation, JSON Schema, the editor's form and the docs."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from typing import Any, dataclass_transform

import msgspec

from pypes.errors import Problem


def Help(text: str, **constraints: Any) -> msgspec.Meta:
    """Describe a parameter: ``Annotated[int, Help("Rows per batch.", ge=1)] = 100``.

    ``constraints`` are those of ``msgspec.Meta`` (``ge gt le lt multiple_of pattern min_length max_length``).
    """
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
    except (ValueError, TypeError) as error:  # raised by a __post_init__ that checks parameters against each other
        return None, [Problem("", str(error), "param.invalid")]
