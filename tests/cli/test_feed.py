"""pypes feed, against a server of its own that answers as it is told."""

from __future__ import annotations

import errno
import gzip
import json
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pypes.cli import feeder as feeder_module
from pypes.cli.feed import feed
from pypes.cli.feeder import Feeder, media_type, walk
from pypes.errors import InvalidInput
from tests.serving import in_thread


class Server(ThreadingHTTPServer):
    """Accepts what it is sent; ``refuse`` maps bytes found in a body to the statuses to answer with, in turn."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.refuse: dict[bytes, list[tuple[int, dict[str, str]]]] = {}
        self.accepted: list[tuple[dict[str, str], bytes]] = []
        self.state = "done"
        self.paths: Counter[str] = Counter()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        raw = gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body
        with self.server.lock:
            self.server.paths[self.path] += 1
            for mark, answers in self.server.refuse.items():
                if mark in raw and answers:
                    status, headers = answers.pop(0)
                    self.answer(status, {"code": "test.refused", "title": "refused"}, headers)
                    return
            self.server.accepted.append((dict(self.headers), raw))
            count = max(1, raw.count(b"Content-Disposition"))
            self.answer(202, {"receipt": f"r{len(self.server.accepted)}-{count}", "accepted": count}, {})

    def do_GET(self) -> None:
        count = int(self.path.split("?")[0].rsplit("-", 1)[1])
        self.answer(200, {"state": self.server.state, "published": count, "dropped": 0, "failed": 0}, {})

    def answer(self, status: int, content: Any, headers: dict[str, str]) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def server() -> Iterator[Server]:
    with in_thread(Server()) as made:
        yield made


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    made = []
    for number in range(10):
        path = tmp_path / "docs" / f"{number}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"text {number}")
        made.append(path)
    return made


@contextmanager
def feeder_of(url: str, **options: Any) -> Iterator[Feeder]:
    made = Feeder(url, **options)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(autouse=True)
def _short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeder_module, "FIRST_BACKOFF_S", 0.001)


def test_files_go_out_in_batches_and_are_followed(server: Server, files: list[Path]) -> None:
    with feeder_of(server.url, batch=4, compress=True) as made:
        report = made.feed(files)
        assert (report.files, report.accepted, report.failures) == (10, 10, [])
        assert made.follow().published == 10
    assert sorted(body.count(b"text/plain") for _, body in server.accepted) == [2, 4, 4]
    assert server.paths == {"/docs": 3}


def test_a_single_file_goes_out_as_it_is(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "grün.html"
    path.write_bytes(b"<p>x")
    with feeder_of(f"{server.url}/docs/news", batch=1, token="secret") as made:
        made.feed([path])
    ((headers, body),) = server.accepted
    assert body == b"<p>x"
    assert headers["Content-Type"] == "text/html"
    assert headers["Authorization"] == "Bearer secret"
    assert headers["Content-Disposition"] == "attachment; filename*=UTF-8''gr%C3%BCn.html"
    assert server.paths == {"/docs/news": 1}


def test_lane_and_keys_are_sent_along(server: Server, files: list[Path]) -> None:
    server.refuse[b"text 3"] = [(503, {"Retry-After": "0"})]
    with feeder_of(server.url, batch=5, lane="bulk", idempotent=True) as made:
        assert made.feed(files).accepted == 10
    assert server.paths == {"/docs?lane=bulk": 3}
    assert len({headers["Idempotency-Key"] for headers, _ in server.accepted}) == 2


def test_file_names_are_paths_from_the_root(server: Server, files: list[Path]) -> None:
    with feeder_of(server.url, roots=[files[0].parent.parent]) as made:
        made.feed(files[:1])
    assert server.accepted[0][0]["Content-Disposition"].endswith("''docs/0.txt")


def test_a_large_file_is_streamed(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    path.write_bytes(b"a,b\n" * 2_000_000)
    server.refuse[b"a,b"] = [(503, {"Retry-After": "0"})]
    with feeder_of(server.url) as made:
        report = made.feed([path])
    assert report.retries == 1
    assert [len(body) for _, body in server.accepted] == [8_000_000]


def test_429_and_503_are_tried_again(server: Server, files: list[Path]) -> None:
    server.refuse[b"text 3"] = [(429, {"Retry-After": "0"}), (503, {}), (429, {"Retry-After": "0.001"})]
    with feeder_of(server.url, batch=4) as made:
        report = made.feed(files)
    assert (report.accepted, report.retries) == (10, 3)


def test_only_the_guilty_file_of_a_batch_is_left_behind(server: Server, files: list[Path]) -> None:
    server.refuse[b"text 3"] = [(400, {})] * 10
    with feeder_of(server.url, batch=16) as made:
        report = made.feed(files)
    assert (report.files, report.accepted) == (10, 9)
    assert [Path(path).name for path, _ in report.failures] == ["3.txt"]
    assert "test.refused" in report.failures[0][1]


def test_a_server_that_is_not_there_is_given_up(files: list[Path]) -> None:
    with Server() as closed:
        url = closed.url
    with feeder_of(url, batch=16) as made:
        report = made.feed(files)
    assert len(report.failures) == 10
    assert report.retries == feeder_module.ATTEMPTS - 1


def test_a_file_that_vanished_is_named(server: Server, files: list[Path]) -> None:
    with feeder_of(server.url) as made:
        report = made.feed([*files, files[0].with_name("gone.txt")])
    assert report.accepted == 10
    assert [Path(path).name for path, _ in report.failures] == ["gone.txt"]


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInput):
        Feeder("ftp://x")


def test_walk_takes_what_is_asked_for(tmp_path: Path) -> None:
    for name in ("a.html", "b.TXT", "c.bin", ".hidden.txt", "deep/d.txt", ".git/e.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in walk([tmp_path], ["html,.txt"])] == ["a.html", "b.TXT", "d.txt"]
    assert [path.name for path in walk([tmp_path / "c.bin"], ["txt"])] == ["c.bin"]


def test_walk_passes_over_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling.txt").symlink_to("nowhere")
    (tmp_path / "a.txt").touch()
    passed: list[str] = []
    found = walk([tmp_path, tmp_path / "pipe"], (), lambda path, reason: passed.append(f"{path.name}: {reason}"))
    assert [path.name for path in found] == ["a.txt"]
    assert passed == [f"{name}: it is no regular file" for name in ("dangling.txt", "pipe", "pipe")]


def test_a_folder_that_cannot_be_read_is_not_passed_over_in_silence(
    server: Server, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = files[0].parent
    (folder / "closed").mkdir()
    real = os.scandir

    def refuse(path: str | Path) -> Any:
        if Path(path).name == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    os.mkfifo(folder / "pipe")
    result = CliRunner().invoke(feed, [server.url, str(folder)])
    assert f"passed over: {folder / 'closed'}: Permission denied" in result.output
    assert f"passed over: {folder / 'pipe'}: it is no regular file" in result.output
    assert "10 documents accepted" in result.output
    assert result.exit_code == 1
    (folder / "closed").rmdir()
    assert CliRunner().invoke(feed, [server.url, str(folder)]).exit_code == 0
    assert CliRunner().invoke(feed, [server.url, str(folder / "pipe")]).exit_code == 1


def test_media_types(tmp_path: Path) -> None:
    assert media_type(Path("x.ndjson")) == "application/x-ndjson"
    (tmp_path / "Makefile").write_bytes(b"all:")
    (tmp_path / "blob").write_bytes(b"\0\1")
    assert media_type(tmp_path / "Makefile") == "text/plain"
    assert media_type(tmp_path / "blob") == "application/octet-stream"


def test_the_command_sums_up_and_tells_failure_by_its_exit_code(server: Server, files: list[Path]) -> None:
    directory = str(files[0].parent)
    result = CliRunner().invoke(feed, [server.url, directory, "--ext", "txt", "--wait", "--gzip"])
    assert result.exit_code == 0, result.output
    assert "10 documents accepted" in result.output
    assert "10 published, 0 dropped, 0 failed" in result.output
    server.refuse[b"text 3"] = [(415, {})] * 10
    result = CliRunner().invoke(feed, [server.url, directory])
    assert result.exit_code == 1
    assert "3.txt" in result.output
