"""How an instance ended reads well, whatever it was."""

from __future__ import annotations

import pytest

from pypes.ingest.outcome import Death
from pypes.runtime.pool.generation import SetupFailure, in_words


@pytest.mark.parametrize(
    ("death", "words"),
    [
        (Death("killed by SIGSEGV", "pdf", 3), "was killed by SIGSEGV in filter pdf"),
        (Death("killed by SIGKILL", is_outside=True), "was killed by SIGKILL"),
        (Death("not done after 2 s", "odd"), "was not done after 2 s in filter odd"),
        (Death("over 512 MiB of memory", "odd", 0), "was over 512 MiB of memory in filter odd"),
        (Death("exited with status 3", "odd", 0), "exited with status 3 in filter odd"),
        (Death("stopped", is_outside=True), "was stopped"),
    ],
)
def test_every_cause_makes_a_sentence(death: Death, words: str) -> None:
    assert in_words(death) == words


def test_a_failed_setup_names_graph_and_filter() -> None:
    error = SetupFailure("g", "pdf", "no such library").error()
    assert (error.code, error.where) == ("graph.setup_failed", "g.pdf")
    assert "no such library" in error.message
