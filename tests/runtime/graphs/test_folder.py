"""The files of a folder, held against what is live."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pypes.errors import InvalidGraph, NotFound
from pypes.graph import codec
from pypes.runtime.graphs.files import Undeployed
from pypes.runtime.graphs.folder import GraphFolder
from pypes.runtime.graphs.store import ControlStore, StoredGraph


def graph(description: str = "") -> dict[str, Any]:
    return codec.to_obj(codec.from_obj({"pypes": 1, "name": "g", "description": description, "nodes": {}}))


LIVE = StoredGraph("g", 1, graph(), 0.0, "somebody")


class Files:
    """A folder with the file of a graph, and what reads it."""

    def __init__(self, base: Path, store: ControlStore) -> None:
        self.path = base / "graphs" / "anything.json"
        self.path.parent.mkdir()
        self.store = store
        self.undeployed: dict[str, Undeployed] = {}
        self.folder = GraphFolder(store, lambda: self.path.parent, lambda: self.undeployed)
        self._times = 1

    def write(self, text: str) -> None:
        self.path.write_text(text)
        self._times += 1  # another time, however coarse that of the file system is
        os.utime(self.path, ns=(self._times, self._times))

    def state(self) -> tuple[bool, str, str]:
        self.folder.look()
        found = self.folder.state_of(LIVE)
        assert found is not None
        assert found["path"] == str(self.path)
        return found["differs"], found["changed"], found["problem"]


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    store = ControlStore(tmp_path / "control.db")
    yield Files(tmp_path, store)
    store.close()


def written(description: str = "") -> str:
    return codec.dumps(codec.from_obj(graph(description)))


def test_a_graph_without_a_file_has_none(files: Files) -> None:
    files.folder.look()
    assert files.folder.state_of(LIVE) is None
    with pytest.raises(NotFound, match="no file"):
        files.folder.graph("g")


def test_a_file_is_compared_by_what_it_says(files: Files) -> None:
    files.write('{"name": "g", "nodes": {},\n "pypes": 1}')
    assert files.state() == (False, "", "")
    files.write(written("of Git"))
    assert files.state() == (True, "file", "")
    assert files.folder.graph("g") == graph("of Git")


def test_a_file_that_was_deployed_is_older_than_what_the_node_was_given_since(files: Files) -> None:
    files.write(written("before"))
    files.folder.look()
    files.store.loaded(str(files.path), files.folder._read[files.path].digest)
    assert files.state() == (True, "node", "")
    # what was wrong with it once is not why it differs now
    files.undeployed[str(files.path)] = Undeployed(str(files.path), "g", (), "no component")
    assert files.state() == (True, "node", "")
    files.write(written("after"))
    assert files.state() == (True, "file", "no component")


def test_a_file_that_cannot_be_read_belongs_to_the_graph_of_its_name(files: Files) -> None:
    files.path = files.path.with_name("g.json")
    files.write("{")
    differs, changed, problem = files.state()
    assert (differs, changed) == (True, "file")
    assert "line 1" in problem
    with pytest.raises(InvalidGraph, match="cannot be read"):
        files.folder.graph("g")


def test_no_file_is_read_again_that_has_not_changed(files: Files) -> None:
    files.write(written())
    files.folder.look()
    read = files.folder._read[files.path]
    files.folder.look()
    assert files.folder._read[files.path] is read
    files.path.unlink()
    files.folder.look()
    assert files.folder.state_of(LIVE) is None
