"""Manifests are valid against the schemas of Kubernetes; those of the operator, of KEDA and of Helm have others."""

from __future__ import annotations

import pytest

from tests.deploy.settings import DEPLOY, documents
from tests.needed import library

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
