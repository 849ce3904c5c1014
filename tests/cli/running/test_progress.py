"""Progress is shown on a terminal, and nowhere else."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.cli.running.graphs import command, run, write

DATA = b"".join(b'{"n": %d}\n' % n for n in range(10))
#: The cursor is hidden while something moves.
HIDDEN = b"\x1b[?25l"


def shown(place: Path, *arguments: str, is_output_shown: bool) -> bytes:
    """The terminal, when the command has ended with exit code 1."""
    ours, theirs = pty.openpty()
    environ = {**os.environ, "COLUMNS": "120", "TERM": "xterm"}
    out = theirs if is_output_shown else subprocess.DEVNULL
    whole = command("--load", "components.py", *arguments)
    with subprocess.Popen(whole, cwd=place, stdin=subprocess.DEVNULL, stdout=out, stderr=theirs, env=environ) as process:
        os.close(theirs)
        found = b""
        with contextlib.suppress(OSError):  # as Linux says that the other end is closed
            while data := os.read(ours, 65536):
                found += data
        os.close(ours)
    assert process.returncode == 1
    return found


@pytest.mark.parametrize("instances", ["1", "2"])
def test_documents_rate_and_failures_are_shown_on_a_terminal(tmp_path: Path, instances: str) -> None:
    graph = write(tmp_path, "Odd")
    (tmp_path / "in.ndjson").write_bytes(DATA)
    found = shown(tmp_path, "--instances", instances, graph, "in.ndjson", is_output_shown=False)
    assert HIDDEN in found
    assert b"10 documents, " in found
    assert b"/s, 1 failed" in found


def test_no_bar_tears_what_a_publisher_writes_to_the_same_terminal(tmp_path: Path) -> None:
    graph = write(tmp_path, "Odd")
    (tmp_path / "in.ndjson").write_bytes(DATA)
    found = shown(tmp_path, graph, "in.ndjson", is_output_shown=True)
    assert HIDDEN not in found
    assert found.startswith(b'{"n":1}\r\n{"n":3}\r\n')


def test_nothing_moves_in_pipes(tmp_path: Path) -> None:
    graph = write(tmp_path, "Odd")
    _, said = run(tmp_path, "--load", "components.py", graph, data=DATA, expect=1)
    assert "\x1b" not in said
    assert said.startswith("10 documents in ")
