"""pypes receipts and pypes deadletters, against a server of its own that answers as it is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner, Result

from pypes.cli.commands import pypes
from tests.serving import in_thread

LETTER = {
    "id": "019a0000-0000-7000-8000-000000000000-1234567890",
    "graph": "search",
    "version": 3,
    "filter": "pdf",
    "component": "PDF",
    "code": "component.failed",
    "error": "no pages\x1b[31m\nat all",
    "attempts": 1,
    "receipt": "019a0000-0000-7000-8000-000000000000",
    "time": "2026-11-21T08:00:00.000Z",
    "document": {"index": 4, "id": None, "file": "a.pdf", "route": "files"},
}
RECEIPT = {
    "receipt": LETTER["receipt"],
    "state": "failed",
    "accepted": 3,
    "published": 1,
    "dropped": 1,
    "failed": 1,
    "pending": 0,
    "received": "2026-11-21T08:00:00.000Z",
    "started": None,
    "finished": None,
    "graph": "search",
    "version": 3,
}
DOCUMENTS = [
    {"index": 0, "id": "a", "outcome": "published", "publishers": ["index"], "filter": None, "deadletter": None},
    {"index": 1, "id": None, "outcome": "failed", "publishers": ["log"], "filter": "pdf", "deadletter": LETTER["id"]},
]
AGAIN = "019a0000-0000-7000-8000-000000000001"


class Server(ThreadingHTTPServer):
    """``answers`` is (method, path) → status and body; pages are cut from lists."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[tuple[str, str], tuple[int, Any]] = {}
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.tokens: set[str | None] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def handle_any(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.command, parts.path, query, json.loads(body) if body else None))
        self.server.tokens.add(self.headers.get("Authorization"))
        status, content = self.server.answers.get((self.command, parts.path), (404, {"code": "test.none", "title": "none"}))
        if callable(content):
            content = content(query)
        data = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def server() -> Iterator[Server]:
    with in_thread(Server()) as made:
        yield made


