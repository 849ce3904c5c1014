"""The page at /, as bytes over HTTP; tests/browser shows it to a browser."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from pypes.api import markup
from pypes.errors import Unavailable
from pypes.observe.picture import Table
from pypes.testing.node import Node, running
from tests.api.asking import GRAPH
from tests.api.callers import FORM
from tests.api.harness import Harness, serving


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running(tmp_path_factory.mktemp("page"), GRAPH, workers=1, instances=1) as started:
        yield started


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with serving(tmp_path_factory.mktemp("guarded"), token="secret", workers=2) as server:
        server.answers["status"] = Unavailable("the supervisor is busy")
        yield server


class Tags(HTMLParser):
    """The elements of a document, and whether all that were opened are closed."""

    VOID = {"meta", "link", "input"}

    def __init__(self, document: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.open: list[str] = []
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.names.append(tag)
        assert not [name for name, _ in attributes if name.startswith("on") or name == "style"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_brings_no_script(node: Node) -> None:
    answer = node.get("/plain")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    tags = Tags(answer.data.decode())
    assert tags.open == []
    assert "script" not in tags.names
    assert node.http.request("HEAD", node.url + "/plain").status == 200


def test_who_looks_at_the_same_time_sees_the_same(tmp_path: Path) -> None:
    with running(tmp_path, GRAPH, workers=1, instances=1) as fresh, ThreadPoolExecutor(8) as threads:
        pages = [answer.data for answer in threads.map(fresh.get, ["/plain"] * 8)]
    assert all(b"<h2>" in page or b"<caption>" in page for page in pages)


def test_nobody_in_between_makes_anything_else_of_it(node: Node) -> None:
    headers = node.get("/plain").headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    for part in ("frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"):
        assert part in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("value", ["-1", "3601", "x", "1;url=http://evil.example"])
def test_seconds_that_are_none_are_refused(node: Node, value: str) -> None:
    assert node.get(f"/plain?{urlencode({'refresh': value})}").status == 400


def test_without_a_token_nobody_is_asked_for_one(node: Node) -> None:
    answer = node.http.request("POST", f"{node.url}/session", body="token=x", headers=FORM, redirect=False)
    assert (answer.status, answer.headers["location"]) == (303, "./")
    assert "set-cookie" not in answer.headers
    assert b"Sign out" not in node.get("/plain").data
    assert node.get("/session").json()["scopes"] == ["ingest", "read", "edit", "admin"]


def test_a_node_that_cannot_tell_says_so_and_is_asked_again(guarded: Harness) -> None:
    answer = guarded.get("/plain", Authorization="Bearer secret")
    assert answer.status == 503
    assert b'http-equiv="refresh" content="5"' in answer.data
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")


@pytest.mark.parametrize(
    "hostile", ["<script>alert(1)</script>", '" onload="alert(2)', "a & b", "</style><b>", "\u202egnp", "\x1b[2J\x00"]
)
def test_text_from_anywhere_is_text(hostile: str) -> None:
    table = Table(hostile, (hostile, "State"), [(hostile, hostile)], empty=hostile)
    whole = markup.document(hostile, markup.table(table) + markup.table(Table(hostile, (), [], empty=hostile))).decode()
    plain = markup.document("x", markup.table(Table("x", ("x", "State"), [("x", "x")])) + "<section><h2></h2><p></p></section>")
    assert Tags(whole).names == Tags(plain.decode()).names
    assert not [character for character in whole if not character.isprintable() and character != "\n"]


def test_a_page_is_fetched_again_from_where_it_says() -> None:
    assert b'<meta http-equiv="refresh" content="5; url=?a=1&amp;b=&quot;">' in markup.document("x", "", 5, '?a=1&b="')
    assert b'<meta http-equiv="refresh" content="5">' in markup.document("x", "", 5)
    assert b"http-equiv" not in markup.document("x", "", 0, "?a=1")


def test_the_files_of_the_page_are_in_the_package() -> None:
    folder = Path(markup.__file__).parent / "html"
    assert {path.name for path in folder.iterdir()} == {"page.html", "page.css"}


def test_headings_that_do_not_say_it_have_their_meaning() -> None:
    shown = markup.table(Table("Queue", ("Shard", "Leased"), [("0", "3")], frozenset({"Leased"})))
    assert 'class="number" title="Handed to an instance, and not done' in shown
    assert shown.count("title=") == 1
