"""The state of a node and its metrics for a client that is for some graphs only: what names other graphs is left out."""

from __future__ import annotations

from typing import Any

from pypes.access.client import client_of
from pypes.api import metrics, status

OWN = client_of("feeder", ["read"], ["own"])


def refused(route: str) -> dict[str, Any]:
    return {"status": "503", "code": "graph.failed", "route": route, "count": 1}


def test_refused_posts_and_files_that_are_not_deployed_are_the_own() -> None:
    whole: dict[str, Any] = dict.fromkeys(status._OF_THE_NODE, 0)
    whole |= {name: [] for name in ("shards", "instances", "pools", "endings", "concerns", "outboxes")}
    whole |= {
        "default": None,
        "work": {},
        "graphs": [{"name": "own", "routes": ["mine"]}, {"name": "other", "routes": ["theirs"]}],
        "undeployed": [
            {"file": "own.json", "graph": "own", "routes": ["new"], "reason": ""},
            {"file": "other.json", "graph": "other", "routes": ["late"], "reason": ""},
        ],
        "lately": {"seconds": 1.0, "work": {}, "refused": [refused(route) for route in ("mine", "theirs", "new", "late", "")]},
    }
    found = status.limited(whole, OWN, set())
    assert {*found} == {*whole}
    assert [each["file"] for each in found["undeployed"]] == ["own.json"]
    assert [each["route"] for each in found["lately"]["refused"]] == ["mine", "new"]


def test_refused_posts_are_no_metric_for_some_graphs_only() -> None:
    kept = 'pypes_documents_accepted_total{graph="own"} 1\npypes_instances{state="ready"} 2\n'
    text = (
        f'{kept}pypes_documents_accepted_total{{graph="other"}} 1\npypes_posts_refused_total{{status="503",route="theirs"}} 1\n'
    )
    assert metrics.limited(text, OWN) == kept
