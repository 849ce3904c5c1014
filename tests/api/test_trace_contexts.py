"""``traceparent`` on a real node: carried to callbacks and publishers that speak HTTP, over restarts, kills and replays."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pypes.testing.node import Node, running, until
from tests.api.records import COMPONENTS, finished, get, post
from tests.serving import in_thread

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
UNSAMPLED = f"00-{TRACE}-{SPAN}-00"
SAMPLED = f"00-{TRACE}-{SPAN}-01"
STATE = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"


class Taker(ThreadingHTTPServer):
    """Takes what is posted: the headers and the body by path. ``is_down``: it refuses everything with 503."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.taken: list[tuple[str, Mapping[str, str], bytes]] = []
        self.is_down = False

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def of(self, path: str) -> list[Mapping[str, str]]:
        return [headers for at, headers, _ in self.taken if at == path]

    def with_word(self, word: str) -> list[Mapping[str, str]]:
        return [headers for _, headers, body in self.taken if word.encode() in body]


class Handler(BaseHTTPRequestHandler):
    server: Taker

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.server.is_down:
            self.server.taken.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(503 if self.server.is_down else 200)
        answer = b'{"length": 3}'
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        return


def graph_of(taker: Taker) -> dict[str, Any]:
    nodes: dict[str, Any] = {
        "json": {"component": "JSON"},
        "refuse": {"component": "Refuse"},
        "call": {
            "component": "HTTPCall",
            "params": {
                "url": f"http://{taker.host}/length",
                "body": '{"word": {{ word }}}',
                "take": {"length": "answer.length"},
            },
        },
        "out": {"component": "Webhook", "params": {"url": f"http://{taker.host}/webhook", "batch": 100}},
    }
    wires = [["json.out", "refuse.in"], ["refuse.out", "call.in"], ["call.out", "out.in"]]
    return {"pypes": 1, "name": "g", "nodes": nodes, "wires": wires}


@pytest.fixture(scope="module")
def taker() -> Iterator[Taker]:
    with in_thread(Taker()) as made:
        yield made


