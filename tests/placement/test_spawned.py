"""Processes that a pool worker has started."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pypes.placement.spawned import descendants

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc as Linux has it")


def test_children_and_theirs_are_found() -> None:
    with subprocess.Popen(["sh", "-c", "sh -c 'echo; read line'; true"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as shell:
        assert shell.stdout is not None
        shell.stdout.readline()
        (child,) = descendants(shell.pid)
        assert descendants(child) == []
        shell.communicate(b"end\n")


def test_a_process_that_has_ended_has_none() -> None:
    with subprocess.Popen(["true"]) as process:
        pass
    assert descendants(process.pid) == []