def run(server: Server, *arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(pypes, [*arguments, "--url", server.url], input=text)


def paged(name: str, entries: list[Any], key: str) -> Any:
    def page(query: dict[str, str]) -> Any:
        start = next((n for n, e in enumerate(entries, 1) if str(e[key]) == query.get("after")), 0)
        found = entries[start : start + int(query["limit"])]
        more = found[-1][key] if start + len(found) < len(entries) else None
        return {name: found, "next": more}

    return page


class TestDeadLetters:
    def test_they_are_listed_whole_and_cleaned(self, server: Server) -> None:
        server.answers["GET", "/deadletters"] = 200, {"deadletters": [LETTER], "next": None}
        result = run(server, "deadletters", "list", "--graph", "search", "--since", "2026-11-21T00:00:00Z")
        assert result.exit_code == 0, result.output
        assert str(LETTER["id"]) in result.output
        assert "no pages" in result.output
        assert "\x1b[31m" not in result.output
        assert server.asked[0][2] == {"graph": "search", "since": "2026-11-21T00:00:00Z", "limit": "100"}

    def test_they_are_found_by_their_document(self, server: Server) -> None:
        server.answers["GET", "/deadletters"] = 200, {"deadletters": [LETTER], "next": None}
        result = run(server, "deadletters", "list", "--file", "a.pdf", "--index", "4", "--oldest-first")
        assert "index 4" in " ".join(result.output.split())
        assert server.asked[0][2] == {"file": "a.pdf", "index": "4", "order": "oldest", "limit": "100"}
        server.answers["POST", "/deadletters/replay"] = 202, {"count": 1, "receipts": [AGAIN]}
        assert run(server, "deadletters", "replay", "--route", "files", "--id", "x").exit_code == 0
        assert server.asked[-1][3] == {"route": "files", "id": "x", "limit": 1000}

    def test_pages_are_gone_through(self, server: Server) -> None:
        letters = [{**LETTER, "id": f"{n:04d}"} for n in range(1200)]
        server.answers["GET", "/deadletters"] = 200, paged("deadletters", letters, "id")
        result = run(server, "deadletters", "list", "--limit", "1100", "--json")
        assert [letter["id"] for letter in json.loads(result.output)] == [f"{n:04d}" for n in range(1100)]
        assert len(server.asked) == 3

    def test_groups(self, server: Server) -> None:
        group = {"graph": "search", "filter": "pdf", "code": "component.failed", "count": 17, "latest": LETTER["time"]}
        server.answers["GET", "/deadletters"] = 200, {"groups": [group]}
        result = run(server, "deadletters", "groups", "--code", "component.failed")
        assert "17" in result.output
        assert server.asked[0][2] == {"code": "component.failed", "group": "code"}
        assert json.loads(run(server, "deadletters", "groups", "--json").output) == [group]

    def test_one_is_shown(self, server: Server) -> None:
        whole = {**LETTER, "packet": {"fields": {"title": "x"}, "meta": {}, "field_meta": {}}, "traceback": "Traceback: here"}
        server.answers["GET", f"/deadletters/{LETTER['id']}"] = 200, whole
        result = run(server, "deadletters", "show", str(LETTER["id"]))
        assert "Traceback: here" in result.output
        assert "document    file a.pdf, route files, index 4" in result.output
        assert '"title": "x"' in result.output
        assert json.loads(run(server, "deadletters", "show", str(LETTER["id"]), "--json").output) == whole

    def test_a_packet_is_edited_from_a_file_or_a_stream(self, server: Server, tmp_path: Path) -> None:
        server.answers["PUT", "/deadletters/x"] = 200, LETTER
        (tmp_path / "packet.json").write_text('{"fields": {"a": 1}}')
        assert run(server, "deadletters", "edit", "x", "--file", str(tmp_path / "packet.json")).exit_code == 0
        assert run(server, "deadletters", "edit", "x", "--file", "-", text='{"fields": {"a": 2}}').exit_code == 0
        assert [asked[3] for asked in server.asked] == [{"packet": {"fields": {"a": 1}}}, {"packet": {"fields": {"a": 2}}}]
        result = run(server, "deadletters", "edit", "x", "--file", "-", text="{")
        assert result.exit_code == 1
        assert "packet.malformed" in result.output

    def test_a_packet_is_edited_in_the_editor(self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        editor = tmp_path / "editor"
        editor.write_text('#!/bin/sh\nsed -i s/old/new/ "$1"\n')
        editor.chmod(0o755)
        monkeypatch.setenv("EDITOR", str(editor))
        monkeypatch.delenv("VISUAL", raising=False)
        packet = {"fields": {"a": "old"}, "meta": {}, "field_meta": {}}
        server.answers["GET", "/deadletters/x"] = 200, {**LETTER, "packet": packet}
        server.answers["PUT", "/deadletters/x"] = 200, LETTER
        assert run(server, "deadletters", "edit", "x").exit_code == 0
        assert server.asked[-1][3] == {"packet": {**packet, "fields": {"a": "new"}}}
        editor.write_text("#!/bin/sh\n")
        assert "not changed" in run(server, "deadletters", "edit", "x").output

    @pytest.mark.parametrize(("typed", "code"), [("new", "packet.malformed"), ("5", "client.refused")])
    def test_what_was_typed_is_kept_if_it_is_refused(
        self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, code: str
    ) -> None:
        editor = tmp_path / "editor"
        editor.write_text(f'#!/bin/sh\nsed -i "s/.old./{typed}/" "$1"\n')
        editor.chmod(0o755)
        monkeypatch.setenv("EDITOR", str(editor))
        monkeypatch.delenv("VISUAL", raising=False)
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        server.answers["GET", "/deadletters/x"] = 200, {**LETTER, "packet": {"fields": {"a": "old"}}}
        server.answers["PUT", "/deadletters/x"] = 422, {"code": "packet.malformed", "detail": "no"}
        result = run(server, "deadletters", "edit", "x")
        assert result.exit_code == 1
        assert code in result.output
        [kept] = tmp_path.glob("*.json")
        assert f"pypes deadletters edit x --file {kept}" in result.output
        assert f'"a": {typed}' in kept.read_text()

    def test_some_are_replayed_by_id(self, server: Server) -> None:
        for id in ("x", "y"):
            server.answers["POST", f"/deadletters/{id}/replay"] = 202, {"receipt": f"r-{id}"}
        result = run(server, "deadletters", "replay", "x", "y", "--from", "start")
        assert result.exit_code == 0, result.output
        assert "r-x\nr-y\n" in result.output
        assert [asked[3] for asked in server.asked] == [{"from": "start"}] * 2

    def test_edits_that_a_replay_forgets_are_told(self, server: Server) -> None:
        server.answers["POST", "/deadletters/x/replay"] = 202, {"receipt": "r-x", "edits_forgotten": 1}
        server.answers["POST", "/deadletters/y/replay"] = 202, {"receipt": "r-y"}
        result = run(server, "deadletters", "replay", "x", "y", "--from", "start")
        assert result.stdout == "r-x\nr-y\n"
        assert result.stderr.startswith("1 edit forgotten: ")
        server.answers["POST", "/deadletters/replay"] = 202, {"count": 2, "receipts": ["r"], "edits_forgotten": 2}
        assert "2 edits forgotten: " in run(server, "deadletters", "replay", "--all", "--from", "start").stderr

    def test_many_are_replayed_by_criteria(self, server: Server) -> None:
        refused = [{"id": "z", "code": "deadletters.not_kept", "detail": "it is not there"}]
        server.answers["POST", "/deadletters/replay"] = 202, {"count": 1, "receipts": ["r"], "refused": refused}
        result = run(server, "deadletters", "replay", "--filter", "pdf")
        assert result.exit_code == 1
        assert "it is not there" in result.output
        assert server.asked[0][3] == {"filter": "pdf", "limit": 1000}

    @pytest.mark.parametrize("command", ["replay", "delete"])
    @pytest.mark.parametrize("arguments", [[], ["x", "--all"], ["x", "--graph", "g"], ["--all", "--code", "c"]])
    def test_which_must_be_said_in_one_way(self, server: Server, command: str, arguments: list[str]) -> None:
        result = run(server, "deadletters", command, *arguments)
        assert result.exit_code == 2
        assert not server.asked

    def test_they_are_deleted(self, server: Server) -> None:
        server.answers["DELETE", "/deadletters/x"] = 204, None
        assert "1 deleted" in run(server, "deadletters", "delete", "x").output
        server.answers["DELETE", "/deadletters"] = 200, {"count": 17}
        assert "17 deleted" in run(server, "deadletters", "delete", "--all", "--yes").output
        assert server.asked[-1][2] == {"since": "0"}

    def test_many_are_deleted_only_when_confirmed(self, server: Server) -> None:
        server.answers["GET", "/deadletters"] = 200, {"groups": [{"count": 17}]}
        server.answers["DELETE", "/deadletters"] = 200, {"count": 17}
        result = run(server, "deadletters", "delete", "--graph", "g", text="n\n")
        assert result.exit_code == 1
        assert [asked[0] for asked in server.asked] == ["GET"]
        assert "17 deleted" in run(server, "deadletters", "delete", "--graph", "g", text="y\n").output


class TestReceipts:
    def test_they_are_listed(self, server: Server) -> None:
        server.answers["GET", "/receipts"] = 200, {"receipts": [RECEIPT], "next": None}
        result = run(server, "receipts", "list", "--state", "failed")
        assert result.exit_code == 0, result.output
        assert str(RECEIPT["receipt"]) in result.output
        assert server.asked[0][2] == {"state": "failed", "limit": "100"}
        assert json.loads(run(server, "receipts", "list", "--json").output) == [RECEIPT]

    def test_one_is_shown_with_its_documents(self, server: Server) -> None:
        path = f"/receipts/{RECEIPT['receipt']}"
        server.answers["GET", path] = 200, RECEIPT
        server.answers["GET", f"{path}/documents"] = 200, paged("documents", DOCUMENTS, "index")
        result = run(server, "receipts", "show", str(RECEIPT["receipt"]), "--wait", "5")
        assert result.exit_code == 1
        for expected in ("failed", "log, pdf", str(LETTER["id"]), "1 more document;"):
            assert expected in result.output
        assert server.asked[0][2] == {"wait": "5.0"}
        shown = json.loads(run(server, "receipts", "show", str(RECEIPT["receipt"]), "--json").output)
        assert shown == {**RECEIPT, "documents": DOCUMENTS}

    def test_replays_are_shown_both_ways(self, server: Server) -> None:
        path = f"/receipts/{RECEIPT['receipt']}"
        origin = {"receipt": AGAIN, "deadletter": f"{AGAIN}-12", "start": "pdf"}
        replays = [{"receipt": AGAIN, "documents": 1, "state": "done"}]
        removed = {"index": 1, "lines": 30}
        more = {"replay_of": origin, "replays": replays, "removed": removed, "posted_by": "admin"}
        server.answers["GET", path] = 200, {**RECEIPT, **more}
        replay = {"receipt": AGAIN, "index": 0, "outcome": "published"}
        documents = [{**DOCUMENTS[1], "file": "a.pdf", "route": "files", "replay": replay}]
        server.answers["GET", f"{path}/documents"] = 200, paged("documents", documents, "index")
        result = run(server, "receipts", "show", str(RECEIPT["receipt"]))
        lines = [" ".join(line.split()) for line in result.output.splitlines()]
        assert f"replay of {AGAIN} (dead letter {AGAIN}-12), from pdf" in lines
        assert f"replayed in {AGAIN}: 1 document, done" in lines
        assert "posted by admin" in lines
        assert "removed 1 part of older versions, by index" in lines
        assert "removed 30 parts of older versions, by lines" in lines
        assert "file a.pdf" in result.output
        assert "published in" in result.output


def test_refusals_are_told(server: Server, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    result = run(server, "receipts", "show", "x", "--token-file", str(tmp_path / "token"))
    assert result.exit_code == 1
    assert "404 test.none" in result.output
    assert server.tokens == {"Bearer secret"}


def test_who_has_no_token_is_told_how_commands_take_one(server: Server) -> None:
    server.answers["GET", "/receipts"] = 401, {"code": "token.required", "title": "none"}
    result = run(server, "receipts", "list")
    assert result.exit_code == 1
    assert "--token-file FILE or PYPES_TOKEN" in result.output


def test_a_node_that_is_not_there_is_told() -> None:
    with Server() as closed:
        pass
    result = run(closed, "deadletters", "list")
    assert result.exit_code == 1
    assert "client.unreachable" in result.output
    assert CliRunner().invoke(pypes, ["receipts", "list", "--url", "ftp://x"]).exit_code == 1


STEP = {
    "filter": "json", "component": "JSON", "in": [{"documents": [0], "fields": {"n": "a\x1b[31m"}}], "out": {}, "packets_in": 2,
    "packets_out": {"out": 2}, "published": 0, "dropped": 0, "kept": 0, "failed": 0, "attempts": 1, "ms": 0.5, "waited_ms": 0.0,
    "errors": [],
}  # fmt: skip
TRACE = {
    "run": 2, "receipt": RECEIPT["receipt"], "graph": "search", "version": 3, "documents": 12, "shown": 10, "published": 1,
    "dropped": 1, "failed": 1, "ms": 12.5,
    "steps": [
        STEP,
        {
            **STEP, "filter": "pdf", "component": "PDF", "packets_in": 3, "packets_out": {"out": 1, "error": 1}, "dropped": 1,
            "kept": 1, "failed": 1, "attempts": 3, "waited_ms": 20.0, "in": [],
            "errors": [{"documents": [1], "code": "pdf.bad", "error": "no\npages", "attempt": 3, "is_final": True}],
        },
        {**STEP, "filter": "text", "component": "Text", "packets_in": 0, "packets_out": {}, "attempts": 0, "ms": 0.0, "in": []},
        {**STEP, "filter": "index", "component": "SQLiteSearch", "packets_in": 1, "packets_out": {}, "published": 1, "in": []},
    ],
}  # fmt: skip


class TestTrace:
    def test_it_is_drawn_filter_by_filter(self, server: Server) -> None:
        server.answers["GET", f"/receipts/{RECEIPT['receipt']}/trace"] = 200, TRACE
        result = run(server, "trace", str(RECEIPT["receipt"]))
        assert result.exit_code == 1
        assert result.output.splitlines() == [
            f"{RECEIPT['receipt']}: 12 documents in 12.5 ms, 1 published, 1 dropped, 1 failed",
            "graph search, version 3, run 2: an instance ended in one before, or gave the delivery back",
            "",
            "filter  component     in  out               ms                attempts",
            "json    JSON          2   → 2               0.5               1",
            "pdf     PDF           3   → 1 out, 1 error  0.5 + 20 waiting  3         1 failed, 1 dropped (1 kept as they are)",
            "text    Text          0",
            "index   SQLiteSearch  1                     0.5               1         1 published",
            "",
            "pdf",
            "  document 1, attempt 3, failed: no pages [pdf.bad]",
        ]

    def test_packets_are_shown_if_wanted(self, server: Server) -> None:
        server.answers["GET", f"/receipts/{RECEIPT['receipt']}/trace"] = 200, TRACE
        output = run(server, "trace", str(RECEIPT["receipt"]), "--packets").output
        assert '  in   {"documents":[0],"fields":{"n":"a\\u001b[31m"}}' in output
        assert "  … and 1 more in" in output
        assert "… and 2 more documents, of which no packets are kept" in output

    def test_as_json_it_is_what_the_node_says(self, server: Server) -> None:
        server.answers["GET", f"/receipts/{RECEIPT['receipt']}/trace"] = 200, {**TRACE, "failed": 0}
        assert json.loads(run(server, "trace", str(RECEIPT["receipt"]), "--json").output) == {**TRACE, "failed": 0}
