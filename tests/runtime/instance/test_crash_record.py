"""Crash records: what one process writes another one reads, and what follows from it when the first has died."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from pypes.ingest.outcome import ExitReason
from pypes.runtime.instance.crash_record import DECODING, NOTHING, SIZE, TURN, CrashRecord, Recorded, exit_reason_of


def recorded(activity: int = NOTHING, document: int = -1, filter: str = "", ended_by: str = "", reason: str = "") -> Recorded:
    return Recorded(1, 5.0, activity, document, filter, ended_by, reason)


def test_what_is_written_through_one_mapping_is_read_through_another(tmp_path: Path) -> None:
    path = str(tmp_path / "i-1.note")
    CrashRecord.create(path)
    assert Path(path).stat().st_size == SIZE
    ours, theirs = CrashRecord(path), CrashRecord(path)
    assert theirs.read() == Recorded(0, 0.0, NOTHING, -1, "", "", "")
    ours.tick(5.0)
    ours.turn("pdf", 7, 2.0)
    assert theirs.read() == Recorded(1, 2.0, TURN, 7, "pdf", "", "")
    ours.decoding()
    assert theirs.read() == Recorded(1, 5.0, DECODING, -1, "", "", "")
    ours.turn("größe" * 100, 1 << 40, 2.0)
    assert theirs.read().filter.startswith("größegröße")
    ours.rest()
    theirs.end("not done after 2 s", "pdf")
    ours.end("over 64 MiB of memory", "other")
    assert ours.read() == Recorded(1, 5.0, NOTHING, -1, "", "pdf", "not done after 2 s")


@pytest.mark.parametrize(
    ("exitcode", "record", "exit_reason"),
    [
        (-signal.SIGSEGV, recorded(TURN, 3, "pdf"), ExitReason("killed by SIGSEGV", "pdf", 3)),
        (-signal.SIGABRT, recorded(), ExitReason("killed by SIGABRT")),
        (-signal.SIGSEGV, recorded(DECODING), ExitReason("killed by SIGSEGV")),
        (3, recorded(TURN, 0, "pdf"), ExitReason("exited with status 3", "pdf", 0)),
        (0, recorded(TURN, 0, "pdf"), ExitReason("exited with status 0", "pdf", 0)),
        (-signal.SIGKILL, recorded(TURN, 3, "pdf"), ExitReason("killed by SIGKILL", "pdf", 3, is_outside=True)),
        (-signal.SIGHUP, recorded(TURN, 3, "pdf"), ExitReason("killed by SIGHUP", "pdf", 3, is_outside=True)),
        (-signal.SIGKILL, recorded(TURN, 3, "pdf", "pdf", "not done after 5 s"), ExitReason("not done after 5 s", "pdf", 3)),
        (-signal.SIGKILL, recorded(TURN, 3, "out", "pdf", "not done after 5 s"), ExitReason("not done after 5 s", "pdf", 3)),
        (-signal.SIGKILL, recorded(TURN, 3, "pdf", "", "over 64 MiB of memory"), ExitReason("over 64 MiB of memory", "pdf", 3)),
        (-signal.SIGKILL, recorded(NOTHING, -1, "", "pdf", "not done after 5 s"), ExitReason("not done after 5 s", "pdf")),
        (-signal.SIGKILL, recorded(DECODING, -1, "", "", "over 64 MiB of memory"), ExitReason("over 64 MiB of memory")),
    ],
)
def test_how_it_died_follows_from_the_exit_code_and_the_record(exitcode: int, record: Recorded, exit_reason: ExitReason) -> None:
    assert exit_reason_of(exitcode, record) == exit_reason


def test_one_that_was_told_to_stop_and_did_is_nobodys_fault() -> None:
    assert exit_reason_of(0, recorded(), was_stopping=True) == ExitReason("stopped", is_outside=True)
