"""Null, Debug, JSONLines."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from pypes.errors import ComponentError, Unreachable
from pypes.packet import Packet
from pypes.testing import ComponentSuite, run_component
from pypes_basic.debug import Debug
from pypes_basic.json_lines import JSONLines
from pypes_basic.line_file import LineFile
from pypes_basic.null import Null


def documents(count: int) -> list[Packet]:
    return [Packet.from_document({"n": number, "tags": ["a", "b"]}) for number in range(count)]


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


class TestNull(ComponentSuite):
    component = Null

    def test_it_takes_everything(self) -> None:
        assert not run_component(Null, documents(3)).dead_letters


class TestDebug(ComponentSuite):
    component = Debug

    def test_packets_are_logged_and_long_ones_cut(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        run_component(Debug, [Packet({"a": "short"}), Packet({"a": "x" * 500})], max_chars=100)
        assert '"short"' in caplog.messages[0]
        assert len(caplog.messages[1]) < 200


class TestJSONLines(ComponentSuite):
    component = JSONLines

    @pytest.fixture(autouse=True)
    def _in_its_own_directory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

    params = {"path": "suite.jsonl"}

    def test_what_json_cannot_say_is_refused_with_the_name_of_its_field(self, tmp_path: Path) -> None:
        packets = [Packet({"n": 1}), Packet({"n": 2, "title": "\ud800"}), Packet({"n": 3})]
        ran = run_component(JSONLines, packets, path=str(tmp_path / "out.jsonl"))
        assert [(letter.code, letter.error.partition(": ")[0]) for letter in ran.dead_letters] == [
            ("lines.value", "field 'title'")
        ]
        assert lines(tmp_path / "out.jsonl") == [{"n": 1}, {"n": 3}]

    def test_a_line_per_document(self, tmp_path: Path) -> None:
        path = tmp_path / "deep" / "out.jsonl"
        assert not run_component(JSONLines, documents(600), path=str(path)).dead_letters
        assert lines(path) == [{"n": number, "tags": ["a", "b"]} for number in range(600)]

    def test_relative_paths_start_at_the_data_directory(self, tmp_path: Path) -> None:
        publisher = JSONLines()
        publisher.data_dir = str(tmp_path / "data")
        publisher.configure({"path": "out.jsonl"})
        run_component(publisher, documents(1))
        assert len(lines(tmp_path / "data" / "out.jsonl")) == 1

    def test_packets_go_round(self, tmp_path: Path) -> None:
        packet = Packet.from_document({"a": ["x"], "b": b"\xff"}, {"route": "r"})
        run_component(JSONLines, [packet.clone()], path=str(tmp_path / "out"), form="packet")
        assert Packet.from_json(lines(tmp_path / "out")[0]) == packet

    def test_bytes_and_deletions(self, tmp_path: Path) -> None:
        packets = [Packet.from_document({"b": b"\xff"}), Packet(meta={"requestmethod": "DELETE", "id": "7"})]
        run_component(JSONLines, packets, path=str(tmp_path / "out"))
        assert lines(tmp_path / "out") == [{"b": "/w=="}, {"id": "7", "deleted": True}]

    def test_a_field_without_values(self, tmp_path: Path) -> None:
        packet = Packet({"n": 1})
        packet.append("none", [], extend=True)
        assert not run_component(JSONLines, [packet, Packet({"none": []})], path=str(tmp_path / "out")).dead_letters
        assert lines(tmp_path / "out") == [{"n": 1, "none": []}, {"none": []}]

    def test_a_device_is_not_synced(self) -> None:
        assert not run_component(JSONLines, documents(1), path=os.devnull).dead_letters

    def test_standard_output(self, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
        run_component(JSONLines, documents(2), path="-")
        assert capfdbinary.readouterr().out.count(b"\n") == 2

    def test_a_full_disk_is_retried(self, tmp_path: Path) -> None:
        publisher = JSONLines()
        publisher.max_attempts = 1
        publisher.configure({"path": "/dev/full"})
        (failure,) = run_component(publisher, documents(1)).dead_letters
        assert failure.code == "retry.exhausted"


class TestLineFile:
    def test_rotation_keeps_every_line_and_no_file_grows_over_the_size(self, tmp_path: Path) -> None:
        path = tmp_path / "out.jsonl"
        file = LineFile(path, 100)
        for number in range(50):
            file.append(b"%030d\n" % number, sync=False)
        file.close()
        parts = [tmp_path / f"out.{number}.jsonl" for number in range(1, 17)] + [path]
        assert b"".join(part.read_bytes() for part in parts) == b"".join(b"%030d\n" % number for number in range(50))
        assert max(part.stat().st_size for part in parts) <= 100
        assert len(list(tmp_path.iterdir())) == len(parts)

    @pytest.mark.parametrize("torn", [b"torn", b"x" * 200_000])
    def test_a_torn_line_is_cut_off(self, tmp_path: Path, torn: bytes) -> None:
        for number, whole in enumerate((b"", b"whole\n")):
            path = tmp_path / f"out-{number}"
            file = LineFile(path, 0)
            file.append(whole, sync=True)
            file.close()
            with path.open("ab") as crashed:
                crashed.write(torn)
            file = LineFile(path, 0)
            file.append(b"next\n", sync=True)
            file.close()
            assert path.read_bytes() == whole + b"next\n"

    def test_many_processes_share_a_file_that_is_rotated(self, tmp_path: Path) -> None:
        script = textwrap.dedent("""
            import sys
            from pathlib import Path
            from pypes_basic.line_file import LineFile
            file = LineFile(Path(sys.argv[1]), 10_000)
            for number in range(300):
                file.append(f"{sys.argv[2]}-{number} {'x' * 100}\\n".encode(), sync=False)
        """)
        path = tmp_path / "out.txt"
        writers = [subprocess.Popen([sys.executable, "-c", script, path, str(number)]) for number in range(3)]
        assert [writer.wait(60) for writer in writers] == [0, 0, 0]
        written = [line for part in tmp_path.iterdir() for line in part.read_text().splitlines()]
        assert sorted(line.split()[0] for line in written) == sorted(f"{w}-{n}" for w in range(3) for n in range(300))
        assert all(part.stat().st_size <= 10_000 for part in tmp_path.iterdir())

    def test_a_failed_append_leaves_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = LineFile(tmp_path / "out", 0)
        file.append(b"first\n", sync=True)

        def fail(fd: int) -> None:
            raise OSError("no sync")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fail)
            with pytest.raises(OSError, match="no sync"):
                file.append(b"second\n", sync=True)
        file.append(b"third\n", sync=True)
        file.close()
        assert (tmp_path / "out").read_bytes() == b"first\nthird\n"


class TestFilesOfOthers:
    """Nothing of a file that somebody else wrote is ever cut off."""

    @pytest.mark.parametrize("content", [b'{"one": "line without a break"}', b"key: value\n", b'[1]\n{"a": 1}\n', b"\x00\n{}\n"])
    def test_what_is_no_json_lines_is_refused_and_whole(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "precious"
        path.write_bytes(content)
        publisher = JSONLines()
        publisher.configure({"path": str(path)})
        with pytest.raises(ComponentError, match="precious") as refused:
            publisher.setup()
        assert refused.value.code == "lines.foreign"
        file = LineFile(path, 0)
        with pytest.raises(ComponentError):
            file.append(b"{}\n", sync=True)
        file.close()
        assert path.read_bytes() == content

    def test_json_lines_of_others_are_appended_to(self, tmp_path: Path) -> None:
        path = tmp_path / "out"
        path.write_bytes(b'{"a": 1}\n{"b": 2}\n{"unfinished')
        append(path, b'{"c": 3}\n')
        theirs = b'{"a": 1}\n{"b": 2}\n{"unfinished\n'
        assert path.read_bytes() == theirs + b'{"c": 3}\n'
        # from here on it is ours: what we tear ourselves is cut off, and no more than that
        with path.open("ab") as crashed:
            crashed.write(b'{"torn')
        append(path, b'{"d": 4}\n')
        assert path.read_bytes() == theirs + b'{"c": 3}\n{"d": 4}\n'

    def test_without_a_mark_nothing_is_cut_off(self, tmp_path: Path) -> None:
        path = tmp_path / "out"
        append(path, b'{"a": 1}\n')
        copy = tmp_path / "copy"
        copy.write_bytes(path.read_bytes() + b'{"torn')
        append(copy, b'{"b": 2}\n')
        assert copy.read_bytes() == b'{"a": 1}\n{"torn\n{"b": 2}\n'

    def test_a_pipe_is_refused_at_once(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ComponentError, match="no file"):
            LineFile(tmp_path / "pipe", 0).check()


class TestFilesThatChangeUnderneath:
    """Whoever rotates, removes, replaces or cuts the file is noticed, and every line is where the name leads."""

    def test_renamed_by_a_log_rotation(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        path = tmp_path / "out"
        file = LineFile(path, 0)
        file.append(b'{"a": 1}\n', sync=False)
        path.rename(tmp_path / "out.1")
        file.append(b'{"b": 2}\n', sync=False)
        file.close()
        assert [(tmp_path / name).read_bytes() for name in ("out.1", "out")] == [b'{"a": 1}\n', b'{"b": 2}\n']
        assert caplog.messages == ["a file of lines is another one now"]

    def test_renamed_by_another_instance_because_it_was_full(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        files = [LineFile(tmp_path / "out", 10) for _ in range(2)]
        for number in range(4):
            files[number % 2].append(b'{"a": %d}\n' % number, sync=False)
        for file in files:
            file.close()
        assert len(list(tmp_path.iterdir())) == 4
        assert not [record for record in caplog.records if record.levelname != "INFO"]

    def test_removed(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        path = tmp_path / "out"
        file = LineFile(path, 0)
        file.append(b'{"a": 1}\n', sync=False)
        path.unlink()
        file.append(b'{"b": 2}\n', sync=False)
        file.close()
        assert path.read_bytes() == b'{"b": 2}\n'
        assert caplog.messages == ["a file of lines is another one now"]

    def test_removed_while_it_is_written_to(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "out"
        file = LineFile(path, 0)

        def sync(fd: int) -> None:
            path.unlink(missing_ok=True)
            monkeypatch.undo()

        monkeypatch.setattr(os, "fsync", sync)
        file.append(b'{"a": 1}\n', sync=True)
        file.close()
        assert path.read_bytes() == b'{"a": 1}\n'

    def test_cut_in_place(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        path = tmp_path / "out"
        file = LineFile(path, 0)
        file.append(b'{"a": 1}\n' * 10, sync=False)
        path.write_bytes(b"")
        file.append(b'{"b": 2}\n', sync=False)
        assert path.read_bytes() == b'{"b": 2}\n'
        assert caplog.messages == ["a file of lines was cut by somebody else"]
        file.append(b'{"c": 3}\n' * 10, sync=False)
        path.write_bytes(b"other: things")
        with pytest.raises(ComponentError):
            # its mark tells where our part of another content began
            file.append(b'{"d": 4}\n', sync=False)
        file.close()
        assert path.read_bytes() == b"other: things"

    def test_replaced_by_a_file_of_others(self, tmp_path: Path) -> None:
        path = tmp_path / "out"
        publisher = JSONLines()
        publisher.configure({"path": str(path)})
        publisher.setup()
        publisher.process_batch(documents(1))
        publisher.commit()
        (tmp_path / "theirs").write_bytes(b"no lines")
        (tmp_path / "theirs").replace(path)
        publisher.process_batch(documents(1))
        with pytest.raises(Unreachable):
            publisher.commit()
        assert path.read_bytes() == b"no lines"
        path.unlink()
        publisher.process_batch(documents(1))
        publisher.commit()
        publisher.teardown()
        assert len(lines(path)) == 1


def append(path: Path, data: bytes) -> None:
    file = LineFile(path, 0)
    file.append(data, sync=True)
    file.close()
