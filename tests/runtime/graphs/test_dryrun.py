"""Dry runs that hang: bounded in number and time, ended with whoever wanted them, and in nobody's way."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from pypes.testing.node import Node, running, runs, until

SLOW = '''
import os, time
from pypes import Transformer

class Slow(Transformer):
    """Hangs with a document that says so, and says where it is."""

    def process(self, packet):
        if packet.get("text") == "sleep":
            open(os.path.join(self.data_dir, "..", "trials", str(os.getpid())), "w").close()
        if packet.get("text") == "die":
            os._exit(3)
        while packet.get("text") == "sleep":
            time.sleep(1)
        return packet
'''
GRAPH = {
    "pypes": 1,
    "name": "slow",
    "nodes": {"json": {"component": "JSON"}, "slow": {"component": "Slow"}, "null": {"component": "Null"}},
    "wires": [["json.out", "slow.in"], ["slow.out", "null.in"]],
}


@contextmanager
def slow_node(folder: Path, **environ: str) -> Iterator[Node]:
    (folder / "trials").mkdir()
    (folder / "slow.py").write_text(SLOW)
    with running(folder, GRAPH, "--load", str(folder / "slow.py"), workers=1, instances=1, environ=environ) as node:
        yield node


def asked(text: str) -> bytes:
    return json.dumps({"content_type": "application/json", "body": json.dumps({"text": text})}).encode()


def dry_run(node: Node, text: str) -> Any:
    return node.post(asked(text), "/graphs/slow/dryrun")


def wanted_tests(*texts: str) -> bytes:
    """A request for tests that post these texts."""
    tests = [{"name": text, "post": {"body": {"text": text}}} for text in texts]
    return json.dumps({"graph": {**GRAPH, "tests": tests}}).encode()


def results_of(node: Node, *texts: str) -> list[tuple[bool, str]]:
    answer = node.post(wanted_tests(*texts), "/graphs/slow/test")
    assert answer.status == 200
    return [(test["passed"], (test["error"] or {}).get("code", "")) for test in answer.json()["tests"]]


def hanging(node: Node, what: str = "dryrun") -> socket.socket:
    """A client that waits for a dry run, or for tests, that hang."""
    client = socket.create_connection(("127.0.0.1", node.port))
    client.settimeout(20)
    body = asked("sleep") if what == "dryrun" else wanted_tests("hello", "sleep")
    head = (
        f"POST /graphs/slow/{what} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    )
    client.sendall(f"{head}\r\n\r\n".encode() + body)
    return client


def trials(node: Node, count: int) -> None:
    """Wait until so many processes hang in a dry run."""

    def living() -> int:
        found = 0
        for file in (node.base / "trials").iterdir():
            with suppress(psutil.NoSuchProcess):
                found += runs(psutil.Process(int(file.name)))
        return found

    until(lambda: living() == count, 20.0, f"{count} trials run")


def test_they_hold_up_nobody_and_end_with_their_client(tmp_path: Path) -> None:
    with slow_node(tmp_path, PYPES_LIMITS_DRYRUNS="2") as node:
        with closing(hanging(node, "test")), closing(hanging(node)) as second:
            trials(node, 2)
            refused = dry_run(node, "hello")
            assert (refused.status, refused.json()["code"], refused.headers["Retry-After"]) == (503, "dryrun.busy", "1")
            other = {**GRAPH, "name": "other", "routes": ["other"]}
            assert node.http.request("PUT", f"{node.url}/graphs/other", json=other).status == 201
            assert node.http.request("DELETE", f"{node.url}/graphs/other").status == 204
            second.close()
            trials(node, 1)
            assert (
                until(lambda: (got := dry_run(node, "hello")).status == 200 and got, 10, "a place is free").json()["published"]
                == 1
            )
        trials(node, 0)
        with closing(hanging(node)) as client:
            trials(node, 1)
            assert node.stop() == 0
            answer = client.recv(65536)
            assert b" 503 " in answer.partition(b"\r\n")[0]
            assert b"node.draining" in answer
        trials(node, 0)


def test_one_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with slow_node(tmp_path, PYPES_LIMITS_DRYRUN_S="3") as node:
        answer = dry_run(node, "sleep")
        assert (answer.status, answer.json()["code"]) == (409, "dryrun.timeout")
        trials(node, 0)
        assert results_of(node, "hello", "sleep", "hello")[1:] == [(False, "dryrun.timeout")] * 2
        trials(node, 0)


def test_tests_go_on_behind_one_that_ends_its_process(tmp_path: Path) -> None:
    with slow_node(tmp_path) as node:
        assert results_of(node, "hello", "die", "hello", "die") == [(True, ""), (False, "dryrun.died")] * 2


@pytest.mark.parametrize("victim", ["supervisor", "worker"])
def test_they_end_with_the_node(tmp_path: Path, victim: str) -> None:
    with slow_node(tmp_path) as node, closing(hanging(node)):
        trials(node, 1)
        node.roles()[victim][0].send_signal(signal.SIGKILL)
        trials(node, 0)
