"""pypes feed, against a server of its own that answers as it is told."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pypes.cli.feed import feed
from pypes.cli.feeding import asking
from pypes.cli.feeding.posting import Feeder
from pypes.cli.feeding.walking import files_of
from pypes.errors import InvalidInput
from tests.cli.feeding.server import Server


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
def _quick_and_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / ".state"))
    monkeypatch.setattr(asking, "FIRST_BACKOFF_S", 0.001)


def test_files_go_out_in_batches_and_are_followed(server: Server, files: list[Path]) -> None:
    with feeder_of(server.url, batch=4, compress=True) as made:
        report = made.feed(files_of(files))
        assert (report.files, report.accepted, report.failures) == (10, 10, [])
        assert made.follow().published == 10
    assert sorted(body.count(b"text/plain") for _, body in server.accepted) == [2, 4, 4]
    assert server.paths == {"/docs?folders=keep": 3}


def test_a_single_file_goes_out_as_it_is(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "grün.html"
    path.write_bytes(b"<p>x")
    with feeder_of(f"{server.url}/docs/news", batch=1, token="secret") as made:
        made.feed(files_of([path]))
    ((headers, body),) = server.accepted
    assert body == b"<p>x"
    assert headers["Content-Type"] == "text/html"
    assert headers["Authorization"] == "Bearer secret"
    assert headers["Content-Disposition"] == "attachment; filename*=UTF-8''gr%C3%BCn.html"
    assert server.paths == {"/docs/news?folders=keep": 1}


def test_lane_and_keys_are_sent_along(server: Server, files: list[Path]) -> None:
    server.refuse[b"text 3"] = [(503, {"Retry-After": "0"})]
    with feeder_of(server.url, batch=5, lane="bulk", idempotent=True) as made:
        assert made.feed(files_of(files)).accepted == 10
    assert server.paths == {"/docs?folders=keep&lane=bulk": 3}
    assert len({headers["Idempotency-Key"] for headers, _ in server.accepted}) == 2


def test_file_names_are_paths_from_the_root(server: Server, files: list[Path]) -> None:
    with feeder_of(server.url) as made:
        made.feed(files_of([files[0].parent.parent])[:1])
    assert server.accepted[0][0]["Content-Disposition"].endswith("''docs/0.txt")


def test_a_large_file_is_streamed(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    path.write_bytes(b"a,b\n" * 2_000_000)
    server.refuse[b"a,b"] = [(503, {"Retry-After": "0"})]
    with feeder_of(server.url) as made:
        report = made.feed(files_of([path]))
    assert report.retries == 1
    assert [len(body) for _, body in server.accepted] == [8_000_000]


def test_429_and_503_are_tried_again(server: Server, files: list[Path]) -> None:
    server.refuse[b"text 3"] = [(429, {"Retry-After": "0"}), (503, {}), (429, {"Retry-After": "0.001"})]
    with feeder_of(server.url, batch=4) as made:
        report = made.feed(files_of(files))
    assert (report.accepted, report.retries) == (10, 3)


@pytest.mark.parametrize("after", ["-1", "nan", "Wed, 01 May 2024 00:00:30 GMT"])
def test_whatever_a_server_asks_for_is_no_end(after: str, server: Server, files: list[Path]) -> None:
    server.refuse[b"text 3"] = [(503, {"Retry-After": after})]
    with feeder_of(server.url, batch=4) as made:
        report = made.feed(files_of(files))
    assert (report.accepted, report.retries) == (10, 1)


def test_a_graph_with_no_room_on_the_disk_is_tried_again(server: Server, files: list[Path]) -> None:
    server.code = "graph.disk_full"
    server.refuse[b"text 3"] = [(507, {"Retry-After": "0"})]
    with feeder_of(server.url, batch=4) as made:
        report = made.feed(files_of(files))
    assert (report.accepted, report.retries) == (10, 1)


def test_only_the_guilty_file_of_a_batch_is_left_behind(server: Server, files: list[Path]) -> None:
    server.refuse[b"text 3"] = [(400, {})] * 10
    with feeder_of(server.url, batch=16) as made:
        report = made.feed(files_of(files))
    assert (report.files, report.accepted) == (10, 9)
    assert [Path(path).name for path, _ in report.failures] == ["3.txt"]
    assert "test.refused" in report.failures[0][1]


def test_a_server_that_is_not_there_is_given_up(files: list[Path]) -> None:
    with Server() as closed:
        url = closed.url
    with feeder_of(url, batch=16) as made:
        report = made.feed(files_of(files))
    assert len(report.failures) == 10
    assert report.retries == asking.ATTEMPTS - 1


def test_that_nobody_answers_is_told_once_and_tried_once(files: list[Path]) -> None:
    with Server() as closed:
        url = closed.url
    told: list[str] = []
    with feeder_of(url, batch=1, connections=1, on_absence=told.append) as made:
        report = made.feed(files_of(files))
    assert len(report.failures) == 10
    assert report.retries == asking.ATTEMPTS - 1
    assert [url in reason for reason in told] == [True]
    assert report.failures[-1][1].startswith("not tried: ")


def test_a_server_that_goes_away_in_the_middle_is_given_up_once(server: Server, files: list[Path]) -> None:
    told: list[str] = []
    with feeder_of(server.url, batch=1, connections=1, on_absence=told.append) as made:
        made.feed(files_of(files[:2]))
        server.refuse[b"text"] = [(503, {"Retry-After": "0"})] * 1000
        report = made.feed(files_of(files[2:]))
    assert (report.accepted, len(report.failures), report.retries) == (2, 8, asking.ATTEMPTS - 1)
    assert report.failures[-1][1].startswith("not tried: given up after 8 attempts: 503 test.refused")


def test_a_server_that_goes_on_is_waited_for(server: Server, files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts of one question are not used up while others are answered."""
    server.refuse[b"text 3"] = [(429, {"Retry-After": "0"})] * 2 * asking.ATTEMPTS
    with feeder_of(server.url) as made:
        real = made.asker._http.request

        def between(method: str, url: str, **options: Any) -> Any:
            if b"text 3" in options["body"]:
                made.asker.ask("POST", "/docs", b"another", {})
            return real(method, url, **options)

        monkeypatch.setattr(made.asker._http, "request", between)
        assert made.feed(files_of(files)).accepted == 10


