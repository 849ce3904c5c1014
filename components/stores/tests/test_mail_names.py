"""Names of folders, as servers send them."""

from __future__ import annotations

import pytest

from pypes_stores.mail_names import decoded, folders_of, is_among, quoted


def test_lines_of_a_list() -> None:
    lines = [
        rb'(\HasNoChildren) "/" "a \"b\" \\c"',
        rb'(\HasChildren) "." inbox',
        rb'(\Noselect \HasChildren) "/" [Gmail]',
        (rb'(\HasNoChildren) "\\" {5}', b"a (b)"),
        b"",
        rb"() NIL Sent",
        None,
    ]
    assert folders_of(lines) == {'a "b" \\c': b'a "b" \\c', "INBOX": b"inbox", "a (b)": b"a (b)", "Sent": b"Sent"}


@pytest.mark.parametrize(
    ("spelt", "name"),
    [
        (b"Entw&APw-rfe", "Entwürfe"),
        (b"a &- b", "a & b"),
        (b"&ZeVnLIqe-", "日本語"),
        # not of that form
        (b"a&b", "a&b"),
        (b"&!!!-", "&!!!-"),
        ("Entwürfe".encode(), "Entwürfe"),
    ],
)
def test_names_are_decoded(spelt: bytes, name: str) -> None:
    assert decoded(spelt) == name


def test_nothing_can_be_sent_in_a_name() -> None:
    assert quoted(b'a"\\') == b'"a\\"\\\\"'
    with pytest.raises(ValueError, match="line breaks"):
        quoted(b"a\r\nb DELETE INBOX")


@pytest.mark.parametrize(
    ("name", "pattern", "is_it"),
    [
        ("INBOX", "INBOX", True),
        ("[Gmail]/All Mail", "[Gmail]/*", True),
        ("Work/2026", "Work/*", True),
        ("Work", "Work/*", False),
        ("a.b", "a?b", False),
    ],
)
def test_patterns(name: str, pattern: str, is_it: bool) -> None:
    assert is_among(name, [pattern]) is is_it
