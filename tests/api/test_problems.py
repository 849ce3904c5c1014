"""Every error leaves as a problem document."""

from __future__ import annotations

import inspect
import logging
from typing import Any

import falcon
import falcon.asgi
import falcon.testing
import pytest

from pypes import errors
from pypes.api import openapi, problems
from pypes.api.request import Request
from pypes.errors import DiskFull, Draining, InvalidGraph, NotFound, Problem, PypesError, QueueFull, StoreError

ALL = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, PypesError)]


class Raises:
    def __init__(self, error: Exception) -> None:
        self.error = error

    async def on_get(self, req: Any, resp: Any) -> None:
        raise self.error


def client(error: Exception | None = None) -> falcon.testing.TestClient:
    app: falcon.asgi.App[Any, Any] = falcon.asgi.App(request_type=Request)
    app.add_route("/it", Raises(error or NotFound("x")))
    problems.install(app)
    return falcon.testing.TestClient(app)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("BadRequest", 400),
        ("UnsupportedMedia", 415),
        ("TooLarge", 413),
        ("InvalidGraph", 422),
        ("InvalidComponent", 422),
        ("NotFound", 404),
        ("Forbidden", 403),
        ("QueueFull", 429),
        ("LettersFull", 507),
        ("DiskFull", 507),
        ("NotDeployed", 503),
        ("Draining", 503),
        ("Unavailable", 503),
        ("StoreError", 503),
        ("InternalError", 500),
    ],
)
def test_statuses(name: str, status: int) -> None:
    assert problems.status_of(getattr(errors, name)) == status


@pytest.mark.parametrize("cls", ALL)
def test_every_class_has_a_status_that_exists(cls: type[PypesError]) -> None:
    document = problems.document(problems.status_of(cls), cls.code, "x")
    assert document["title"]
    assert 400 <= document["status"] < 600


@pytest.mark.parametrize("cls", ALL)
def test_every_class_is_answered(cls: type[PypesError]) -> None:
    result = client(cls("say what to do", where="here")).simulate_get("/it")
    assert result.status_code == problems.status_of(cls)
    assert result.headers["content-type"] == "application/problem+json"
    assert result.json["code"] == cls.code
    assert result.json["detail"] == "say what to do"
    assert result.json["where"] == "here"
    assert result.json["type"] == "about:blank"


def test_the_limit_that_is_reached_is_named() -> None:
    result = client(DiskFull("full", where="g", limit="disk_bytes")).simulate_get("/it")
    assert (result.status_code, result.json["where"], result.json["limit"]) == (507, "g", "disk_bytes")
    assert result.json.keys() <= openapi.PROBLEM["properties"].keys()
    assert "limit" not in client(QueueFull("full")).simulate_get("/it").json


def test_several_problems_are_all_told() -> None:
    error = InvalidGraph(
        "two problems", problems=[Problem("wires[0]", "no such port", "graph.unknown_port"), Problem("", "empty")]
    )
    result = client(error).simulate_get("/it")
    assert result.status_code == 422
    assert result.json["errors"][0] == {"path": "wires[0]", "message": "no such port", "code": "graph.unknown_port"}
    assert len(result.json["errors"]) == 2


def test_when_to_come_back() -> None:
    assert client(QueueFull("full", retry_after_s=2.3)).simulate_get("/it").headers["retry-after"] == "3"
    assert client(QueueFull("full", retry_after_s=0)).simulate_get("/it").headers["retry-after"] == "1"
    assert "retry-after" in client(StoreError("disk")).simulate_get("/it").headers
    assert client(Draining("bye")).simulate_get("/it").headers["connection"] == "close"


def test_unknown_paths_and_methods() -> None:
    missing = client().simulate_get("/nowhere")
    assert (missing.status_code, missing.json["code"]) == (404, "http.not_found")
    wrong = client().simulate_delete("/it")
    assert (wrong.status_code, wrong.json["code"]) == (405, "http.method_not_allowed")
    assert "GET" in wrong.headers["allow"]
    assert "GET" in wrong.json["detail"]
    strange = client().simulate_request("BREW", "/it")
    assert strange.status_code in (400, 405)
    for result in (missing, wrong, strange):
        assert result.headers["content-type"] == "application/problem+json"
        assert result.json["status"] == result.status_code


def test_a_bug_is_told_apart_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        result = client(ZeroDivisionError("secret detail")).simulate_get("/it")
    assert result.status_code == 500
    assert result.json["code"] == "internal"
    assert "secret" not in result.text
    assert caplog.records[0].exc_info
