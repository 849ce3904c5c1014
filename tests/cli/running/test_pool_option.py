"""--pool: pools that are given beside the graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pypes.cli.running.pool_option import with_pools
from pypes.core.pools import Pool
from pypes.graph.model import Graph, GraphNode
from tests.cli.running.graphs import run, write

GRAPH = Graph(
    "g",
    {
        "json": GraphNode("json", "JSON"),
        "a": GraphNode("a", "A", pool="models"),
        "b=c": GraphNode("b=c", "B", pool=Pool(threads=3)),
    },
    pools={"models": Pool(processes=1), "unused": Pool(processes=3)},
)


@pytest.mark.parametrize(
    ("option", "filter", "pool"),
    [
        ("json=processes:4", "json", Pool(processes=4)),
        ("json=threads:8", "json", Pool(threads=8)),
        ("json=processes:2,stride:32,timeout_s:1.5,memory:2GiB", "json", Pool(2, 0, 32, 1.5, 2 << 30)),
        ("json=models", "json", "models"),
        ("b=c=none", "b=c", None),
    ],
)
def test_a_filter_gets_the_pool_that_is_given(option: str, filter: str, pool: Pool | str | None) -> None:
    graph, problems = with_pools(GRAPH, [option])
    assert not problems
    assert graph.nodes[filter].pool == pool
    assert [name for name in graph.nodes if graph.nodes[name] != GRAPH.nodes[name]] == [filter]


def test_a_pool_that_the_last_filter_has_left_is_no_mistake_of_the_graph() -> None:
    graph, _ = with_pools(GRAPH, ["a=none"])
    assert list(graph.pools) == ["unused"]  # which is one, of the graph as it is written


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["jsom=threads:2"], "there is no filter 'jsom'; did you mean 'json'?"),
        (["zzz=threads:2"], "there is no filter 'zzz'; there are json, a, b=c"),
        (["json"], "must be FILTER=processes:4, FILTER=threads:8, or FILTER=none"),
        (["json=4"], "'4' is no pool; give FILTER=processes:4"),
        (["json=4"], "or the name of a pool of the graph (models, unused)"),
        (["json=processes:"], "'processes:' needs a value, as in processes:4"),
        (["json=processes:many"], "processes: must be a whole number from 1 to 64"),
        (["json=processes:2,width:3"], "width: unknown key; a pool has processes, threads, stride"),
        (["json=stride:3"], "a pool says how many pool workers it has"),
        (["json=threads:2,timeout_s:3"], "timeout_s: a thread cannot be ended; give the filter its timeout_s, or use processes"),
        (["json=none", "json=threads:2"], "filter 'json' is given a pool twice"),
    ],
)
def test_a_mistake_is_named_with_what_may_be_done(options: list[str], said: str) -> None:
    _, problems = with_pools(GRAPH, options)
    assert [problem.path for problem in problems] == [f"--pool {options[-1]}"]
    assert said in problems[0].message


def processes(place: Path, *arguments: str) -> set[int]:
    out, _ = run(place, "--load", "components.py", *arguments, "tried.json", data=b'{"n": 1}\n' * 200)
    assert len(out) == 200
    return {line["pid"] for line in out}


@pytest.mark.parametrize("options", [{}, {"pool": {"processes": 1}}])
def test_the_filter_works_in_these_processes_whatever_the_graph_says(tmp_path: Path, options: dict[str, Any]) -> None:
    write(tmp_path, "Process", **options)
    assert len(processes(tmp_path, "--pool", "tried=processes:2,stride:1")) == 2
    assert len(processes(tmp_path, "--pool", "tried=none")) == 1


def test_each_instance_has_pools_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, "Process")
    files = [f"{n}.ndjson" for n in range(4)]
    for name in files:
        # more than one portion holds
        (tmp_path / name).write_bytes((b'{"n": 1, "pad": "%s"}\n' % (b"x" * 10_000)) * 100)
    out, _ = run(tmp_path, "--load", "components.py", "--instances", "2", "--pool", "tried=processes:1", "tried.json", *files)
    assert len(out) == 400
    assert len({line["pid"] for line in out}) == 2


@pytest.mark.parametrize(
    ("component", "filter", "said"),
    [
        (
            "Process",
            "lines",
            "filter 'lines' (JSONLines) cannot run in a pool: a publisher's packets count when its commit returns",
        ),
        (
            "Isolated",
            "tried",
            "an isolated component has a process of its own in each instance; leave out pool, or isolated = True",
        ),
        ("Process", "nobody", "--pool nobody=processes:2: there is no filter 'nobody'; there are json, tried, lines"),
    ],
)
def test_a_filter_that_cannot_is_refused_before_anything_runs(tmp_path: Path, component: str, filter: str, said: str) -> None:
    graph = write(tmp_path, component)
    with (tmp_path / "components.py").open("a") as file:
        file.write("\n\nclass Isolated(Process):\n    isolated = True\n")
    _, told = run(tmp_path, "--load", "components.py", "--pool", f"{filter}=processes:2", graph, data=b"{}", expect=1)
    assert said in told
