"""The alerts ask for what a node has, and say what to do; that they fire is tested with recorded incidents."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml

from tests.deploy.settings import ALERTS as FILE
from tests.deploy.settings import DEPLOY, Alert, alerts, loaded, mistakes

ALERTS = [*alerts()]


def test_names_are_there_once() -> None:
    names = [alert.name for alert in ALERTS]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"Pypes([A-Z][a-z]+)+", name) for name in names)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_asks_for_metrics_that_exist_and_says_what_to_do(alert: Alert) -> None:
    assert not mistakes(alert.expr)
    assert alert.severity in ("critical", "warning", "info")
    assert alert.annotations.keys() == {"summary", "description", "runbook_url"}
    assert alert.annotations["runbook_url"] == f"docs/operations.md#{alert.name.lower()}"
    assert not alert.annotations["summary"].endswith(".")
    assert alert.annotations["description"].endswith(".")


def test_commands_of_the_page_make_of_them_what_it_says() -> None:
    page = (DEPLOY / "README.md").read_text(encoding="utf-8")
    linked, wrapped = (
        yaml.safe_load(subprocess.run(command, shell=True, cwd=FILE.parent, stdout=subprocess.PIPE, check=True).stdout)
        for command in re.findall(r"^    (sed .*|\{ .*\}) ?(?:\| kubectl.*)?$", page, re.MULTILINE)
    )
    rules = loaded(FILE)
    assert wrapped == {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "pypes"},
        "spec": rules,
    }
    for group in linked["groups"]:
        for rule in group["rules"]:
            assert rule["annotations"]["runbook_url"].startswith("https://git.example.org/pypes/blob/main/docs/operations.md#")


@pytest.mark.parametrize(
    ("expr", "found"),
    [
        ('pypes_shards{state="failing"} > 0', []),
        ("pypes_shard > 0", ["there is no sample pypes_shard"]),
        ('pypes_shards{graph=~"a|b"}', ["pypes_shards has no label graph"]),
        ("sum by (job, filter) (pypes_shards)", ["none has the label filter"]),
        ("pypes_store_commit_seconds", ["there is no sample pypes_store_commit_seconds"]),
        ("histogram_quantile(0.9, sum by (le) (rate(pypes_store_commit_seconds_bucket[5m])))", []),
    ],
)
def test_mistakes_are_found(expr: str, found: list[str]) -> None:
    assert mistakes(expr) == found
