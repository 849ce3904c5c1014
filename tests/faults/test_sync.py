"""No 202 leaves before the sync that covers it: shown by a trace of system calls, which kill -9 cannot show."""

from __future__ import annotations

import re
from pathlib import Path

from pypes.testing.node import running
from tests.faults.test_crash import graph
from tests.tracing import needs_strace, traced

DOCUMENTS = 25
_CALL = re.compile(r"^(?P<pid>\d+)\s+(?P<rest>.*)$")


def covered_answers(trace: str) -> tuple[int, int]:
    """Count the 202 answers in a trace, and those before which a sync began and ended after their request had come."""
    answers = covered = 0
    requested = synced = False
    syncing: dict[str, bool] = {}
    for line in trace.splitlines():
        match = _CALL.match(line)
        if match is None:
            continue
        pid, rest = match["pid"], match["rest"]
        if "POST /docs" in rest:
            requested, synced = True, False
        if re.match(r"(fdatasync|fsync)\(", rest):
            if "unfinished" in rest:
                syncing[pid] = requested
            elif rest.rstrip().endswith("= 0"):
                synced = synced or requested
        elif re.match(r"<\.\.\. (fdatasync|fsync) resumed>", rest) and rest.rstrip().endswith("= 0"):
            synced = synced or syncing.pop(pid, False)
        if "HTTP/1.1 202" in rest:
            answers += 1
            covered += synced
            requested = synced = False
    return answers, covered


def trace_of(tmp_path: Path, durability: str) -> str:
    needs_strace()
    log = tmp_path / "trace"
    with running(tmp_path, graph(tmp_path / "out.jsonl"), "--durability", durability, workers=1, instances=1) as node:
        (worker,) = node.roles()["worker"]
        calls = "trace=fdatasync,fsync,read,recvfrom,recvmsg,write,writev,sendto,sendmsg"
        with traced(worker.pid, "-s", "200", "-e", calls, "-o", str(log)):
            for n in range(DOCUMENTS):
                assert node.post(b'{"id": "%d"}' % n).status == 202
    return log.read_text(errors="replace")


def test_no_202_leaves_before_its_sync(tmp_path: Path) -> None:
    assert covered_answers(trace_of(tmp_path, "always")) == (DOCUMENTS, DOCUMENTS)


def test_without_durability_the_same_trace_shows_no_sync(tmp_path: Path) -> None:
    answers, covered = covered_answers(trace_of(tmp_path, "never"))
    assert answers == DOCUMENTS
    assert covered < DOCUMENTS
