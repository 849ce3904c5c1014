"""CSVWriter: rows that any reader of CSV understands, also after crashes and beside other instances."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import pytest

from pypes import Packet
from pypes.errors import ComponentError, InvalidInput
from pypes.testing import ComponentSuite, run_component
from pypes.testing.component import Result
from pypes_basic.csv_adapter import CSV
from pypes_basic.csv_writer import CSVWriter

from .packages import packages


def write(path: Path, packets: list[Packet], *fields: str, **params: Any) -> Result:
    return run_component(CSVWriter, packets, path=str(path), fields=list(fields), **params)


def rows(path: Path, **options: Any) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [*csv.reader(file, strict=True, **options)]


class TestCSVWriter(ComponentSuite):
    component = CSVWriter

    @pytest.fixture(autouse=True)
    def _file(self, tmp_path: Path) -> None:
        type(self).params = {"path": str(tmp_path / "suite.csv"), "fields": ["title"]}

    def test_packages_are_read_back_by_another_reader_and_by_the_adapter(self, tmp_path: Path) -> None:
        given = [packet for packet in packages() if len(packet.get("text")) < csv.field_size_limit()]
        assert given
        assert not write(tmp_path / "out.csv", given, "name", "version", "text").dead_letters
        found = rows(tmp_path / "out.csv")
        assert found[0] == ["name", "version", "text"]
        expected = [[packet.get("name"), packet.get("version"), " ".join(packet.get("text").splitlines())] for packet in given]
        assert [row[:2] for row in found[1:]] == [row[:2] for row in expected]
        assert [" ".join(row[2].split()) for row in found[1:]] == [" ".join(row[2].split()) for row in expected]
        read = run_component(CSV, [Packet({"data": (tmp_path / "out.csv").read_bytes()})]).packets
        assert [packet.get("name") for packet in read] == [packet.get("name") for packet in given]

    def test_values(self, tmp_path: Path) -> None:
        packet = Packet.from_document(
            {"a": ["x", 1, None], "b": True, "c": {"k": 'a"b'}, "d": 'x,"y"\r\nz\n', "e": 1.5, "f": None}
        )
        packet.set("g", b"\xff")
        write(tmp_path / "out.csv", [packet, Packet({"h": "ü"})], *"abcdefgh")
        data = [*"abcdefgh"], ["x; 1; ", "true", '{"k":"a\\"b"}', 'x,"y" z ', "1.5", "", "/w==", ""], [""] * 7 + ["ü"]
        assert rows(tmp_path / "out.csv") == [*data]
        assert json.loads(rows(tmp_path / "out.csv")[1][2]) == {"k": 'a"b'}
        write(
            tmp_path / "tabs.csv", [Packet.from_document({"a": ["1", "2"], "b": "c\td"})], "a", "b", delimiter="\t", separator="|"
        )
        assert rows(tmp_path / "tabs.csv", delimiter="\t") == [["a", "b"], ["1|2", "c\td"]]

    def test_rows_are_added_and_a_deletion_changes_none(self, tmp_path: Path) -> None:
        path = tmp_path / "out.csv"
        for n in range(3):
            write(path, [Packet({"n": n})], "n")
        result = write(path, [Packet({}, {"requestmethod": "DELETE", "id": "a"})], "n")
        assert result.counts == {"deletions": 1}
        assert rows(path) == [["n"], ["0"], ["1"], ["2"]]

    @pytest.mark.parametrize("torn", ['3,"an open', "3", ""])
    def test_a_torn_row_is_cut_off(self, tmp_path: Path, torn: str) -> None:
        path = tmp_path / "out.csv"
        write(path, [Packet({"n": n, "t": f"a,{n}"}) for n in range(2)], "n", "t")
        with path.open("a") as file:
            file.write(torn)
        write(path, [Packet({"n": 2, "t": "x"})], "n", "t")
        assert rows(path) == [["n", "t"], ["0", "a,0"], ["1", "a,1"], ["2", "x"]]

    @pytest.mark.parametrize("size", [0, 2, 7, 9])
    def test_a_torn_row_of_names_is_written_again(self, tmp_path: Path, size: int) -> None:
        path = tmp_path / "out.csv"
        write(path, [Packet({"name": "Alan"})], "name", "born")
        os.truncate(path, size)
        write(path, [Packet({"name": "Ada"})], "name", "born")
        assert rows(path) == [["name", "born"], ["Ada", ""]]

    @pytest.mark.parametrize("text", ["na", "name\n", "born,name\n"])
    def test_a_file_of_others_is_refused(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "out.csv"
        path.write_text(text)
        with pytest.raises(ComponentError, match="name another file"):
            write(path, [Packet({"name": "Ada"})], "name", "born")
        assert path.read_text() == text

    def test_a_full_file_is_renamed_and_each_has_names(self, tmp_path: Path) -> None:
        for _ in range(3):
            write(tmp_path / "out.csv", [Packet({"text": "x" * 50})] * 2, "text", max_bytes=120)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["out.1.csv", "out.2.csv", "out.csv"]
        assert all(rows(path)[0] == ["text"] and len(rows(path)) == 3 for path in tmp_path.iterdir())

    def test_a_file_with_other_names_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "out.csv"
        write(path, [Packet({"n": 1})], "n")
        with pytest.raises(ComponentError, match="does not begin with 'n,m', but with 'n'"):
            write(path, [Packet({"n": 1})], "n", "m")
        assert rows(path) == [["n"], ["1"]]

    def test_what_is_no_text_is_a_dead_letter(self, tmp_path: Path) -> None:
        result = write(tmp_path / "out.csv", [Packet({"t": "a"}), Packet({"t": "\ud800"}), Packet({"t": "b"})], "t")
        assert [letter.code for letter in result.dead_letters] == ["lines.value"]
        assert rows(tmp_path / "out.csv") == [["t"], ["a"], ["b"]]

    @pytest.mark.parametrize("params", [{"delimiter": '"'}, {"delimiter": ";;"}, {"path": "-"}, {"fields": []}])
    def test_bad_parameters_are_refused(self, params: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput):
            CSVWriter().configure({"path": "a.csv", "fields": ["a"], **params})
