"""Manifests are valid against the schemas of Kubernetes; and the signals to scale rise when more nodes would help.

Those of the operator, of KEDA and of Helm have other schemas.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deploy.recording import Recording
from tests.deploy.settings import ALERTS, DEPLOY, documents
from tests.needed import library
from tests.servers.prometheus import value

pytestmark = pytest.mark.servers

#: The oldest version that has all of what the manifests use, and a new one.
VERSIONS = ("1.31", "1.37")

MANIFESTS = [
    found
    for path in sorted((DEPLOY / "kubernetes").rglob("*.yml"))
    for found in documents(path)
    if ".coreos.com" not in found.get("apiVersion", "") and "keda" not in found.get("apiVersion", "") and "kind" in found
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda found: f"{found['kind']} {found['metadata']['name']}")
def test_a_manifest_is_valid(manifest: object, version: str) -> None:
    validate = library("kubernetes_validate", "kubernetes-validate")
    validate.validate(manifest, version, strict=True)


def test_mistakes_are_found() -> None:
    validate = library("kubernetes_validate", "kubernetes-validate")
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"port": 1}}
    with pytest.raises(validate.ValidationError):
        validate.validate(service, VERSIONS[-1], strict=True)


@pytest.mark.parametrize(
    ("name", "is_helped"),
    [("healthy", False), ("filter_slow", True), ("overload", True), ("destination_dead", False), ("graph_paused", False)],
)
def test_a_node_more_is_asked_for_when_it_helps(name: str, is_helped: bool, tmp_path: Path) -> None:
    """The age of the oldest document, as it was recorded; the number of those that wait is as small as the load of a record."""
    [scaled] = documents(DEPLOY / "kubernetes" / "autoscaling" / "keda.yml")
    age, number = (
        (float(trigger["metadata"]["threshold"]), trigger["metadata"]["query"].replace('graph="documents"', 'graph="papers"'))
        for trigger in scaled["spec"]["triggers"]
    )
    recording = Recording.load(name)
    assert (value(tmp_path, ALERTS, recording, age[1]) > age[0]) is is_helped
    assert (value(tmp_path, ALERTS, recording, number[1]) > 100) is is_helped
