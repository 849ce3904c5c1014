"""Secrets planted wherever one can stand: none of them is found in anything a node wrote or answered."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from pypes.runtime.folders import find_runtime_dir
from pypes.testing.node import Node, running, until
from tests.serving import in_thread

#: Where it stands → the value. The password has what must be quoted in an address.
MARKERS = {
    "PARAMETER": "mark-parameter-7Qx1",
    "HEADER": "mark-header-7Qx2",
    "PASSWORD": "mark%2Fpassword-7Qx3",
    "QUERY": "mark-query/7Qx4",
    "SHORT": "7Qx5",
    "PLACE": "mark-place-7Qx6",
}
#: Written into a graph as it is: the graph has it, nobody is shown it.
LITERAL = "mark-literal-7Qx7"

COMPONENTS = '''
import logging
import threading
from pypes import Component, Packet, Parameters, Publisher, Reject, Retry, Source, Transformer, Unreachable


class Leaks(Transformer):
    """Says its parameter in every way there is."""

    class Params(Parameters):
        key: str
        short: str = ""
        url: str = ""
        fails: bool = False

    def setup(self):
        self.log.warning("connecting with %s", self.params.key, extra={"url": self.params.url, "all": [self.params.key]})
        logging.getLogger("urllib3.connectionpool").warning("Retrying (%r): /x?key=%s", 1, self.params.key)
        if self.params.fails:
            raise RuntimeError(f"cannot connect to {self.params.url} with {self.params.key}")

    def process(self, packet):
        how, key = packet.get("how"), self.params.key
        if how == "thread":
            thread = threading.Thread(target=self.fail)
            thread.start()
            thread.join()
            # what goes out is the component's own business
            packet.set_meta("source", self.secrets.redact(f"{self.params.url}?key={key}"))
            return packet
        packet.set_meta("source", f"{self.params.url}?key={key}")
        if how == "raise":
            raise ValueError(f"the key {key} is not taken by {self.params.url} {self.params.short}")
        if how == "long":
            raise ValueError(key * 5000)  # cut, and in the middle of one
        if how == "reject":
            raise Reject(key, "leaks.rejected")
        if how == "retry":
            raise Retry(0, key)
        if how == "chain":
            try:
                raise KeyError(key)
            except KeyError as error:
                raise OSError("later") from error
        return packet

    def fail(self):
        raise RuntimeError(self.params.key)


class Apart(Leaks):
    """The same in a process of its own."""

    isolated = True


class Down(Publisher):
    """Cannot reach its destination."""

    class Params(Parameters):
        key: str

    def process(self, packet):
        raise Unreachable(0, f"no route to {self.params.key}")


class Fetches(Source):
    """Puts its parameter into the metadata, and fails with it."""

    class Params(Parameters):
        key: str

    def fetch(self, cursor):
        if cursor is None:
            yield [Packet({"how": "raise"}, {"from": self.params.key})], 1
        raise OSError(f"no answer for {self.params.key}")
'''


class Origin(ThreadingHTTPServer):
    """A server that answers with all that it was asked with."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Echo)
        self.asked = ""
        self.address = f"127.0.0.1:{self.server_address[1]}"


class Echo(BaseHTTPRequestHandler):
    server: Origin

    def do_GET(self) -> None:
        asked = self.server.asked = f"{self.path} {dict(self.headers)}"
        fails = self.path.startswith("/fails")
        body = asked.encode() if fails else b'{"how": "raise"}'
        self.send_response(500 if fails else 200, f"no luck with {self.path} {self.headers.get('X-Api-Key')}")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def graph(name: str, nodes: dict[str, Any], *wires: str) -> dict[str, Any]:
    return {"pypes": 1, "name": name, "routes": [name], "nodes": nodes, "wires": [wire.split() for wire in wires]}


def leaks(name: str, component: str = "Leaks", **params: Any) -> dict[str, Any]:
    given = {"key": "${PARAMETER}", "short": "${SHORT}", "url": f"http://me:{LITERAL}@host/?q=${{QUERY}}", **params}
    nodes = {
        "json": {"component": "JSON"},
        "leaks": {"component": component, "params": given, "max_attempts": 1},
        "out": {"component": "JSONLines", "params": {"path": f"{name}.jsonl", "form": "packet"}},
    }
    # the original's way of failing: what the error port says is published
    return graph(name, nodes, "json.out leaks.in", "leaks.out out.in")


