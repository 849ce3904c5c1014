"""Each alert fires in the recording of a real incident, and none in that of a healthy node; promtool evaluates them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deploy.incidents import FOR_DASHBOARD, INCIDENTS
from tests.deploy.recording import Recording
from tests.deploy.settings import ALERTS, PROMETHEUS, alerts
from tests.deploy.stage import Incident
from tests.servers.prometheus import fired, promtool, told

pytestmark = pytest.mark.servers

#: Alerts that need no node to fire, but the want of one.
WITHOUT = {"PypesNoNodes"}


def test_the_rules_and_the_settings_are_valid(tmp_path: Path) -> None:
    done = promtool("check", "rules", ALERTS)
    assert done.returncode == 0, done.stdout
    # promtool looks for the token where the settings have it
    (tmp_path / "alerts.yml").write_bytes(ALERTS.read_bytes())
    (tmp_path / "token").write_text("secret")
    text = PROMETHEUS.read_text(encoding="utf-8").replace("/etc/prometheus/pypes.token", "token")
    (tmp_path / "prometheus.yml").write_text(text, encoding="utf-8")
    done = promtool("check", "config", tmp_path / "prometheus.yml")
    assert done.returncode == 0, done.stdout
    assert f"{len([*alerts()])} rules found" in done.stdout


@pytest.mark.parametrize(
    "incident", [each for each in INCIDENTS.values() if each.name != FOR_DASHBOARD], ids=lambda incident: incident.name
)
def test_what_fires_in_an_incident_is_what_must(incident: Incident, tmp_path: Path) -> None:
    recording = Recording.load(incident.name)
    assert {labels["alertname"] for labels in fired(tmp_path, ALERTS, recording)} == incident.alerts
    said = told(tmp_path, ALERTS, recording, incident.alerts)
    assert {alert.name for alert in said} == incident.alerts
    for alert in said:
        for text in alert.annotations.values():
            assert "<no value>" not in text
            assert "error expanding" not in text
            assert "  " not in text


def test_each_alert_has_an_incident() -> None:
    assert WITHOUT.union(*(incident.alerts for incident in INCIDENTS.values())) == {alert.name for alert in alerts()}


def test_a_prometheus_without_nodes_says_so(tmp_path: Path) -> None:
    other = Recording({"pypes_build_info": [1.0] * 60})
    assert {labels["alertname"] for labels in fired(tmp_path, ALERTS, other)} == WITHOUT


def test_alerts_name_what_they_are_about(tmp_path: Path) -> None:
    [dead, *_] = told(tmp_path, ALERTS, Recording.load("destination_dead"), ["PypesDestinationUnreachable"])
    assert (dead.labels["graph"], dead.labels["filter"], dead.labels["severity"]) == ("mails", "send", "warning")
    assert dead.annotations["summary"] == "send of mails cannot reach its service"
    causes = {labels.get("cause") for labels in fired(tmp_path, ALERTS, Recording.load("poison"))}
    assert causes == {"SIGSEGV", None}
    refused = told(tmp_path, ALERTS, Recording.load("disk_full"), ["PypesPostsRefused"])
    assert {alert.labels["status"] for alert in refused} == {"507"}
