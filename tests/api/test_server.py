"""gunicorn as it is run here: what it opens, how it stops, and that nothing outlives its owner."""

from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from pypes.core.limits import Limits
from pypes.errors import InvalidGraph, NotFound, Problem
from pypes.testing.node import until
from tests.api.harness import Harness, serving


def alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_it_serves_on_the_inherited_socket_and_opens_nothing_else(tmp_path: Path) -> None:
    with serving(tmp_path, workers=2) as server:
        assert server.get("/healthz").json() == {"status": "ok", "node": 0}
        assert server.get("/readyz").json() == {"status": "ready"}
        answer = server.post()
        assert answer.status == 202
        assert server.get(answer.headers["location"]).json()["state"] == "queued"
        assert "server" not in answer.headers
        arbiter = psutil.Process(server.process.pid)
        listening = {c.laddr.port for c in arbiter.net_connections("inet") if c.status == psutil.CONN_LISTEN}
        assert listening == {server.port}
        assert not arbiter.net_connections("unix")
        assert not [f.path for f in arbiter.open_files() if not f.path.startswith(("/dev/shm", str(tmp_path)))]


def test_term_stops_it_at_once_and_cleanly(tmp_path: Path) -> None:
    with serving(tmp_path, workers=2) as server:
        # an idle connection must not hold it up
        with socket.create_connection(("127.0.0.1", server.port)):
            pids = server.workers()
            assert len(pids) == 2
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(5) == 0
        assert not [pid for pid in pids if alive(pid)]
        assert '"level": "error"' not in server.log()
        assert "Traceback" not in server.log()


def test_nobody_outlives_the_supervisor(tmp_path: Path) -> None:
    with serving(tmp_path, workers=2) as server:
        pids = server.workers()
        server.end_lifeline()
        server.process.wait(5)
        until(lambda: not [pid for pid in pids if alive(pid)], 5, "the workers are gone")


def test_no_worker_outlives_the_arbiter(tmp_path: Path) -> None:
    with serving(tmp_path, workers=2) as server:
        pids = server.workers()
        server.process.kill()
        server.process.wait(5)
        until(lambda: not [pid for pid in pids if alive(pid)], 5, "the workers are gone")


def test_a_killed_worker_is_replaced_and_its_receipts_are_known(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        location = server.post().headers["location"]
        (old,) = server.workers()
        os.kill(old, signal.SIGKILL)
        until(lambda: server.workers() and old not in server.workers(), 10, "a new worker")
        server.http.clear()
        assert server.get(location).json()["state"] == "queued"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR2])
def test_signals_of_the_supervisor_mean_nothing_to_gunicorn(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path) as server:
        before = server.workers()
        server.process.send_signal(number)
        assert server.post().status == 202
        # a second signal that it does act on comes after the first
        server.process.send_signal(signal.SIGTTIN)
        until(lambda: len(server.workers()) == 2, 5, "one more worker")
        assert before[0] in server.workers()


def test_a_full_queue_is_told(tmp_path: Path) -> None:
    with serving(tmp_path, limits=Limits(queue_max_deliveries=3)) as server:
        answers = [server.post() for _ in range(5)]
        assert [a.status for a in answers] == [202, 202, 202, 429, 429]
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert answers[-1].json()["code"] == "queue.full"
        assert answers[-1].headers["content-type"] == "application/problem+json"


def test_without_a_graph_nothing_is_taken(tmp_path: Path) -> None:
    with serving(tmp_path, graph=None) as server:
        answer = server.post()
        assert answer.status == 503
        assert answer.json()["code"] == "graph.none_deployed"
        assert server.post(path="/docs/news").status == 503


