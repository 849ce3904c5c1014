"""Files as they are sent while something may write to them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from pypes.cli.feeding.loading import UNKNOWN, WHOLE_BYTES, Loaded, Window, load, stamp_of
from pypes.cli.feeding.walking import files_of
from pypes.errors import InvalidInput


def loaded(path: Path, content: bytes, *, at_first: int | None = None) -> Loaded:
    """A file as it is loaded, whose size was ``at_first`` when it was found."""
    path.write_bytes(content)
    (file,) = files_of([path])
    return load(file if at_first is None else replace(file, size=at_first))


@pytest.mark.parametrize(
    ("name", "content", "is_one", "id", "is_own"),
    [
        ("a.txt", b"x", True, "a.txt", False),
        ("a.csv", b"a,b\n1,2\n", True, "a.csv", False),
        ("a.json", b'{"a": 1}', True, "a.json", False),
        ("a.json", b'\xef\xbb\xbf {"id": "own"}', True, "own", True),
        ("a.json", b'{"id": 7}', True, "7", True),
        ("a.json", b'{"id": ""}', True, "a.json", False),
        ("a.json", b"{", True, "a.json", False),
        ("a.json", b' [{"id": 7}]', False, None, False),
        ("a.ndjson", b"{}\n", False, None, False),
        ("a.msgpack", b"\x80", False, None, False),
        ("a.pb", b"\x0a\x00", False, None, False),
        ("a.mpk.gz", b"\x1f\x8b", False, None, False),
        ("a.ndjson.gz", b"\x1f\x8b", False, None, False),
        ("a.csv.gz", b"\x1f\x8b", True, "a.csv.gz", False),
    ],
)
def test_ids_of_files(name: str, content: bytes, is_one: bool, id: str | None, is_own: bool, tmp_path: Path) -> None:
    found = loaded(tmp_path / name, content)
    assert (found.is_one, found.id, found.is_own, found.content) == (is_one, id, is_own, content)
    assert found.stamp == stamp_of((tmp_path / name).stat())


def test_a_log_that_grows_is_sent_up_to_its_last_whole_line(tmp_path: Path) -> None:
    found = loaded(tmp_path / "a.log", b"one\ntwo\nthr", at_first=5)
    assert (found.content, found.size, found.stamp) == (b"one\ntwo\n", 8, UNKNOWN)
    found = loaded(tmp_path / "a.log", b"one\ntwo\nthree", at_first=13)
    assert found.content == b"one\ntwo\nthree"
    found = loaded(tmp_path / "a.html", b"<p>one\n<p>two", at_first=5)
    assert found.content == b"<p>one\n<p>two"


def test_a_large_log_that_grows_is_streamed_to_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    found = loaded(path, b"line\n" * WHOLE_BYTES + b"half", at_first=9)
    assert (found.content, found.size) == (None, 5 * WHOLE_BYTES)
    with path.open("rb") as file, path.open("ab") as writer:
        window = Window(file, found.size)
        first = window.read(10)
        writer.write(b" more\n")
        writer.flush()
        assert len(first) + len(window.read()) == found.size
        assert window.read(1) == b""
        window.seek(0)
        assert window.read(5) == b"line\n"


def test_a_file_that_shrinks_is_not_sent_as_if_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"0123456789")
    with path.open("rb") as file:
        window = Window(file, 20)
        assert window.read(10) == b"0123456789"
        with pytest.raises(InvalidInput, match="changed while it was read"):
            window.read(10)


def test_a_large_document_that_changes_under_the_stream_is_not_sent_as_if_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    found = loaded(path, b"<p>" * WHOLE_BYTES)
    with path.open("rb") as file:
        window = Window(file, found.size, found.stamp)
        first = window.read(10)
        assert len(first) + len(window.read()) == found.size
        window.seek(0)
        assert window.read(10) == first
        os.utime(path, ns=(0, found.stamp[1] + 1))
        with pytest.raises(InvalidInput, match="changed while it was read"):
            window.read()


def test_a_document_that_is_written_to_is_left_for_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.html"
    path.write_bytes(b"<p>one")
    (file,) = files_of([path])
    real = os.fstat

    def grow(fd: int) -> object:
        found = real(fd)
        with path.open("ab") as writer:
            writer.write(b"<p>two")
        return found

    monkeypatch.setattr(os, "fstat", grow)
    with pytest.raises(InvalidInput, match="still writes to the file"):
        load(file)