def test_a_document_that_the_server_fails_at_stays_behind_alone(server: Server, files: list[Path]) -> None:
    server.refuse[b"text 3"] = [(500, {})] * 1000
    with feeder_of(server.url, connections=1) as made:
        report = made.feed(files_of(files))
    assert (report.accepted, [Path(path).name for path, _ in report.failures]) == (9, ["3.txt"])


def test_a_server_that_has_moved_is_not_asked_again(server: Server, files: list[Path]) -> None:
    server.refuse[b"text"] = [(301, {"Location": "https://elsewhere/docs"})] * 1000
    with feeder_of(server.url, batch=2, connections=1) as made:
        report = made.feed(files_of(files))
    assert (len(report.failures), server.paths.total()) == (10, 1)
    assert "give the address that it names: https://elsewhere/docs" in report.failures[0][1]


def test_what_holds_for_all_is_asked_once(server: Server, files: list[Path]) -> None:
    server.code = "token.invalid"
    server.refuse[b"text"] = [(403, {})] * 1000
    with feeder_of(server.url, batch=2, connections=1) as made:
        report = made.feed(files_of(files))
    assert (len(report.failures), server.paths.total()) == (10, 1)


def test_a_file_that_vanished_is_named(server: Server, files: list[Path]) -> None:
    with feeder_of(server.url) as made:
        report = made.feed([*files_of(files), replace(files_of(files[:1])[0], path=files[0].with_name("gone.txt"))])
    assert report.accepted == 10
    assert [Path(path).name for path, _ in report.failures] == ["gone.txt"]


