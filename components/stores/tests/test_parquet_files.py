"""ParquetFiles: whole documents, types, files that are there as a whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from pypes import Packet, Pipeline
from pypes.errors import ComponentError, InvalidInput
from pypes.testing import ComponentSuite, PublisherSuite, run_component
from tests.needed import library

parquet = library("pyarrow.parquet", "pypes-stores[parquet]")

from pypes_stores.parquet_files import ParquetFiles  # noqa: E402
from pypes_stores.parquet_log import fold  # noqa: E402


class TestParquetFiles(ComponentSuite, PublisherSuite):
    component = ParquetFiles
    params = {"folder": "texts", "columns": {"text": "text"}}
    counts_removed = False

    @pytest.fixture(autouse=True)
    def _in_its_own_directory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

    def seen(self, folder: Path) -> Iterable[tuple[str, str | None, str, str]]:
        return [
            (row["route"], row["document"] and row["document"].replace("\\u0000", "\x00"), row["part"], row["text"])
            for row in fold(folder / "texts")
        ]


def publish(folder: Path, *packets: Packet, **columns: str) -> list[tuple[str, str]]:
    result = run_component(ParquetFiles, packets, folder=str(folder), columns=columns or {"name": "name"})
    return [(letter.code, letter.error) for letter in result.dead_letters]


def versioned(receipt: str, fields: dict[str, Any] | None = None, **meta: Any) -> Packet:
    return Packet(fields, {"id": "a", "route": "people", "receipt": receipt, "run": 1, **meta})


def test_columns_have_types(tmp_path: Path) -> None:
    packet = Packet({"id": "a", "n": "12", "born": "1815-12-10", "at": "2026-11-29T10:00:00", "known": True, "tags": ["x"]})
    columns = {"n": "n int", "born": "born date", "at": "at timestamptz", "known": "known bool", "tags": "tags text[]"}
    assert publish(tmp_path, packet, **columns, all="*", none="none") == []
    (path,) = tmp_path.glob("*.parquet")
    (row,) = parquet.read_table(path).to_pylist()
    assert (row["kind"], row["document"]) == ("part", "a")
    assert [row[name] for name in columns] == [12, date(1815, 12, 10), datetime(2026, 11, 29, 10, tzinfo=UTC), True, ["x"]]
    assert row["all"].startswith('{"at":"2026')
    assert row["none"] is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [("int", "many"), ("int", str(2**63)), ("float", "x"), ("bool", "perhaps"), ("date", "1815-13-01"), ("timestamptz", "noon")],
)
def test_a_value_that_does_not_fit_fails_alone(tmp_path: Path, kind: str, value: object) -> None:
    letters = publish(tmp_path, Packet({"id": "a"}), Packet({"id": "b", "v": value}), Packet({"id": "c"}), v=f"v {kind}")
    assert [code for code, _ in letters] == ["parquet.value"]
    assert letters[0][1].startswith(f"column v: '{value}' is no ")
    assert {row["document"] for row in fold(tmp_path)} == {"a", "c"}


def test_the_same_batch_again_is_the_same_file(tmp_path: Path) -> None:
    for _ in range(2):
        publish(tmp_path, versioned("1", {"name": "Ada"}))
    assert len(list(tmp_path.iterdir())) == 1
    publish(tmp_path, versioned("1", {"name": "Ada"}, run=2))
    assert len(list(tmp_path.iterdir())) == 2


def test_files_of_another_schema_are_refused(tmp_path: Path) -> None:
    publish(tmp_path, Packet({"id": "a", "name": "Ada"}))
    with pytest.raises(ComponentError, match="column name is string instead of int64"):
        publish(tmp_path, name="name int")
    with pytest.raises(ComponentError, match="column born is missing instead of int64"):
        publish(tmp_path, name="name", born="born int")


def test_columns_of_its_own_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="one of the table's own"):
        publish(tmp_path, version="name")


def test_a_folder_that_cannot_be_written_to_is_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    made = ParquetFiles()
    made.configure({"folder": str(folder), "columns": {"name": "name"}})
    with Pipeline(made) as pipeline:
        pipeline.push([Packet({"id": "a"})])
        shutil.rmtree(folder)
        folder.touch()
        pipeline.push([Packet({"id": "b"})])
        assert [letter.code for letter in pipeline.dead_letters] == ["retry.exhausted"]
        folder.unlink()
        pipeline.push([Packet({"id": "c"})])
    assert [row["document"] for row in fold(folder)] == ["c"]
    assert len(list(folder.iterdir())) == 1


def test_a_file_that_a_crash_left_is_removed_when_it_is_old(tmp_path: Path) -> None:
    old, new = tmp_path / ".old.parquet.tmp", tmp_path / ".new.parquet.tmp"
    for path in (old, new):
        path.write_bytes(b"PAR1")
    os.utime(old, (0, 0))
    publish(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [new.name]
