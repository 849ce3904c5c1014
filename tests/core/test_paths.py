"""Where parameters that are paths may lead."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Annotated

import pytest

from pypes.component.parameters import Help, Parameters, paths_in, schema_of
from pypes.core.paths import Paths


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("shards/000", "elsewhere"):
        (tmp_path / "data" / name).mkdir(parents=True)
    (tmp_path / "data" / "shards" / "000" / "queue.db").write_bytes(b"queue")
    return tmp_path / "data"


def paths(data: Path, *roots: Path) -> Paths:
    return Paths(str(data), tuple(map(str, roots)), ((str(data / "shards"), "the store"), (str(data / "lock"), "the lock")))


class TestOwn:
    @pytest.mark.parametrize(
        "path", ["shards", "shards/000/queue.db", "./elsewhere/../shards/000/new", "shards/001/queue.db", "lock", "lock/../lock"]
    )
    def test_nothing_leads_into_the_node(self, data: Path, path: str) -> None:
        assert paths(data).problem(path)
        assert paths(data).problem(str(data / path))

    @pytest.mark.parametrize("path", ["out.jsonl", "deep/er/out", "shards.jsonl", "shards-1/x", ".", "elsewhere"])
    def test_what_lies_beside_is_free(self, data: Path, path: str) -> None:
        assert paths(data).problem(path) == ""

    def test_links_are_followed(self, data: Path) -> None:
        (data / "link").symlink_to(data / "shards")
        (data / "elsewhere" / "out").symlink_to(data / "shards" / "000" / "queue.db")
        assert paths(data).problem("link/000/queue.db")
        assert paths(data).problem("elsewhere/out")

    def test_hard_links_are_known(self, data: Path) -> None:
        os.link(data / "shards" / "000" / "queue.db", data / "innocent")
        os.link(data / "innocent", data / "elsewhere" / "as well")
        assert "hard link" in paths(data).problem("innocent")
        (data / "free").write_text("")
        os.link(data / "free", data / "twice")
        assert paths(data).problem("twice") == ""

    def test_stores_of_other_nodes_are_known_by_their_form(self, tmp_path: Path, data: Path) -> None:
        for name in ("control.db", "lock"):
            (data / name).touch()
        there = Paths(str(tmp_path))
        assert there.problem("data/shards/000/queue.db") == "leads into the store of a node; name a file or folder of your own"
        assert there.problem("data/control.db-wal")
        assert there.problem("data/out.jsonl") == ""

    @pytest.mark.parametrize("path", ["/proc/self/environ", "/sys/kernel", "/dev/../proc/1"])
    def test_the_kernel_is_nobodys(self, path: str) -> None:
        assert "kernel" in Paths().problem(path)

    def test_no_message_repeats_the_path(self, data: Path) -> None:
        assert "000" not in paths(data).problem("shards/000/queue.db")
        assert paths(data).problem("a\0b") == "must not contain a zero byte"


class TestRoots:
    def test_only_below_roots_and_the_data_directory(self, tmp_path: Path, data: Path) -> None:
        (tmp_path / "free").mkdir()
        (tmp_path / "free" / "out").symlink_to(tmp_path)
        rules = paths(data, tmp_path / "free")
        assert [rules.problem(path) for path in ("x", str(tmp_path / "free" / "x"), "../free/x")] == ["", "", ""]
        for path in ("../x", "/etc/passwd", str(tmp_path / "free" / "out" / "x"), str(tmp_path / "free-2" / "x")):
            assert "roots" in rules.problem(path)
        assert "store" in rules.problem("shards/x")

    def test_rules_travel(self, data: Path) -> None:
        rules = paths(data, data)
        rules.problem("x")
        assert pickle.loads(pickle.dumps(rules)) == rules


class Nested(Parameters, frozen=True):
    target: Annotated[str, Help("Where to.", path=True)] = "there"
    note: str = ""


class Params(Parameters):
    path: Annotated[str, Help("A file.", path=True, min_length=1)]
    other: Annotated[str | None, Help("A file.", path=True)] = None
    several: list[Annotated[str, Help("A file.", path=True)]] = []
    named: dict[str, Annotated[str, Help("A file.", path=True)]] = {}
    nested: Nested = Nested()
    stream: Annotated[str, Help("A file or -.", path=True)] = "-"
    text: str = "/etc/passwd"


def test_parameters_that_are_paths_are_found_wherever_they_stand() -> None:
    given = {"path": "a", "several": ["b", "c"], "named": {"x": "d"}, "nested": {"target": "e", "note": "no"}, "text": "no"}
    assert dict(paths_in(schema_of(Params), given)) == {
        "path": "a",
        "several.0": "b",
        "several.1": "c",
        "named.x": "d",
        "nested.target": "e",
    }
    assert dict(paths_in(schema_of(Params), {"path": "a", "other": "o"})) == {
        "path": "a",
        "other": "o",
        "nested.target": "there",
    }
