"""What reaches the disk, and when: seen from outside, in the system calls of a real process."""

import re
import subprocess
import sys
from pathlib import Path

from tests.needed import missing
from tests.tracing import needs_strace

_PROGRAM = """
import asyncio, os, sys
from pathlib import Path
from pypes.core.limits import Limits
from pypes.errors import StoreError
from pypes.ingest.delivery import Header
from pypes.ingest.queues.embedded import EmbeddedQueue
from pypes.ingest.store.shards import Shards

async def main():
    queue = await EmbeddedQueue.open(
        Shards(Path(sys.argv[1])).lock(0), node=1, limits=Limits(), durability=sys.argv[2], probe_s=0.01
    )
    for n in range(int(sys.argv[3])):
        body = b"marked body %d" % n
        os.write(1, b"post\\n")
        try:
            await queue.intake.append(Header("g", length=len(body)), body)
            os.write(1, b"accepted\\n")
        except StoreError:
            os.write(1, b"refused\\n")
            while queue.stats().is_failed:
                await asyncio.sleep(0.001)
    os.write(1, b"end\\n")
    os._exit(0)

asyncio.run(main())
"""


def trace(tmp_path: Path, durability: str, appends: int, *options: str) -> list[str]:
    """System calls of the program in the order in which they ended, as "write", "sync", "failed sync", "post" and so on."""
    strace = needs_strace()
    log = tmp_path / "strace.log"
    command = [strace, "-f", "-y", "-o", str(log), "-e", "trace=write,pwrite64,fsync,fdatasync", *options]
    done = subprocess.run(
        [*command, sys.executable, "-c", _PROGRAM, str(tmp_path / "data"), durability, str(appends)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    if "ptrace" in done.stderr or "Operation not permitted" in done.stderr:
        missing("this machine does not let a process be traced")
    assert done.returncode == 0, done.stderr
    events = []
    for line in log.read_text().splitlines():
        if re.search(r'write\(1<.*"(post|accepted|refused|end)', line):
            events.append(re.search(r'"(\w+)', line).group(1))  # type: ignore[union-attr]
        elif re.search(r"(fsync|fdatasync)\b.*= -1 E", line):
            events.append("failed sync")
        elif re.search(r"(fsync|fdatasync)\b.*= 0", line) and ("queue.db" in line or "resumed" in line):
            events.append("sync")
        elif "pwrite64" in line and "queue.db-wal" in line:
            events.append("write")
    return events


def rounds(events: list[str]) -> list[list[str]]:
    """What happened from each post to its answer."""
    found: list[list[str]] = []
    for event in events:
        if event == "post":
            found.append([])
        elif found:
            found[-1].append(event)
            if event == "end":
                break
    return found


def test_nothing_is_accepted_before_the_sync_that_covers_it(tmp_path: Path) -> None:
    found = rounds(trace(tmp_path, "always", 20))
    assert len(found) == 20
    for events in found:
        before = events[: events.index("accepted")]
        assert "write" in before
        assert "sync" in before[before.index("write") :], events


def test_without_durability_there_is_no_such_sync(tmp_path: Path) -> None:
    found = rounds(trace(tmp_path, "never", 20))
    assert any("sync" not in events[: events.index("accepted")] for events in found)


def test_a_failed_sync_accepts_nothing(tmp_path: Path) -> None:
    """The kernel itself answers some of the syncs with EIO."""
    events = trace(tmp_path, "always", 30, "-e", "inject=fdatasync:error=EIO:when=10+4")
    assert "refused" in events
    for each in rounds(events):
        if "accepted" in each:
            assert "sync" in each[: each.index("accepted")], each
        else:
            assert "failed sync" in each
