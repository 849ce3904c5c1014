"""Names of files, from a request and from a part of a multipart body alike."""

from __future__ import annotations

import pytest

from pypes.ingest.codecs import multipart
from pypes.ingest.codecs.file_names import disposition_of, filename_of, plain_name


def by_part(disposition: bytes, *, keeps_folders: bool = False) -> str:
    parser = multipart.Parser(b"XX", keeps_folders=keeps_folders)
    (start, *_) = parser.feed(b"--XX\r\nContent-Disposition: " + disposition + b"\r\n\r\nx\r\n--XX--\r\n")
    assert isinstance(start, multipart.Start)
    return start.part.filename


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="a b.txt"', "a b.txt"),
        ("attachment; filename=a.txt", "a.txt"),
        ("attachment; filename=a b.txt; size=3", "a b.txt"),
        ('attachment; FileName="a.txt"', "a.txt"),
        ("attachment; filename*=UTF-8''n%C3%A4me.txt; filename=x", "näme.txt"),
        ("attachment; filename=x; filename*=iso-8859-1'en'n%E4me.txt", "näme.txt"),
        ("attachment; filename*=unicode_escape''n%C3%A4me.txt", "näme.txt"),
        ("attachment; filename*=nonsense; filename=a.txt", "a.txt"),
        ('attachment; filename*0="long "; filename*1=name.txt', "long name.txt"),
        ("attachment; filename*0*=UTF-8''n%C3%A4me; filename*1=\"%20.txt\"", "näme%20.txt"),
        ('attachment; filename="é.txt"', "é.txt"),
        ('attachment; filename="日本.txt"', "日本.txt"),
        (b'attachment; filename="\xe9.txt"', "é.txt"),
        ('attachment; filename="a;b.txt"', "a;b.txt"),
        ('attachment; filename="a\\"b.txt"', 'a"b.txt'),
        ('attachment; filename="a%22b.txt"', 'a"b.txt'),
        ('attachment; filename="100%25.txt"', "100%25.txt"),
        ('attachment; filename="a\u2028b\x85c\x0cd.txt"', "a_b_c_d.txt"),
        ("attachment; filename*=UTF-8''a%0D%0Ab%00.txt", "a__b_.txt"),
        ('attachment; filename="a%0D%0Ab%7f.txt"', "a__b%7f.txt"),
        ('attachment; filename="sub/dir/a.txt"', "a.txt"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ('attachment; filename="C:\\\\x\\\\y.doc"', "y.doc"),
        ('attachment; filename="C:\\Users\\me\\report.txt"', "report.txt"),
        ("attachment; filename*=UTF-8''sub%2Fa.txt", "a.txt"),
    ],
)
def test_a_file_has_one_name_whichever_way_it_comes(disposition: str | bytes, name: str) -> None:
    raw = disposition if isinstance(disposition, bytes) else disposition.encode()
    assert filename_of(raw.decode("latin-1")) == name
    assert by_part(raw) == name


@pytest.mark.parametrize("disposition", ["inline", "", 'attachment; filename=""', 'attachment; filename="folder/"'])
def test_some_have_none(disposition: str) -> None:
    assert filename_of(disposition) is None


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("sub/dir/a.txt", "sub/dir/a.txt"),
        ("/etc/./x.txt", "etc/x.txt"),
        ("../../etc/x.txt", "etc/x.txt"),
        ("C:\\Users\\me\\report.txt", "Users/me/report.txt"),
        ("a.txt", "a.txt"),
        ("..", None),
    ],
)
def test_folders_are_kept_if_asked_for_but_lead_nowhere_else(name: str, kept: str | None) -> None:
    assert plain_name(name, keeps_folders=True) == kept
    assert filename_of(f'attachment; filename="{name}"', keeps_folders=True) == kept
    if kept:
        assert by_part(f'form-data; name="f"; filename="{name}"'.encode(), keeps_folders=True) == kept


@pytest.mark.parametrize(
    "name", ["a.txt", "a b;c=d.txt", "A:", "1:", "a:b", ".", "..", ".x", "x.", ":", "", "a/b", "a\\b", "%22", "ü", "a\nb"]
)
def test_names_that_are_read_a_short_way_are_what_they_are_on_the_long_one(name: str) -> None:
    sent = f'form-data; name="f"; filename="{name}"'.encode().decode("latin-1")
    assert disposition_of(sent) == disposition_of(sent + ";")
    assert plain_name(name) == plain_name(f"./{name}")
    assert plain_name(name, keeps_folders=True) == plain_name(f"./{name}", keeps_folders=True)
