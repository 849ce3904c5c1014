"""Where a page declares its character set."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes_documents.prescan import PRESCAN_BYTES, declared_charset


@pytest.mark.parametrize(
    ("page", "label"),
    [
        (b"<meta charset=koi8-r>", "koi8-r"),
        (b"<META CHARSET = 'KOI8-R' />", "koi8-r"),
        (b'<!doctype html><html lang="a > b"><title>charset=x</title><meta/charset="koi8-r">', "koi8-r"),
        (b"<meta http-equiv=Content-Type content='text/html; charset=koi8-r'>", "koi8-r"),
        (b"<meta content='text/html; charset = koi8-r; x' http-equiv=content-type>", "koi8-r"),
        (b"""<meta http-equiv=content-type content='charset="koi8-r"'>""", "koi8-r"),
        (b"""<meta http-equiv=content-type content='charset="koi8-r'>""", None),
        (b"<meta http-equiv=content-type content='charsets charset charset=koi8-r'>", "koi8-r"),
        (b"<meta content='text/html; charset=koi8-r'>", None),
        (b"<meta http-equiv=refresh content='text/html; charset=koi8-r'>", None),
        (b"<meta name=description content='charset=koi8-r explained'>", None),
        (b"<meta name=viewport data-charset=koi8-r>", None),
        (b"<meta name=x content='<meta charset=koi8-r>'>", None),
        (b"<!-- <meta charset=koi8-r> -->", None),
        (b"<!--><meta charset=koi8-r>", "koi8-r"),
        (b"<!-- > <meta charset=latin2> --><meta charset=koi8-r>", "koi8-r"),
        (b"<!-- <meta charset=koi8-r>", None),
        (b"<a title='<meta charset=latin2>'><meta charset=koi8-r>", "koi8-r"),
        (b'<a title="\'"><meta charset=koi8-r>', "koi8-r"),
        (b"</a title='<meta charset=latin2>'><meta charset=koi8-r>", "koi8-r"),
        (b"<? <meta charset=koi8-r> ?>", None),
        (b"<metacharset=koi8-r>", None),
        (b"< meta charset=koi8-r>", None),
        (b"<meta charset=koi8-r", None),
        (b"<meta charset='koi8-r>", None),
        (b"<meta charset=koi8-r charset=latin2>", "koi8-r"),
        (b"<a b = 'c' d='<meta charset=koi8-r>", None),
        (b"<a b=c'd='>'><meta charset=koi8-r>", "koi8-r"),
        (b"a < b </3 ><!x > <p/ ><meta charset=koi8-r>", "koi8-r"),
        (b"<meta charset>", None),
        (b"<meta charset=>", None),
        (b"<meta charset=x-bogus><meta charset=koi8-r>", "koi8-r"),
        (b"<meta charset=x-bogus>", "x-bogus"),
        (b"<meta charset=utf-7>", "utf-7"),
        (b"<meta charset=utf-16>", "utf-8"),
        (b"<meta http-equiv=content-type content='text/html; charset=unicode'>", "utf-8"),
        (b"<meta charset=x-user-defined>", "x-user-defined"),
        (b"<?xml version='1.0' encoding='koi8-r'?><html>", "koi8-r"),
        (b"<?xml version='1.0' encoding='utf-16'?><html>", "utf-8"),
        (b"<?xml version='1.0'?><a encoding='koi8-r'>", None),
        (b"<?xml encoding='latin2'?><meta charset=koi8-r>", "koi8-r"),
        (b" " * (PRESCAN_BYTES - 22) + b"<meta charset=koi8-r >", "koi8-r"),
        (b" " * (PRESCAN_BYTES - 21) + b"<meta charset=koi8-r >", None),
        (b"charset=koi8-r", None),
        (b"", None),
    ],
)
def test_declarations(page: bytes, label: str | None) -> None:
    assert declared_charset(page) == label


@given(
    st.lists(
        st.sampled_from([b"<", b"<!--", b"<meta ", b"charset", b"=", b"'", b'"', b">", b"/", b" ", b"x", b"<?xml encoding="])
    )
)
def test_any_page_is_looked_at(pieces: list[bytes]) -> None:
    assert isinstance(declared_charset(b"".join(pieces)), str | None)