def test_draining_refuses_and_closes(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        location = server.post().headers["location"]
        server.push("drain", grace_s=10)
        until(lambda: server.get("/readyz").status == 503, 5, "draining")
        answer = server.post()
        assert answer.status == 503
        assert answer.json()["code"] == "node.draining"
        assert answer.headers["connection"] == "close"
        assert server.get("/healthz").status == 200
        assert server.get(location).status == 200


def test_a_wait_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        location = server.post().headers["location"]
        seen: list[Any] = []
        client = threading.Thread(target=lambda: seen.append(server.get(location + "?wait=30").status))
        client.start()
        until(lambda: len(psutil.Process(server.workers()[0]).net_connections("inet")) >= 2, 5, "the client waits")
        server.push("drain", grace_s=1)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(6) == 0
        client.join(10)
        assert seen == [200]


def test_the_token_is_asked_for(tmp_path: Path) -> None:
    with serving(tmp_path, token="secret") as server:
        assert server.post().status == 401
        assert server.get("/openapi.json").status == 401
        assert server.get("/status").status == 401
        token = {"Authorization": "Bearer secret"}
        answers = [
            server.post(Authorization="Bearer secret"),
            server.post(Authorization="Bearer secret", Prefer="respond-async"),
            server.http.request("POST", f"{server.url}/docs", body=b"x", headers={**token, "Idempotency-Key": "a"}),
        ]
        answers.append(server.http.request("DELETE", f"{server.url}/docs/notes/1", headers=token))
        assert [answer.status for answer in answers] == [202] * 4
        assert {server.get(each.headers["location"], **token).json()["posted_by"] for each in answers} == {"admin"}


def test_hosts_and_origins(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        assert server.get("/readyz", Host="evil.example").status == 403
        assert server.post(Origin="http://evil.example").status == 403
        assert server.post(Origin=server.url).status == 202


def test_errors_of_the_supervisor_keep_their_class(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        server.answers["graphs.get"] = NotFound("there is no graph 'x'", code="graph.not_found", where="x")
        answer = server.get("/graphs/x")
        assert (answer.status, answer.json()["code"], answer.json()["where"]) == (404, "graph.not_found", "x")
        server.answers["graphs.put"] = InvalidGraph("two problems", problems=[Problem("a", "b"), Problem("c", "d")])
        answer = server.http.request("PUT", f"{server.url}/graphs/x", body=b'{"pypes": 1}')
        assert answer.status == 422
        assert [e["path"] for e in answer.json()["errors"]] == ["a", "c"]
        edit = {"expected": None, "author": "127.0.0.1", "note": "", "rights": "all", "cause": cause("graph.deploy")}
        assert server.asked[-1] == ("graphs.put", {"name": "x", "obj": {"pypes": 1}, "edit": edit})


def cause(operation: str) -> dict[str, str]:
    """The cause of a request without a token, as it goes to the supervisor."""
    return {"operation": operation, "by": "", "address": "127.0.0.1", "trace": "", "object": ""}


def filter_asked(server: Harness, body: bytes, content_type: str) -> tuple[int, Any]:
    server.answers["filters.create"] = {"id": "f1", "component": "SetField"}
    server.asked.clear()
    answer = server.http.request("POST", f"{server.url}/filters", body=body, headers={"Content-Type": content_type})
    return answer.status, server.asked[0][1] if server.asked else answer.json()["code"]


def test_filters_are_made_of_json_and_of_forms(tmp_path: Path) -> None:
    multipart = b'--b\r\nContent-Disposition: form-data; name="klass"\r\n\r\nSetField\r\n--b--\r\n'
    wanted = {"component": "SetField", "params": {}, "cause": cause("filter.create"), "rights": "all"}
    with serving(tmp_path) as server:
        assert filter_asked(server, b"klass=SetField", "application/x-www-form-urlencoded") == (201, wanted)
        assert filter_asked(server, multipart, "multipart/form-data; boundary=b") == (201, wanted)
        body = b'{"component": "SetField", "params": {"field": "a"}}'
        assert filter_asked(server, body, "application/json") == (201, {**wanted, "params": {"field": "a"}})
        assert filter_asked(server, b"klas=SetField", "application/x-www-form-urlencoded") == (400, "request.invalid")
        assert filter_asked(server, b"x", "multipart/form-data; boundary=b") == (400, "request.invalid")
        assert filter_asked(server, b"{", "application/json") == (400, "request.malformed")
        assert filter_asked(server, b"[]", "application/json") == (400, "request.invalid")
        assert filter_asked(server, b"<x/>", "text/xml") == (415, "http.unsupported_media")
