"""How an instance ended reads well, whatever it was."""

from __future__ import annotations

import asyncio

import pytest

from pypes.ingest.outcome import ExitReason
from pypes.runtime.generations.generation import Generation, SetupFailure, in_words
from pypes.runtime.instance.spec import InstanceSpec


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (ExitReason("killed by SIGSEGV", "pdf", 3), "was killed by SIGSEGV in filter pdf"),
        (ExitReason("killed by SIGKILL", is_outside=True), "was killed by SIGKILL"),
        (ExitReason("not done after 2 s", "odd"), "was not done after 2 s in filter odd"),
        (ExitReason("over 512 MiB of memory", "odd", 0), "was over 512 MiB of memory in filter odd"),
        (ExitReason("exited with status 3", "odd", 0), "exited with status 3 in filter odd"),
        (ExitReason("stopped", is_outside=True), "was stopped"),
    ],
)
def test_every_cause_makes_a_sentence(reason: ExitReason, words: str) -> None:
    assert in_words(reason) == words


def test_a_failed_setup_names_graph_and_filter() -> None:
    error = SetupFailure("g", "pdf", "no such library").error()
    assert (error.code, error.where) == ("graph.setup_failed", "g.pdf")
    assert "no such library" in error.message


def test_a_generation_shrinks_with_what_moves() -> None:
    async def shrink() -> None:
        graphs = {name: (1, {"max_instances": 1} if name == "few" else {}) for name in ("few", "all")}
        generation = Generation(1, InstanceSpec(0, 1, "", graphs, {}), 2)
        assert generation.places == [{"few", "all"}, {"all"}]
        generation.let_go({"all"}, 30.0)
        assert (set(generation.graphs), list(map(set, generation.places)), generation.vacant) == ({"few"}, [{"few"}, set()], {1})
        assert [generation.is_open(slot) for slot in (0, 1)] == [True, False]
        generation.let_go({"few"}, 30.0)
        assert (set(generation.graphs), generation.vacant) == (set(), {0, 1})

    asyncio.run(shrink())


def test_a_graph_that_is_bounded_takes_no_more_processes_than_it_may() -> None:
    async def count() -> int:
        return len(Generation(1, InstanceSpec(0, 1, "", {"few": (1, {"max_instances": 1})}, {}), 4).slots)

    assert asyncio.run(count()) == 1