ADDRESSES = (
    "ftp://x",
    "http://127.0.0.1:8080/graphs/search",
    "http://127.0.0.1:8080/doc",
    "http://127.0.0.1:http/docs",
    "127.0.0.1:99999",
    "http://:8080",
    "http://127.0.0.1:8080/docs?lane=bulk",
)


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput):
        Feeder(address)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("127.0.0.1:8080", "http://127.0.0.1:8080/docs"),
        ("http://LOCALHOST:8080/docs/", "http://127.0.0.1:8080/docs"),
        ("http://[::1]:8080/docs/notes", "http://127.0.0.1:8080/docs/notes"),
        ("https://Example.com", "https://example.com:443/docs"),
    ],
)
def test_runs_are_remembered_by_one_spelling_of_an_address(url: str, address: str) -> None:
    with feeder_of(url) as made:
        assert made.address == address


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
    assert f"passed over: {folder / 'pipe'}: not a regular file" in result.output
    assert "10 documents accepted" in result.output
    assert result.exit_code == 1
    (folder / "closed").rmdir()
    assert CliRunner().invoke(feed, [server.url, str(folder)]).exit_code == 0
    assert CliRunner().invoke(feed, [server.url, str(folder / "pipe")]).exit_code == 1


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


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(feed, [str(argument) for argument in arguments])


def test_a_second_run_updates_and_deletes(server: Server, files: list[Path]) -> None:
    folder = files[0].parent
    (folder / "sub").mkdir()
    (folder / "sub" / "grün%.txt").write_text("x")
    assert invoke(server.url, folder, "--batch", "3").exit_code == 0
    expected = sorted([*(f"{number}.txt" for number in range(10)), "sub/gr%C3%BCn%25.txt"])
    assert sorted(server.ids) == expected
    files[3].unlink()
    (folder / "sub" / "grün%.txt").unlink()
    result = invoke(server.url, folder, "--wait", "--gzip")
    assert result.exit_code == 0, result.output
    assert "9 files, 0.0 MB, 9 documents accepted by graph search, 2 deletions in " in result.output
    assert sorted(server.deleted) == ["3.txt", "sub/grün%.txt"]
    assert invoke(server.url, folder).exit_code == 0
    assert len(server.deleted) == 2


def test_only_changed_files_are_fed_if_asked_for(server: Server, files: list[Path]) -> None:
    folder = files[0].parent
    server.refuse[b"text 4"] = [(400, {})] * 2
    files[5].write_text("poison")
    assert invoke(server.url, folder, "--wait").exit_code == 1
    server.accepted.clear()
    files[2].write_text("changed")
    files[5].write_text("better")
    result = invoke(server.url, folder, "--changed")
    assert result.exit_code == 0, result.output
    assert server.ids == ["2.txt", "4.txt", "5.txt"]
    assert "0 documents accepted" in invoke(server.url, folder, "--changed").output
    assert "10 documents accepted" in invoke(server.url, folder, "--changed", "--id", "x/{path}").output
    assert sorted(server.deleted) == [f"{number}.txt" for number in range(10)]
    assert "10 documents accepted" in invoke(f"{server.url}/docs/elsewhere", folder, "--changed").output


def test_a_run_that_would_delete_most_stops(server: Server, files: list[Path], tmp_path: Path) -> None:
    folder = files[0].parent
    for number in range(10, 20):
        (folder / f"{number}.txt").write_text("x")
    assert invoke(server.url, folder).exit_code == 0
    for number in range(11):
        (folder / f"{number}.txt").unlink()
    server.accepted.clear()
    result = invoke(server.url, folder)
    assert (result.exit_code, server.accepted) == (1, [])
    assert isinstance(result.exception, InvalidInput)
    assert "11 of 20 files" in result.exception.message
    assert "--yes-delete" in result.exception.message
    assert invoke(server.url, folder, "--no-deletions").exit_code == 0
    assert server.deleted == []
    assert invoke(server.url, folder, "--yes-delete").exit_code == 0
    assert len(server.deleted) == 11


