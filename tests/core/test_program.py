"""Programs: real ones; their faults and limits are tested with `Exec` and `Command`, which run them."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pypes.core.program import Program, ProgramFailed

TIME_S = 20.0


def descriptors() -> set[Path]:
    return {*Path("/proc/self/fd").iterdir()}


@pytest.fixture(autouse=True)
def _no_descriptor_is_left() -> Iterator[None]:
    before = descriptors()
    yield
    assert descriptors() <= before


def run(*command: str, data: bytes = b"", time_s: float | None = TIME_S) -> bytes:
    program = Program(command, None, dict(os.environ))
    try:
        return program.run(data, time_s, 10_000_000)
    finally:
        program.close()


def test_large_input_and_output_at_once() -> None:
    data = os.urandom(4_000_000)
    assert run("/bin/cat", data=data, time_s=None) == data


def test_a_program_may_leave_its_input_unread() -> None:
    assert run("/bin/echo", "done", data=bytes(4_000_000)) == b"done\n"


def test_it_has_three_descriptors_and_no_other() -> None:
    listed = run("/bin/sh", "-c", "ls -l /proc/$$/fd").decode().splitlines()[1:]
    assert sorted(line.split(" -> ")[0].split()[-1] for line in listed) == ["0", "1", "2"]


def test_a_program_that_says_much_ends_in_time() -> None:
    with pytest.raises(ProgramFailed, match=r"^it was not done after 0\.5 s: no") as caught:
        run("/bin/sh", "-c", "yes no >&2", time_s=0.5)
    assert caught.value.is_timeout


def test_one_that_left_its_group_delays_nobody(tmp_path: Path) -> None:
    """It still has the other ends of the pipes, and goes on writing."""
    os.mkfifo(tmp_path / "up")
    os.mkfifo(tmp_path / "end")
    left = f"setsid sh -c 'yes >&2 & : > {tmp_path}/up; cat {tmp_path}/end; kill $!' & cat {tmp_path}/up; echo done"
    try:
        assert run("/bin/sh", "-c", left, time_s=None) == b"done\n"
    finally:
        (tmp_path / "end").write_text("")


def test_a_program_that_leads_a_group_of_its_own_ends_in_time() -> None:
    program = "import os, time; os.setsid(); os.fork(); time.sleep(600)"
    with pytest.raises(ProgramFailed, match="it was not done after"):
        run(sys.executable, "-S", "-c", program, time_s=1.0)


def test_without_help_of_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    data = os.urandom(300_000)
    assert run("/bin/sh", "-c", "cat; sleep 0.05", data=data) == data


def test_a_pipe_whose_reader_is_gone_ends_a_program_as_in_a_shell() -> None:
    """An interpreter ignores SIGPIPE, and its children would if that were not undone."""
    status = run("/bin/sh", "-c", "grep SigIgn /proc/self/status").split()[1]
    assert int(status, 16) & (1 << 12 | 1 << 24) == 0


def test_the_end_of_standard_error_is_kept() -> None:
    with pytest.raises(ProgramFailed, match=r"^it exited with 3: aa") as caught:
        run("/bin/sh", "-c", "head -c 100000 /dev/zero | tr '\\0' a >&2; echo the end >&2; exit 3")
    assert (caught.value.code, caught.value.said[-8:]) == (3, "athe end")
    assert len(caught.value.said) < 20_000


@pytest.mark.parametrize(("program", "code"), [("/absent", 127), ("/etc/passwd", 126)])
def test_a_program_that_is_none(program: str, code: int) -> None:
    with pytest.raises(ProgramFailed, match=f"^{program}: ") as caught:
        run(program)
    assert caught.value.code == code


def test_another_thread_may_stop_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "alive")
    program = Program(["/bin/sh", "-c", f"exec 3> {tmp_path / 'alive'}; sleep 600 & sleep 600"], None, dict(os.environ))

    def stop() -> None:
        with (tmp_path / "alive").open() as alive:  # opens when the program runs
            program.stop()
            assert alive.read() == ""  # and ends when all of its processes have

    stopping = threading.Thread(target=stop)
    stopping.start()
    try:
        with pytest.raises(ProgramFailed, match="it was killed by signal 9"):
            program.run(b"", TIME_S, 100)
    finally:
        stopping.join()
        program.close()
