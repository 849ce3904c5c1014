"""Requests made from /openapi.json, valid and not, against a real node: no 5xx, every answer as it is documented."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, TypeAlias

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from pypes.testing.node import Node, running, until

#: schemathesis's own class, which takes other type arguments in each of its releases
Operation: TypeAlias = Any

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

COMPONENTS = """
import pypes

@pypes.component(name="Refuse")
def refuse(packet):
    \"\"\"Refuse what says so.\"\"\"
    if packet.get("refuse"):
        raise pypes.Reject("as it says")
    return packet
"""

SPARE: dict[str, Any] = {
    "pypes": 1,
    "name": "spare",
    "nodes": {"json": {"component": "JSON"}, "out": {"component": "JSONLines", "params": {"path": "spare.jsonl"}}},
    "wires": [["json.out", "out.in"]],
}

#: Requests of each operation: there are a hundred, and making one takes long. `make fuzz` makes as many as of all else.
EXAMPLES = 20

#: Bodies are made from schemas; those of documents have none, and few of those made for the others get far.
BODIES = st.one_of(
    st.binary(max_size=300),
    st.sampled_from(
        [
            b"{}",
            b'{"id": "a"}',
            b'[{"id": "a"}, {"id": 2}]',
            b'{"id": "a"}\n{"refuse": true}\n',
            b"\x1f\x8b\x08",
            b"[" * 500,
            b'{"packet": {"fields": {"id": "b"}, "meta": {}, "field_meta": {}}}',
            b'{"component": "SetField", "params": {"field": "a", "value": "b"}}',
            b'{"component": "JSON", "params": {"no": 1}}',
            b'{"from": "start"}',
            json.dumps(SPARE).encode(),
        ]
    ),
)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    base = tmp_path_factory.mktemp("fuzz")
    (base / "refuse.py").write_text(COMPONENTS)
    graph: dict[str, Any] = {
        "pypes": 1,
        "name": "fuzz",
        "nodes": {
            "json": {"component": "JSON"},
            "refuse": {"component": "Refuse"},
            "out": {"component": "JSONLines", "params": {"path": str(base / "out.jsonl")}},
        },
        "wires": [["json.out", "refuse.in"], ["refuse.out", "out.in"]],
    }
    with running(base, graph, "--load", str(base / "refuse.py"), workers=2, instances=1) as node:
        yield node
        assert "Traceback" not in node.log()


#: Addresses whose answers go on until the client hangs up.
STREAMS = ("/events",)


@pytest.fixture(scope="module")
def places(node: Node) -> dict[str, list[str]]:
    """Values of path parameters that lead to something."""
    receipts = [
        node.post(body).json()["receipt"] for body in (b'{"id": "good"}', b'{"refuse": true}', b'[{"id": 1}, {"refuse": true}]')
    ]
    node.http.request("PUT", f"{node.url}/graphs/spare", body=json.dumps(SPARE), headers={"Content-Type": "application/json"})
    node.wait_ready()
    draft = node.post(b'{"component": "SetField", "params": {"field": "a", "value": "b"}}', "/filters")
    until(lambda: all(node.get(f"/receipts/{each}").json()["pending"] == 0 for each in receipts), 10, "run")
    letters = node.get("/deadletters")
    ids = [letter["id"] for letter in letters.json()["deadletters"]] if letters.status == 200 else []
    filters = [draft.json()["id"]] if draft.status == 201 else []
    return {"id": [*receipts[:3], *ids, *filters, "good"], "name": ["spare", "JSON"], "route": ["nowhere"]}


def operations(node: Node) -> list[Operation]:
    schema: Any = schemathesis.openapi.from_url(f"{node.url}/openapi.json")
    # a stream does not end; test_events reads those
    found = [each for each in (each.ok() for each in schema.get_all_operations()) if each.path not in STREAMS]
    # what takes away comes last, that by query after that by id: the others need something to be there
    return sorted(found, key=lambda each: (each.method.upper() == "DELETE", "replay" in each.path, "{" not in each.path))


def cases(operation: Operation, places: dict[str, list[str]]) -> st.SearchStrategy[Any]:
    names = {parameter.name for parameter in operation.path_parameters}
    modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    found = [operation.as_strategy(generation_mode=mode) for mode in modes]
    if names and names <= places.keys():
        real = st.fixed_dictionaries({name: st.sampled_from(places[name]) for name in names})
        found += [real.flatmap(lambda values: operation.as_strategy(path_parameters=values))] * 2
    return st.one_of(found)


@pytest.mark.hypothesis
@pytest.mark.timeout(7200)
def test_every_operation_answers_as_documented(node: Node, places: dict[str, list[str]]) -> None:
    assert settings.default is not None
    is_long = settings.default.max_examples > settings.get_profile("default").max_examples
    examples = settings.default.max_examples if is_long else EXAMPLES
    failures: dict[str, str] = {}
    answers: dict[str, Counter[int]] = {}

    for operation in operations(node):

        @settings(max_examples=examples, suppress_health_check=list(HealthCheck), database=None)
        @given(case=cases(operation, places), extra=st.one_of(st.none(), BODIES))
        def try_it(case: Any, extra: bytes | None) -> None:
            if extra is not None and case.method in ("POST", "PUT"):
                case.body = extra
            response = case.call(base_url=node.url, timeout=30)
            answers.setdefault(case.operation.label, Counter())[response.status_code] += 1
            case.validate_response(response, checks=CHECKS)

        try:
            try_it()
        except Exception as error:
            failures[operation.label] = f"{error}"
    for label, statuses in answers.items():
        print(f"{label}: {dict(sorted(statuses.items()))}")  # noqa: T201
    assert not failures, "\n\n".join(f"{label}\n{text}" for label, text in failures.items())
    assert node.is_ready()