def test_numbers_of_one_are_in_words_for_one(server: Server, files: list[Path]) -> None:
    assert "1 file, 0.0 MB, 1 document accepted by graph search in " in invoke(server.url, files[0]).output
    server.refuse[b"text 1"] = [(503, {"Retry-After": "0"})]
    assert "1 retry" in invoke(server.url, files[1]).output


def test_without_ids_nothing_is_remembered(server: Server, files: list[Path], tmp_path: Path) -> None:
    assert invoke(server.url, files[0].parent, "--no-id").exit_code == 0
    assert invoke(f"{server.url}/docs/notes/1", files[0]).exit_code == 0
    assert invoke(f"{server.url}/docs/notes/1", *files).exit_code == 2
    assert server.ids == []
    assert len(server.accepted) == 2
    assert not (tmp_path / ".state").exists()
    assert invoke(server.url, files[0], "--no-id", "--changed").exit_code == 2
    assert invoke(server.url, files[0], "--id", "x").exit_code == 2


def test_the_state_of_runs_may_be_put_elsewhere(server: Server, files: list[Path], tmp_path: Path) -> None:
    assert invoke(server.url, files[0].parent, "--state", tmp_path / "here").exit_code == 0
    (found,) = (tmp_path / "here").iterdir()
    found.write_text("{")
    result = invoke(server.url, files[0].parent, "--state", tmp_path / "here")
    assert isinstance(result.exception, InvalidInput)
    assert str(found) in result.exception.message


def test_the_state_of_runs_is_no_document(server: Server, files: list[Path]) -> None:
    folder = files[0].parent
    for inside in (folder, folder / "state"):
        result = invoke(server.url, folder, "--state", inside)
        assert isinstance(result.exception, InvalidInput)
        assert "would be fed with" in result.exception.message
    assert invoke(server.url, folder, "--state", folder / ".state").exit_code == 0
    assert len(server.ids) == 10


def test_documents_that_name_themselves_keep_their_ids(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, text in {"own.json": '{"id": 7}', "a.json": '{"n": 1}', "two.json": "[{}, {}]", "lines.ndjson": "{}\n{}\n"}.items():
        (folder / name).write_text(text)
    assert invoke(server.url, folder).exit_code == 0
    assert server.ids == ["a.json"]
    for path in folder.iterdir():
        path.unlink()
    result = invoke(server.url, folder)
    assert sorted(server.deleted) == ["7", "a.json"]
    assert result.output.count("its documents stay") == 2


def test_each_file_that_failed_is_named_with_its_dead_letter(server: Server, files: list[Path]) -> None:
    folder = files[0].parent
    files[3].write_text("poison")
    files[4].write_text("drop")
    (folder / "lines.ndjson").write_text('{"a": "poison"}\n{}\n{"a": "drop"}\n' + '{"b": "poison"}\n' * 4)
    (folder / "empty.txt").touch()
    result = invoke(server.url, folder, "--wait")
    assert result.exit_code == 1
    lines = result.output.splitlines()
    (told,) = (line for line in lines if line.startswith(f"failed: {files[3]}"))
    assert "test.poison in html: letter L" in told
    assert sum(line.startswith(f"failed: {folder / 'lines.ndjson'} (document ") for line in lines) == 3
    assert any("2 more of its documents failed" in line for line in lines)
    assert f"passed over: {folder / 'empty.txt'}: it is empty" in lines
    rows = [line.split() for line in lines]
    assert ["application/x-ndjson", "1", "0", "7", "1", "1", "5"] in rows
    assert ["text/plain", "10", "0", "10", "8", "1", "1"] in rows
    assert ["all", "11", "0", "17", "9", "2", "6"] in rows
