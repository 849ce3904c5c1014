"""FetchURL against a real server."""

from __future__ import annotations

import errno
import gzip
import socket
from collections.abc import Iterator
from contextlib import suppress
from email.utils import formatdate
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest

from pypes.core.secrets import Secrets
from pypes.errors import ComponentError, InvalidInput
from pypes.testing import ComponentSuite, run_example
from pypes_basic.fetch_url import FetchURL

from .origin import Origin
from .sources import fetch


@pytest.fixture
def origin() -> Iterator[Origin]:
    made = Origin()
    yield made
    made.close()


class TestFetchURL(ComponentSuite):
    component = FetchURL
    params: ClassVar[dict[str, Any]] = {"url": "http://127.0.0.1:9/feed"}

    def test_its_example_is_what_happens(self, tmp_path: Path, origin: Origin) -> None:  # type: ignore[override]
        run_example(FetchURL, tmp_path, {"SITE": origin.url})

    def of(self, origin: Origin, path: str = "/a/feed%201.xml", **params: Any) -> FetchURL:
        source = FetchURL()
        source.configure({"url": origin.url + path, "confirm_s": 0, **params})
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

    def test_a_changed_page_replaces_its_document(self, origin: Origin) -> None:
        source = self.of(origin)
        ((packets, cursor),) = fetch(source)
        assert packets[0].id == f"{origin.url}/a/feed%201.xml"
        origin.body = b"new"
        ((packets, cursor),) = fetch(source, cursor)
        assert [(packet.id, packet.is_deletion) for packet in packets] == [(f"{origin.url}/a/feed%201.xml", False)]
        origin.body = b"newer"
        ((packets, _),) = fetch(self.of(origin, id="pages/{name}"), cursor)
        assert [(packet.id, packet.is_deletion) for packet in packets] == [
            ("pages/feed 1.xml", False),
            (f"{origin.url}/a/feed%201.xml", True),
        ]

    def test_long_addresses_and_odd_templates(self, origin: Origin) -> None:
        ((packets, _),) = fetch(self.of(origin, "/a?" + "x" * 4000))
        assert len(packets[0].id or "") == 1500
        ((packets, _),) = fetch(self.of(origin, id=""))
        assert packets[0].id is None
        with pytest.raises(InvalidInput):
            self.of(origin, id="{path}")

    def test_an_answer_without_content_is_no_document_and_changes_nothing(
        self, origin: Origin, caplog: pytest.LogCaptureFixture
    ) -> None:
        source = self.of(origin)
        ((_, cursor),) = fetch(source)
        body, origin.body = origin.body, b""
        assert fetch(source, cursor) == fetch(source) == []
        assert [record.getMessage() for record in caplog.records] == ["an answer without content is passed over"] * 2
        origin.body = body
        assert fetch(source, cursor) == []

    @pytest.mark.parametrize("status", [404, 410])
    def test_a_page_that_is_gone(self, origin: Origin, status: int) -> None:
        origin.headers = {"Content-Type": "text/html"}
        source = self.of(origin)
        ((_, cursor),) = fetch(source)
        origin.status = status
        ((packets, cursor),) = fetch(source, cursor)
        found = [(packet.id, packet.is_deletion, packet.get_meta("mimetype")) for packet in packets]
        assert found == [(source._shown, True, "text/html")]
        assert len(origin.asked) == (3 if status == 404 else 2)
        for origin.status in (404, 410):
            assert fetch(source, cursor) == [], "it is gone by now"
        origin.status = 200
        ((packets, _),) = fetch(source, cursor)
        assert [packet.get("data") for packet in packets] == [b"hello"]

    @pytest.mark.parametrize(("then", "headers"), [(200, {}), (200, {"ETag": '"1"'}), (503, {})])
    def test_a_page_that_is_missing_for_a_moment_stays(self, origin: Origin, then: int, headers: dict[str, str]) -> None:
        origin.headers = headers
        source = self.of(origin)
        ((_, cursor),) = fetch(source)
        # a server that does not have it yet stands beside one that does
        origin.statuses, origin.status = [404], then
        if then == 200:
            assert fetch(source, cursor) == []
        else:
            with pytest.raises(ComponentError, match="503"):
                fetch(source, cursor)
        assert len(origin.asked) == 3

    def test_a_page_that_is_gone_and_whose_document_is_to_stay(self, origin: Origin) -> None:
        source = self.of(origin, deletions=False)
        ((_, cursor),) = fetch(source)
        origin.status = 404
        with pytest.raises(ComponentError, match="answered 404: there is no such page") as failed:
            fetch(source, cursor)
        assert failed.value.code == "url.status"
        origin.status = 410
        ((packets, cursor),) = fetch(source, cursor)
        assert packets == []
        assert fetch(source, cursor) == []

    def test_the_cursor_of_the_release_before(self, origin: Origin) -> None:
        """What it fetched has no id: it is not fetched again, and not deleted."""
        origin.headers = {"ETag": '"1"'}
        source = self.of(origin)
        ((_, cursor),) = fetch(source)
        del cursor["id"], cursor["mimetype"]
        assert fetch(source, cursor) == []
        origin.headers = {"ETag": '"2"'}
        ((packets, cursor),) = fetch(source, cursor)
        assert (packets, "id" in cursor) == ([], False)
        origin.status, origin.headers = 410, {}
        ((packets, cursor),) = fetch(source, cursor)
        assert packets == []

    @pytest.mark.parametrize(
        ("encoding", "body"), [("gzip", gzip.compress(b"hello" * 1000)[:-10]), ("br", b"\x8b\x02\x80hello\x03")]
    )
    def test_content_that_cannot_be_unpacked_whole_is_no_document(self, origin: Origin, encoding: str, body: bytes) -> None:
        origin.body, origin.headers = body, {"Content-Encoding": encoding}
        with pytest.raises(ComponentError, match=f"/feed%201.xml answered with what cannot be unpacked: .*{encoding}") as failed:
            fetch(self.of(origin))
        assert failed.value.code == "url.encoding"

    def test_the_same_bytes_in_another_character_set_are_another_text(self, origin: Origin) -> None:
        origin.headers = {"Content-Type": "text/html"}
        source = self.of(origin)
        ((_, cursor),) = fetch(source)
        origin.headers = {"Content-Type": "text/html; charset=utf-8"}
        ((packets, cursor),) = fetch(source, cursor)
        assert [packet.get_meta("charset") for packet in packets] == ["utf-8"]
        del cursor["kind"]  # as an earlier release left it
        ((packets, cursor),) = fetch(source, cursor)
        assert (packets, cursor["kind"]) == ([], "text/html; charset=utf-8")

    def test_the_document_of_another_address_is_named_once(self, origin: Origin, caplog: pytest.LogCaptureFixture) -> None:
        ((_, cursor),) = fetch(self.of(origin))
        for _ in range(2):
            source = self.of(origin, "/other")
            cursor = ([cursor] + [behind for _, behind in fetch(source, cursor)])[-1]
        (record,) = caplog.records
        assert record.__dict__["id"] == f"{origin.url}/a/feed%201.xml"

    @pytest.mark.parametrize("target", ["http://h:abc/", "http://h:99999/", "http://[::1", "http://h:0/", "file:///etc/passwd"])
    def test_a_redirect_to_what_is_no_address(self, origin: Origin, target: str) -> None:
        origin.status, origin.headers = 302, {"Location": target}
        with pytest.raises(ComponentError, match="feed%201") as failed:
            fetch(self.of(origin))
        assert failed.value.code in ("url.redirect", "url.failed")

    @pytest.mark.parametrize("url", ["http://[x", "http://h:abc/", "http://", "http:///p", "http://u:p@/x", "http://h:99999/"])
    def test_what_is_no_address_is_refused_when_it_is_set_up(self, url: str) -> None:
        source = FetchURL()
        source.configure({"url": url})
        with pytest.raises(ComponentError, match="url is no address") as refused:
            source.setup()
        assert refused.value.code == "url.invalid"

    @pytest.mark.parametrize(
        ("answer", "told"),
        [
            (None, f"Failed to establish a new connection: [Errno {errno.ECONNREFUSED}] Connection refused"),
            (b"", "Connection aborted: Remote end closed connection without response"),
            (b"no HTTP\r\n\r\n", "Connection aborted: no HTTP"),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
                "Connection broken: IncompleteRead(4 bytes read, 5 more expected)",
            ),
        ],
    )
    def test_what_went_wrong_is_told_in_one_sentence(self, answer: bytes | None, told: str) -> None:
        source = FetchURL()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
            source.configure({"url": url})

            def serve() -> None:
                with suppress(OSError):
                    while True:
                        link, _ = listener.accept()
                        with link:
                            link.recv(4096)
                            link.sendall(answer or b"")
                            link.shutdown(socket.SHUT_RDWR)

            if answer is None:
                listener.close()
            server = Thread(target=serve, daemon=True)
            server.start()
            with pytest.raises(ComponentError) as failed:
                fetch(source)
            assert failed.value.message.strip() == f"{url}: {told}"
            if answer is not None:
                listener.shutdown(socket.SHUT_RDWR)
        server.join(10)
        assert not server.is_alive()

    def test_when_it_was_modified(self, origin: Origin) -> None:
        for date, modified in ((formatdate(1000, usegmt=True), "1970-01-01T00:16:40Z"), ("yesterday", None)):
            origin.headers = {"Last-Modified": date}
            ((packets, _),) = fetch(self.of(origin))
            assert packets[0].get_meta("modified") == modified

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
