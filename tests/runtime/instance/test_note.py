"""Notes: what one process writes another one reads, and what follows from it when the first has died."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from pypes.ingest.outcome import Death
from pypes.runtime.instance.note import DECODING, NOTHING, SIZE, TURN, Note, Noted, death_of


def noted(activity: int = NOTHING, document: int = -1, filter: str = "", ended_by: str = "", reason: str = "") -> Noted:
    return Noted(1, 5.0, activity, document, filter, ended_by, reason)


def test_what_is_written_through_one_mapping_is_read_through_another(tmp_path: Path) -> None:
    path = str(tmp_path / "i-1.note")
    Note.create(path)
    assert Path(path).stat().st_size == SIZE
    ours, theirs = Note(path), Note(path)
    assert theirs.read() == Noted(0, 0.0, NOTHING, -1, "", "", "")
    ours.tick(5.0)
    ours.turn("pdf", 7, 2.0)
    assert theirs.read() == Noted(1, 2.0, TURN, 7, "pdf", "", "")
    ours.decoding()
    assert theirs.read() == Noted(1, 5.0, DECODING, -1, "", "", "")
    ours.turn("größe" * 100, 1 << 40, 2.0)
    assert theirs.read().filter.startswith("größegröße")
    ours.rest()
    theirs.end("not done after 2 s", "pdf")
    ours.end("over 64 MiB of memory", "other")
    assert ours.read() == Noted(1, 5.0, NOTHING, -1, "", "pdf", "not done after 2 s")


@pytest.mark.parametrize(
    ("exitcode", "note", "death"),
    [
        (-signal.SIGSEGV, noted(TURN, 3, "pdf"), Death("killed by SIGSEGV", "pdf", 3)),
        (-signal.SIGABRT, noted(), Death("killed by SIGABRT")),
        (-signal.SIGSEGV, noted(DECODING), Death("killed by SIGSEGV")),
        (3, noted(TURN, 0, "pdf"), Death("exited with status 3", "pdf", 0)),
        (0, noted(TURN, 0, "pdf"), Death("exited with status 0", "pdf", 0)),
        (-signal.SIGKILL, noted(TURN, 3, "pdf"), Death("killed by SIGKILL", "pdf", 3, is_outside=True)),
        (-signal.SIGHUP, noted(TURN, 3, "pdf"), Death("killed by SIGHUP", "pdf", 3, is_outside=True)),
        (-signal.SIGKILL, noted(TURN, 3, "pdf", "pdf", "not done after 5 s"), Death("not done after 5 s", "pdf", 3)),
        (-signal.SIGKILL, noted(TURN, 3, "out", "pdf", "not done after 5 s"), Death("not done after 5 s", "pdf", 3)),
        (-signal.SIGKILL, noted(TURN, 3, "pdf", "", "over 64 MiB of memory"), Death("over 64 MiB of memory", "pdf", 3)),
        (-signal.SIGKILL, noted(NOTHING, -1, "", "pdf", "not done after 5 s"), Death("not done after 5 s", "pdf")),
        (-signal.SIGKILL, noted(DECODING, -1, "", "", "over 64 MiB of memory"), Death("over 64 MiB of memory")),
    ],
)
def test_how_it_died_follows_from_the_exit_code_and_the_note(exitcode: int, note: Noted, death: Death) -> None:
    assert death_of(exitcode, note) == death


def test_one_that_was_told_to_stop_and_did_is_nobodys_fault() -> None:
    assert death_of(0, noted(), was_stopping=True) == Death("stopped", is_outside=True)
