"""Exec: real programs, one for a packet, for a batch, or for long; their faults, and their end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from pypes import Packet
from pypes.core.paths import Paths
from pypes.errors import ComponentError
from pypes.testing import ComponentSuite, run_component
from pypes.testing.component import Result
from pypes_basic.exec_filter import Exec

from .packages import packages

ENDS_S = 20.0


def python(code: str) -> dict[str, Any]:
    """Parameters that run Python code."""
    return {"program": sys.executable, "arguments": ["-c", textwrap.dedent(code)]}


class Twice(Exec):
    """Tries twice, so that a test need not wait for more."""

    max_attempts = 2


def run(packets: list[Packet], **params: Any) -> Result:
    return run_component(Twice, packets, **{"time_s": 20.0, **params})


def letter_of(**params: Any) -> tuple[str, str]:
    [letter] = run([Packet({"text": "x"})], **params).dead_letters
    return letter.code, letter.error.replace(sys.executable, "PYTHON")


LINES = """
    import json, os, sys
    for line in sys.stdin:
        fields = json.loads(line)
        if fields.get("do") == "die":
            print("no more", file=sys.stderr)
            os._exit(3)
        if fields.get("do") == "drop":
            print("null", flush=True)
            continue
        print(json.dumps({"length": len(fields["text"]), "pid": os.getpid(), "gone": None}), flush=True)
