"""A node that speaks TLS: nothing that replaces its certificate, its workers or its graphs drops a document."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import ssl
from pathlib import Path

import psutil

from pypes.testing.node import Node, running, until
from tests.certificates import DAY, Authority, issued
from tests.faults.test_crash import graph
from tests.faults.test_restart import all_gone, assert_exactly_once, loaded


def connected(node: Node, authority: Authority) -> ssl.SSLSocket:
    link = socket.create_connection(("127.0.0.1", node.port), timeout=20)
    return authority.trusting().wrap_socket(link, server_hostname="localhost", suppress_ragged_eofs=False)


def shown(node: Node, authority: Authority) -> set[str]:
    """The names in the certificates that new connections are shown, by both workers as often as not."""
    found = set()
    for _ in range(8):
        with connected(node, authority) as link:
            found.add(issued(link))
    return found


def waiting(node: Node) -> int:
    """Deliveries that are not done, of all shards."""
    queues = [shard["queue"] for shard in node.get("/status").json()["shards"]]
    return sum(queue[state] for queue in queues for state in ("ready", "leased", "delayed"))


def hup(node: Node, line: str) -> None:
    """Have the node read its settings again, until it says something."""
    before = node.log_path.read_text().count(line)
    assert node.process is not None
    node.process.send_signal(signal.SIGHUP)
    until(lambda: node.log_path.read_text().count(line) > before, 60, line)


def test_a_certificate_is_replaced_under_load_and_a_broken_one_is_not_taken(tmp_path: Path) -> None:
    target, authority = tmp_path / "out.jsonl", Authority(tmp_path)
    files = authority.issue()
    with running(tmp_path, graph(target), *files.flags, ca_file=authority.file) as node:
        with loaded(node) as load:
            load.goes_on()
            workers = set(node.roles()["worker"])
            first = connected(node, authority)
            assert issued(first) == "node"
            ends = node.get("/status").json()["certificate"]["expires"]
            for name in ("second", "third"):
                authority.issue(name, end=25 * DAY, into=files)
                hup(node, "reloaded")
                until(lambda name=name: shown(node, authority) == {name}, 20, "the new certificate is shown")
                load.goes_on()
            assert node.get("/status").json()["certificate"]["expires"] > ends
            assert "pypes_certificate_end_time_seconds " in node.get("/metrics").data.decode()
            assert "the certificate was replaced" in node.log_path.read_text()

            # a key that belongs to none, as a renewal may leave it that was cut short
            shutil.copy(authority.issue("other").key, files.key)
            hup(node, "reload failed, everything stays as it was")
            assert f"{files.key} is not the key of the certificate" in node.log_path.read_text()
            assert shown(node, authority) == {"third"}
            authority.issue("over", start=-2 * DAY, end=-DAY, into=files)
            hup(node, "the new certificate has expired and is not taken")
            assert shown(node, authority) == {"third"}
            load.goes_on()
            # no connection was closed, and no worker replaced
            first.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert first.recv(65536).startswith(b"HTTP/1.1 200 ")
            first.close()
            assert set(node.roles()["worker"]) == workers
            load.end()
        # a worker that is killed with what is published, but not yet noted, has it published again
        until(lambda: not waiting(node), 60, "all published and noted")
        # who takes the place of a worker takes its certificate, whatever the files hold now
        victim, *_ = workers
        victim.kill()
        until(lambda: all_gone([victim]) and len(node.roles()["worker"]) == 2, 20, "a new worker")
        until(lambda: shown(node, authority) == {"third"}, 20, "the same certificate")
        assert "background work failed" not in node.log_path.read_text()
        assert node.stop() == 0
        assert_exactly_once(target, load)
        assert files.key.read_text() not in node.log_path.read_text()


def test_workers_are_rolled_and_graphs_deployed_under_load(tmp_path: Path) -> None:
    target, authority = tmp_path / "out.jsonl", Authority(tmp_path)
    with running(tmp_path, graph(target), *authority.issue().flags, ca_file=authority.file) as node:
        with loaded(node) as load:
            load.goes_on()
            before: list[psutil.Process] = node.roles()["worker"]
            assert node.process is not None
            node.process.send_signal(signal.SIGUSR2)
            until(lambda: all_gone(before), 60, "every worker replaced")
            load.goes_on()
            changed = graph(target)
            changed["description"] = "another version"
            headers = {"Content-Type": "application/json"}
            answer = node.http.request("PUT", f"{node.url}/graphs/crash", body=json.dumps(changed), headers=headers)
            assert answer.status < 300, answer.data
            load.goes_on()
            load.end()
        assert node.stop() == 0
        assert_exactly_once(target, load)
