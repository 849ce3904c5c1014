"""How much of a directory Files fetches at once: however many files there are, and however large they are unpacked."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import pytest

from pypes.testing import run_component
from pypes_basic import files

from .sources import fetch, files_in, flat, write


def test_batches_grow_with_what_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cursor holds all files, and is stored with each batch: batches of one size would cost the square of their number."""
    monkeypatch.setattr(files, "BATCH_FILES", 2)
    monkeypatch.setattr(files, "BATCH_SHARE", 4)
    monkeypatch.setattr(files, "MOST_FILES", 10)
    for number in range(80):
        write(tmp_path / "in" / f"{number:02}", "x")
    pairs = fetch(files_in(tmp_path))
    sizes = [len(packets) for packets, _ in pairs]
    assert sum(sizes) == 80
    assert sizes[0] == 2
    assert sizes == sorted(sizes[:-1]) + sizes[-1:]
    assert max(sizes) == 10
    for number in range(40):
        (tmp_path / "in" / f"{number:02}").unlink()
    assert [len(packets) for packets, _ in fetch(files_in(tmp_path), pairs[-1][1])] == [10, 10, 10, 10]


def test_what_is_unpacked_counts_as_it_is_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "BATCH_BYTES", 250_000)
    (tmp_path / "in").mkdir()
    for number in range(4):
        (tmp_path / "in" / f"{number}.txt.gz").write_bytes(gzip.compress(bytes(100_000)))
    (tmp_path / "in" / "5.txt.gz").write_bytes(gzip.compress(bytes(300_000)))
    (tmp_path / "in" / "6.txt").write_bytes(b"x")
    pairs = fetch(files_in(tmp_path))
    assert [len(packets) for packets, _ in pairs] == [2, 2, 1, 1]
    for index, (_, cursor) in enumerate(pairs):
        assert flat(fetch(files_in(tmp_path), cursor)) == flat(pairs[index + 1 :])


@pytest.mark.parametrize("pattern", ["**/*", "**/**/**/**/*", "**/d/**/d/**/f", "*/**/d/*/**/*"])
def test_each_folder_is_looked_through_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str) -> None:
    """However many ways of matching its path there are: their number grows with a power of the depth."""
    write(tmp_path / "in" / Path(*["d"] * 12) / "f", "deep")
    real, looked = os.listdir, 0

    def counting(path: Any) -> list[str]:
        nonlocal looked
        looked += 1
        return real(path)

    monkeypatch.setattr(os, "listdir", counting)
    pairs = fetch(files_in(tmp_path, pattern=pattern))
    assert flat(pairs) == ["/".join(["d"] * 12) + "/f"]
    assert looked == 13


def test_a_file_that_cannot_be_handed_over_at_once_stops_no_other(tmp_path: Path) -> None:
    """``max_bytes`` may be more than the node takes: such a file is a dead letter, and not an error of the whole run."""
    source = files_in(tmp_path, max_bytes=10**9)
    source.fetched_bytes = 200_000
    write(tmp_path / "in" / "a.txt", "x" * 150_000)
    (tmp_path / "in" / "b.txt.gz").write_bytes(gzip.compress(bytes(150_000)))
    write(tmp_path / "in" / "c.txt", "x" * 100_000)
    result = run_component(source, [packet for packets, _ in fetch(source) for packet in packets])
    assert [packet.get_meta("filename") for packet in result.packets] == ["c.txt"]
    # three quarters of what is left beside the metadata
    assert [letter.code for letter in result.dead_letters] == ["files.too_large"] * 2
    assert "a.txt has 150000 bytes; what can be handed over by limits.json_bytes is 100848" in result.dead_letters[0].error
    assert "more than 100848 unpacked" in result.dead_letters[1].error