@pytest.fixture(scope="module")
def node(taker: Taker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    base = tmp_path_factory.mktemp("contexts")
    (base / "refuse.py").write_text(COMPONENTS)
    (base / "secret").write_text("s3cret")
    (base / "pypes.ini").write_text(f"[callbacks]\nhosts = {taker.host}\nsecret_file = secret\n")
    with running(base, graph_of(taker), "--load", str(base / "refuse.py"), workers=1, instances=1) as node:
        yield node
        assert "Traceback" not in node.log()


def taken(taker: Taker, word: str, number: int = 2) -> list[Mapping[str, str]]:
    found: list[Mapping[str, str]] = until(
        lambda: taker.with_word(word) if len(taker.with_word(word)) >= number else None, 20, f"{number} requests with {word}"
    )
    return found


def posted(node: Node, word: str, path: str = "/docs", **headers: str) -> str:
    answer = post(node, json.dumps({"word": word}).encode(), path, **headers)
    assert answer.status == 202, answer.data
    receipt = str(answer.json()["receipt"])
    finished(node, receipt)
    return receipt


@pytest.mark.parametrize("path", ["/docs", "/docs/", "/docs?lane=bulk", "/docs/g/one"])
def test_publishers_and_filters_send_the_trace_of_the_caller_on(node: Node, taker: Taker, path: str) -> None:
    word = f"on{path}"
    posted(node, word, path, traceparent=UNSAMPLED, tracestate=STATE)
    for headers in taken(taker, word):
        assert (headers["traceparent"], headers["tracestate"]) == (UNSAMPLED, STATE)


def test_without_spans_of_its_own_a_sampled_caller_stays_the_parent(node: Node, taker: Taker) -> None:
    posted(node, "sampled", traceparent=SAMPLED)
    for headers in taken(taker, "sampled"):
        assert headers["traceparent"] == SAMPLED
        assert "tracestate" not in headers


@pytest.mark.parametrize("given", [{}, {"traceparent": f"00-{TRACE}-{SPAN}-0x"}, {"tracestate": STATE}])
def test_without_a_valid_field_nothing_is_sent(node: Node, taker: Taker, given: dict[str, str]) -> None:
    word = f"none-{len(''.join(given.values()))}"
    posted(node, word, **given)
    for headers in taken(taker, word):
        assert not {"traceparent", "tracestate"} & headers.keys()


def test_a_state_that_is_not_valid_is_left_out_alone(node: Node, taker: Taker) -> None:
    posted(node, "stateless", traceparent=UNSAMPLED, tracestate="Not=Valid")
    assert {(headers["traceparent"], headers.get("tracestate")) for headers in taken(taker, "stateless")} == {(UNSAMPLED, None)}


def test_documents_beside_each_other_keep_their_own_traces(node: Node, taker: Taker) -> None:
    answers = []
    for n in range(20):
        parent = f"00-{n + 1:032x}-{SPAN}-00"
        answer = post(node, json.dumps({"word": f"beside-{n:02}."}).encode(), traceparent=parent)
        answers.append(answer.json()["receipt"])
    for receipt in answers:
        finished(node, receipt)
    for n in range(20):
        calls = [headers for path, headers, body in taker.taken if path == "/length" and f"beside-{n:02}." in body.decode()]
        assert [headers["traceparent"] for headers in calls] == [f"00-{n + 1:032x}-{SPAN}-00"]


def test_a_callback_belongs_to_the_trace(node: Node, taker: Taker) -> None:
    posted(node, "called", f"/docs?callback=http://{taker.host}/called", traceparent=UNSAMPLED, tracestate=STATE)
    (headers,) = until(lambda: taker.of("/called"), 20, "called back")
    assert (headers["traceparent"], headers["tracestate"]) == (UNSAMPLED, STATE)
    posted(node, "plainly", f"/docs?callback=http://{taker.host}/plainly")
    (headers,) = until(lambda: taker.of("/plainly"), 20, "called back")
    assert not {"traceparent", "tracestate"} & headers.keys()


def test_a_replay_belongs_to_the_trace_of_the_first_run(node: Node, taker: Taker) -> None:
    body = json.dumps({"word": "again", "refuse": True}).encode()
    receipt = post(node, body, traceparent=UNSAMPLED, tracestate=STATE).json()["receipt"]
    assert finished(node, receipt)["failed"] == 1
    (letter,) = get(node, f"/deadletters?receipt={receipt}")["deadletters"]
    Path(node.base, "mended").touch()
    for how in ("", "?from=start"):
        answer = post(node, b"", f"/deadletters/{letter['id']}/replay{how}")
        if answer.status == 202:
            break
    finished(node, answer.json()["receipt"])
    assert {headers["traceparent"] for headers in taken(taker, "again")} == {UNSAMPLED}


def test_what_waits_keeps_its_trace_over_a_restart_and_a_kill(tmp_path: Path) -> None:
    with in_thread(Taker()) as taker:
        taker.is_down = True
        (tmp_path / "secret").write_text("s3cret")
        (tmp_path / "pypes.ini").write_text(f"[callbacks]\nhosts = {taker.host}\nsecret_file = secret\n")
        (tmp_path / "refuse.py").write_text(COMPONENTS)
        graph = graph_of(taker)
        with running(tmp_path, graph, "--load", "refuse.py", workers=1, instances=1) as node:
            path = f"/docs?callback=http://{taker.host}/late"
            receipt = post(node, b'{"word": "waits"}', path, traceparent=UNSAMPLED, tracestate=STATE).json()["receipt"]
            node.kill()
        with running(tmp_path, graph, "--load", "refuse.py", workers=1, instances=1) as node:
            taker.is_down = False
            for process in node.roles()["instance"]:
                process.kill()
            finished(node, receipt)
            (late,) = until(lambda: taker.of("/late"), 30, "called back")
            for headers in (*taken(taker, "waits"), late):
                assert (headers["traceparent"], headers["tracestate"]) == (UNSAMPLED, STATE)
