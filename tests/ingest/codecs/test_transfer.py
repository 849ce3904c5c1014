"""Transfer encodings of parts."""

from __future__ import annotations

import base64
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes.errors import BadRequest
from pypes.ingest.codecs.transfer import normalize_transfer, transfer_of


def undone(name: str, data: bytes, size: int = 7) -> bytes:
    transfer = transfer_of(normalize_transfer(name))
    assert transfer is not None
    return b"".join(transfer.feed(data[at : at + size]) for at in range(0, len(data), size)) + transfer.finish()


@given(st.binary(max_size=300), st.integers(1, 90))
def test_base64_comes_back_in_pieces_of_any_size(data: bytes, size: int) -> None:
    assert undone("Base64", base64.encodebytes(data).replace(b"\n", b"\r\n"), size) == data


@given(st.binary(max_size=300), st.integers(1, 90))
def test_quoted_printable_comes_back_in_pieces_of_any_size(data: bytes, size: int) -> None:
    encoded = quopri.encodestring(data)
    assert undone("quoted-printable", encoded, size) == data


@given(st.text("=4Aa\r\n ", max_size=40), st.integers(1, 5))
def test_what_is_no_quoted_printable_is_the_same_in_pieces_of_any_size(text: str, size: int) -> None:
    assert undone("quoted-printable", text.encode(), size) == undone("quoted-printable", text.encode(), 100)


@pytest.mark.parametrize(
    ("encoded", "data"),
    [
        (b"<p>caf=C3=A9 long=\r\nword</p>", "<p>café longword</p>".encode()),
        (b"a=3db", b"a=b"),
        (b"50 % =", b"50 % "),
        (b"a=zz", b"a=zz"),
        (b"a === b", b"a === b"),
    ],
)
def test_quoted_printable(encoded: bytes, data: bytes) -> None:
    assert undone("quoted-printable", encoded, 3) == undone("quoted-printable", encoded, 100) == data


def test_missing_padding_is_made_up_for() -> None:
    assert undone("base64", b"SGVsbG8gd29ybGQ") == b"Hello world"


@pytest.mark.parametrize("data", [b"SGVs*G8=", b"SGVsbG8=SGVs", b"SGVsbA==SGVsbA==", b"S"])
@pytest.mark.parametrize("size", [1, 8, 100])
def test_damaged_base64_is_refused(data: bytes, size: int) -> None:
    with pytest.raises(BadRequest, match="not valid base64"):
        undone("base64", data, size)


def test_only_known_encodings() -> None:
    assert [normalize_transfer(name) for name in ("", "7bit", "8BIT", " binary ")] == [""] * 4
    with pytest.raises(BadRequest, match="'x-uuencode' is not known; send binary, base64 or quoted-printable"):
        normalize_transfer("x-uuencode")
