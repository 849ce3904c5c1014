"""pypes events and pypes tap, against a server of their own whose streams end as the test says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner, Result

from pypes.cli import streams
from pypes.cli.commands import pypes
from pypes.cli.tap import tap
from tests.serving import http_server, in_thread

TIME = "2026-11-21T08:00:00.000Z"
WIRES = {"wires": ["entry-a.in", "a.out-b.in", "a.out-c.in"]}
PACKET = {
    "time": TIME,
    "instance": 3,
    "missed": 0,
    "packet": {"fields": {"title": "A\x1b[31m", "n": [1, 2]}, "meta": {"route": "x"}, "field_meta": {"title": {"lang": "de"}}},
}


class Server(ThreadingHTTPServer):
    """``streams`` are what one request after the other gets: a list of events, or a status; other paths have ``answers``."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, tuple[int, Any]] = {}
        self.streams: list[Any] = []
        self.asked: list[tuple[str, dict[str, str], str | None]] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if "event-stream" not in self.headers.get("Accept", ""):
            self.answer(*self.server.answers[parts.path])
            return
        self.server.asked.append((parts.path, query, self.headers.get("Last-Event-ID")))
        found = self.server.streams.pop(0)
        if isinstance(found, int):
            self.answer(found, {"code": "test.none", "detail": "not now"})
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b": pypes\nretry: 1000\n\n")
        for id, kind, data in found:
            self.wfile.write(f"id: {id}\nevent: {kind}\ndata: {json.dumps(data)}\n\n:\n\n".encode())

    def answer(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(streams, "AGAIN_S", 0.0)
    monkeypatch.setenv("TZ", "UTC")
    with in_thread(Server()) as made:
        made.answers["/graphs/g/taps"] = 200, WIRES
        yield made


def run(server: Server, *arguments: str) -> Result:
    url = f"http://127.0.0.1:{server.server_port}"
    return CliRunner().invoke(pypes, [*arguments, "--url", url], catch_exceptions=False)


def event(number: int, **more: Any) -> tuple[str, str, dict[str, Any]]:
    return f"a1-{number}", "deployment", {"kind": "deployment", "time": TIME, "state": "began", "graph": "g", **more}


def test_events_go_on_behind_the_last_one_when_the_stream_ends(server: Server) -> None:
    server.streams = [[event(1), event(2)], [], 503, [event(3, reason="a b", filter="")]]
    result = run(server, "events", "--graph", "g", "--kind", "deployment", "--recent", "5", "-n", "3", "--json")
    assert result.exit_code == 0, result.output
    assert [json.loads(line)["state"] for line in result.stdout.splitlines()] == ["began"] * 3
    chosen = {"graph": "g", "kind": "deployment"}
    assert server.asked[0] == ("/events", {**chosen, "recent": "5"}, None)
    assert server.asked[1:] == [("/events", chosen, "a1-2")] * 3
    assert "not now" in result.stderr


def test_an_event_is_a_line_for_people(server: Server) -> None:
    server.streams = [[event(3, reason="a \x1b[31mb", filter="", graphs=["g"])]]
    result = run(server, "events", "-n", "1")
    assert result.stdout.endswith(' deployment  state=began graph=g reason="a  [31mb" graphs=["g"]\n')


def test_a_node_that_is_not_there_is_an_error(server: Server) -> None:
    server.streams = [503]
    result = run(server, "events")
    assert result.exit_code == 1
    assert "not now" in result.output


@pytest.mark.parametrize("command", [["status"], ["top", "--once"], ["logs"], ["events"], ["tap", "g"], ["trace", "x"]])
def test_what_is_no_node_is_told_so(command: list[str]) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, format: str, *args: Any) -> None:
            return

    with http_server(Page) as url:
        result = CliRunner().invoke(pypes, [*command, "--url", url])
    assert result.exit_code == 1
    assert f"{url} answers as no node of Pypes does, with text/html; charset=utf-8" in result.output


def test_wires_are_listed_and_known_by_a_part_of_their_name(server: Server) -> None:
    assert run(server, "tap", "g").stdout.splitlines() == WIRES["wires"]
    server.streams = [[("", "packet", PACKET)], [("", "packet", PACKET)]]
    result = run(server, "tap", "g", "entry", "-n", "2")
    assert result.exit_code == 0, result.output
    assert result.stderr == "entry-a.in\n"
    assert [query for _, query, _ in server.asked] == [{"wire": "entry-a.in"}] * 2
    lines = result.stdout.splitlines()
    assert lines[1:5] == ["  title: A [31m", "  n: [1,2]", "  [route]: x", '  title [{"lang":"de"}]']
    assert lines[0].endswith(" instance 3")
    for wire, said in (("a.out", "several are meant by it: a.out-b.in, a.out-c.in"), ("z", "there are entry-a.in, a.out-b.in")):
        result = run(server, "tap", "g", wire)
        assert result.exit_code == 1
        assert said in result.output


def test_packets_as_json_until_the_wire_is_gone(server: Server) -> None:
    odd = {**PACKET, "missed": 7, "packet": {"value": "<x>"}}
    server.streams = [[("", "packet", PACKET), ("", "packet", odd), ("", "end", {"reason": "the wire is gone"})]]
    result = run(server, "tap", "g", "a.out-b.in", "--follow", "--json")
    assert [json.loads(line) for line in result.stdout.splitlines()] == [PACKET, odd]
    assert result.exit_code == 1
    assert "the wire is gone" in result.stderr
    server.streams = [[("", "packet", odd)]]
    result = run(server, "tap", "g", "a.out-b.in", "-n", "1")
    assert result.stdout.splitlines()[0].endswith(" instance 3, 7 more unseen")
    assert result.stdout.splitlines()[1:] == ["  <x>"]


def test_a_shell_completes_graphs_and_wires(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answers["/graphs"] = 200, [{"name": "good"}, {"name": "other"}]
    graph, wire, *_ = tap.params
    with tap.make_context("tap", ["g"], resilient_parsing=True) as context:
        context.params["url"] = f"http://127.0.0.1:{server.server_port}"
        assert [each.value for each in graph.shell_complete(context, "g")] == ["good"]
        assert [each.value for each in wire.shell_complete(context, "a.out")] == ["a.out-b.in", "a.out-c.in"]
        context.params["url"] = "nonsense://"
        assert graph.shell_complete(context, "") == []
