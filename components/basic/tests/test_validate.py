"""Validate: what is valid, and how faults are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import meta

from pypes import Packet
from pypes.errors import ComponentError, InvalidInput
from pypes.testing import ComponentSuite, run_component
from pypes_basic.validate import Validate

from .packages import packages
from .unwired import run_unwired

YEAR = {"properties": {"year": {"type": "integer"}}, "required": ["title"]}
PACKAGE = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$"},
        "version": {"type": "string", "pattern": r"^[0-9]+(\.[0-9a-z]+)*"},
        "requires": {"type": "array", "items": {"type": "string", "minLength": 1}},
    },
    "required": ["name", "version", "requires"],
}


def fault_of(packet: Packet, schema: dict[str, Any], **params: Any) -> list[str]:
    result = run_component(Validate, [packet], schema=schema, **params)
    assert result.dead_letters == ()
    assert result.counts == ({} if result.packets else {"invalid": 1})
    [found] = result.packets or result.outputs["invalid"]
    faults: list[str] = found.get_meta("invalid", default=[])
    assert bool(faults) == bool(result.outputs["invalid"])
    return faults


class TestValidate(ComponentSuite):
    component = Validate
    params = {"schema": YEAR}

    def test_packages_are_as_described(self) -> None:
        given = packages()
        broken = given[3].clone()
        broken.set("version", 7)
        broken.append("requires", "")
        result = run_component(Validate, [*given, broken], schema=PACKAGE)
        assert [packet.id for packet in result.packets] == [packet.id for packet in given]
        [found] = result.outputs["invalid"]
        places = sorted(fault.partition(":")[0] for fault in found.get_meta("invalid"))
        assert places == [f"requires.{len(broken.get('requires')) - 1}", "version"]

    def test_the_schema_of_schemas(self) -> None:
        schemas = [Packet.from_document(json.loads(json.dumps(each))) for each in (YEAR, PACKAGE)]
        result = run_component(Validate, schemas, schema={"$ref": "https://json-schema.org/draft/2020-12/schema"})
        assert len(result.packets) == 2
        assert meta.is_valid(YEAR)

    @pytest.mark.parametrize(
        ("fields", "faults"),
        [
            ({"title": "a", "year": 1}, []),
            ({"title": "a"}, []),
            (
                {"year": "x"},
                ['year: value is not of type "integer" (type)', 'the document: "title" is a required property (required)'],
            ),
            ({"title": "a", "year": None}, ['year: value is not of type "integer" (type)']),
        ],
    )
    def test_faults(self, fields: dict[str, Any], faults: list[str]) -> None:
        assert sorted(fault_of(Packet.from_document(fields), YEAR)) == sorted(faults)

    def test_one_field(self) -> None:
        schema = {"type": "object", "properties": {"deep": {"items": {"type": "string"}}}}
        assert fault_of(Packet({"x": {"deep": ["a"]}}), schema, field="x") == []
        assert fault_of(Packet({"x": {"deep": ["a", 1]}}), schema, field="x") == ['deep.1: value is not of type "string" (type)']
        assert fault_of(Packet(), schema, field="x") == ['the document: value is not of type "object" (type)']

    def test_formats_are_checked_as_asked_for(self) -> None:
        schema = {"properties": {"at": {"format": "date-time"}}}
        packet = Packet({"at": "yesterday"})
        assert fault_of(packet.clone(), schema) == ['at: value is not a "date-time" (format)']
        assert fault_of(packet.clone(), schema, formats=False) == []

    def test_what_is_no_json_is_not_valid(self) -> None:
        [fault] = fault_of(Packet({"data": b"abc"}), {"properties": {"data": {"type": "string"}}})
        assert fault.startswith("the document: it holds what is no value of JSON")

    def test_many_faults_are_cut_off(self) -> None:
        faults = fault_of(
            Packet({"list": {"of": list(range(100))}}), {"properties": {"list": {"properties": {"of": {"items": False}}}}}
        )
        assert (len(faults), faults[-1]) == (21, "and more")

    def test_without_a_wire_it_is_a_dead_letter_that_says_where(self) -> None:
        counts, [letter] = run_unwired(Validate, [Packet({"year": "x", "title": "t"})], "out", schema=YEAR)
        assert counts == {"invalid": 1}
        assert (letter.code, letter.error) == ("schema.invalid", 'year: value is not of type "integer" (type)')

    def test_a_schema_of_a_file(self, tmp_path: Path) -> None:
        made = Validate()
        made.data_dir = str(tmp_path)
        made.configure({"path": "year.json"})
        for text, fault in (
            (None, "the schema year.json cannot be read: No such file"),
            ("{", "the schema year.json is not JSON"),
            ('{"type": "intejer"}', "path: the schema is not valid at type"),
        ):
            if text is not None:
                (tmp_path / "year.json").write_text(text)
            with pytest.raises(ComponentError, match=fault):
                run_component(made, [])
        (tmp_path / "year.json").write_text(json.dumps(YEAR))
        assert len(run_component(made, [Packet({"title": "a"}), Packet()]).outputs["invalid"]) == 1

    @pytest.mark.parametrize(
        ("params", "fault"),
        [
            ({"schema": {"type": "intejer"}}, "the schema is not valid at type"),
            ({"schema": {"$ref": "http://127.0.0.1:9/schema.json"}}, "http://127.0.0.1:9/schema.json is not in the schema"),
            ({"schema": {"$ref": "file:///etc/hostname"}}, "file:///etc/hostname is not in the schema"),
            ({"schema": {"$ref": "#/$defs/absent"}}, "absent"),
            ({"schema": {"pattern": "(?=a)"}}, "the schema is not valid"),
            ({"schema": YEAR, "path": "a.json"}, "not both"),
        ],
    )
    def test_bad_schemas_are_refused(self, params: dict[str, Any], fault: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            Validate().configure(params)
        assert fault in caught.value.problems[0].message

    def test_none_is_refused_at_set_up(self) -> None:
        with pytest.raises(ComponentError, match="there is no schema"):
            run_component(Validate, [])

    def test_a_pattern_takes_linear_time(self) -> None:
        schema = {"properties": {"text": {"pattern": "^(a+)+$"}}}
        [fault] = fault_of(Packet({"text": "a" * 50_000 + "b"}), schema)
        assert fault.endswith("(pattern)")
