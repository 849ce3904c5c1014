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
        path = tmp_path / "out"
        for whole in (b"", b"whole\n"):
            path.write_bytes(whole + torn)
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
