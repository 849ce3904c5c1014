"""Command: real programs as functions, their faults, and their end."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pypes import Command, Pipeline, node
from pypes.errors import InvalidInput
from pypes.pipeline import CommandFailed

UPPER = ["tr", "a-z", "A-Z"]
SORT = ["sort", "-o", "{out}", "{in}"]


def descriptors() -> set[Path]:
    return {*Path("/proc/self/fd").iterdir()}


@pytest.fixture(autouse=True)
def _nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    before = descriptors()
    yield
    assert descriptors() <= before
    assert not [*folder.iterdir()]


def shell(text: str, **options: Any) -> Command:
    return Command(["sh", "-c", text], **options)


def failure_of(command: Command, value: Any = "") -> CommandFailed:
    with pytest.raises(CommandFailed) as caught:
        command(value)
    return caught.value


# -- standard input and output --------------------------------------------------------------------------------


def test_text_for_text_and_bytes_for_bytes() -> None:
    upper = Command(UPPER)
    assert upper("loom é") == "LOOM é"
    assert upper(b"loom \xff") == b"LOOM \xff"
    assert upper(bytearray(b"loom")) == b"LOOM"
    assert upper("") == ""


def test_more_than_pipes_hold_and_input_that_is_not_read() -> None:
    data = os.urandom(3_000_000)
    assert Command(["cat"])(data) == data
    assert Command(["head", "-c", "3"])(data) == data[:3]
    assert Command(["true"])(data) == b""


def test_other_values_by_functions() -> None:
    count = Command(["grep", "-c", "loom"], encode="\n".join, decode=int)
    assert count(["loom", "engine", "loom"]) == 2
    assert Command(["cat"], encode=json.dumps)({"a": 1}) == '{"a": 1}'
    with pytest.raises(InvalidInput, match=r"^cat: a command takes text or bytes, not dict; give encode=") as caught:
        Command(["cat"])({"a": 1})
    assert caught.value.code == "command.value"
    with pytest.raises(InvalidInput, match=r'not PosixPath; for a path, give files=True and "{in}" in an argument'):
        Command(["cat"])(Path("a"))


def test_there_is_no_shell() -> None:
    assert Command(["echo", "$HOME; `id`", "*"])("") == "$HOME; `id` *\n"
    with pytest.raises(InvalidInput, match="not 'tr a-z A-Z': there is no shell"):
        Command("tr a-z A-Z")
    with pytest.raises(InvalidInput, match="a command is a list"):
        Command([])


def test_variables_and_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIVEN", "before")
    say = 'echo "$GIVEN,$MINE,$(pwd)"'
    assert shell(say, cwd=tmp_path)("") == f"before,,{tmp_path}\n"
    assert shell(say, env={"MINE": "m", "GIVEN": None}, cwd=str(tmp_path))("") == f",m,{tmp_path}\n"
    monkeypatch.setenv("GIVEN", "later")
    assert shell(say)("").startswith("later,")


# -- files ----------------------------------------------------------------------------------------------------


def test_a_file_in_and_a_file_out(tmp_path: Path) -> None:
    sort = Command(SORT, files=True, env={"LC_ALL": "C"})
    assert sort("b\na\n") == "a\nb\n"
    assert sort(b"b\n\xff\na\n") == b"a\nb\n\xff\n"
    (tmp_path / "lines").write_text("d\nc\n")
    assert sort(tmp_path / "lines") == b"c\nd\n"
    assert (tmp_path / "lines").read_text() == "d\nc\n"


def test_a_path_is_that_of_this_process_wherever_the_program_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "-n").write_text("x")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    assert Command(["cat", "{in}"], files=True, cwd="elsewhere", decode=bytes.decode)(Path("-n")) == "x"


def test_one_of_them_alone_and_one_of_them_twice() -> None:
    assert Command(["cat", "{in}", "{in}"], files=True)("ab") == "abab"
    assert Command(["tee", "{out}"], files=True)("ab") == "ab"


def test_files_with_endings() -> None:
    name_it = 'test "${1##*/} ${2##*/}" = "in.tar.gz out.png" && cat "$1" > "$2"'
    assert Command(["sh", "-c", name_it, "sh", "{in.tar.gz}", "{out.png}"], files=True)("a") == "a"
    assert Command(["basename", "--suffix={in.jpg}", "{in.jpg}"], files=True)("a") == "in.jpg\n"
    with pytest.raises(InvalidInput, match=r"one file {in} and one {out}, but the arguments name {in}, {in\.jpg}"):
        Command(["cmp", "{in}", "{in.jpg}"], files=True)
    with pytest.raises(InvalidInput, match=r'no argument has "{in}" or "{out}"'):
        Command(["cat"], files=True)


def test_without_files_braces_are_text() -> None:
    assert Command(["echo", "{in}"])("") == "{in}\n"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("true", "it wrote no file {out}"),
        ("mkdir $1", "it wrote no file {out}"),
        ("head -c 2000 /dev/zero > $1", r"it wrote 2000 bytes to {out}, more than 1000 \(max_bytes\)"),
    ],
)
def test_output_files_that_are_none(text: str, fault: str) -> None:
    command = Command(["sh", "-c", text, "sh", "{out}"], files=True, max_bytes=1000)
    with pytest.raises(CommandFailed, match=f"^sh: {fault}$") as caught:
        command("")
    assert caught.value.code == "command.output"


# -- faults ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code", "message", "status", "stderr"),
    [
        ("echo because >&2; exit 3", "command.failed", "it exited with 3: because", 3, "because"),
        ("kill -TERM $$", "command.failed", "it was killed by signal 15", 143, ""),
        ("yes", "command.output", "it wrote more than 1000 bytes (max_bytes)", None, ""),
        (r"printf '\377'", "command.output", None, 0, ""),
        ("echo waits >&2; sleep 600", "command.timeout", "it was not done after 0.5 s: waits", None, "waits"),
    ],
)
def test_faults_of_a_program(text: str, code: str, message: str | None, status: int | None, stderr: str) -> None:
    timeout_s = 0.5 if code == "command.timeout" else 20.0
    error = failure_of(shell(text, timeout_s=timeout_s, max_bytes=1000))
    assert (error.code, error.status, error.stderr) == (code, status, stderr)
    assert str(error) == f"sh: {message}" if message else "give bytes to it, or decode=" in str(error)


def test_an_error_travels_between_processes() -> None:
    error = failure_of(shell("echo because >&2; exit 3"))
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == "sh: it exited with 3: because"
    assert (again.code, again.status, again.stderr) == ("command.failed", 3, "because")


def test_a_program_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("#!/bin/sh\necho done\n")
    for command, message in (
        (["no-such-program"], r"no program 'no-such-program' in the folders of PATH \(.*\): install it, or give its path"),
        (["./tool"], "tool' is no program that may be run"),
    ):
        with pytest.raises(InvalidInput, match=message) as caught:
            Command(command, cwd=tmp_path)
        assert caught.value.code == "command.no_program"
    (tmp_path / "tool").chmod(0o700)
    assert Command(["./tool"], cwd=tmp_path)("") == "done\n"
    assert Command(["tool"], env={"PATH": str(tmp_path)})("") == "done\n"
    assert Command([tmp_path / "tool"]).__name__ == "tool"
    with pytest.raises(InvalidInput, match="cwd: there is no folder 'absent'"):
        Command(["true"], cwd="absent")


# -- elsewhere, and the end -----------------------------------------------------------------------------------


def test_it_can_be_pickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tool").symlink_to("/bin/cat")
    monkeypatch.chdir(tmp_path)
    made = Command(["./tool", "{in}"], files=True, cwd=".", env={"A": None}, timeout_s=20, decode=bytes.decode)
    travelling = pickle.dumps(made)
    monkeypatch.chdir("/")
    again = pickle.loads(travelling)
    assert again(b"x") == "x"
    assert repr(again) == repr(made) == f"Command(['{tmp_path}/tool', '{{in}}'])"
    assert pickle.dumps(again) == travelling


def test_several_threads_call_one_command() -> None:
    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(Command(UPPER), map(str.lower, "ABCDEFGHIJKLMNOP"))] == [*"ABCDEFGHIJKLMNOP"]


#: Runs until it is killed; as long as any process of it lives, `alive` has a writer.
LONG = 'exec 3> "$ALIVE"; sleep 600 & sleep 600'


@pytest.fixture
def alive(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "alive")
    return tmp_path / "alive"


def when_running(alive: Path, do: Callable[[], None]) -> threading.Thread:
    """Calls ``do`` when the program runs, and ends when all of its processes have."""

    def wait() -> None:
        with alive.open() as running:
            do()
            running.read()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_all_that_it_started_ends_with_its_time(alive: Path) -> None:
    waiting = when_running(alive, lambda: None)
    assert failure_of(shell(LONG, env={"ALIVE": str(alive)}, timeout_s=1.0)).code == "command.timeout"
    waiting.join()


def test_all_that_it_leaves_running_ends_with_it(alive: Path) -> None:
    waiting = when_running(alive, lambda: None)
    assert shell('exec 3> "$ALIVE"; sleep 600 <&- >&- 2>&- & echo done', env={"ALIVE": str(alive)})("") == "done\n"
    waiting.join()


def test_all_that_it_started_ends_when_the_command_is_closed(alive: Path) -> None:
    command = shell(LONG, env={"ALIVE": str(alive)})
    waiting = when_running(alive, command.close)
    assert failure_of(command).status == 128 + signal.SIGKILL
    waiting.join()
    assert shell("cat")("goes on") == "goes on"
    command.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_all_that_it_started_ends_with_its_process(alive: Path, number: signal.Signals) -> None:
    """Interrupted by Ctrl-C, or killed in a way that lets nobody clean up, and as soon as the program runs."""
    program = "import sys\nfrom pypes import Command\nCommand(['sh', '-c', sys.argv[1]])('')"
    environ = {**os.environ, "ALIVE": str(alive)}
    owner = subprocess.Popen([sys.executable, "-c", program, LONG], env=environ, stderr=subprocess.PIPE, text=True)
    waiting = when_running(alive, lambda: owner.send_signal(number))
    try:
        _, said = owner.communicate(timeout=60)
    finally:
        owner.kill()
        owner.wait()
    waiting.join()
    assert ("KeyboardInterrupt" in said) == (number == signal.SIGINT)


# -- in a pipeline --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [{}, {"threads": 2}, {"processes": 1}], ids=["here", "threads", "processes"])
def test_a_filter_of_a_pipeline(place: dict[str, Any]) -> None:
    counted = Command(["wc", "-c"], decode=int)
    with Pipeline(str.strip, node(Command(UPPER), **place), node(counted, **place), errors="return") as pipeline:
        one, failed, two = pipeline.run([" a ", " \ud800 ", "bc"])
        assert (one, two) == (1, 2)
        assert (failed.node, type(failed.error)) == ("tr", UnicodeEncodeError)


@pytest.mark.parametrize("place", [{}, {"threads": 1}], ids=["here", "threads"])
def test_the_end_of_a_pipeline_ends_programs_that_threads_wait_for(place: dict[str, Any], alive: Path) -> None:
    with Pipeline(node(shell(LONG, env={"ALIVE": str(alive)}), **place)) as pipeline:
        pipeline.start([""])
        running = alive.open()
    with running:
        assert running.read() == ""