"""


class TestExec(ComponentSuite):
    component = Exec
    params = {"program": "/usr/bin/sort"}

    def test_packages_sorted_by_the_program_of_the_system(self) -> None:
        given = packages()[:3]
        result = run([packet.clone() for packet in given], program="/usr/bin/sort", target="sorted", environ={"LC_ALL": "C"})
        for packet, before in zip(result.packets, given, strict=True):
            lines = before.get("text").encode().splitlines()
            assert packet.get("sorted").encode().splitlines() == sorted(lines)
            assert packet.get("text") == before.get("text")
        assert result.counts == {"processes": 3}

    def test_bytes_in_and_out(self) -> None:
        data = bytes(range(256)) * 4000  # more than pipes hold
        [packet] = run([Packet({"data": data})], program="/bin/cat", field="data", binary=True).packets
        assert packet.get("data") == data
        assert letter_of(**python(r"import sys; sys.stdout.buffer.write(b'\xff')"))[0] == "exec.failed"

    @pytest.mark.parametrize("process", ["batch", "lasting"])
    def test_lines_of_json(self, process: str) -> None:
        given = [Packet({"text": "x" * n, "gone": 1, "n": n}) for n in range(250)]
        given[7].set("do", "drop")
        result = run(given, process=process, **python(LINES))
        assert [packet.get("n") for packet in result.packets] == [n for n in range(250) if n != 7]
        assert all(packet.get("length") == packet.get("n") and not packet.has("gone") for packet in result.packets)
        pids = {packet.get("pid") for packet in result.packets}
        assert len(pids) == result.counts["processes"] == (1 if process == "lasting" else 3)

    @pytest.mark.parametrize("process", ["batch", "lasting"])
    def test_a_packet_that_ends_the_program_fails_alone(self, process: str) -> None:
        given = [Packet({"text": "x", "n": n, "do": "die" if n == 2 else ""}) for n in range(5)]
        result = run(given, process=process, **python(LINES))
        assert [packet.get("n") for packet in result.packets] == [0, 1, 3, 4]
        [letter] = result.dead_letters
        assert (letter.code, letter.error) == ("exec.failed", f"{sys.executable}: it exited with 3: no more")

    @pytest.mark.parametrize(
        ("code", "expected"),
        [
            ("import sys; sys.exit(4)", ("exec.failed", "PYTHON: it exited with 4")),
            ("import sys; sys.exit('because')", ("exec.failed", "PYTHON: it exited with 1: because")),
            ("import os; os.kill(os.getpid(), 9)", ("exec.failed", "PYTHON: it was killed by signal 9")),
            ("print('x' * 1000)", ("exec.failed", "PYTHON: it wrote more than 100 bytes (max_bytes)")),
            ("import sys; sys.exit(75)", ("retry.exhausted", "it exited with 75")),
        ],
    )
    def test_faults_of_a_program(self, code: str, expected: tuple[str, str]) -> None:
        code_, error = letter_of(max_bytes=100, **python(code))
        assert (code_, expected[1] in error) == (expected[0], True), error

    @pytest.mark.parametrize(
        ("code", "fault"),
        [
            ("print('{}'); print('{}')", "it wrote 2 lines for 1 packets"),
            ("print('{')", "is not JSON"),
            ("print(3)", "is int, neither an object nor null"),
            ("pass", "it wrote 0 lines"),
        ],
    )
    def test_answers_that_are_none(self, code: str, fault: str) -> None:
        code_, error = letter_of(process="batch", **python(code))
        assert (code_, fault in error) == ("exec.failed", True), error

    def test_the_end_of_standard_error_is_told(self) -> None:
        _, error = letter_of(**python("import sys; sys.stderr.write('a' * 100_000 + 'the end'); sys.exit(1)"))
        assert error.endswith("the end")

    @pytest.mark.parametrize("process", ["packet", "batch", "lasting"])
    def test_its_time_is_bounded_and_all_that_it_started_ends(self, process: str, tmp_path: Path) -> None:
        code = f"""
            import os, subprocess, sys, time
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            open({str(tmp_path / "pids")!r}, "w").write(f"{{os.getpid()}} {{child.pid}}")
            time.sleep(600)
        """
        code_, error = letter_of(process=process, time_s=1.5, **python(code))
        assert (code_, error) == ("exec.timeout", "PYTHON: it was not done after 1.5 s")
        assert_gone((tmp_path / "pids").read_text())

    def test_it_ends_with_its_instance(self, tmp_path: Path) -> None:
        """Killed in a way that lets nobody clean up."""
        code = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(600)"
        program = f"""
            from pypes import Packet
            from pypes.testing import run_component
            from pypes_basic.exec_filter import Exec
            run_component(Exec, [Packet({{"text": "x"}})], program={sys.executable!r}, arguments=["-c", {code!r}], time_s=500)
        """
        owner = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)])
        try:
            wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
        finally:
            owner.kill()
            owner.wait()
        assert_gone((tmp_path / "pid").read_text())

    def test_what_it_leaves_running_is_ended_with_it(self, tmp_path: Path) -> None:
        code = """
            import subprocess, sys
            nothing = subprocess.DEVNULL
            sleeps = subprocess.Popen(["/bin/sleep", "600"], stdin=nothing, stdout=nothing, stderr=nothing)
            print(sleeps.pid)
        """
        [packet] = run([Packet({"text": ""})], **python(code)).packets
        assert_gone(packet.get("text"))

    def test_it_gets_no_secrets_of_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PYPES_TOKEN", "secret")
        [packet] = run([Packet({"text": ""})], program="/usr/bin/env", environ={"MINE": "given"}).packets
        names = {line.partition("=")[0] for line in packet.get("text").splitlines()}
        assert "MINE" in names
        assert names <= {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "MINE"}

    def test_arguments_are_no_shell(self) -> None:
        [packet] = run([Packet({"text": ""})], program="/bin/echo", arguments=["$HOME; `id`", "*"]).packets
        assert packet.get("text") == "$HOME; `id` *\n"

    def test_a_deletion_needs_no_program(self) -> None:
        given = [Packet({}, {"requestmethod": "DELETE", "id": "a"}), Packet({"text": "b"})]
        for params in ({"program": "/bin/cat"}, {"process": "batch", **python(LINES)}):
            result = run([packet.clone() for packet in given], **params)
            assert [packet.is_deletion for packet in result.packets] == [True, False]

    def test_what_cannot_be_written_is_told(self) -> None:
        [letter] = run([Packet({"text": 5})], program="/bin/cat").dead_letters
        assert letter.error == "field 'text' holds int, neither text nor bytes"
        [letter] = run([Packet({"text": b"\xff"})], process="batch", **python(LINES)).dead_letters
        assert letter.error.startswith("the fields cannot be written as JSON")

    def test_programs_are_where_paths_may_lead(self, tmp_path: Path) -> None:
        (tmp_path / "tool").write_text("#!/bin/sh\necho done\n")
        made = Exec()
        made.data_dir = str(tmp_path)
        made.configure({"program": "tool"})
        with pytest.raises(ComponentError, match="program: tool is no program that may be run"):
            run_component(made, [])
        (tmp_path / "tool").chmod(0o700)
        assert run_component(made, [Packet({"text": ""})]).packets[0].get("text") == "done\n"
        schema = Exec().schema()["properties"]
        assert schema["program"]["format"] == schema["folder"]["format"] == "path"
        assert Paths(str(tmp_path), roots=("/usr/lib",)).problem("/usr/bin/sort")
        with pytest.raises(ComponentError, match="folder: absent is no folder"):
            run([], program="/bin/cat", folder="absent")


def wait_for(predicate: Any) -> None:
    ends = time.monotonic() + ENDS_S
    while not predicate():
        assert time.monotonic() < ends, "it did not happen in time"
        os.sched_yield()


def assert_gone(pids: str) -> None:
    for pid in map(int, pids.split()):
        try:
            wait_for(lambda pid=pid: not _is_alive(pid))
        except AssertionError:
            os.kill(pid, signal.SIGKILL)
            raise


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
