"""Validate: packets against a JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import jsonschema_rs

from pypes import Example, Filter, Help, Packet, Parameters, Reject
from pypes.errors import ComponentError

#: Faults of one document that are told, and characters of each.
MOST_FAULTS: Final = 20
MOST_CHARS: Final = 300


class Validate(Filter):
    """Let packets pass that a JSON Schema describes (drafts 4 to 2020-12, by ``$schema``); others are ``invalid``.

    The fields of a packet are one object: a field with several values is an array. With ``field``, the value of that field is
    looked at instead. A packet goes on unchanged. An invalid one goes to ``invalid`` if that has a wire, with metadata
    ``invalid``: a list of places in the document, each with the rule that is broken and what is wrong. Without a wire it becomes
    a dead letter (``schema.invalid``) whose reason says the same. Deletions pass. ``invalid`` is counted.

    ``format`` is checked where ``formats`` says so. A ``$ref`` leads to somewhere in the schema itself: nothing is fetched.
    Patterns take linear time, so look-around in them is refused. Bytes and times are no values of
    JSON: a rule about them is broken.
    """

    icon = "clipboard-check"
    tags = ("rules", "json")
    example = Example(
        takes=[Packet({"title": "Emma", "year": 1815}), Packet({"title": "Faust", "year": "1808"})],
        gives={
            "out": Packet({"title": "Emma", "year": 1815}),
            "invalid": Packet({"title": "Faust", "year": "1808"}, {"invalid": ['year: value is not of type "integer" (type)']}),
        },
        params={"schema": {"properties": {"year": {"type": "integer"}}, "required": ["title"]}},
    )

    outputs: ClassVar[Mapping[str, str]] = {
        "out": "Packets that are valid",
        "invalid": "Packets that are not; without a wire they become dead letters",
    }

    class Params(Parameters):
        schema: Annotated[dict[str, Any], Help("The schema; leave it out where path names a file of it.")] = {}
        path: Annotated[
            str, Help("JSON file with the schema, read at set-up, from the data directory if relative.", path=True)
        ] = ""
        field: Annotated[str, Help("Field whose value is looked at; empty: all fields, as one object.")] = ""
        formats: Annotated[bool, Help("Check formats such as date-time and email, too.")] = True

        def __post_init__(self) -> None:
            if self.schema and self.path:
                raise ValueError("give schema or path, not both")
            _compiled(self.schema, is_checking_formats=self.formats)

    def setup(self) -> None:
        params = self.params
        if not (params.schema or params.path):
            raise ComponentError("there is no schema; give one as schema, or the path of a file", code="schema.missing")
        schema = params.schema
        if params.path:
            schema = _read(Path(self.data_dir, params.path), params.path)
        try:
            self._validator = _compiled(schema, is_checking_formats=params.formats)
        except ValueError as error:
            raise ComponentError(f"path: {error}", code="schema.bad") from error
        self._field = params.field

    def process(self, packet: Packet) -> Packet | None:
        if packet.is_deletion:
            return packet
        value = _value(packet, self._field)
        try:
            if self._validator.is_valid(value):
                return packet
            faults = self._faults(value)
        except ValueError as error:
            faults = [f"the document: it holds what is no value of JSON: {error}"[:MOST_CHARS]]
        self.count("invalid")
        if not self.is_connected("invalid"):
            raise Reject("; ".join(faults), "schema.invalid")
        packet.set_meta("invalid", faults)
        self.send("invalid", packet)
        return None

    def _faults(self, value: Any) -> list[str]:
        found: list[str] = []
        for error in self._validator.iter_errors(value):
            if len(found) == MOST_FAULTS:
                found.append("and more")
                break
            place = ".".join(map(str, error.instance_path)) or "the document"
            found.append(f"{place}: {error.message[:MOST_CHARS]} ({error.kind.name})")
        return found


def _compiled(schema: Any, *, is_checking_formats: bool) -> Any:
    """A validator. Raises ``ValueError`` that says what is wrong with the schema."""

    def refused(uri: str) -> Any:
        raise ValueError(f"{uri} is not in the schema; put what it names under $defs")

    try:
        return jsonschema_rs.validator_for(
            schema,
            validate_formats=is_checking_formats,
            retriever=refused,
            # values of documents are not repeated: they may be large
            mask="value",
            pattern_options=jsonschema_rs.RegexOptions(),
        )
    except jsonschema_rs.ValidationError as error:
        place = ".".join(map(str, error.instance_path))
        raise ValueError(f"the schema is not valid{f' at {place}' if place else ''}: {error.message[:MOST_CHARS]}") from None
    except (jsonschema_rs.ReferencingError, ValueError) as error:
        raise ValueError(f"the schema is not valid: {error}") from None


def _read(path: Path, shown: str) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise ComponentError(f"the schema {shown} cannot be read: {error.strerror or error}", code="schema.bad") from error
    except ValueError as error:
        raise ComponentError(f"the schema {shown} is not JSON: {error}", code="schema.bad") from error


def _value(packet: Packet, field: str) -> Any:
    """The value to look at; a field that is absent is null."""
    return packet.get(field) if field else {name: packet.get(name) for name in packet.get_attribute_names()}
