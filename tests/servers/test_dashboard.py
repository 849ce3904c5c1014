"""Queries of the dashboard give values in a real Prometheus, with what a real node said of itself; and nodes are scraped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pypes.testing.node import Node, running, until
from tests.api.test_docs import GRAPH
from tests.deploy.dashboard import Query, filled_in, queries
from tests.deploy.incidents import FOR_DASHBOARD
from tests.deploy.recording import Recording
from tests.deploy.settings import ALERTS, PROMETHEUS, alerts
from tests.servers.prometheus import Server, prometheus, promtool, stored

pytestmark = pytest.mark.servers

RECORDINGS = {"one:8080": "healthy", "two:8080": FOR_DASHBOARD, "three:8080": "certificate_ends"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("prometheus")
    data = stored(folder, {node: Recording.load(name) for node, name in RECORDINGS.items()})
    settings = folder / "prometheus.yml"
    settings.write_text("{}")
    with prometheus(folder, settings, data) as running_server:
        yield running_server


@pytest.mark.parametrize("query", [*queries()], ids=lambda query: f"{query.panel}: {query.legend}")
def test_a_query_has_values(server: Server, query: Query) -> None:
    expr = filled_in(query.expr)
    if "ALERTS" in expr:  # which a Prometheus makes of rules only
        assert server.series("vector(0)", 10)
        return
    found = server.series(expr, 130)
    assert found
    assert any(value not in ("NaN", "+Inf") for series in found for _, value in series["values"])


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("node")
    (folder / "token").write_text("correct horse\n")
    (folder / "token").chmod(0o600)
    with running(folder, GRAPH, "--token-file", str(folder / "token"), workers=1, instances=1) as running_node:
        yield running_node


def test_a_node_is_scraped_with_a_token_that_may_only_look(node: Node, tmp_path: Path) -> None:
    headers = {"Authorization": "Bearer correct horse"}
    made = node.http.request("POST", f"{node.url}/tokens", json={"name": "prometheus", "scopes": ["read"]}, headers=headers)
    assert made.status == 201, made.data
    (tmp_path / "token").write_text(made.json()["secret"])
    text = PROMETHEUS.read_text(encoding="utf-8")
    for given, own in (
        ("/etc/prometheus/pypes.token", str(tmp_path / "token")),
        ("docs.example.org:8080", node.url.removeprefix("http://")),
        ("alerts.yml", str(ALERTS)),
        ("interval: 15s", "interval: 1s"),
    ):
        assert given in text
        text = text.replace(given, own)
    settings = tmp_path / "prometheus.yml"
    settings.write_text(text)
    with prometheus(tmp_path, settings) as server:
        until(lambda: server.ask("query", query='up{job="pypes"} == 1')["result"], 30.0, "a node that is up")
        [target] = server.ask("targets")["activeTargets"]
        assert (target["health"], target["lastError"]) == ("up", "")
        assert server.ask("query", query="pypes_node_ready")["result"][0]["value"][1] == "1"

        def evaluated() -> bool:
            groups = server.ask("rules")["groups"]
            return all(rule["health"] == "ok" for group in groups for rule in group["rules"])

        until(evaluated, 30.0, "rules that are evaluated without an error")
        assert sum(len(group["rules"]) for group in server.ask("rules")["groups"]) == len([*alerts()])


def test_promtool_has_nothing_against_the_metrics(node: Node) -> None:
    headers = {"Authorization": "Bearer correct horse"}
    text = node.http.request("GET", f"{node.url}/metrics", headers=headers).data.decode()
    done = promtool("check", "metrics", given=text)
    assert (done.returncode, done.stdout) == (0, "")