def fetches(name: str, address: str) -> dict[str, Any]:
    params = {
        "url": f"http://me:${{PASSWORD}}@{address}?key=${{QUERY}}",
        "headers": {"X-Api-Key": "${HEADER}", "X-Literal": f"http://u:{LITERAL}@x/"},
    }
    nodes = {
        "url": {"component": "FetchURL", "params": params},
        "out": {"component": "JSONLines", "params": {"path": f"{name}.jsonl", "form": "packet"}},
    }
    return graph(name, nodes, "url.out out.in")


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    with in_thread(Origin()) as server:
        yield server


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, origin: Origin) -> Iterator[Node]:
    base = tmp_path_factory.mktemp("secrets")
    (base / "parts.py").write_text(COMPONENTS)
    environ = {**MARKERS, "PYPES_LOG_LEVEL": "DEBUG", "PYPES_LOG_FORMAT": "json"}
    with running(base, leaks("leaks"), "--load", str(base / "parts.py"), workers=1, instances=1, environ=environ) as node:
        yield node


def put(node: Node, graph: dict[str, Any], path: str = "") -> tuple[int, bytes]:
    answer = node.http.request("PUT", f"{node.url}/graphs/{graph['name']}{path}", json=graph)
    return answer.status, answer.data


def is_clean(data: bytes, *, is_store: bool = False) -> bool:
    """True if no secret is in it in any form."""
    values = [*MARKERS.values(), "7Qx"]
    if is_store:  # the graph itself is stored as it was written
        values = list(MARKERS.values())
    forms = {form.encode() for value in values for form in (value, quote(value, safe=""), quote(value))}
    forms |= {base64.b64encode(form)[:-4] for form in forms if len(form) > 12}
    return not any(form in data for form in forms)


