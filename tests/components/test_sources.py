"""Files, and FetchURL against a real server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest

from pypes.component import Source
from pypes.errors import ComponentError
from pypes.packet import Packet
from pypes.testing import ComponentSuite, run_component
from pypes_basic import files
from pypes_basic.fetch_url import FetchURL
from pypes_basic.files import Files

Pairs = list[tuple[list[Packet], Any]]


def fetch(source: Source, cursor: Any = None) -> Pairs:
    assert source.fetch is not None
    source.setup()
    try:
        return list(source.fetch(cursor))
    finally:
        source.teardown()


def write(path: Path, data: str, modified: float = 1000.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data)
    os.utime(path, (modified, modified))


def names(pairs: Pairs) -> list[list[str]]:
    return [[packet.get_meta("filename") for packet in packets] for packets, _ in pairs]


class TestFiles(ComponentSuite):
    component = Files
    params: ClassVar[dict[str, Any]] = {"directory": "in"}

    def of(self, tmp_path: Path, **params: Any) -> Files:
        (tmp_path / "in").mkdir(exist_ok=True)
        source = Files()
        source.configure({**self.params, **params})
        source.data_dir = str(tmp_path)
        return source

    def test_what_is_new_changed_or_gone(self, tmp_path: Path) -> None:
        source = self.of(tmp_path)
        home = tmp_path / "in"
        assert fetch(source) == []
        write(home / "b.html", "<p>")
        write(home / "a.txt", "one")
        ((packets, cursor),) = fetch(source)
        assert [(p.get_meta("filename"), p.get_meta("mimetype"), p.get("data")) for p in packets] == [
            ("a.txt", "text/plain", b"one"),
            ("b.html", "text/html", b"<p>"),
        ]
        assert fetch(source, cursor) == []
        write(home / "a.txt", "two", 2000.0)
        write(home / "c", "three")
        ((packets, cursor),) = fetch(source, cursor)
        assert [(p.get_meta("filename"), p.get_meta("mimetype")) for p in packets] == [
            ("a.txt", "text/plain"),
            ("c", "application/octet-stream"),
        ]
        (home / "b.html").unlink()
        ((packets, cursor),) = fetch(source, cursor)
        assert packets == []
        assert sorted(cursor["seen"]) == ["a.txt", "c"]
        write(home / "b.html", "<p>")
        assert names(fetch(source, cursor)) == [["b.html"]]

    def test_each_cursor_is_behind_what_came_with_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(files, "BATCH_FILES", 2)
        monkeypatch.setattr(files, "BATCH_BYTES", 100)
        source = self.of(tmp_path)
        for name, size in (("a", 1), ("b", 1), ("c", 200), ("d", 1)):
            write(tmp_path / "in" / name, "x" * size)
        pairs = fetch(source)
        assert names(pairs) == [["a", "b"], ["c"], ["d"]]
        for index, (_, cursor) in enumerate(pairs):
            assert names(fetch(source, cursor)) == names(pairs)[index + 1 :]

    def test_a_pattern(self, tmp_path: Path) -> None:
        write(tmp_path / "in" / "a.txt", "")
        write(tmp_path / "in" / "b.csv", "")
        write(tmp_path / "in" / "below" / "c.txt", "")
        assert names(fetch(self.of(tmp_path))) == [["a.txt", "b.csv"]]
        assert names(fetch(self.of(tmp_path, pattern="*.csv"))) == [["b.csv"]]
        assert names(fetch(self.of(tmp_path, pattern="**/*.txt"))) == [["a.txt", "below/c.txt"]]

    def test_another_directory_begins_anew(self, tmp_path: Path) -> None:
        write(tmp_path / "in" / "a", "")
        write(tmp_path / "other" / "a", "")
        ((_, cursor),) = fetch(self.of(tmp_path))
        assert names(fetch(self.of(tmp_path, directory="other"), cursor)) == [["a"]]

    def test_a_directory_that_is_gone_is_an_error(self, tmp_path: Path) -> None:
        source = self.of(tmp_path, directory="nowhere")
        with pytest.raises(FileNotFoundError):
            fetch(source)

    def test_a_file_that_is_too_large_becomes_a_dead_letter(self, tmp_path: Path) -> None:
        source = self.of(tmp_path, max_bytes=3)
        write(tmp_path / "in" / "a", "four")
        write(tmp_path / "in" / "b", "yes")
        ((packets, _),) = fetch(source)
        result = run_component(source, packets)
        assert [packet.get("data") for packet in result.packets] == [b"yes"]
        (letter,) = result.dead_letters
        assert letter.code == "files.too_large"


class Origin:
    """A server whose answers the test sets; ``asked`` are the headers of the requests."""

    def __init__(self) -> None:
        self.status = 200
        self.body = b"hello"
        self.headers: dict[str, str] = {}
        self.asked: list[dict[str, str]] = []
        origin = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = {name.lower(): value for name, value in self.headers.items()}
                origin.asked.append(asked)
                tags = (("if-none-match", "ETag"), ("if-modified-since", "Last-Modified"))
                is_same = any(asked.get(wanted, "") == origin.headers.get(tag) for wanted, tag in tags)
                status = 304 if is_same else origin.status
                self.send_response(status)
                for name, value in origin.headers.items():
                    self.send_header(name, value)
                if status != 304:
                    self.send_header("Content-Length", str(len(origin.body)))
                self.end_headers()
                if status != 304:
                    self.wfile.write(origin.body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def origin() -> Iterator[Origin]:
    made = Origin()
    yield made
    made.close()


class TestFetchURL(ComponentSuite):
    component = FetchURL
    params: ClassVar[dict[str, Any]] = {"url": "http://127.0.0.1:9/feed"}

    def of(self, origin: Origin, path: str = "/a/feed%201.xml", **params: Any) -> FetchURL:
        source = FetchURL()
        source.configure({"url": origin.url + path, **params})
        return source

    def test_what_is_fetched(self, origin: Origin) -> None:
        origin.headers["Content-Type"] = "Text/XML; charset=latin-1"
        ((packets, _),) = fetch(self.of(origin, headers={"Authorization": "Bearer x"}))
        (packet,) = packets
        assert packet.get("data") == b"hello"
        assert [packet.get_meta(name) for name in ("url", "filename", "mimetype", "charset")] == [
            f"{origin.url}/a/feed%201.xml",
            "feed 1.xml",
            "text/xml",
            "latin-1",
        ]
        assert origin.asked[0]["authorization"] == "Bearer x"

    @pytest.mark.parametrize(
        "headers",
        [
            {"ETag": '"1"'},
            {"ETag": '"1"', "Last-Modified": formatdate(1000, usegmt=True)},
            {"Last-Modified": formatdate(1000, usegmt=True)},
            {},
        ],
    )
    def test_the_same_is_not_fetched_again(self, origin: Origin, headers: dict[str, str]) -> None:
        origin.headers = headers
        source = self.of(origin)
        ((packets, cursor),) = fetch(source)
        assert len(packets) == 1
        assert fetch(source, cursor) == []
        assert origin.asked[1].get("if-none-match") == headers.get("ETag")
        assert origin.asked[1].get("if-modified-since") == headers.get("Last-Modified")
        origin.body = b"new"
        if headers:
            origin.headers = {"ETag": '"2"'}
        ((packets, cursor),) = fetch(source, cursor)
        assert [packet.get("data") for packet in packets] == [b"new"]
        assert fetch(source, cursor) == []

    def test_a_new_tag_for_the_same_content_is_only_remembered(self, origin: Origin) -> None:
        origin.headers = {"ETag": '"1"'}
        source = self.of(origin)
        ((_, cursor),) = fetch(source)
        origin.headers = {"ETag": '"2"'}
        ((packets, cursor),) = fetch(source, cursor)
        assert packets == []
        assert cursor["etag"] == '"2"'

    def test_another_url_begins_anew(self, origin: Origin) -> None:
        origin.headers = {"ETag": '"1"'}
        ((_, cursor),) = fetch(self.of(origin))
        ((packets, _),) = fetch(self.of(origin, "/other"), cursor)
        assert len(packets) == 1

    def test_what_is_wrong_ends_the_run(self, origin: Origin) -> None:
        with pytest.raises(ComponentError, match="max_bytes"):
            fetch(self.of(origin, max_bytes=4))
        origin.status = 404
        with pytest.raises(ComponentError, match="404"):
            fetch(self.of(origin))
