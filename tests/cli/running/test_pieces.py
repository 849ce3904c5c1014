"""How the input of pypes run is cut into work."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes.cli.running import pieces as pieces_module
from pypes.cli.running.pieces import JSON, NDJSON, Piece, pieces_of_file, pieces_of_stream, portions
from pypes.core.limits import Limits
from pypes.errors import BadRequest
from pypes.ingest.codecs import check
from pypes.ingest.delivery import Header


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


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'[{"a": 1}, {"a": 2}]', JSON),
        (b'\xef\xbb\xbf\n [{"a": 1},\n{"a": 2}]\n', JSON),
        (b'{\n "a": 1\n}\n', JSON),
        (b'{"a":\n1}', JSON),
        (b'{\n\n"a": [{}]}', JSON),
        (b'{"a": 1}', NDJSON),
        (b'{"a": 1}\n{"a": 2}\n', NDJSON),
        (b'{"a": \n{"a": 2}\n', NDJSON),
        (b'{"a": x}\n[1]\n', NDJSON),
        (b"\n\n", NDJSON),
        (b'{"a": "' + b"x" * 200 + b'"}\n', NDJSON),
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_the_beginning_of_a_stream_tells_its_form(data: bytes, kind: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class Dripping(io.BytesIO):
        def read1(self, most: int | None = -1, /) -> bytes:
            return self.read(size)

    found = [*pieces_of_stream(Dripping(data), None)]
    assert {piece.content_type for piece in found} <= {kind}
    assert b"".join(b"".join(piece.body or b"" for piece in found).split()) == b"".join(data.split())


def test_the_first_line_of_a_stream_is_worked_on_before_the_second_has_come() -> None:
    class Slow(io.BytesIO):
        def read1(self, most: int | None = -1, /) -> bytes:
            return self.readline()

        def read(self, most: int | None = -1, /) -> bytes:
            raise AssertionError("it may not be waited for all of it")

    stream = Slow(b'{"a": 1}\n{"a": 2}\n')
    pieces = pieces_of_stream(stream, None)
    assert next(pieces).body == b'{"a": 1}\n'
    assert stream.tell() == 9


@pytest.mark.parametrize("is_file", [True, False])
def test_errors_name_the_line_in_the_whole_input(is_file: bool, tmp_path: Path) -> None:
    data = b'{"a": 1}\n' * 50 + b'{"a": }\n' + b"5\n"
    path = tmp_path / "docs.ndjson"
    path.write_bytes(data)
    found = []
    for piece in pieces_of_file(path, None) if is_file else pieces_of_stream(io.BytesIO(data), None):
        body = piece.body if piece.body is not None else data[piece.start : piece.start + piece.length]
        try:
            check(Header(graph="g", content_type=NDJSON, length=len(body)), body, Limits())
        except BadRequest as error:
            found.append(piece.told(error))
    name = "docs.ndjson" if is_file else "-"
    assert found[0] == (name, "malformed JSON at line 51, column 7: unexpected character, expected a JSON value")
