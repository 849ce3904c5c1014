"""The machine: memory of processes and what is left."""

from __future__ import annotations

import os
import sys

import pytest

from pypes.core.machine import available_memory_bytes, machine_memory_bytes, resident_bytes, usage_of

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@on_linux
def test_memory_of_a_process() -> None:
    assert 1 << 20 < resident_bytes() < machine_memory_bytes()
    assert resident_bytes(os.getppid()) > 0
    assert resident_bytes(1 << 30) == 0  # there is no such process


@on_linux
def test_memory_that_is_left() -> None:
    available = available_memory_bytes()
    assert available is not None
    assert 0 < available < machine_memory_bytes()


@on_linux
def test_the_use_of_a_process() -> None:
    usage = usage_of(os.getpid())
    assert usage is not None
    assert 1 << 20 < usage.memory_bytes < machine_memory_bytes()
    assert abs(usage.cpu_s - sum(os.times()[:2])) < 1.0
    with open("/dev/null"):  # noqa: PTH123
        more = usage_of(os.getpid())
    assert more is not None
    assert more.descriptors == usage.descriptors + 1
    assert usage_of(1 << 30) is None
