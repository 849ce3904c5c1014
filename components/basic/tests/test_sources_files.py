"""Files, over real directories."""

from __future__ import annotations

import bz2
import errno
import gzip
import json
import lzma
import os
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pypes.core.identity import MAX_ID_BYTES, id_of
from pypes.core.paths import Paths
from pypes.errors import ComponentError, InvalidInput
from pypes.testing import ComponentSuite, run_component
from pypes_basic import files
from pypes_basic.files import Files

from .sources import Pairs, fetch, files_in, flat, names, write

#: By suffix; gzip writes the time into what it packs, so two calls would differ.
PACKERS = (("gz", partial(gzip.compress, mtime=0)), ("bz2", bz2.compress), ("xz", lzma.compress))


class TestFiles(ComponentSuite):
    component = Files
    params: ClassVar[dict[str, Any]] = {"directory": "in", "settle_s": 0}

    def of(self, tmp_path: Path, **params: Any) -> Files:
        return files_in(tmp_path, **params)

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
        assert [(p.is_deletion, p.id, p.get_meta("mimetype")) for p in packets] == [(True, "b.html", "text/html")]
        assert sorted(cursor["seen"]) == ["a.txt", "c"]
        write(home / "b.html", "<p>")
        assert names(fetch(source, cursor)) == [["b.html"]]

    def test_each_cursor_is_behind_what_came_with_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(files, "BATCH_FILES", 2)
        monkeypatch.setattr(files, "BATCH_BYTES", 5000)
        source = self.of(tmp_path)
        for name, size in (("a", 1), ("b", 1), ("c", 9000), ("d", 1)):
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
        assert "env.txt: a symbolic link" in caplog.records[0].__dict__["first"]
        assert "pipe.txt: not a regular file" in caplog.records[0].__dict__["first"]

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

    def test_what_a_document_is_known_by(self, tmp_path: Path) -> None:
        write(tmp_path / "in" / "below" / "a.txt", "a", 1_700_000_000)
        ((packets, _),) = fetch(self.of(tmp_path, pattern="**/*"))
        assert {name: packets[0].get_meta(name) for name in ("id", "path", "filename", "modified")} == {
            "id": "below/a.txt",
            "path": "below/a.txt",
            "filename": "a.txt",
            "modified": "2023-11-14T22:13:20Z",
        }

    @pytest.mark.parametrize(("template", "id"), [("docs/{path}", "docs/b/a.txt"), ("{name}", "a.txt"), ("", None)])
    def test_an_id_by_a_template(self, tmp_path: Path, template: str, id: str | None) -> None:
        write(tmp_path / "in" / "b" / "a.txt", "a")
        ((packets, _),) = fetch(self.of(tmp_path, pattern="**/*", id=template))
        assert packets[0].id == id

    @pytest.mark.parametrize("template", ["all", "{paths}", "{path", "{}", "x{path}}"])
    def test_a_template_names_what_there_is(self, template: str) -> None:
        with pytest.raises(InvalidInput):
            Files().configure({"directory": "in", "id": template})

    def test_long_paths_are_ids_and_stay_apart(self, tmp_path: Path) -> None:
        for last in ("a", "b"):
            write(tmp_path / "in" / Path(*["ä" * 100] * 9) / last, last)
        ((packets, _),) = fetch(self.of(tmp_path, pattern="**/*"))
        ids = [id_of(packet.id) for packet in packets]
        assert len(set(ids)) == 2
        # an adapter adds the number of a row
        assert all(id is not None and len(f"{id}/1000000000".encode()) < MAX_ID_BYTES for id in ids)

    def test_another_template_replaces_what_changes(self, tmp_path: Path) -> None:
        write(tmp_path / "in" / "a", "1")
        write(tmp_path / "in" / "b", "1")
        ((_, cursor),) = fetch(self.of(tmp_path))
        renamed = self.of(tmp_path, id="new/{path}")
        assert fetch(renamed, cursor) == []
        write(tmp_path / "in" / "a", "2", 2000.0)
        ((packets, cursor),) = fetch(renamed, cursor)
        assert [(packet.id, packet.is_deletion) for packet in packets] == [("new/a", False), ("a", True)]
        for name in "ab":
            (tmp_path / "in" / name).unlink()
        assert flat(fetch(renamed, cursor)) == ["-new/a", "-b"]

    def test_what_moved_is_not_deleted_where_its_id_is_the_same(self, tmp_path: Path) -> None:
        write(tmp_path / "in" / "x" / "a", "1")
        source = self.of(tmp_path, pattern="*/*", id="{name}")
        ((_, cursor),) = fetch(source)
        (tmp_path / "in" / "x").rename(tmp_path / "in" / "y")
        pairs = fetch(source, cursor)
        assert flat(pairs) == ["y/a"]
        assert list(pairs[-1][1]["seen"]) == ["y/a"]

    def test_nothing_is_deleted_if_the_parameter_says_so(self, tmp_path: Path) -> None:
        source = self.of(tmp_path, deletions=False)
        write(tmp_path / "in" / "a", "1")
        ((_, cursor),) = fetch(source)
        (tmp_path / "in" / "a").unlink()
        ((packets, cursor),) = fetch(source, cursor)
        assert (packets, cursor["seen"]) == ([], {})

    @pytest.mark.parametrize(("known", "gone", "stops"), [(11, 11, True), (21, 11, True), (22, 11, False), (10, 10, False)])
    def test_a_run_that_would_delete_most_stops_until_that_is_confirmed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: int, gone: int, stops: bool
    ) -> None:
        monkeypatch.setattr(files, "BATCH_FILES", 8)
        source = self.of(tmp_path)
        for number in range(known):
            write(tmp_path / "in" / f"{number:02}", "x")
        *_, (_, cursor) = fetch(source)
        for number in range(gone):
            (tmp_path / "in" / f"{number:02}").unlink()
        write(tmp_path / "in" / "new", "x")
        deletions = [f"-{number:02}" for number in range(gone)]
        pairs: Pairs = []
        source.setup()
        run = source.fetch(cursor)
        if stops:
            source.graph_name = "in"
            with pytest.raises(ComponentError, match=r"POST /graphs/in/trigger\?confirm=deletions") as stopped:
                pairs.extend(run)
            assert stopped.value.code == "source.too_many_deletions"
            assert flat(pairs) == ["new"]
            source.is_confirmed = True
            run = source.fetch(pairs[-1][1])
        found = list(run)
        assert flat(found) == deletions if stops else ["new", *deletions]
        # whatever was stored before a crash is not done again, and the rest is
        source.is_confirmed = True
        for index, (_, behind) in enumerate(found):
            assert flat(fetch(source, behind)) == flat(found[index + 1 :])

    def test_cursors_of_the_release_before(self, tmp_path: Path) -> None:
        """What it fetched has no id: it is not fetched again, and not deleted; changed, it is published under its id."""
        write(tmp_path / "in" / "a", "1")
        write(tmp_path / "in" / "b", "1")
        stamp = [1, 1_000_000_000_000]
        cursor = {"directory": "in", "seen": dict.fromkeys(("a", "b", ".hidden", *map(str, range(40))), stamp)}
        source = self.of(tmp_path)
        ((packets, cursor),) = fetch(source, cursor)
        assert (packets, cursor["seen"]) == ([], {"a": stamp, "b": stamp})
        write(tmp_path / "in" / "b", "2", 2000.0)
        ((packets, cursor),) = fetch(source, cursor)
        assert [packet.id for packet in packets] == ["b"]
        for name in "ab":
            (tmp_path / "in" / name).unlink()
        assert flat(fetch(source, cursor)) == ["-b"]

    def test_hidden_and_temporary_files_are_left_out(self, tmp_path: Path) -> None:
        taken = ("a.txt", "b/c.txt")
        left = (".DS_Store", ".b.txt.Ab12Cd", "a.txt~", "#a.txt#", "~$a.docx", "a.part", "A.TMP", "b.crdownload", ".git/a.txt")
        for name in (*taken, *left):
            write(tmp_path / "in" / name, name)
        assert flat(fetch(self.of(tmp_path, pattern="**/*"))) == [*taken]
        assert flat(fetch(self.of(tmp_path, pattern="**/*", hidden=True))) == sorted([*taken, *left])
        assert flat(fetch(self.of(tmp_path, pattern=".*"))) == [".DS_Store", ".b.txt.Ab12Cd"]
        assert flat(fetch(self.of(tmp_path, pattern="*.part"))) == ["a.part"]
        assert flat(fetch(self.of(tmp_path, pattern=".git/*"))) == [".git/a.txt"]

    def test_a_file_that_changes_while_it_settles_is_for_the_next_time(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        source = self.of(tmp_path, settle_s=7)
        write(tmp_path / "in" / "done", "whole")
        write(tmp_path / "in" / "written", "ha")
        waited: list[float] = []

        def meanwhile(seconds: float) -> None:
            waited.append(seconds)
            if len(waited) == 1:
                write(tmp_path / "in" / "written", "half", 1000.0)

        monkeypatch.setattr(files, "sleep", meanwhile)
        ((packets, cursor),) = fetch(source)
        assert [packet.get("data") for packet in packets] == [b"whole"]
        assert caplog.records[0].__dict__["first"] == ["written: it is being written"]
        ((packets, cursor),) = fetch(source, cursor)
        assert [packet.get("data") for packet in packets] == [b"half"]
        assert fetch(source, cursor) == []
        assert waited == [7, 7]

    def test_a_log_that_never_stands_still_is_read_as_it_is_without_a_wait(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = self.of(tmp_path)
        write(tmp_path / "in" / "log", "1\n")
        write(tmp_path / "in" / "rewritten", "long")

        def meanwhile(_: float) -> None:
            with (tmp_path / "in" / "log").open("a") as log:
                log.write("2\n")
            write(tmp_path / "in" / "rewritten", "new")

        monkeypatch.setattr(files, "sleep", meanwhile)
        ((packets, cursor),) = fetch(source)
        assert [(packet.id, packet.get("data")) for packet in packets] == [("log", b"1\n")]
        assert source._passed_over == {"rewritten": "it is being written"}
        monkeypatch.undo()
        ((packets, cursor),) = fetch(source, cursor)
        assert [packet.get("data") for packet in packets] == [b"1\n2\n", b"new"]
        assert fetch(source, cursor) == []

    @pytest.mark.parametrize(("suffix", "pack"), PACKERS)
    def test_what_is_compressed_is_unpacked(self, tmp_path: Path, suffix: str, pack: Any) -> None:
        home = tmp_path / "in"
        home.mkdir()
        (home / f"people.csv.{suffix}").write_bytes(pack(b"a,b\n") + pack(b"1,2\n"))
        (home / f"large.csv.{suffix}").write_bytes(pack(b"x" * 1000))
        (home / f"torn.csv.{suffix}").write_bytes(pack(b"a,b")[:-9])
        (home / f"plain.csv.{suffix}").write_bytes(b"a,b")
        (home / f"tree.tar.{suffix}").write_bytes(pack(b"tree"))
        (home / f"unknown.{suffix}").write_bytes(pack(b"odd"))
        source = self.of(tmp_path, max_bytes=500)
        ((packets, _),) = fetch(source)
        large, people, tree, unknown = packets
        assert (people.get_meta("mimetype"), people.get("data")) == ("text/csv", b"a,b\n1,2\n")
        assert large.get_meta("toolarge") == 500
        assert tree.get("data") == pack(b"tree")
        assert unknown.get("data") == pack(b"odd")
        assert {packet.get_meta("mimetype") for packet in (tree, unknown)} == {
            {"gz": "application/gzip", "bz2": "application/x-bzip2", "xz": "application/x-xz"}[suffix]
        }
        assert {name.split(".")[0] for name in source._passed_over} == {"torn", "plain"}

    def test_nothing_is_deleted_while_the_directory_cannot_be_looked_into(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(tmp_path / "in" / "a", "a")
        source = self.of(tmp_path)
        ((_, cursor),) = fetch(source)

        def fails(path: Any) -> list[str]:
            raise OSError(errno.EIO, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr(os, "listdir", fails)
            assert fetch(source, cursor) == []

    def test_what_became_a_link_or_a_pipe_is_not_gone(self, tmp_path: Path) -> None:
        write(tmp_path / "in" / "a", "a")
        source = self.of(tmp_path)
        ((_, cursor),) = fetch(source)
        (tmp_path / "in" / "a").unlink()
        (tmp_path / "in" / "a").symlink_to("/dev/null")
        assert fetch(source, cursor) == []

    def test_folders_without_end(self, tmp_path: Path) -> None:
        write(tmp_path / "in" / "a", "a")
        deep = tmp_path / "in"
        for _ in range(130):
            deep = deep / "d"
        deep.mkdir(parents=True)
        assert names(fetch(self.of(tmp_path, pattern="**/*"))) == [["a"]]
