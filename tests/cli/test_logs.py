"""pypes logs, against a server that answers as it is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pypes.cli import logs
from pypes.cli.client import Client
from pypes.cli.commands import pypes
from pypes.errors import Unavailable
from tests.cli.test_records import Server
from tests.serving import in_thread


def line(number: int, **given: Any) -> dict[str, Any]:
    own = {"time": f"2026-11-30T12:00:{number:02}.000Z", "level": "warning", "process": "ingest-7", "logger": "pypes.x"}
    return {**own, "event": f"event {number}", **given}


@pytest.fixture
def server() -> Iterator[Server]:
    with in_thread(Server()) as made:
        yield made


def run(server: Server, *arguments: str) -> Result:
    return CliRunner().invoke(pypes, ["logs", *arguments, "--url", server.url])


def test_lines_look_as_on_a_terminal(server: Server) -> None:
    shown = [
        line(1, graph="g", filter="f", receipt=["a", "b"], count=2, error="no \x1b[31m"),
        line(2, exception="Traceback\n  x\nValueError: \x1b[31m"),
    ]
    server.answers["GET", "/logs"] = 200, {"logs": shown, "earlier": None, "later": "a-2"}
    result = run(server, "--graph", "g", "--filter", "f", "--level", "WARNING", "--since", "5m", "--receipt", "a")
    assert result.exit_code == 0
    first, second, *trace = result.stdout.splitlines()
    assert first.endswith(r'warning ingest-7    event 1 graph=g filter=f receipt=a,b count=2 error="no \u001b[31m"')
    assert second.endswith("event 2")
    assert trace == ["Traceback", "  x", r"ValueError: \x1b[31m"]
    [(_, _, query, _)] = server.asked
    assert query == {"graph": "g", "filter": "f", "level": "warning", "since": "5m", "receipt": "a", "limit": "100"}


def test_json_is_one_object_per_line(server: Server) -> None:
    server.answers["GET", "/logs"] = 200, {"logs": [line(1), line(2)], "earlier": None, "later": "a-2"}
    result = run(server, "--json")
    assert [json.loads(each) for each in result.stdout.splitlines()] == [line(1), line(2)]


def test_more_than_a_page_is_asked_for_backwards(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "PAGE", 3)
    lines = [line(number) for number in range(10)]

    def page(query: dict[str, str]) -> dict[str, Any]:
        end = int(query.get("before", "a-10")[2:])
        start = max(0, end - int(query["limit"]))
        return {"logs": lines[start:end], "earlier": f"a-{start}" if start else None, "later": f"a-{end}"}

    server.answers["GET", "/logs"] = 200, page
    for limit, expected in (("7", lines[3:]), ("100", lines), ("0", [])):
        result = run(server, "--json", "--limit", limit)
        assert [json.loads(each) for each in result.stdout.splitlines()] == expected


def test_following_goes_on_over_a_restart_until_it_is_interrupted(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[Any] = [None, 503, 503, None]
    monkeypatch.setattr(logs, "FOLLOW_S", 0)

    def page(query: dict[str, str]) -> dict[str, Any]:
        number = int(query.get("after", "a-0")[2:])
        return {"logs": [line(number)], "earlier": None, "later": f"a-{number + 1}"}

    ask = Client.ask

    def asked(self: Any, method: str, path: str, query: Any = None, body: Any = None) -> Any:
        if "after" in query:
            if not rounds:
                raise KeyboardInterrupt
            if rounds.pop(0) == 503:
                raise Unavailable("it cannot be reached")
        return ask(self, method, path, query, body)

    monkeypatch.setattr(Client, "ask", asked)
    server.answers["GET", "/logs"] = 200, page
    result = run(server, "--json", "--follow")
    assert result.exit_code == 0
    assert [json.loads(each)["event"] for each in result.stdout.splitlines()] == ["event 0", "event 1", "event 2"]
    assert result.stderr == "it cannot be reached; trying again\n"


def test_what_the_node_refuses_is_said(server: Server) -> None:
    server.answers["GET", "/logs"] = 400, {"title": "Bad Request", "detail": "since must be a time", "code": "request.invalid"}
    result = run(server, "--since", "x")
    assert result.exit_code == 1
    assert "since must be a time" in result.stderr
