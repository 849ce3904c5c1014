"""The machine, as far as this process may use it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine_memory_bytes() -> int:
    """Memory that this process may count on: the machine's, or what its control group allows."""
    memory: int = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            memory = min(memory, int(Path(limit).read_text(encoding="ascii")))
        except (OSError, ValueError):  # no such group, or no limit
            continue
    return memory


def available_memory_bytes() -> int | None:
    """Memory that processes could still take, of the machine and of its control group; ``None`` if nobody knows."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        return None
    group = Path("/sys/fs/cgroup")
    try:
        used = int((group / "memory.current").read_text(encoding="ascii"))
        # what is cached of files counts as used there, and is given up when memory is needed
        stat = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
        return min(free, int((group / "memory.max").read_text(encoding="ascii")) - used + int(stat["inactive_file"]))
    except (OSError, ValueError, KeyError):  # no such group, or no limit
        return free


def resident_bytes(pid: int | str = "self") -> int:
    """Resident memory of a process, by default this one; 0 where it cannot be had."""
    try:
        with Path(f"/proc/{pid}/statm").open("rb", buffering=0) as file:
            return int(file.read(128).split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return 0


class Usage(NamedTuple):
    """The use of a process: resident memory, processor time since its start, open descriptors."""

    memory_bytes: int
    cpu_s: float
    descriptors: int


def usage_of(pid: int) -> Usage | None:
    """The use of a process; ``None`` if it is gone, or nobody knows."""
    try:
        with Path(f"/proc/{pid}/stat").open("rb", buffering=0) as file:
            # the name in parentheses may hold anything
            fields = file.read(4096).rpartition(b")")[2].split()
        ticks, pages = int(fields[11]) + int(fields[12]), int(fields[21])
        return Usage(pages * _PAGE_BYTES, ticks / _TICKS, len(os.listdir(f"/proc/{pid}/fd")))  # noqa: PTH208  # PERF: one call
    except (OSError, ValueError, IndexError):
        return None


_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
