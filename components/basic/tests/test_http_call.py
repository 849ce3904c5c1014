"""HTTPCall: requests and answers of a real server, what statuses lead to, cache and budget."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pypes import Packet, Pipeline
from pypes.errors import ComponentError, InvalidInput
from pypes.runtime.file_store import FileStores
from pypes.testing import ComponentSuite, run_component
from pypes.testing.component import Result
from pypes_basic.http_call import HTTPCall

from .origin import Origin
from .packages import packages

AWAY = "http://127.0.0.1:9/"


@pytest.fixture
def origin() -> Iterator[Origin]:
    with closing(Origin()) as found:
        found.body = b'{"length": 4, "tags": ["a", "b"], "deep": {"er": 1}}'
        yield found


class Twice(HTTPCall):
    """Tries twice, so that a test need not wait for more."""

    max_attempts = 2


def call(origin: Origin, packets: list[Packet], path: str = "/", **params: Any) -> Result:
    return run_component(Twice, packets, url=origin.url + path, **{"width": 1, **params})


def letter_of(origin: Origin, **params: Any) -> tuple[str, str]:
    [letter] = call(origin, [Packet({"text": "x"})], **params).dead_letters
    return letter.code, letter.error


class TestHTTPCall(ComponentSuite):
    component = HTTPCall
    params = {"url": AWAY}

    # with a server of its own, in test_basic_examples
    def test_its_example_is_what_happens(self, tmp_path: Path) -> None: ...

    def test_packages_are_asked_about(self, origin: Origin) -> None:
        given = packages()
        take = {"length": "answer.length", "took": "status"}
        result = call(origin, given, "/length", body='{"text": {{ name }}}', take=take, width=1)
        assert [packet.get("length") for packet in result.packets] == [len(packet.get("name")) for packet in given]
        assert {packet.get("took") for packet in result.packets} == {200}
        assert sorted(origin.posted) == sorted(("/length", json.dumps({"text": packet.get("name")}).encode()) for packet in given)
        assert result.counts == {"calls": len(given)}

    def test_calls_overlap_and_packets_keep_their_order(self) -> None:
        together = threading.Barrier(4, timeout=20)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                together.wait()  # nobody is answered before four have asked
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(self.path).encode())

            def log_message(self, *_: Any) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_address[1]}/{{{{ n }}}}"
            found = run_component(HTTPCall, [Packet({"n": n}) for n in range(8)], url=url, method="GET", width=4)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
        assert [packet.get("answer") for packet in found.packets] == [f"/{n}" for n in range(8)]

    def test_the_request_is_made_of_the_packet(self, origin: Origin) -> None:
        packet = Packet({"text": 'a "b"\n', "n": 3}, {"lang": "de"})
        body = '{"text": {{ text }}, "n": {{ n }}, "lang": {{ meta.lang }}}'
        call(origin, [packet], "/x?q={{ text|urlencode }}", body=body, headers={"Authorization": "Bearer t"})
        [(path, posted)] = origin.posted
        assert (path, json.loads(posted)) == ("/x?q=a%20%22b%22%0A", {"text": 'a "b"\n', "n": 3, "lang": "de"})
        [asked] = origin.asked
        assert (asked["authorization"], asked["content-type"]) == ("Bearer t", "application/json")
        assert letter_of(origin, body="{{ absent }}") == ("http.request", "the request cannot be made: `absent` is undefined")

    def test_parts_of_the_answer_become_fields(self, origin: Origin) -> None:
        origin.headers["X-Kind"] = "k"
        take = {"tags": "answer.tags", "er": "answer.deep.er + 1", "kind": "headers['x-kind']", "no": "answer.absent.deeper"}
        [packet] = call(origin, [Packet({"no": "stays"})], take=take).packets
        assert packet.get_attributes() == {"tags": ["a", "b"], "er": [2], "kind": ["k"], "no": ["stays"]}
        origin.body = "grüße".encode()
        assert call(origin, [Packet()], reads="text", method="GET").packets[0].get("answer") == "grüße"

    @pytest.mark.parametrize(
        ("status", "code"),
        [(400, "http.status"), (404, "http.status"), (302, "http.status"), (500, "retry.exhausted"), (503, "retry.exhausted")],
    )
    def test_statuses(self, origin: Origin, status: int, code: str) -> None:
        origin.status, origin.body, origin.headers = status, b"because", {"Location": "/other"}
        assert letter_of(origin)[0] == code
        assert f"the service answered {status} because" in letter_of(origin)[1]
        assert len(origin.posted) == (2 if code == "http.status" else 4)

    def test_statuses_that_are_answers_or_are_skipped(self, origin: Origin) -> None:
        origin.status = 404
        assert call(origin, [Packet()], ok=[404]).packets[0].has("answer")
        origin.body = b"no json"
        assert call(origin, [Packet({"n": 1})], skip=[404]).packets == [Packet({"n": 1})]

    def test_an_outage_costs_no_packet(self, origin: Origin, caplog: pytest.LogCaptureFixture) -> None:
        origin.statuses = [503, 429, 502]
        made = HTTPCall()
        made.configure({"url": origin.url, "width": 2})
        with caplog.at_level(logging.ERROR), Pipeline(made) as pipeline:
            found = pipeline.push([Packet({"n": n}) for n in range(3)])
            assert pipeline.dead_letters == []
        assert sorted(packet.get("n") for packet in found) == [0, 1, 2]

    def test_a_service_that_is_not_there_lets_the_filter_rest(self) -> None:
        [letter] = run_component(HTTPCall, [Packet()], url=AWAY).dead_letters
        assert "Connection" in letter.error  # where nothing can rest; a node waits

    def test_a_service_that_does_not_answer_in_time(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
            [letter] = run_component(HTTPCall, [Packet()], url=url, time_s=0.05).dead_letters
        assert "timed out" in letter.error

    @pytest.mark.parametrize(
        ("body", "params", "fault"),
        [
            (b"{", {}, "the answer is not json"),
            (b"\xff", {"reads": "text"}, "the answer is not text"),
            (b"[" * 100_000, {}, "the answer is not json"),
            (b"x" * 1000, {"max_bytes": 999}, "the answer has more than 999 bytes (max_bytes)"),
            (b'"x"', {"take": {"n": "answer + 1"}}, "take.n, answer + 1, cannot be told of the answer"),
        ],
    )
    def test_answers_that_are_none(self, origin: Origin, body: bytes, params: dict[str, Any], fault: str) -> None:
        origin.body = body
        code, error = letter_of(origin, **params)
        assert (code, error[: len(fault)]) == ("http.answer", fault)

    def test_answers_are_remembered_over_restarts(self, origin: Origin, tmp_path: Path) -> None:
        def asked(*texts: str, now_s: float = 0.0, **params: Any) -> int:
            made = HTTPCall()
            made.configure({"url": origin.url, "body": "{{ text }}", "cache_s": 60, **params})
            made._stores = FileStores(tmp_path)
            origin.posted.clear()
            with Pipeline(made) as pipeline:
                made._now = lambda: now_s
                found = pipeline.push([Packet({"text": text}) for text in texts])
                assert [packet.get("answer")["length"] for packet in found] == [4] * len(texts)
                hits = pipeline.counts.get("httpcall1", {}).get("cache_hits", 0)
            assert hits + len(origin.posted) == len(texts)
            return len(origin.posted)

        assert asked("a", "b") == 2
        assert asked("a", "b", "c") == 1
        assert asked("a", now_s=61.0) == 1
        assert asked("a", cache_s=0.0) == 1

    def test_the_budget_is_that_of_the_node(self, origin: Origin, tmp_path: Path) -> None:
        now_s = 90.0

        def errors(count: int, **params: Any) -> list[str]:
            made = HTTPCall()
            made.max_attempts = 1
            made.name, made.graph_name, made._stores = "ask", "g", stores
            made.configure({"url": origin.url, "width": 1, **params})
            setup = made.setup

            def set_up() -> None:
                setup()
                made._now = lambda: now_s

            made.setup = set_up  # type: ignore[method-assign]
            return [letter.error for letter in run_component(made, [Packet()] * count).dead_letters]

        stores = FileStores(tmp_path)
        spent = "the budget of 3 in a minute is spent (per_minute)"
        assert [spent in error for error in errors(5, per_minute=3)] == [True, True]
        assert len(errors(1, per_minute=3)) == 1  # another instance
        now_s = 120.0
        assert errors(3, per_minute=3, per_day=6) == []
        now_s = 3600.0
        assert ["in a day is spent (per_day)" in error for error in errors(1, per_minute=3, per_day=6)] == [True]
        now_s = 86_400.0
        assert errors(1, per_minute=3, per_day=6) == []

    def test_secrets_are_not_told(self, origin: Origin) -> None:
        origin.status, origin.body = 400, b"bad key s3cr3t-key!"
        made = HTTPCall()
        made.secrets.add("s3cr3t-key!", "${KEY}")
        made.configure({"url": origin.url, "headers": {"X-Key": "s3cr3t-key!"}})
        [letter] = run_component(made, [Packet()]).dead_letters
        assert letter.error == "the service answered 400 bad key ${KEY}"

    def test_a_deletion_asks_nobody(self, origin: Origin) -> None:
        [packet] = call(origin, [Packet({}, {"requestmethod": "DELETE", "id": "a"})]).packets
        assert packet.is_deletion
        assert origin.posted == []

    @pytest.mark.parametrize(
        ("params", "fault"),
        [
            ({"url": "http://{{ host }}/"}, "url: write scheme and host as they are"),
            ({"url": "http://user:pw@host/"}, "url: write scheme and host as they are"),
            ({"url": "http://host/{{"}, "url: "),
            ({"url": "ftp://host/"}, "url: Expected `str` matching regex"),
            ({"url": AWAY, "body": "{% if %}"}, "body: "),
            ({"url": AWAY, "take": {"x": "answer."}}, "take.x: "),
        ],
    )
    def test_bad_parameters_are_refused(self, params: dict[str, Any], fault: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            HTTPCall().configure(params)
        problem = caught.value.problems[0]
        assert f"{problem.path}: {problem.message}".startswith(fault)

    def test_an_address_of_the_environment_is_looked_at_when_it_is_known(self) -> None:
        made = HTTPCall()
        made.configure({"url": "${NOWHERE}/"})
        with pytest.raises(ComponentError, match="no address with a literal host"):
            run_component(made, [])
