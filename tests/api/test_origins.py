"""Origins that browsers tell of."""

from __future__ import annotations

from typing import Any

import pytest

from pypes.api.origins import field_of, is_by_hand, is_navigation, is_of_others, is_own, is_secure
from pypes.api.sender import SENDER, Sender


def scope(*, is_secure: bool = False, **fields: str) -> dict[str, Any]:
    headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]
    return {SENDER: Sender("127.0.0.1", is_secure, b"localhost"), "headers": headers}


@pytest.mark.parametrize("origin", [b"http://docs.example:8080", b"https://docs.example:8080", b"HTTP://Docs.Example:8080"])
def test_own_pages(origin: bytes) -> None:
    assert is_own(origin, b"DOCS.example:8080")
    assert not is_own(origin, b"docs.example")
    assert not is_own(origin, None)


@pytest.mark.parametrize("origin", [b"null", b"", b"ftp://host", b"http://host.evil.example", b"http://host:80", b"http://host/"])
def test_others(origin: bytes) -> None:
    assert not is_own(origin, b"host")


def test_over_tls_or_not() -> None:
    assert is_secure(scope(is_secure=True))
    assert is_secure(scope(origin="https://docs.example.org"))
    assert not is_secure(scope(origin="http://docs.example.org"))
    assert not is_secure(scope(x_forwarded_proto="https"))  # anybody can write that
    assert not is_secure({"headers": []})


def test_what_browsers_say_of_the_page_that_asks() -> None:
    assert [is_of_others(scope(sec_fetch_site=site)) for site in ("same-origin", "none", "")] == [False] * 3
    assert [is_of_others(scope(sec_fetch_site=site)) for site in ("same-site", "cross-site", "new")] == [True] * 3
    assert not is_of_others(scope())
    assert is_navigation(scope(sec_fetch_mode="navigate"))
    assert not is_navigation(scope(sec_fetch_mode="no-cors"))
    assert is_by_hand(scope(sec_fetch_user="?1"))
    assert not is_by_hand(scope())


def test_the_first_field_of_a_name_counts() -> None:
    assert field_of({"headers": [(b"a", b"1"), (b"a", b"2")]}, b"a") == b"1"
    assert field_of({"headers": []}, b"a") == b""
