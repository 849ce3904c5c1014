"""Files, and FetchURL against a real server."""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest

from pypes.component import Source
from pypes.core.paths import Paths
from pypes.core.secrets import Secrets
from pypes.errors import ComponentError, InvalidInput
from pypes.packet import Packet
from pypes.testing import ComponentSuite, run_component
from pypes_basic import files
from pypes_basic.fetch_url import FetchURL
from pypes_basic.files import Files

#: The beginning of an answer.
OK = b"HTTP/1.1 200 OK\r\n"

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

    def test_nothing_is_read_outside_of_the_directory(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        write(tmp_path / "in" / "a.txt", "in")
        write(tmp_path / "out" / "b.txt", "out")
        (tmp_path / "in" / "file.txt").symlink_to(tmp_path / "out" / "b.txt")
        (tmp_path / "in" / "env.txt").symlink_to("/proc/self/environ")
        (tmp_path / "in" / "folder").symlink_to(tmp_path / "out")
        (tmp_path / "in" / "gone.txt").symlink_to(tmp_path / "nowhere")
        os.mkfifo(tmp_path / "in" / "pipe.txt")
        for pattern in ("*", "**/*", "folder/*", "*/*.txt"):
            source = self.of(tmp_path, pattern=pattern)
            assert [name for each in names(fetch(source)) for name in each] == (["a.txt"] if pattern in ("*", "**/*") else [])
        assert "env.txt: it is a symbolic link" in caplog.records[0].__dict__["first"]
        assert "pipe.txt: it is no regular file" in caplog.records[0].__dict__["first"]

    @pytest.mark.parametrize("pattern", ["../*", "/etc/*", "a/../../*", "**/.."])
    def test_no_pattern_leads_out(self, pattern: str) -> None:
        with pytest.raises(InvalidInput):
            Files().configure({"directory": "in", "pattern": pattern})

    def test_links_are_followed_if_the_parameter_says_so_and_only_where_paths_may_lead(self, tmp_path: Path) -> None:
        write(tmp_path / "in" / "a.txt", "in")
        write(tmp_path / "out" / "b.txt", "out")
        write(tmp_path / "own" / "queue.db", "own")
        (tmp_path / "in" / "file").symlink_to(tmp_path / "out" / "b.txt")
        (tmp_path / "in" / "env").symlink_to("/proc/self/environ")
        (tmp_path / "in" / "queue").symlink_to(tmp_path / "own" / "queue.db")
        (tmp_path / "in" / "folder").symlink_to(tmp_path / "out")
        source = self.of(tmp_path, links=True)
        source.paths = Paths(str(tmp_path), own=((str(tmp_path / "own"), "the store"),))
        assert names(fetch(source)) == [["a.txt", "file"]]
        source.params.pattern = "*/*"
        assert names(fetch(source)) == [["folder/b.txt"]]
        source.paths = Paths(str(tmp_path / "in"), roots=(str(tmp_path / "in"),))
        assert fetch(source) == []

    def test_what_belongs_to_the_node_is_passed_over(self, tmp_path: Path) -> None:
        write(tmp_path / "in" / "a.txt", "a")
        write(tmp_path / "in" / "shards" / "queue.db", "queue")
        os.link(tmp_path / "in" / "shards" / "queue.db", tmp_path / "in" / "linked.db")
        source = self.of(tmp_path, pattern="**/*")
        source.paths = Paths(str(tmp_path), own=((str(tmp_path / "in" / "shards"), "the store"),))
        assert names(fetch(source)) == [["a.txt"]]

    def test_one_that_cannot_be_read_does_not_stop_the_others(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("a", "m", "z"):
            write(tmp_path / "in" / name, name)
        real = os.open

        def fails(path: Any, flags: int, *more: Any, **options: Any) -> int:
            if path == "m":
                raise PermissionError(errno.EACCES, "Permission denied")
            return real(path, flags, *more, **options)

        source = self.of(tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", fails)
            ((packets, cursor),) = fetch(source)
            assert fetch(source, cursor) == []
        assert [packet.get_meta("filename") for packet in packets] == ["a", "z"]
        assert caplog.records[0].__dict__["first"] == ["m: Permission denied"]
        assert names(fetch(source, cursor)) == [["m"]]

    def test_a_folder_that_cannot_be_looked_into_is_not_forgotten(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(tmp_path / "in" / "a", "a")
        write(tmp_path / "in" / "below" / "b", "b")
        source = self.of(tmp_path, pattern="**/*")
        ((_, cursor),) = fetch(source)
        real = os.open

        def fails(path: Any, flags: int, *more: Any, **options: Any) -> int:
            if path == "below":
                raise PermissionError(errno.EACCES, "Permission denied")
            return real(path, flags, *more, **options)

        with monkeypatch.context() as patch:
            patch.setattr(os, "open", fails)
            assert fetch(source, cursor) == []

    def test_names_that_are_not_utf_8(self, tmp_path: Path) -> None:
        source = self.of(tmp_path)
        write(tmp_path / "in" / "a%E9.txt", "plain")
        for name in (b"a\xe9.txt", b"b\xff 50%.txt"):
            (Path(os.fsdecode(os.fsencode(tmp_path) + b"/in/" + name))).write_text("odd")
        ((packets, cursor),) = fetch(source)
        assert [(packet.get_meta("filename"), packet.get("data")) for packet in packets] == [
            ("a%E9.txt", b"plain"),
            ("b%FF 50%25.txt", b"odd"),
        ]
        json.dumps(cursor).encode()
        assert fetch(source, cursor) == []

    def test_folders_without_end(self, tmp_path: Path) -> None:
        write(tmp_path / "in" / "a", "a")
        deep = tmp_path / "in"
        for _ in range(130):
            deep = deep / "d"
        deep.mkdir(parents=True)
        assert names(fetch(self.of(tmp_path, pattern="**/*"))) == [["a"]]


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

    def test_keys_do_not_follow_a_redirect_to_another_origin(self, origin: Origin) -> None:
        other = Origin()
        try:
            origin.status, origin.headers = 302, {"Location": f"{other.url}/x"}
            source = self.of(origin, headers={"Authorization": "Bearer t", "X-Api-Key": "k", "Cookie": "c=1"})
            ((packets, _),) = fetch(source)
            assert [packet.get("data") for packet in packets] == [b"hello"]
            assert origin.asked[0]["x-api-key"] == "k"
            assert not {"authorization", "x-api-key", "cookie"} & other.asked[0].keys()
            # nor back: whoever stands between could choose what is asked for
            other.status, other.headers = 302, {"Location": f"{origin.url}/y"}
            with pytest.raises(ComponentError, match="one address to the next"):
                fetch(source)
            assert {"x-api-key" in asked for asked in origin.asked[2:]} == {False}
        finally:
            other.close()

    def test_keys_go_with_a_redirect_within_the_origin(self, origin: Origin) -> None:
        origin.status, origin.headers = 301, {"Location": "/there"}
        with pytest.raises(ComponentError, match="one address to the next"):
            fetch(self.of(origin, headers={"X-Api-Key": "k"}))
        assert [asked.get("x-api-key") for asked in origin.asked] == ["k"] * 6

    def test_a_user_in_the_url_is_sent_and_not_told(self, origin: Origin) -> None:
        source = FetchURL()
        secrets = source.secrets = Secrets()
        url = origin.url.replace("http://", "http://user:${PW}@") + "/feed?key=${KEY}"
        environ = {"PW": "pass%40word", "KEY": "key-Xw72"}
        secrets.learn({"url": url}, environ)
        source.configure({"url": url.replace("${PW}", environ["PW"]).replace("${KEY}", environ["KEY"])})
        ((packets, cursor),) = fetch(source)
        assert origin.asked[0]["authorization"] == "Basic dXNlcjpwYXNzQHdvcmQ="
        assert packets[0].get_meta("url") == f"{origin.url}/feed?key=${{KEY}}"
        assert cursor["url"] == packets[0].get_meta("url")
        origin.status = 500
        with pytest.raises(ComponentError) as failed:
            fetch(source)
        assert "key-Xw72" not in str(failed.value)
        assert secrets.redact("Basic dXNlcjpwYXNzQHdvcmQ=") == "Basic ***"

    @pytest.mark.parametrize(
        "head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"HTTP/1.1 2"]
    )
    def test_a_server_that_drips_is_cut_off(self, head: bytes) -> None:
        source = FetchURL()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            source.configure({"url": f"http://127.0.0.1:{listener.getsockname()[1]}/x", "timeout_s": 0.5})

            def drip() -> None:
                with suppress(OSError):
                    while True:
                        link, _ = listener.accept()
                        with link, suppress(OSError):
                            link.sendall(head)
                            while True:
                                link.settimeout(0.02)
                                with suppress(TimeoutError):
                                    if not link.recv(4096):
                                        break
                                link.sendall(b"x")

            server = Thread(target=drip, daemon=True)
            server.start()
            with pytest.raises(ComponentError) as failed:
                fetch(source)
            assert failed.value.code == "url.timeout"
            listener.shutdown(socket.SHUT_RDWR)
        server.join(10)
        assert not server.is_alive()
