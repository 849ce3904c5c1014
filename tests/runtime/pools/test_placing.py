"""Pipelines whose filters work in pools: the pool that was asked for, and what cannot be."""

from __future__ import annotations

import os
from typing import Any

import pytest

from pypes.component import Operator, Transformer
from pypes.errors import ComponentError, InvalidComponent, InvalidGraph
from pypes.packet import Packet
from pypes.pipeline import Pipeline
from tests.runtime.pools.parts import Work


class Window(Operator):
    """Holds."""

    holds = True


def work(**params: Any) -> Work:
    made = Work()
    made.configure(params)
    return made


def test_filters_of_a_pipeline_work_in_as_many_processes_as_they_are_given() -> None:
    with Pipeline(nodes={"work": work()}, pools={"work": {"processes": 2, "stride": 1}}) as pipeline:
        found = pipeline.push([Packet({"n": n}) for n in range(60)])[:60]  # those of port out
    assert [packet.get("n") for packet in found] == list(range(60))
    pids = {packet.get("pid") for packet in found}
    assert len(pids) == 2
    assert os.getpid() not in pids


def test_packets_fail_there_as_they_do_here() -> None:
    with Pipeline(nodes={"work": work()}, pools={"work": {"threads": 2}}) as pipeline:
        assert pipeline.push([Packet({"n": 1, "do": "reject"})]) == []
        assert [letter.code for letter in pipeline.dead_letters] == ["my.code"]


def test_a_pool_worker_that_dies_at_set_up_is_told_of_with_the_name_of_its_filter() -> None:
    with pytest.raises(ComponentError, match="ComponentError: evil: exited with status 3 at set-up"):
        Pipeline(nodes={"evil": work(do="die")}, pools={"evil": {"processes": 2}})


def test_what_cannot_be_is_refused() -> None:
    class Local(Transformer):
        """Not at the top level."""

    with pytest.raises(InvalidComponent, match="it holds packets"):
        Pipeline(nodes={"w": Window}, pools={"w": {"processes": 1}})
    with pytest.raises(InvalidComponent, match="top level"):
        Pipeline(nodes={"w": Local}, pools={"w": {"processes": 1}})
    with pytest.raises(InvalidGraph) as caught:
        Pipeline(nodes={"w": Work}, pools={"w": {"processes": 0}, "x": {"threads": 1}})
    assert [problem.path for problem in caught.value.problems] == ["pools.w.processes", "pools.x"]
