"""A process leaves signals to its owner."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from pypes.core.signals import LEFT, held_back

PROGRAM = """
from pypes.core.signals import leave_to_owner
leave_to_owner()
print("up", flush=True)
input()
"""


@pytest.mark.parametrize("number", LEFT)
def test_a_process_outlives_them_from_its_start_on(number: int) -> None:
    with held_back():
        process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.send_signal(number)
    out, _ = process.communicate(b"\n", 30)
    assert (out, process.returncode) == (b"up\n", 0)


def test_who_starts_it_gets_them_as_before() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with held_back():
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before | {*LEFT}
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
