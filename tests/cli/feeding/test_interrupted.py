"""Runs that are killed, and runs beside another one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from pypes.cli.feed import feed
from pypes.errors import PypesError
from tests.cli.feeding.server import Server


@pytest.fixture
def server(server: Server) -> Iterator[Server]:
    """What it holds back is answered in the end."""
    yield server
    server.release.set()


def test_a_run_that_is_killed_forgets_nothing_and_keeps_others_out(server: Server, tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    for name in ("a.txt", "b.txt", "c.txt"):
        (root / name).write_text(name)
    server.hold = b"b.txt"
    arguments = ["feed", server.url, str(root), "--batch", "1", "--connections", "1"]
    process = subprocess.Popen([sys.executable, "-m", "pypes", *arguments], stderr=subprocess.DEVNULL)
    try:
        assert server.held.wait(30)
        result = CliRunner().invoke(feed, arguments[1:])
        assert isinstance(result.exception, PypesError)
        assert result.exception.code == "feed.busy"
        assert f"another run of pypes feed (process {process.pid}) is feeding {root}" in result.exception.message
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    server.release.set()
    server.hold = b""
    assert server.ids[0] == "a.txt"
    for name in ("a.txt", "b.txt"):
        (root / name).unlink()
    result = CliRunner().invoke(feed, [server.url, str(root), "--changed"])
    assert result.exit_code == 0, result.output
    # the answer for b.txt was not waited for: the server may have taken it
    assert sorted(server.deleted) == ["a.txt", "b.txt"]
    assert server.ids[-1] == "c.txt"
