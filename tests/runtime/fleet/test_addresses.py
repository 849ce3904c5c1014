"""Addresses of the nodes of a fleet."""

from __future__ import annotations

from pathlib import Path

import pytest

from pypes.errors import InvalidConfig, Unavailable
from pypes.runtime.fleet.addresses import Address, enter, read_file, read_folder, reader_of, resolve


def test_a_file_names_each_on_a_line(tmp_path: Path) -> None:
    path = tmp_path / "nodes"
    path.write_text("# the fleet\nhttp://10.0.0.1:8080  # first\n\nhttps://b.example:8443/\nhttp://10.0.0.1:8080\n")
    found = [Address("http://10.0.0.1:8080", "10.0.0.1:8080"), Address("https://b.example:8443", "b.example:8443")]
    assert read_file(path) == found
    assert reader_of(str(path))() == found


@pytest.mark.parametrize("line", ["10.0.0.1:8080", "ftp://a:1", "http://", "http://a:0", "http://a:b", "http://a:1/path"])
def test_a_line_that_is_no_url(tmp_path: Path, line: str) -> None:
    path = tmp_path / "nodes"
    path.write_text(f"http://a:1\n{line}\n")
    with pytest.raises(InvalidConfig, match="must be a URL") as raised:
        reader_of(str(path))
    assert raised.value.where == f"{path}, line 2"


def test_a_file_may_be_empty_for_a_while(tmp_path: Path) -> None:
    path = tmp_path / "nodes"
    path.touch()
    read = reader_of(str(path))
    with pytest.raises(Unavailable, match="names no node"):
        read()
    path.write_text("http://a:1")
    assert read() == [Address("http://a:1", "a:1")]
    path.unlink()
    with pytest.raises(Unavailable, match="cannot be read"):
        read()


def test_nodes_write_themselves_into_a_folder(tmp_path: Path) -> None:
    enter(tmp_path, 7, "http://a:1")
    enter(tmp_path, 8, "http://b:2")
    enter(tmp_path, 7, "http://c:3")
    (tmp_path / "graph.json").write_text("{}")
    assert reader_of(str(tmp_path))() == [Address("http://c:3", "7"), Address("http://b:2", "8")]
    (tmp_path / "9.node").write_text("{}")
    with pytest.raises(Unavailable, match="cannot be read"):
        read_folder(tmp_path)


def test_a_name_leads_to_all_nodes() -> None:
    assert reader_of("dns+http://localhost:8080")()
    assert Address("http://127.0.0.1:8080") in resolve("http://localhost:8080")
    with pytest.raises(Unavailable, match="leads to no address"):
        resolve("http://no-such-name.invalid:8080")


@pytest.mark.parametrize("nodes", ["/no/such/file", "dns+ftp://a:1", "dns+http://"])
def test_what_names_no_nodes(nodes: str) -> None:
    with pytest.raises(InvalidConfig):
        reader_of(nodes)
