"""``GET /metrics`` of a real node: what it says of requests, documents, queues and processes; and how requests are counted."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import urllib3
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_prometheus

from pypes.access.client import client_of
from pypes.api.address import AddressRouter
from pypes.api.counting import ROUTE, UNKNOWN, RequestTallies
from pypes.api.metrics import limited
from pypes.errors import OverBudget
from pypes.observe.exposition import EOF, head, names_of
from pypes.observe.metrics import BY_NAME, CATALOGUE
from pypes.observe.tallies import Tallies
from pypes.testing.node import Node, running, until
from tests.api.test_docs import GRAPH

NAME = str(GRAPH["name"])
LIVE = {"graph": NAME, "lane": "live"}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running(tmp_path_factory.mktemp("metrics"), GRAPH, workers=2, instances=1) as node:
        # it is ready with the first of its workers
        until(lambda: Scrape(node)("pypes_shards", state="ready") == node.workers, 20, "every shard is shown")
        yield node


class Scrape:
    """The metrics of a node at one moment."""

    def __init__(self, node: Node) -> None:
        answer = node.get("/metrics")
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        self.families = {found.name: found for found in read_prometheus(answer.data.decode())}
        self.samples: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {
            (s.name, tuple(sorted(s.labels.items()))): s.value for found in self.families.values() for s in found.samples
        }

    def __call__(self, name: str, /, **labels: str) -> float:
        return self.samples.get((name, tuple(sorted(labels.items()))), 0.0)


def settled(node: Node, documents: int) -> Scrape:
    """Once so many documents are published."""

    def look() -> Scrape | None:
        scrape = Scrape(node)
        return scrape if scrape("pypes_documents_published_total", graph=NAME) >= documents else None

    found: Scrape = until(look, 20.0, f"{documents} published documents")
    return found


def test_documents_and_requests_are_counted_on_both_ways(node: Node) -> None:
    before = Scrape(node)
    for path in ("/docs", "/docs", "/docs/"):
        assert node.post(b'[{"a": 1}, {"a": 2}]', path).status == 202
    assert node.post(b'{"a":').status == 400
    assert node.get("/nowhere/at/all").status == 404
    assert node.http.request("PATCH", f"{node.url}/status").status == 405
    assert node.get("/receipts/01a229c3-e695-701b-b431-711000003d92/documents").status == 404
    published = before("pypes_documents_published_total", graph=NAME) + 6
    after = settled(node, int(published))

    def more(name: str, **labels: str) -> float:
        return after(name, **labels) - before(name, **labels)

    assert more("pypes_http_requests_total", route="/docs", method="POST", status="202") == 3
    assert more("pypes_http_requests_total", route="/docs", method="POST", status="400") == 1
    assert more("pypes_http_requests_total", route=UNKNOWN, method="GET", status="404") == 1
    assert more("pypes_http_requests_total", route="/status", method="PATCH", status="405") == 1
    assert more("pypes_http_requests_total", route="/receipts/{id}/documents", method="GET", status="404") == 1
    assert more("pypes_http_request_seconds_count", route="/docs", method="POST") == 4
    assert more("pypes_documents_accepted_total", graph=NAME) == 6
    assert more("pypes_documents_published_total", graph=NAME) == 6
    assert more("pypes_delivery_seconds_count", graph=NAME) == 3
    assert after("pypes_queue_documents", **LIVE) == 0
    assert after("pypes_store_commit_seconds_count") > 0


def test_malformed_requests_are_counted(node: Node) -> None:
    before = Scrape(node)
    answer = node.http.request("POST", f"{node.url}/docs", headers={"Transfer-Encoding": "gzip"})
    assert answer.status == 501
    after = Scrape(node)
    labels = {"route": UNKNOWN, "method": UNKNOWN, "status": "501"}
    assert after("pypes_http_requests_total", **labels) - before("pypes_http_requests_total", **labels) == 1


def test_the_node_tells_of_its_processes(node: Node) -> None:
    scrape = Scrape(node)
    status = node.get("/status").json()
    assert scrape("pypes_instances", state="ready") == 1
    assert scrape("pypes_node_ready") == 1
    assert scrape("pypes_shards", state="ready") == 2
    assert scrape("pypes_graph_running", graph=NAME) == 1
    assert scrape("pypes_graph_version", graph=NAME) == 1
    assert ("pypes_graph_paused", (("graph", NAME),)) in scrape.samples
    limits = {s.labels["limit"] for s in scrape.families["pypes_limit_used_ratio"].samples}
    assert limits == {"queue_max_deliveries", "queue_max_bytes", "dead_letters_kept", "dead_letters_bytes", "keys_kept"}
    assert scrape("pypes_data_free_bytes") < scrape("pypes_data_size_bytes")
    assert scrape("pypes_instance_max_memory_bytes") > 1 << 20
    assert scrape("pypes_max_descriptors") > scrape("pypes_process_open_descriptors", process="supervisor")
    assert scrape("pypes_deployments_total", result="switched") == 1
    assert scrape("pypes_deployment_seconds_count") == 1
    assert scrape("pypes_instance_setup_seconds_count") == 1
    names = {labels["process"] for labels in (s.labels for s in scrape.families["pypes_process_open_descriptors"].samples)}
    expected = {"supervisor", "arbiter", "worker-0", "worker-1", *(f"instance-{each['id']}" for each in status["instances"])}
    assert names == expected
    for name in names:
        assert scrape("pypes_process_resident_memory_bytes", process=name) > 1 << 20
    for found in scrape.families.values():
        metric = BY_NAME[f"{found.name}_total" if found.type == "counter" else found.name]
        assert (found.type, found.documentation) == (metric.kind, metric.help)


def test_openmetrics_has_the_same_series(node: Node) -> None:
    accept = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
    answer = node.http.request("GET", f"{node.url}/metrics", headers=accept)
    assert answer.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    read: Any = read_openmetrics
    families = [*read(answer.data.decode())]
    assert {found.name for found in families} >= Scrape(node).families.keys() - {
        "pypes_http_requests",
        "pypes_http_request_seconds",
    }
    assert {found.unit for found in families} == {"", "seconds", "bytes"}
    assert node.http.request("HEAD", f"{node.url}/metrics").status == 200


def test_what_processes_counted_stays_when_they_are_killed(node: Node) -> None:
    """Each answer that a client got is counted once, whoever is killed, and no counter runs backwards."""
    labels = {"route": "/docs", "method": "POST", "status": "202"}
    first = scrape = Scrape(node)
    answers = 0
    for round in range(4):
        for _ in range(5):
            answers += node.post(b"{}").status == 202
        status = node.get("/status").json()
        victim = status["workers"][round % 2]["pid"] if round < 3 else status["instances"][0]["pid"]
        os.kill(victim, signal.SIGKILL)
        until(lambda known=victim: _is_replaced(node, known), 20.0, "the successor of who was killed")
        before, scrape = scrape, Scrape(node)
        _none_runs_backwards(before, scrape)
        assert scrape("pypes_http_requests_total", **labels) - first("pypes_http_requests_total", **labels) == answers
    accepted = first("pypes_documents_accepted_total", graph=NAME) + answers
    after = settled(node, int(first("pypes_documents_published_total", graph=NAME) + answers))
    _none_runs_backwards(scrape, after)
    assert after("pypes_documents_accepted_total", graph=NAME) == accepted
    assert after("pypes_documents_published_total", graph=NAME) == accepted
    assert after("pypes_instance_restarts_total", cause="SIGKILL") == 1


def _is_replaced(node: Node, victim: int) -> bool:
    try:
        answer = node.get("/status")
    except urllib3.exceptions.HTTPError:
        return False
    if answer.status != 200:
        return False
    status = answer.json()
    found = [(each["pid"], each["state"]) for each in (*status["workers"], *status["instances"])]
    return len(found) == 3 and all(pid != victim and state == "ready" for pid, state in found) and node.is_ready()


def _none_runs_backwards(before: Scrape, after: Scrape) -> None:
    for found in before.families.values():
        if found.type == "gauge" or found.name == "pypes_process_cpu_seconds":
            continue
        for sample in found.samples:
            assert after(sample.name, **sample.labels) >= sample.value, sample


def test_series_of_a_graph_are_bounded_and_equal_its_filters(tmp_path: Path) -> None:
    """Fifty graphs of twenty filters are to have 12,000 series at most: 220 for each, and a thousand for the node."""
    names = [f"set{number}" for number in range(18)]
    nodes: dict[str, Any] = {"json": {"component": "JSON"}}
    nodes |= {name: {"component": "SetField", "params": {"field": name, "value": "x"}} for name in names}
    nodes["null"] = {"component": "Null"}
    wires = [[f"{one}.out", f"{other}.in"] for one, other in pairwise(nodes)]
    graphs = [{"pypes": 1, "name": f"g{number}", "routes": [f"g{number}"], "nodes": nodes, "wires": wires} for number in range(3)]
    with running(tmp_path, graphs[0], workers=1, instances=2) as node:
        for graph in graphs[1:]:
            answer = node.http.request("PUT", f"{node.url}/graphs/{graph['name']}", json=graph)
            assert answer.status in (200, 201), answer.data
        for number in range(3):
            for _ in range(4):
                assert node.post(b'{"a": 1}', f"/docs/g{number}").status == 202

        def is_counted() -> Scrape | None:
            scrape = Scrape(node)
            taken = [scrape("pypes_filter_packets_in_total", graph=f"g{number}", filter="null") for number in range(3)]
            return scrape if taken == [4, 4, 4] else None

        scrape: Scrape = until(is_counted, 20.0, "four packets at each publisher")
        by_graph = Counter(dict(labels).get("graph", "") for _, labels in scrape.samples)
        assert scrape("pypes_wire_packets_total", graph="g1", wire="set3.out-set4.in") == 4
    assert by_graph.keys() == {"g0", "g1", "g2", ""}
    assert max(by_graph[name] for name in ("g0", "g1", "g2")) <= 220
    assert by_graph[""] < 1000


def test_a_route_is_the_template_of_an_address() -> None:
    router = AddressRouter()

    class Resource:
        async def on_get(self, req: Any, resp: Any, **params: str) -> None: ...

    for template in ("/docs/{route}/{id:path}", "/status"):
        router.add_route(template, Resource(), _asgi=True)

    class Asked:
        def __init__(self) -> None:
            self.scope: dict[str, Any] = {}

    found = {}
    for path in ("/docs/a/b/c", "/status", "/status/", "/nowhere"):
        router.find(path, asked := Asked())
        found[path] = asked.scope.get(ROUTE)
    assert found == {"/docs/a/b/c": "/docs/{route}/{id}", "/status": "/status", "/status/": "/status", "/nowhere": None}


def test_methods_that_nobody_knows_are_one() -> None:
    tallies = Tallies()
    requests = RequestTallies(tallies)
    for number in range(50):
        requests.answered("/docs", f"M{number}", 405, 0.1)
    assert len({series.labels for series in tallies.series if series.metric == "pypes_http_requests_total"}) == 2


def test_routes_that_anybody_may_make_up_are_few() -> None:
    tallies = Tallies()
    requests = RequestTallies(tallies)
    for number in range(50):
        requests.not_taken(503, "graph.none_deployed", f"r{number}")
    requests.not_taken(404, "route.unknown", "r0")
    found = [series.labels for series in tallies.series if series.metric == "pypes_posts_refused_total"]
    assert len(found) == 21
    assert ("503", "graph.none_deployed", "others") in found


def test_tokens_over_their_budget_are_few() -> None:
    tallies = Tallies()
    requests = RequestTallies(tallies)
    for number in range(50):
        requests.over_budget(OverBudget("", where=f"t{number}", limit="bytes_per_s"))
    requests.over_budget(OverBudget("", limit="requests_per_s"))
    found = [series.labels for series in tallies.series if series.metric == "pypes_requests_over_budget_total"]
    assert len(found) == 22
    assert {("t0", "bytes_per_s"), ("others", "bytes_per_s"), ("", "requests_per_s")} <= {*found}


#: Metrics of the whole node that tokens for some graphs may see. One that is new is theirs only if it says nothing of others.
OF_THE_NODE = {
    *("pypes_build_info", "pypes_node_start_time_seconds", "pypes_node_ready", "pypes_certificate_end_time_seconds"),
    *("pypes_shards", "pypes_instances", "pypes_instance_restarts_total", "pypes_max_descriptors"),
    *("pypes_instance_max_memory_bytes", "pypes_data_free_bytes", "pypes_data_size_bytes"),
}


@pytest.mark.parametrize("is_openmetrics", [True, False])
def test_of_the_whole_catalogue_a_token_for_some_graphs_sees_what_is_said_here(is_openmetrics: bool) -> None:
    client = client_of("feeder", ["read"], ["own", "team-*"])
    own = {"graph": "team-a", "pool": "own.embed", "process": "pool-own.embed-1"}
    others = {"graph": "other", "pool": "other.embed", "process": "pool-other.embed-1"}
    node = {"graph": "", "pool": "models", "process": "worker-0"}

    def seen(owner: dict[str, str]) -> set[str]:
        """The metrics of which samples are left."""
        found = set()
        for metric in CATALOGUE:
            samples = names_of(metric, [owner.get(label, "own") for label in metric.labels])
            text = head(metric, is_openmetrics=is_openmetrics)
            left = limited(text + "".join(f"{name} 1\n" for name in samples) + EOF, client)
            assert left.startswith(text)
            assert left.endswith(EOF)
            count = len(left.splitlines()) - len(text.splitlines()) - 1
            assert count in (0, len(samples)), metric.name
            found |= {metric.name} if count else set()
        return found

    owned = {metric.name for metric in CATALOGUE if metric.labels[:1] in (("graph",), ("pool",), ("process",))}
    of_processes = {metric.name for metric in CATALOGUE if metric.labels == ("process",)}
    assert seen(own) == OF_THE_NODE | owned
    assert seen(others) == OF_THE_NODE
    assert seen(node) == OF_THE_NODE | of_processes


def test_no_tally_files_are_left(tmp_path: Path) -> None:
    with running(tmp_path, GRAPH, workers=1, instances=1) as node:
        from pypes.runtime.folders import find_runtime_dir

        folder = find_runtime_dir(tmp_path / "data")
        assert [path.name[:2] for path in sorted(folder.glob("*.tally"))] == ["i-", "w-"]
        assert node.stop() == 0
        assert not folder.exists()
