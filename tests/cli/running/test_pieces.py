"""How the input of pypes run is cut into work."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes.cli.running import pieces as pieces_module
from pypes.cli.running.pieces import NDJSON, Piece, pieces_of_file, pieces_of_stream, portions


@pytest.fixture(autouse=True)
def _small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces_module, "PORTION_BYTES", 100)
    monkeypatch.setattr(pieces_module, "PORTION_FILES", 3)


def test_ndjson_is_cut_at_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "docs.ndjson"
    lines = [b'{"n": %d, "pad": "%s"}\n' % (number, b"x" * (number % 70)) for number in range(100)]
    path.write_bytes(b"".join(lines).rstrip(b"\n"))
    data = path.read_bytes()
    parts = [data[piece.start : piece.start + piece.length] for piece in pieces_of_file(path, None)]
    assert b"".join(parts) == data
    assert len(parts) > 10
    assert all(part.endswith(b"\n") for part in parts[:-1])


def test_other_files_stay_whole(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"a,b\n" * 1000)
    (tmp_path / "b.ndjson.gz").write_bytes(gzip.compress(b"{}\n" * 10))
    (piece,) = pieces_of_file(tmp_path / "a.csv", None)
    assert (piece.content_type, piece.length, piece.is_part) == ("text/csv", 4000, False)
    (piece,) = pieces_of_file(tmp_path / "b.ndjson.gz", None)
    assert (piece.content_type, piece.encoding) == (NDJSON, "gzip")
    (piece,) = pieces_of_file(tmp_path / "a.csv", "text/plain")
    assert piece.content_type == "text/plain"


@given(st.lists(st.binary(max_size=300).map(lambda line: line.replace(b"\n", b"") or b"x"), min_size=1), st.booleans())
def test_a_stream_of_lines_loses_nothing(lines: list[bytes], ends: bool) -> None:
    data = b"\n".join(lines) + (b"\n" if ends else b"")
    parts = [piece.body or b"" for piece in pieces_of_stream(io.BytesIO(data), NDJSON)]
    # pieces of white space alone hold no documents
    assert b"".join(b"".join(parts).split()) == b"".join(data.split())
    assert all(part.endswith(b"\n") for part in parts[:-1])


def test_another_stream_is_one_piece() -> None:
    (piece,) = pieces_of_stream(io.BytesIO(b"a,b\n" * 100), "text/csv")
    assert piece.length == 400


def test_portions_are_bounded_by_size_and_number() -> None:
    small = [Piece(str(number), "text/plain", length=1) for number in range(7)]
    assert [len(portion) for portion in portions(small)] == [3, 3, 1]
    mixed = [Piece("a", "text/plain", length=60), Piece("b", "text/plain", length=60), Piece("c", "text/plain", length=10**9)]
    assert [[piece.name for piece in portion] for portion in portions(mixed)] == [["a"], ["b"], ["c"]]
    stream = [Piece("-", NDJSON, length=1, body=b"1"), Piece("-", NDJSON, length=1, body=b"2")]
    assert [len(portion) for portion in portions(stream)] == [1, 1]
