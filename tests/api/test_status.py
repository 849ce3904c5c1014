"""The state of a node and its metrics for a client that is for some graphs only: what names other graphs is left out."""

from __future__ import annotations

from typing import Any

from pypes.access.client import client_of
from pypes.api import metrics, status

OWN = client_of("feeder", ["read"], ["own"])
#: The last two are those of pools of the other graph.
PROCESSES = [
    "supervisor",
    "instance-1",
    "pool-models-0",
    "pool-own.embed-1",
    "pool-own:two-0",
    "pool-other.c-0",
    "pool-other:x-0",
]


def refused(route: str) -> dict[str, Any]:
    return {"status": "503", "code": "graph.failed", "route": route, "count": 1}


def test_refused_posts_files_that_are_not_deployed_and_pools_are_the_own() -> None:
    whole: dict[str, Any] = dict.fromkeys(status._OF_THE_NODE, 0)
    whole |= {name: [] for name in ("shards", "instances", "endings", "concerns", "outboxes")}
    pools = {"own.embed": ["own.embed"], "models": ["other.a", "own.b"], "others": ["other.b"], "other.c": ["other.c"]}
    whole |= {
        "pools": [{"name": name, "filters": filters} for name, filters in pools.items()],
        "processes": [{"name": name} for name in PROCESSES],
        "default": None,
        "work": {},
        "graphs": [{"name": "own", "routes": ["mine"]}, {"name": "other", "routes": ["theirs"]}],
        "undeployed": [
            {"file": "own.json", "graph": "own", "routes": ["new"], "reason": ""},
            {"file": "other.json", "graph": "other", "routes": ["late"], "reason": ""},
        ],
        "lately": {
            "seconds": 1.0,
            "work": {},
            "refused": [refused(route) for route in ("mine", "theirs", "new", "late", "")],
            "over_budget": [{"token": name, "budget": "bytes_per_s", "count": 1} for name in ("other", "feeder")],
        },
    }
    found = status.limited(whole, OWN, set())
    assert {*found} == {*whole}
    assert [each["file"] for each in found["undeployed"]] == ["own.json"]
    assert [each["route"] for each in found["lately"]["refused"]] == ["mine", "new"]
    assert [each["token"] for each in found["lately"]["over_budget"]] == ["feeder"]
    # the figures of a pool that graphs share are about several
    assert [each["name"] for each in found["pools"]] == ["own.embed"]
    assert [each["name"] for each in found["processes"]] == PROCESSES[:-2]


def test_what_names_another_graph_is_no_metric_for_some_graphs_only() -> None:
    text = "".join(
        f"{line} 1\n"
        for line in (
            'pypes_documents_accepted_total{graph="own"}',
            'pypes_instances{state="ready"}',
            'pypes_pool_workers{pool="own.embed"}',
            *(f'pypes_process_open_descriptors{{process="{name}"}}' for name in PROCESSES[:-2]),
        )
    )
    others = (
        'pypes_documents_accepted_total{graph="other"}',
        'pypes_posts_refused_total{status="503",route="theirs"}',
        'pypes_requests_over_budget_total{token="other",budget="bytes_per_s"}',
        'pypes_pool_workers{pool="models"}',
        'pypes_pool_workers{pool="other.c"}',
        'pypes_pool_workers{pool="other:models"}',
        *(f'pypes_event_loop_delay_seconds_bucket{{process="{name}",le="0.1"}}' for name in PROCESSES[-2:]),
    )
    assert metrics.limited(text + "".join(f"{line} 1\n" for line in others), OWN) == text
