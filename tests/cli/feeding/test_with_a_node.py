"""pypes feed against a real node."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pypes.cli.feed import feed
from pypes.testing.node import running

GRAPH = {
    "pypes": 1,
    "name": "files",
    "nodes": {
        "csv": {"component": "CSV"},
        "text": {"component": "Text"},
        "json": {"component": "JSON"},
        "out": {"component": "JSONLines", "params": {"path": "out.jsonl", "form": "packet"}},
    },
    "wires": [["csv.out", "out.in"], ["text.out", "out.in"], ["json.out", "out.in"]],
}


def test_what_is_fed_again_replaces_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.txt", "sub/grün 100%.txt", "own.json"):
        (folder / name).write_text('{"id": 7}' if name == "own.json" else name)
    with running(tmp_path / "node", GRAPH, workers=1, instances=1) as node:

        def run() -> tuple[Result, list[tuple[str, str]]]:
            result = CliRunner().invoke(feed, [f"{node.url}/docs/notes", str(folder), "--wait"])
            lines = next(tmp_path.rglob("out.jsonl")).read_text().splitlines()
            packets = [json.loads(line) for line in lines]
            return result, [(str(p["meta"].get("id") or p["fields"].get("id")), p["meta"]["requestmethod"]) for p in packets]

        result, found = run()
        assert result.exit_code == 0, result.output
        assert sorted(found) == [("7", "POST"), ("a.txt", "POST"), ("sub/grün 100%.txt", "POST")]
        (folder / "a.txt").write_text("changed")
        (folder / "sub" / "grün 100%.txt").unlink()
        (folder / "own.json").unlink()
        (folder / "two.ndjson.gz").write_bytes(gzip.compress(b"{}\n" * 2))
        (folder / "bad.pdf").write_bytes(b"%PDF-1.7")
        result, found = run()
        assert sorted(found[3:]) == [
            ("7", "DELETE"),
            ("None", "POST"),
            ("None", "POST"),
            ("a.txt", "POST"),
            ("sub/grün 100%.txt", "DELETE"),
        ]
        assert result.exit_code == 1
        assert f"failed: {folder / 'bad.pdf'}: graph.no_adapter: " in result.output
        (letter,) = node.get("/deadletters").json()["deadletters"]
        assert f"(dead letter {letter['id']})" in result.output


def test_documents_are_fed_with_metadata_and_access_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text(name)
    with running(tmp_path / "node", GRAPH, workers=1, instances=1) as node:
        seen: list[tuple[str, Any, Any]] = []

        def run(*options: str) -> list[tuple[str, Any, Any]]:
            """Feed what has changed; returns what the node published of it."""
            result = CliRunner().invoke(feed, [node.url, str(folder), "--wait", "--changed", *options])
            assert result.exit_code == 0, result.output
            lines = next(tmp_path.rglob("out.jsonl")).read_text().splitlines()
            metas = [json.loads(line)["meta"] for line in lines]
            found = [(meta["id"], meta.get("acl"), meta.get("source_url")) for meta in metas]
            new, seen[:] = found[len(seen) :], found
            return sorted(new)

        named = ("--acl", "größe", "--meta", "Source-URL=x=1", "--acl", "ada")
        first = [("a.txt", ["größe", "ada"], "x=1"), ("b.txt", ["größe", "ada"], "x=1")]
        assert run(*named) == first
        assert run(*named) == []
        assert run("--acl", "ada", "--acl", "größe", "--meta", "Source-URL=x=1") == []
        # others may see them now: the files are as they were, the documents are not
        assert run("--acl", "bob", "--batch", "1") == [("a.txt", "bob", None), ("b.txt", "bob", None)]
        (folder / "b.txt").unlink()
        (record,) = (tmp_path / "state").rglob("*.json")
        assert json.loads(record.read_text())["node"] == str(node.get("/status").json()["node"])
        assert run("--acl", "") == [("a.txt", "", None), ("b.txt", "", None)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--acl", "ada", "--meta", "acl=staff"), "--meta acl= would let more names see the documents than --acl does"),
        (("--acl", "", "--meta", "ACL=staff"), "--meta acl= would let more names see the documents than --acl does"),
        (("--acl", "ada", "--acl", ""), "'' is nobody, and other names are given as well"),
    ],
)
def test_access_lists_that_say_two_things_are_refused(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    result = CliRunner().invoke(feed, ["http://127.0.0.1:9", str(tmp_path), *options], terminal_width=200)
    assert (result.exit_code, said in result.output) == (2, True), result.output


@pytest.mark.parametrize("meta", ["team", "=x", "te am=x", "1=x"])
def test_metadata_without_a_name_are_refused(tmp_path: Path, meta: str) -> None:
    result = CliRunner().invoke(feed, ["http://127.0.0.1:9", str(tmp_path), "--meta", meta])
    assert (result.exit_code, "is not NAME=VALUE" in result.output) == (2, True)
