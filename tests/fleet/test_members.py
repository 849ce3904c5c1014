"""Members of a fleet: who is let in, and who is not."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from typing import Any

from pypes.testing.node import Node, running, serving, until
from tests.certificates import Authority
from tests.fleet.nodes import GRAPH, Fleet, fleet, listing

UPGRADE = "GET /fleet HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: pypes-fleet/1\r\n"


def said(node: Node, *pieces: str) -> bytes:
    """The answer to bytes, up to its end."""
    found = b""
    with socket.create_connection(("127.0.0.1", node.port), 10) as connection:
        for piece in pieces:
            connection.sendall(piece.encode())
        while data := connection.recv(65536):
            found += data
    return found


def test_a_stranger_gets_no_link(three: Fleet) -> None:
    node = three.nodes[0]
    answer = said(node, UPGRADE + "Pypes-Nonce: 00\r\nPypes-Secrets: 00, 11\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"fleet.secret" in answer


def test_who_knows_only_the_name_of_a_secret_gets_no_further(three: Fleet) -> None:
    from pypes.runtime.fleet.secret import Secrets

    [name] = Secrets([(three.base / "secret").read_text()]).names
    head = UPGRADE + f"Pypes-Nonce: 00\r\nPypes-Secrets: {name}\r\n\r\n"
    call = json.dumps({"id": 1, "method": "letters", "params": {"query": {}}})
    answer = said(three.nodes[0], head, "0" * 64 + "\n" + call + "\n")
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"result" not in answer
    assert b"welcome" not in answer


def test_another_offer_is_ignored(three: Fleet) -> None:
    answer = three.nodes[0].http.request(
        "GET", three.nodes[0].url + "/fleet", headers={"Connection": "Upgrade", "Upgrade": "websocket"}
    )
    assert answer.status == 200


def test_a_copied_data_directory_is_refused(tmp_path: Path) -> None:
    with fleet(tmp_path, 2) as nodes:
        first, second = nodes.nodes
        assert second.stop() == 0
        shutil.rmtree(second.base / "data")
        shutil.copytree(first.base / "data", second.base / "data", ignore=shutil.ignore_patterns("lock", "cache"))
        second.start()
        for node in nodes.nodes:
            until(lambda node=node: json.loads(node.get("/readyz").data)["status"] == "doubled", 20, "refused")
        members = {member["name"]: member for member in nodes.members(first)}
        twin = members[second.url.removeprefix("http://")]
        assert twin["state"] == "twin"
        assert "data directory" in twin["reason"]
        second.kill()
        until(first.is_ready, 20, "alone again")


def test_a_secret_is_replaced_node_by_node(tmp_path: Path) -> None:
    with fleet(tmp_path, 2) as nodes:
        first = nodes.nodes[0]
        secret = tmp_path / "secret"
        old = secret.read_text()
        secret.write_text("another-secret-0123456789\n" + old)
        assert first.stop() == 0
        first.start()
        first.wait_ready()
        nodes.wait_whole()
        secret.write_text("another-secret-0123456789\n")
        assert first.stop() == 0
        first.start()
        first.wait_ready()
        until(lambda: {member["state"] for member in nodes.members(first)} == {"ready", "away"}, 20, "apart")
        [away] = [member for member in nodes.members(first) if member["state"] == "away"]
        assert "secret" in away["reason"]


def test_nodes_find_each_other_in_a_shared_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a-secret-of-the-test-0123")
    (tmp_path / "shared").mkdir()
    environ = {"PYPES_FLEET_NODES": str(tmp_path / "shared"), "PYPES_FLEET_SECRET_FILE": str(tmp_path / "secret")}
    options = {"workers": 1, "instances": 1, "environ": environ}
    with running(tmp_path / "a", GRAPH, **options) as a, running(tmp_path / "b", GRAPH, **options) as b:
        found = Fleet(tmp_path, [a, b])
        found.wait_whole()
        assert [member["url"] for member in found.members(a)] == [member["url"] for member in found.members(b)]


def test_nodes_that_speak_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    listed, environ = listing(tmp_path, 1.0)
    environ["PYPES_FLEET_CA_FILE"] = str(authority.file)
    options: dict[str, Any] = {"workers": 1, "instances": 1, "environ": environ, "ca_file": authority.file}
    nodes = [Node(tmp_path / name, GRAPH, *authority.issue().flags, **options) for name in ("a", "b")]
    listed.write_text("\n".join(node.url for node in nodes))
    with serving(nodes[0]), serving(nodes[1]):
        Fleet(tmp_path, nodes).wait_whole()
        receipt = json.loads(nodes[0].post(b"{}").data)["receipt"]
        assert nodes[1].get(f"/receipts/{receipt}").status == 200
