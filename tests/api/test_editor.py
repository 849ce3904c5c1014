"""``/`` and ``/static`` of a real node: the files of the editor, as browsers keep and ask for them."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pypes.testing.node import Node, running
from tests.api.test_docs import GRAPH

STATIC = Path(__file__).parents[2] / "pypes" / "web" / "static"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running(tmp_path_factory.mktemp("editor"), GRAPH, workers=1, instances=1) as node:
        yield node


class Places(HTMLParser):
    """All that a page names to be fetched, run or drawn."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = dict(attributes)
        assert "style" not in named
        assert tag != "style"
        assert not any(name.startswith("on") for name in named)
        assert tag != "script" or named.get("src")
        self.found += [value for name in ("src", "href") if (value := named.get(name))]


def test_the_page_runs_its_own_script_only(node: Node) -> None:
    answer = node.get("/")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    places = Places(answer.data.decode()).found
    assert {"static/editor.js", "static/editor.css", "plain"} <= {*places}
    # a proxy may have put the node under a path of its own
    assert not any(place.startswith(("/", "http")) for place in places)


@pytest.mark.parametrize("name", [each.name for each in STATIC.iterdir()])
def test_a_file_is_kept_until_it_changes(node: Node, name: str) -> None:
    plain = node.http.request("GET", f"{node.url}/static/{name}", headers={"Accept-Encoding": "identity"})
    assert (plain.status, plain.data) == (200, (STATIC / name).read_bytes())
    assert plain.headers["cache-control"] == "no-cache"
    again = node.http.request(
        "GET", f"{node.url}/static/{name}", headers={"If-None-Match": plain.headers["etag"], "Accept-Encoding": "identity"}
    )
    assert (again.status, again.data) == (304, b"")
    packed = node.http.request("GET", f"{node.url}/static/{name}", headers={"Accept-Encoding": "gzip"}, decode_content=False)
    if packed.headers.get("content-encoding") == "gzip":
        assert gzip.decompress(packed.data) == plain.data
        assert packed.headers["etag"] != plain.headers["etag"]
        assert len(packed.data) < len(plain.data)
    else:
        assert name.endswith(".woff2")
    assert packed.headers["vary"] == "accept-encoding"
    assert node.http.request("HEAD", f"{node.url}/static/{name}").status == 200


@pytest.mark.parametrize("name", ["", "none.js", "..%2F__init__.py", "%2e%2e", "index.html%00", "__pycache__"])
def test_nothing_else_is_given_out(node: Node, name: str) -> None:
    assert node.get(f"/static/{name}").status == 404


def test_what_browsers_fetch_at_first_is_small() -> None:
    assert sent("editor.js", "chunk.js", "editor.css", "index.html") <= 85_000


def test_all_that_they_ever_fetch_is_small() -> None:
    """All pages, in both languages."""
    assert sent(*(each.name for each in STATIC.iterdir() if each.suffix in (".js", ".css"))) <= 220_000


def sent(*names: str) -> int:
    """The bytes of files as they are sent."""
    return sum(len(gzip.compress((STATIC / name).read_bytes())) for name in names)
