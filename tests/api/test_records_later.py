"""Receipts, dead letters, keys and callbacks later on: after a restart, once they are forgotten, of what never ran."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from pypes.api import letters
from pypes.testing.node import running, until
from tests.api.harness import serving
from tests.api.records import COMPONENTS, Hook, finished, get, post


def test_keys_letters_and_callbacks_outlive_a_restart(tmp_path: Path, hook: Hook) -> None:
    (tmp_path / "refuse.py").write_text(COMPONENTS)
    (tmp_path / "secret").write_text("s3cret")
    limits = "[limits]\ndead_letter_body_bytes = 16\n"
    (tmp_path / "pypes.ini").write_text(f"[callbacks]\nhosts = {hook.host}\nsecret_file = secret\n{limits}")
    graph = {
        "pypes": 1,
        "name": "g",
        "nodes": {"json": {"component": "JSON"}, "refuse": {"component": "Refuse"}, "null": {"component": "Null"}},
        "wires": [["json.out", "refuse.in"], ["refuse.out", "null.in"]],
    }
    options: dict[str, Any] = {"workers": 2, "instances": 1}
    body = b'{"refuse": true, "title": "kept"}'
    with running(tmp_path, graph, "--load", str(tmp_path / "refuse.py"), **options) as node:
        receipt = post(node, body, f"/docs?callback=http://{hook.host}/three-later", Idempotency_Key="k").json()["receipt"]
        finished(node, receipt)
        id = get(node, f"/receipts/{receipt}/documents")["documents"][0]["deadletter"]
        until(lambda: hook.taken.get("/three-later"), 20, "the first attempt")
        node.kill()
    with running(tmp_path, graph, "--load", str(tmp_path / "refuse.py"), **options) as node:
        again = post(node, body, f"/docs?callback=http://{hook.host}/three-later", Idempotency_Key="k")
        assert again.json()["receipt"] == receipt
        assert get(node, f"/deadletters/{id}")["packet"]["fields"]["title"] == "kept"
        until(lambda: len(hook.taken["/three-later"]) >= 2, 20, "the second attempt")
        for path in (f"/deadletters/{id}/replay", "/deadletters/replay"):
            answer = node.http.request("POST", node.url + path, json={"from": "start"})
            assert (answer.status, answer.json()["code"]) == (409, "deadletters.not_kept"), answer.data
        assert get(node, f"/deadletters/{id}")["receipt"] == receipt


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"caf\xc3\xa9", {"body": "café"}),
        (b"\xff\x00", {"body": "/wA=", "base64": True}),
        (b"x" * 70_000, {"body": "x" * 70_000}),
    ],
    ids=["text", "binary", "longer"],
)
def test_a_delivery_that_never_ran_shows_its_body(tmp_path: Path, body: bytes, shown: dict[str, Any]) -> None:
    with serving(tmp_path) as server, socket.socket(socket.AF_UNIX) as instance:
        receipt = server.post(body, **{"Content-Type": "text/plain"}).json()["receipt"]
        # nothing is looked at before there is an instance to hand it to
        instance.bind(f"{server.config.runtime_dir}/i-1.sock")
        instance.listen()
        instances = {"1": instance.getsockname()}
        server.push(
            "topology", topology={**server.topology, "generation": 2, "instances": instances, "graphs": {}, "default": None}
        )
        listed = until(lambda: server.get("/deadletters").json()["deadletters"], 10, "the dead letter")
        assert [(one["receipt"], one["code"], one["filter"]) for one in listed] == [(receipt, "graph.gone", "")]
        letter = server.get(f"/deadletters/{listed[0]['id']}").json()
        jsonschema_rs.validator_for(dict(letters.WHOLE_LETTER)).validate(letter)
        assert letter["packet"] is None
        assert letter["delivery"] == {"content_type": "text/plain", "encoding": "", "bytes": len(body), **shown}


def test_what_is_forgotten_is_gone(tmp_path: Path) -> None:
    (tmp_path / "pypes.ini").write_text("[limits]\nreceipts_bytes = 1\n")
    nodes = {"json": {"component": "JSON"}, "null": {"component": "Null"}}
    graph = {"pypes": 1, "name": "g", "nodes": nodes, "wires": [["json.out", "null.in"]]}
    with running(tmp_path, graph, workers=1, instances=1) as node:
        first = post(node, b"{}").json()["receipt"]
        until(lambda: node.post(b"{}").status == 202 and node.get(f"/receipts/{first}").status == 410, 20, "it is forgotten")
        for path in (f"/receipts/{first}", f"/receipts/{first}?wait=5", f"/receipts/{first}/documents"):
            assert get(node, path, 410)["code"] == "receipt.forgotten"
