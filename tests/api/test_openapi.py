"""The OpenAPI document says what there is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import jsonschema_rs
import orjson
import pytest

from pypes.access.register import Register
from pypes.api import openapi, problems
from pypes.api.app import API_VERSION, routes
from pypes.api.memory import Memory
from pypes.api.sessions import Sessions
from pypes.errors import InvalidGraph, Problem
from tests.api.config import worker_config

SESSIONS = Sessions(worker_config(), Register(Path("nowhere")))
TABLE = routes(cast(Any, None), worker_config(), Memory(1), asyncio.Event(), SESSIONS)
DOCUMENT: dict[str, Any] = orjson.loads(orjson.dumps(openapi.document(TABLE, API_VERSION)))
OPERATIONS = [(path, method, op) for path, methods in DOCUMENT["paths"].items() for method, op in methods.items()]


def test_every_responder_is_described() -> None:
    for template, resource, suffix in TABLE:
        tail = f"_{suffix}" if suffix else ""
        found = [m for m in openapi.METHODS if hasattr(resource, f"on_{m}{tail}")]
        assert found, template
        for method in found:
            assert getattr(resource, f"on_{method}{tail}").operation.summary


def test_what_the_issue_lists_is_there() -> None:
    for path, methods in {
        "/docs": {"post"},
        "/docs/{route}": {"post", "put"},
        "/docs/{route}/{id}": {"post", "put", "delete"},
        "/receipts": {"get"},
        "/receipts/{id}": {"get"},
        "/receipts/{id}/documents": {"get"},
        "/documents": {"get"},
        "/deadletters": {"get", "delete"},
        "/deadletters/replay": {"post"},
        "/deadletters/{id}": {"get", "put", "delete"},
        "/deadletters/{id}/posted": {"get"},
        "/deadletters/{id}/replay": {"post"},
        "/filters": {"get", "post"},
        "/filters/{id}": {"get", "put", "delete"},
        "/status": {"get"},
        "/drain": {"post"},
        "/": {"get"},
        "/session": {"get", "post"},
        "/session/end": {"post"},
        "/components": {"get"},
        "/components/{name}": {"get"},
        "/components/rescan": {"post"},
        "/graphs": {"get", "post"},
        "/graphs/{name}": {"get", "put", "delete"},
        "/graphs/{name}/versions": {"get"},
        "/graphs/{name}/versions/{version}": {"get"},
        "/graphs/{name}/rollback": {"post"},
        "/graphs/{name}/pause": {"post"},
        "/graphs/{name}/resume": {"post"},
        "/graphs/{name}/validate": {"post"},
        "/graphs/{name}/dryrun": {"post"},
        "/graphs/{name}/shadow": {"post"},
        "/graphs/{name}/shadow/{id}": {"get", "delete"},
        "/graphs/{name}/times": {"get"},
        "/graphs/{name}/stores": {"get"},
        "/graphs/{name}/stores/{filter}": {"delete"},
        "/graphs/{name}/wires": {"post", "delete"},
        "/graphs/{name}/draft": {"get", "put", "delete"},
        "/graphs/{name}/deploy": {"post"},
        "/graphs/{name}/trigger": {"get", "post"},
        "/healthz": {"get"},
        "/readyz": {"get"},
        "/openapi.json": {"get"},
    }.items():
        assert set(DOCUMENT["paths"][path]) == methods


@pytest.mark.parametrize(("path", "method", "op"), OPERATIONS, ids=lambda value: str(value) if isinstance(value, str) else "")
def test_operations_are_complete(path: str, method: str, op: dict[str, Any]) -> None:
    assert op["summary"]
    assert any(status.startswith(("2", "303")) for status in op["responses"])
    assert "500" in op["responses"]
    # the form that takes the token needs none beside it, and refuses a wrong one
    assert ("401" in op["responses"]) == ("security" not in op or path == "/session")
    named = {p["name"] for p in op.get("parameters", ()) if p["in"] == "path"}
    assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}
    for response in op["responses"].values():
        assert response["description"]
        for content in response.get("content", {}).values():
            if "$ref" not in content["schema"]:
                jsonschema_rs.validator_for(content["schema"])


def test_problem_documents_are_as_described() -> None:
    validator = jsonschema_rs.validator_for(cast(Any, openapi.PROBLEM))
    error = InvalidGraph("no", where="graph", problems=[Problem("wires[0]", "no such port", "graph.port")])
    validator.validate(problems.document(422, error.code, error.message, error.where, error.problems))
    validator.validate(problems.document(404, "http.not_found", "no"))
    assert not validator.is_valid({"type": "about:blank"})
