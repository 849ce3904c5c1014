"""Secrets planted wherever one can stand: none of them is found in anything a node wrote or answered.

They stand in the environment of the node and in the secret files that its settings name, nowhere else. What is in a graph as it
is stands in the store, and fields with hidden names where documents are stored and delivered: nobody is shown either.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes, urlencode

import pytest
from click.testing import CliRunner

from pypes.cli.commands import pypes
from pypes.runtime.folders import find_runtime_dir
from pypes.testing.node import Node, running, until
from tests.api.test_openapi import DOCUMENT as INTERFACE
from tests.collector import Collector
from tests.faults.leaking import COMPONENTS, HOWS, Origin, calls, fetches, graph, leaks, own, single
from tests.faults.markers import (
    DOCUMENT,
    FILES,
    LITERAL,
    MADE,
    VARIABLES,
    all_markers,
    around,
    codes,
    core_of,
    found_in,
)
from tests.serving import in_thread

NONE: Mapping[str, str] = {}

#: Graphs through ``Leaks``, by where it runs.
PLACED: dict[str, dict[str, Any]] = {
    "leaks": leaks("leaks"),
    "apart": leaks("apart", "Apart"),
    "pooled": leaks("pooled", filter={"pool": {"processes": 1}}),
    "threaded": leaks("threaded", filter={"pool": {"threads": 1}}),
}


def others(address: str) -> list[dict[str, Any]]:
    """Graphs that publish, are searched, and fetch from a server at this address."""
    return [
        single("down", "Down", key="${PARAMETER}"),
        single("index", "Index", dsn="${DSN}"),
        calls("calls", address),
        fetches("fetched", f"{address}/file"),
        fetches("refused", f"{address}/fails"),
        fetches("nobody", "127.0.0.1:1/x"),
        own("own"),
    ]


#: Cores that files of a kind may have, by the beginnings of their names: the store has graphs as they were written, and documents
#: stand where they wait, were delivered to, or are kept to be replayed, with what a component has put into their fields.
STORED: dict[str, set[str]] = {
    "control.db": core_of(LITERAL),
    "queue.db": core_of(DOCUMENT) | core_of(MADE) | core_of(VARIABLES["LIST"]),
    "leaks.jsonl": core_of(DOCUMENT) | core_of(MADE),
    "apart.jsonl": core_of(DOCUMENT) | core_of(MADE),
    "pooled.jsonl": core_of(DOCUMENT) | core_of(MADE),
    "threaded.jsonl": core_of(DOCUMENT) | core_of(MADE),
}


class Stage(NamedTuple):
    """A node, the servers around it, and everything that it has answered, each with what was asked."""

    node: Node
    origin: Origin
    collector: Collector
    said: list[tuple[str, bytes]]

    def ask(
        self, method: str, path: str, body: Any = None, fields: Mapping[str, str] = NONE, *, status: int | None = None
    ) -> Any:
        """The JSON value of an answer, which is kept."""
        answer = self.node.http.request(
            method,
            self.node.url + path,
            body=body if body is None or isinstance(body, bytes) else json.dumps(body).encode(),
            headers={
                name: value
                for name, value in {"Content-Type": "application/json", **self.node.headers, **fields}.items()
                if value
            },
        )
        self.said.append((f"{method} {path}", f"{answer.status} {answer.headers}".encode() + answer.data))
        assert status in (None, answer.status), answer.data
        with suppress(ValueError):
            return json.loads(answer.data)
        return answer.data

    def put(self, made: dict[str, Any], status: int = 201) -> Any:
        return self.ask("PUT", f"/graphs/{made['name']}", made, status=status)

    def post(self, graph: str, how: str, query: str = "") -> str:
        """The receipt of a document that ``Leaks`` takes in this way."""
        receipt: str = self.ask("POST", f"/docs/{graph}{query}", {"how": how, "password": DOCUMENT}, status=202)["receipt"]
        return receipt

    def finished(self, receipt: str) -> None:
        assert self.ask("GET", f"/receipts/{receipt}?wait=30")["finished"], receipt

    def letters(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("GET", "/deadletters?limit=500")["deadletters"]
        return found

    def log(self) -> bytes:
        return self.node.log_path.read_bytes()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    base = tmp_path_factory.mktemp("secrets")
    (base / "parts.py").write_text(COMPONENTS)
    with in_thread(Origin()) as origin, in_thread(Collector()) as collector:
        secret = base / "secret"
        secret.mkdir()
        (secret / "token").write_text(FILES["token"])
        (secret / "callback").write_text(FILES["callback"])
        (secret / "otlp").write_text(f"authorization=Bearer%20{FILES['otlp']}\n")
        (base / "pypes.ini").write_text(
            f"[callbacks]\nhosts = {origin.address}\nsecret_file = secret/callback\n"
            f"[observe]\notlp_endpoint = {collector.url}\notlp_headers_file = secret/otlp\notlp_interval_s = 1\n"
        )
        environ = {**VARIABLES, "PYPES_LOG_LEVEL": "DEBUG", "PYPES_LOG_FORMAT": "json"}
        flags = ("--load", str(base / "parts.py"), "--token-file", str(secret / "token"))
        folder = base / "graphs"
        folder.mkdir()
        for made in (*PLACED.values(), *others(origin.address)):
            (folder / f"{made['name']}.json").write_text(json.dumps(made))
        with running(base, PLACED["leaks"], *flags, workers=2, instances=1, environ=environ) as node:
            node.headers = {"Authorization": f"Bearer {FILES['token']}"}
            yield Stage(node, origin, collector, [])


def test_no_secret_is_written_or_answered(stage: Stage) -> None:
    node = stage.node
    secrets = make_tokens(stage)
    receipts = run_documents(stage)
    run_sources(stage)
    shadow = try_graphs(stage)
    read_all(stage, receipts, shadow)
    run_commands(stage, receipts[0])
    backup = node.base / "backup"
    command("backup", str(node.base / "data"), str(backup))

    # everything was really told, with the name of what is secret in its place
    log = stage.log().decode()
    for said in ("connecting with", "client.", "printed", "closing"):
        said += "${PARAMETER}" if said.endswith(".") else " ${PARAMETER}"
        assert log.count(said) >= 2, said
    assert "crashing with" in log
    assert '"password": "(hidden)"' in log
    assert '"api_token": "(hidden)"' in log
    assert VARIABLES["HEADER"] in "".join(stage.origin.asked)
    assert base64.b64encode(b"me:" + unquote_to_bytes(VARIABLES["PASSWORD"])).decode() in str(stage.origin.asked)
    assert stage.collector.taken
    assert FILES["otlp"] in str(stage.collector.taken[0].headers)
    assert len(stage.said) > 200

    for asked, data in [*stage.said, ("the log", log.encode())]:
        if found := found_in(data, *secrets):
            raise AssertionError(f"{asked} tells {sorted(found)}: {[around(data, each) for each in sorted(found)]}")
    for taken in stage.collector.taken:
        assert not found_in(taken.body, *secrets), taken.path
    # the cache lies elsewhere, behind a link
    for folder in (node.base / "data", (node.base / "data" / "cache").resolve(), find_runtime_dir(node.base / "data"), backup):
        for path in folder.rglob("*"):
            if path.is_file():
                may = next((cores for name, cores in STORED.items() if path.name.startswith(name)), set())
                found = found_in(data := path.read_bytes(), *secrets) - may
                assert not found, (path, [around(data, each) for each in found])


def make_tokens(stage: Stage) -> list[str]:
    """Tokens and a session are made and used, and shown once: the secrets, which nothing else is to tell."""
    node, token = stage.node, FILES["token"]
    made = node.http.request("POST", f"{node.url}/tokens", json={"name": "made", "scopes": ["read"]}, headers=node.headers)
    secret = made.json()["secret"]
    for given in (secret, secret + "x", token + "x"):
        stage.ask("GET", "/status", fields={"Authorization": f"Bearer {given}"})
    stage.ask("PUT", "/graphs/new", graph("new", {}), {"Authorization": f"Bearer {secret}"}, status=403)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = node.http.request("POST", f"{node.url}/session", body=urlencode({"token": token}), headers=form, redirect=False)
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    stage.ask("POST", "/session", urlencode({"token": token + "x"}).encode(), form)
    browser = {"Cookie": cookie, "Authorization": ""}
    stage.ask("GET", "/plain", fields=browser)
    stage.ask("POST", "/session/end", b"", {**browser, **form})
    # the number of a session is no secret; its code is
    return [secret, secret.removeprefix("pypes_"), cookie.rpartition(".")[2]]


def run_documents(stage: Stage) -> list[str]:
    """Documents fail in every way, in every place, while somebody taps the wire; returns their receipts, a traced one first."""
    path = "/graphs/leaks/taps?wire=json.out-leaks.in&n=1&wait=20"
    tapping = threading.Thread(target=lambda: stage.ask("GET", path, status=200))
    tapping.start()
    while tapping.is_alive():
        stage.finished(stage.post("leaks", "fine"))
    receipts = [stage.post("leaks", "raise", "?trace=1"), stage.post("leaks", "fine", "?trace=1")]
    receipts += [stage.post(name, how) for name in PLACED for how in ("fine", *HOWS)]
    receipts += [stage.post("apart", how) for how in ("crash", "hang")]
    receipts.append(stage.post("leaks", "raise", f"?callback=http://{stage.origin.address}/fails"))
    for receipt in receipts:
        stage.finished(receipt)
    letters = stage.letters()
    for name in PLACED:
        codes_found = sorted(letter["code"] for letter in letters if letter["graph"] == name)
        assert len(codes_found) == len(HOWS) + 2 * (name in ("apart", "leaks")), (name, codes_found)
    # the whole process of a graph crashes
    receipts.append(stage.post("leaks", "crash"))
    stage.finished(receipts[-1])
    for name in ("down", "index", "calls"):
        stage.post(name, "raise")
    until(lambda: b"destination cannot be reached" in stage.log(), 20, "it rests")
    stage.ask("GET", "/search?graph=index&q=x")
    # what was not read by an adapter is kept with its body
    unread = stage.ask("POST", "/docs/leaks", {"password": DOCUMENT}, {"Content-Type": "application/x-nobody"})
    stage.finished(unread["receipt"])
    return receipts


def run_sources(stage: Stage) -> None:
    """Sources fetch with markers in address and header, and fail, also with an answer that repeats all of them."""
    for name in ("fetched", "refused", "nobody", "own"):
        stage.ask("POST", f"/graphs/{name}/trigger", status=202)
    for name in ("refused", "nobody", "own"):
        until(lambda name=name: has_failed(stage, name), 20, f"{name} failed")
    until(lambda: any("/file" in asked for asked in stage.origin.asked), 20, "fetched")


def has_failed(stage: Stage, graph: str) -> bool:
    lines = stage.log().decode().splitlines()
    return any(f'"graph": "{graph}"' in line and "a source failed" in line for line in lines)


def try_graphs(stage: Stage) -> str:
    """Graphs that are wrong, cannot be set up, are tried out, and go back to an earlier version; returns where a shadow is."""
    for fails in ("raise", "exit"):
        told = stage.put(leaks("broken", fails=fails), status=409)
        assert "${PARAMETER}" in told["detail"]
    wrong = leaks("leaks", short=7, key=f"http://u:{LITERAL}@x", number="${PARAMETER}", unknown="${PARAMETER}")
    stage.put(wrong, status=422)
    stage.ask("POST", "/graphs/leaks/validate", wrong, status=200)
    for params in ({"key": "${PARAMETER}", "url": f"http://u:{LITERAL}@x/"}, {"key": 7, "number": "${PARAMETER}"}):
        stage.ask("POST", "/filters", {"component": "Leaks", "params": params})
    for how, given in (("raise", {}), ("fine", {}), ("quoted", {"graph": leaks("leaks")}), ("crash", {})):
        body = json.dumps({"how": how, "password": DOCUMENT})
        stage.ask("POST", "/graphs/leaks/dryrun", {"content_type": "application/json", "body": body, "record": "a test", **given})
    posts = [{"body": {"how": how, "password": DOCUMENT}} for how in ("raise", "fine", "quoted", "crash")]
    tests = [{"post": post, "expect": [{"node": name, "fields": {"n": 1}} for name in leaks("leaks")["nodes"]]} for post in posts]
    told = stage.ask("POST", "/graphs/leaks/test", {"graph": {**leaks("leaks"), "tests": tests}}, status=200)
    assert (told["failed"], [test["error"] is None for test in told["tests"]]) == (4, [True, True, True, False])
    shadow = shadowed(stage, {"graph": leaks("leaks", key="${LIST}"), "documents": 3})
    recorded = shadowed(stage, {"record": 1})
    assert stage.ask("GET", shadow)["different"]
    assert stage.ask("GET", recorded)["tests"]
    stage.put(leaks("leaks", short="x"), status=200)
    stage.ask("POST", "/graphs/leaks/rollback", {"version": 1})
    # what was hidden cannot be put back
    refused = stage.put(stage.ask("GET", "/graphs/leaks")["graph"], status=422)
    assert [(error["code"], error["path"]) for error in refused["errors"]] == [("param.hidden", "nodes.leaks.params.url")]
    return shadow


def shadowed(stage: Stage, wanted: dict[str, Any]) -> str:
    """A shadow that has seen documents which fail in ways that differ, and one that does not."""
    path = f"/graphs/leaks/shadow/{stage.ask('POST', '/graphs/leaks/shadow', wanted, status=202)['shadow']}"
    until(lambda: stage.ask("GET", path)["state"] == "running", 20, "the shadow runs")
    for how in ("raise", "field", "fine"):
        stage.post("leaks", how)
    until(lambda: stage.ask("GET", path)["state"] == "done", 20, "the shadow is done")
    return path


def read_all(stage: Stage, receipts: list[str], shadow: str) -> None:
    """Everything there is to read: each GET of the interface, with whatever it can be asked for."""
    inside = {"leaks": {"component": "Leaks", "params": {"key": "${PARAMETER}"}}}
    stage.ask("PUT", "/composites/holds", {"nodes": inside, "inputs": {"in": "leaks.in"}}, status=201)
    known = {
        "receipts": receipts,
        "deadletters": [letter["id"] for letter in stage.letters()],
        "filters": [each["id"] for each in stage.ask("GET", "/filters")],
        "components": ["Leaks", "Index", "FetchURL", "None"],
        "composites": ["holds", "none"],
        "graphs": ["leaks", "apart", "pooled", "fetched", "down", "none"],
        "outbox": ["none"],
        "tokens": ["made"],
        "static": ["editor.js"],
        "shadow": [shadow.rpartition("/")[2]],
        "versions": ["1", "2", "2?against=1"],
    }
    for template, methods in INTERFACE["paths"].items():
        if "get" in methods and template != "/events":
            parts, paths = template.strip("/").split("/"), [""]
            for former, part in zip(["", *parts], parts, strict=False):
                # what is in braces is one of those that the part before it lists
                paths = [f"{path}/{each}" for path in paths for each in (known[former] if "{" in part else [part])]
            for path in paths:
                stage.ask("GET", path)
    for path in ("/logs?limit=500", "/receipts?state=failed", "/graphs/leaks/versions?old=1&new=2", "/deadletters?group=code"):
        stage.ask("GET", path, status=200)
    stage.said.append(("GET /events", events(stage.node)))


def events(node: Node) -> bytes:
    """All events that are still kept."""
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=20)
    connection.request("GET", "/events?recent=1000", headers=node.headers)
    answer, found = connection.getresponse(), b""
    # which are told once a second
    while b"counters" not in found:
        found += answer.readline()
    connection.close()
    assert b"deadletters" in found
    return found


def run_commands(stage: Stage, receipt: str) -> None:
    """What the commands that look at a node print."""
    letter = stage.letters()[0]["id"]
    known = {"PYPES_URL": stage.node.url, "PYPES_TOKEN": FILES["token"]}
    for arguments in (
        *("status", "top --once --interval 0.1", "logs --limit 500", f"trace --packets {receipt}", "export"),
        *("receipts list", f"receipts show {receipt}", "deadletters list", "deadletters groups", f"deadletters show {letter}"),
        *("token list", "stores list leaks", "tap leaks"),
    ):
        for more in ([], ["--json"]):
            stage.said.append((f"pypes {arguments}", command(*arguments.split(), *more, **known)))
    # addresses and tokens that cannot be used
    bad = f"http://me:{FILES['token']}@127.0.0.1:1"
    for url, token in ((bad, FILES["token"]), (f"ftp://me:{FILES['token']}@x", ""), (stage.node.url, f"{FILES['token']}\nx")):
        said = command("status", PYPES_URL=url, PYPES_TOKEN=token)
        assert b"Error" in said
        stage.said.append(("pypes status", said))


def command(*arguments: str, **environ: str) -> bytes:
    """The output of a command; it ends by itself."""
    done = CliRunner().invoke(pypes, arguments, env=environ, catch_exceptions=True)
    assert done.exception is None or isinstance(done.exception, SystemExit), (arguments, done.exception)
    return done.output.encode()


@pytest.mark.parametrize("what", sorted(all_markers()))
def test_the_search_finds_a_secret_in_every_form(what: str) -> None:
    data = what.encode()
    for form in (data, b"x" + data + b"x") if what != "7Qx5" else (b"key=7Qx5&",):
        assert found_in(form) == {what}
    if what == "7Qx5":
        return
    for form in (data.upper(), data.lower(), data.swapcase(), *codes(data)):
        assert found_in(b"before " + form + b" behind") == {what}, form
    for before in (b"", b"a", b"ab"):
        assert found_in(base64.b64encode(before + data + b"abc")) == {what}
    assert found_in(data.hex().upper().encode()) == {what}


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
        env={**os.environ, **VARIABLES},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert b"${PARAMETER}" in done.stdout + done.stderr
    assert not found_in(done.stdout + done.stderr), done.stdout + done.stderr
