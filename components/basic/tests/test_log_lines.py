"""JSONLines in form log, and the folding of what it writes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pypes.packet import Packet
from pypes.pipeline import Pipeline
from pypes.testing import PublisherSuite, run_component
from pypes_basic.json_lines import JSONLines
from pypes_basic.log_lines import fold
from pypes_basic.normalize_case import NormalizeCase


class TestLog(PublisherSuite):
    component = JSONLines
    params: ClassVar[dict[str, Any]] = {"path": "log.jsonl", "form": "log"}
    counts_removed = False

    def seen(self, folder: Path) -> Iterable[tuple[str, str | None, str, str]]:
        path = folder / "log.jsonl"
        if path.exists():
            with path.open("rb") as file:
                for line in fold(file):
                    yield line["route"], line["document"], line["part"], line["fields"]["text"]


def folded(*lines: Any) -> list[Any]:
    return [line["fields"] for line in fold([json.dumps(line).encode() + b"\n" for line in lines])]


def packet(version: str, fields: Any, document: str | None = "x", part: str = "") -> dict[str, Any]:
    return {"document": document, "route": "docs", "version": version, "part": part, "fields": fields}


def end(version: str, **what: bool) -> dict[str, Any]:
    return {"document": "x", "route": "docs", "version": version, **what}


@pytest.mark.parametrize(
    ("lines", "stand"),
    [
        ([], []),
        ([packet("1/0/1", "a"), end("1/0/1", complete=True)], ["a"]),
        ([packet("1/0/1", "a"), packet("1/0/1", "a"), end("1/0/1", complete=True), packet("1/0/1", "a")], ["a"]),
        ([packet("1/0/1", "a"), end("1/0/1", complete=True), packet("2/0/1", "b")], ["a"]),
        ([packet("1/0/1", "a"), end("1/0/1", complete=True), packet("2/0/1", "b"), end("2/0/1", complete=False)], ["a"]),
        ([packet("2/0/1", "b"), end("2/0/1", complete=True), packet("1/0/1", "a"), end("1/0/1", complete=True)], ["b"]),
        ([packet("1/0/1", "a"), end("2/0/1", complete=True)], []),
        ([packet("1/0/1", "a"), end("1/0/1", complete=True), end("2/0/1", deleted=True), packet("1/0/2", "c", part="row=5")], []),
        ([packet("1/0/1", "a"), packet("2/0/1", "b", part="row=1"), packet("2/0/2", "c", part="row=2")], ["b", "c"]),
        ([packet("1/0/1", "a", None), packet("1/0/2", "a2", None), packet("1/1/1", "b", None)], ["a2", "b"]),
        ([packet("/0/0", "a", None), packet("/0/0", "b", None)], ["a", "b"]),
    ],
)
def test_the_newest_whole_version_stands(lines: list[Any], stand: list[Any]) -> None:
    assert folded(*lines) == stand


def test_a_torn_line_is_not_there_yet() -> None:
    text = json.dumps(packet("1/0/1", "a")).encode()
    assert list(fold([text + b"\n", text[:20]])) == [packet("1/0/1", "a")]
    # at the end of a file that was renamed after a crash
    assert list(fold([text[:20], text + b"\n"])) == [packet("1/0/1", "a")]


def test_lines_say_everything(tmp_path: Path) -> None:
    log = JSONLines()
    log.configure({"path": str(tmp_path / "log"), "form": "log"})
    document = Packet({"text": "a"}, {"id": "7", "route": "docs", "receipt": "r", "run": 5, "acl": "staff"})
    with Pipeline(NormalizeCase, log) as pipeline:
        pipeline.push([document, Packet({"text": "b"}), Packet(meta={"requestmethod": "DELETE", "id": "8", "receipt": "r"})])
    first, second, deletion, *ends = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    version = {"version": "r/0000000/0000000000000005"}
    assert first == {"document": "7", "route": "docs", **version, "part": "", **document.to_json()}
    assert (second["document"], second["route"], second["part"], second["fields"]) == (None, "", "", {"text": "b"})
    other = {"document": "8", "route": "", "version": "r/0000000/0000000000000000"}
    assert deletion == {**other, "deleted": True}
    assert ends == [{"document": "7", "route": "docs", **version, "complete": True}, {**other, "complete": True}]


def test_what_names_no_document_is_refused(tmp_path: Path) -> None:
    packets = [Packet(meta={"requestmethod": "DELETE"}), Packet(meta={"id": "\ud800"}), Packet({"text": "a"})]
    ran = run_component(JSONLines, packets, path=str(tmp_path / "log"), form="log")
    assert [(letter.code, letter.documents) for letter in ran.dead_letters] == [("lines.no_id", (0,)), ("document.id", (1,))]
    assert len((tmp_path / "log").read_text().splitlines()) == 1


@pytest.mark.parametrize(("form", "is_told"), [("fields", False), ("packet", False), ("log", True)])
def test_only_a_log_is_told_of_whole_documents(form: str, is_told: bool) -> None:
    lines = JSONLines()
    assert lines.complete is None
    lines.configure({"form": form})
    assert (lines.complete is not None) is is_told
    with Pipeline(lines) as pipeline:
        assert pipeline._graph is not None
        assert (pipeline._graph.graph.scheduler.completing is not None) is is_told
