"""Manifests for Kubernetes have the ports, addresses, settings and metrics that a node really has."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from pypes.api.health import Health, Readiness
from pypes.config import PREFIX, SECTIONS, TOKEN_VARIABLE, load_settings
from pypes.runtime.fleet.addresses import reader_of
from tests.deploy.settings import DEPLOY, documents, loaded, mistakes

FOLDER = DEPLOY / "kubernetes"


def manifest(name: str) -> Any:
    """The only document of a file."""
    [found] = documents(FOLDER / name)
    return found


@pytest.fixture(scope="module")
def container() -> Any:
    [found] = manifest("statefulset.yml")["spec"]["template"]["spec"]["containers"]
    return found


@pytest.fixture
def settings(tmp_path: Path) -> Any:
    """The settings of the manifest as a node reads them; its files are beside them."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "fleet").write_text("of the fleet, and long enough")
    for name, text in manifest("settings.yml")["data"].items():
        (tmp_path / name).write_text(
            text.replace("= /etc/pypes/nodes", f"= {tmp_path}/nodes").replace("= /etc/pypes/secrets", f"= {tmp_path}/secrets")
        )
    path = tmp_path / "pypes.ini"
    return load_settings(path, {}, {TOKEN_VARIABLE: "secret", "PYPES_LOG_FORMAT": "json"})


def test_all_are_of_one_set() -> None:
    for path in FOLDER.rglob("*.yml"):
        for found in documents(path):
            if "kind" in found:
                assert found["metadata"]["labels"]["app.kubernetes.io/name"] == "pypes"


def test_the_node_has_the_port_the_data_and_the_time_that_it_is_given(container: Any, settings: Any) -> None:
    spec = manifest("statefulset.yml")["spec"]["template"]["spec"]
    [port] = container["ports"]
    assert settings.server.bind == f"0.0.0.0:{port['containerPort']}"
    assert spec["terminationGracePeriodSeconds"] > settings.limits.grace_s
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"] if "subPath" not in mount}
    files = {mount["subPath"]: mount["mountPath"] for mount in container["volumeMounts"] if "subPath" in mount}
    assert files.keys() == manifest("settings.yml")["data"].keys()
    assert settings.server.data.is_relative_to(mounts["data"])
    assert container["command"] == ["pypes", "serve", "--config", files["pypes.ini"]]
    [claim] = manifest("statefulset.yml")["spec"]["volumeClaimTemplates"]
    assert claim["metadata"]["name"] == "data"
    assert {volume["name"] for volume in spec["volumes"]} | {"data"} == {*mounts, "settings"}
    writable = {variable["name"]: variable["value"] for variable in container["env"] if "value" in variable}
    assert {writable["XDG_RUNTIME_DIR"], writable["HOME"]} <= set(mounts.values())


def test_the_nodes_know_each_other(container: Any, settings: Any) -> None:
    target, [_, nodes] = manifest("statefulset.yml"), documents(FOLDER / "services.yml")
    [port] = container["ports"]
    names = [f"{target['metadata']['name']}-{number}" for number in range(target["spec"]["replicas"])]
    urls = [f"http://{name}.{nodes['metadata']['name']}:{port['containerPort']}" for name in names]
    assert [address.url for address in reader_of(settings.fleet.nodes)()] == urls
    # a node that is not ready is asked for what it has all the same
    assert nodes["spec"]["publishNotReadyAddresses"]
    data = manifest("settings.yml")["data"]["pypes.ini"]
    [mount] = [each["mountPath"] for each in container["volumeMounts"] if each["name"] == "secrets"]
    [volume] = [each["secret"] for each in target["spec"]["template"]["spec"]["volumes"] if each["name"] == "secrets"]
    assert f"secret_file = {mount}/{volume['items'][0]['path']}" in data
    assert f"dns+http://{nodes['metadata']['name']}:{port['containerPort']}" in data, "with autoscaling"


def test_variables_are_settings(container: Any) -> None:
    known = {f"{PREFIX}{section}_{name}".upper() for section, cls in SECTIONS.items() for name in cls.__dataclass_fields__}
    for variable in container["env"]:
        if variable["name"].startswith(PREFIX):
            assert variable["name"] in known | {TOKEN_VARIABLE}


def test_probes_ask_what_needs_no_token(container: Any) -> None:
    probes = {"startupProbe": Health, "livenessProbe": Health, "readinessProbe": Readiness}
    for name, resource in probes.items():
        asked = container[name]["httpGet"]
        assert f"``{asked['path']}``" in inspect.getdoc(resource)  # type: ignore[operator]
        assert asked["port"] == container["ports"][0]["name"]
    # a start may take as long as the longest set-up, and longer
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 300


def test_services_lead_to_the_node(container: Any, settings: Any) -> None:
    clients, nodes = documents(FOLDER / "services.yml")
    labels = manifest("statefulset.yml")["spec"]["template"]["metadata"]["labels"]
    for service in (clients, nodes):
        assert service["spec"]["selector"].items() <= labels.items()
        assert service["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]
    assert manifest("statefulset.yml")["spec"]["serviceName"] == nodes["metadata"]["name"]
    assert clients["metadata"]["name"] in settings.server.hosts
    monitor = manifest("monitoring/servicemonitor.yml")["spec"]
    assert monitor["selector"]["matchLabels"].items() <= nodes["metadata"]["labels"].items()
    [endpoint] = monitor["endpoints"]
    assert endpoint["port"] == nodes["spec"]["ports"][0]["name"]
    token = next(each for each in container["env"] if each["name"] == TOKEN_VARIABLE)["valueFrom"]["secretKeyRef"]
    assert endpoint["authorization"]["credentials"] == token


def test_signals_are_of_metrics_that_exist() -> None:
    keda = manifest("autoscaling/keda.yml")["spec"]
    adapter = loaded(FOLDER / "autoscaling" / "prometheus-adapter.yml")["rules"]["external"]
    hpa = manifest("autoscaling/hpa.yml")["spec"]
    queries = [trigger["metadata"]["query"] for trigger in keda["triggers"]]
    queries += [rule[key] for rule in adapter for key in ("seriesQuery", "metricsQuery")]
    assert len(queries) == 6
    for query in queries:
        assert not mistakes(query.replace("<<.LabelMatchers>>", 'graph="g"'))
    assert [rule["name"]["as"] for rule in adapter] == [each["external"]["metric"]["name"] for each in hpa["metrics"]]
    target = manifest("statefulset.yml")
    for scaled in (keda, hpa):
        assert scaled["scaleTargetRef"] == {key: target[key] for key in ("apiVersion", "kind")} | {"name": "pypes"}
    assert keda["minReplicaCount"] == hpa["minReplicas"] == target["spec"]["replicas"]
    assert keda["maxReplicaCount"] == hpa["maxReplicas"]
    assert [re.sub(r"\s", "", str(trigger["metadata"]["threshold"])) for trigger in keda["triggers"]] == [
        each["external"]["target"].get("value") or each["external"]["target"]["averageValue"] for each in hpa["metrics"]
    ]