def test_no_secret_is_written_or_answered(node: Node, origin: Origin) -> None:
    said: list[bytes] = []
    first = {"how": "thread"}
    for name, component in (("leaks", "Leaks"), ("apart", "Apart")):
        if component == "Apart":
            assert put(node, leaks(name, component))[0] == 201
        for how in ("thread", "raise", "long", "reject", "retry", "chain"):
            answer = node.post(json.dumps({**first, "how": how}).encode(), f"/docs/{name}?wait=20", Prefer="wait=20")
            assert answer.status in (200, 202)
            receipt = answer.json()["receipt"]
            said.append(node.get(f"/receipts/{receipt}?wait=20").data)
            said.append(node.get(f"/receipts/{receipt}/documents").data)
    until(lambda: len(node.get("/deadletters?limit=100").json()["deadletters"]) == 10, 20, "all failed")

    # what cannot be set up, and what is not valid
    status, answer_data = put(node, leaks("broken", fails=True))
    assert (status, b"cannot connect" in answer_data) == (409, True)
    said.append(answer_data)
    status, answer_data = put(node, leaks("leaks", short=7, key=f"http://u:{LITERAL}@x", unknown="${PARAMETER}"))
    assert status == 422
    said.append(answer_data)
    nodes = {"json": {"component": "JSON"}, "down": {"component": "Down", "params": {"key": "${PARAMETER}"}}}
    down = graph("down", nodes, "json.out down.in")
    assert put(node, down)[0] == 201
    assert node.post(b"{}", "/docs/down").status == 202
    until(lambda: "destination cannot be reached" in node.log(), 20, "it rests")

    # sources: fetched with all of it, and refused by a server that repeats all of it
    key = {"key": "${PARAMETER}"}
    own = {
        "source": {"component": "Fetches", "params": key},
        "leaks": {"component": "Leaks", "params": key},
        "out": {"component": "Null"},
    }
    for made in (
        fetches("fetched", f"{origin.address}/file"),
        fetches("refused", f"{origin.address}/fails"),
        fetches("nobody", "127.0.0.1:1/x"),
        graph("own", own, "source.out leaks.in", "leaks.out out.in"),
    ):
        assert put(node, made)[0] == 201
        trigger = f"{node.url}/graphs/{made['name']}/trigger"
        assert node.http.request("POST", trigger).status == 202
        if made["name"] != "fetched":
            until(lambda name=made["name"]: f'"graph": "{name}"' in failures(node), 20, f"{made['name']} failed")
    # it got there what was meant for it
    assert MARKERS["HEADER"] in origin.asked
    assert base64.b64encode(b"me:mark/password-7Qx3").decode() in origin.asked
    until(lambda: len(node.get("/deadletters?limit=100").json()["deadletters"]) == 11, 20, "what was fetched failed")

    # trials
    dryrun = {"content_type": "application/json", "body": '{"how": "raise"}', "graph": leaks("leaks")}
    answer = node.http.request("POST", f"{node.url}/graphs/leaks/dryrun", json=dryrun)
    assert answer.json()["failures"]
    assert answer.json()["steps"][1]["in"]
    said.append(answer.data)
    shadowed = node.http.request("POST", f"{node.url}/graphs/leaks/shadow", json={"graph": leaks("leaks"), "documents": 1})
    assert shadowed.status == 202
    shadow = f"/graphs/leaks/shadow/{shadowed.json()['shadow']}"
    until(lambda: node.get(shadow).json()["state"] == "running", 20, "the shadow runs")
    assert put(node, leaks("leaks", short="x"))[0] == 200

    # everything there is to read
    for path in (
        *("/graphs", "/filters", "/components", "/drafts", "/readyz", "/status", "/receipts?state=failed", shadow),
        *(f"/graphs/{name}" for name in ("leaks", "fetched", "down")),
        *(f"/graphs/leaks/versions{more}" for more in ("", "/1", "/2", "/2?against=1", "?old=1&new=2")),
        *(f"/filters/{each['id']}" for each in node.get("/filters").json()),
        *(f"/deadletters/{each['id']}" for each in node.get("/deadletters?limit=100").json()["deadletters"]),
    ):
        said.append(path.encode() + b" " + node.get(path).data)
    assert len(said) > 35
    for data in said:
        assert is_clean(data), data[:3000]
    assert is_clean(node.log().encode()), [line for line in node.log().splitlines() if not is_clean(line.encode())][:3]
    # the cache lies elsewhere, behind a link
    for folder in (node.base / "data", (node.base / "data" / "cache").resolve(), find_runtime_dir(node.base / "data")):
        for path_ in folder.rglob("*"):
            if path_.is_file():
                assert is_clean(path_.read_bytes(), is_store=path_.name.startswith("control.db")), path_

    # what was hidden cannot be put back
    shown = node.get("/graphs/leaks").json()["graph"]
    status, answer_data = put(node, shown)
    assert (status, json.loads(answer_data)["errors"][0]["code"]) == (422, "param.hidden")
    assert json.loads(answer_data)["errors"][0]["path"] == "nodes.leaks.params.url"


def failures(node: Node) -> str:
    return "\n".join(line for line in node.log().splitlines() if "a source failed" in line)


@pytest.mark.parametrize("command", ["debug", "run", "test"])
def test_no_command_tells_a_secret(tmp_path: Path, command: str) -> None:
    (tmp_path / "parts.py").write_text(COMPONENTS)
    case = {
        "name": "one",
        "post": {"body": {"how": "raise"}},
        "expect": [{"node": "out", "packets": 1}, {"node": "leaks", "meta": {"x": 1}}],
    }
    made = {**leaks("leaks"), "tests": [case]}
    (tmp_path / "leaks.json").write_text(json.dumps(made))
    (tmp_path / "post.json").write_text('{"how": "raise"}')
    files = ["leaks.json"] if command == "test" else ["leaks.json", "post.json"]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pypes", command, *files, "--load", "parts.py"],
        cwd=tmp_path,
        env={**os.environ, **MARKERS},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert b"${PARAMETER}" in done.stdout + done.stderr
    assert is_clean(done.stdout + done.stderr), done.stdout + done.stderr
