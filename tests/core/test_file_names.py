"""Names of files: which are passed over, and the ids made of them."""

import re

import pytest

from pypes.core.file_names import MOST_ID_BYTES, in_one_line, is_hidden, is_temporary, named, shown, template_pattern


@pytest.mark.parametrize(
    "name",
    ["a.txt~", "x/#a.txt#", "a.tmp", "a.PART", "a.zip.crdownload", "~$report.docx", "a.txt.swp", "a.filepart", "a.swp"],
)
def test_temporary_names(name: str) -> None:
    assert is_temporary(name)


@pytest.mark.parametrize("name", ["a.txt", "part", "tmp/a.txt", "a~b", "#a", "a.tmpl", "a.download.html"])
def test_names_of_documents(name: str) -> None:
    assert not is_temporary(name)
    assert not is_hidden(name)


def test_a_pattern_may_ask_for_temporary_names() -> None:
    assert not is_temporary("a.tmp", "*.tmp")


def test_names_of_rsync_are_hidden() -> None:
    assert is_hidden("x/.a.txt.Ab12Cd")
    assert not is_hidden(".git/a")


def test_names_that_are_not_utf_8_are_shown() -> None:
    assert shown("grün/a%.txt") == "grün/a%.txt"
    assert shown("gr\udcfcn/a%.txt") == "gr%FCn/a%25.txt"


@pytest.mark.parametrize(
    ("name", "line"), [("a\r\n\0b.txt", "a___b.txt"), ("\u2029\x7f\x85", "___"), ("é\xa0日.txt", "é\xa0日.txt")]
)
def test_names_of_documents_hold_no_control_characters(name: str, line: str) -> None:
    assert in_one_line(name) == line


def test_ids_by_a_template() -> None:
    assert named("wiki/{path}", path="a/b.txt", name="b.txt") == "wiki/a/b.txt"
    assert named("", path="a") == ""
    long = named("{path}", path="é" * 2000)
    assert len(long.encode()) <= MOST_ID_BYTES
    assert long != named("{path}", path="é" * 2001)
    pattern = template_pattern("path", "name")
    for template, is_one in {"{path}": True, "x/{name}": True, "": True, "x": False, "{root}": False, "{path": False}.items():
        assert bool(re.search(pattern, template)) is is_one, template
