"""The files with which a fleet is run are what the programs that read them take, and speak of the same nodes."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pypes.api.query import MAX_WAIT_S
from pypes.config import TOKEN_VARIABLE, load_settings
from pypes.runtime.fleet.addresses import read_file
from tests.deploy.settings import DEPLOY, loaded
from tests.needed import missing
from tests.settings import check

HAPROXY = DEPLOY / "haproxy" / "haproxy.cfg"
NGINX = DEPLOY / "nginx" / "pypes.conf"
UNIT = DEPLOY / "systemd" / "pypes.service"
DOCKER = DEPLOY / "docker"

#: The name that clients use, in all of the files.
HOST = "docs.example.org"


@pytest.mark.parametrize(("language", "path"), [("haproxy", HAPROXY), ("nginx", NGINX), ("systemd", UNIT)])
def test_their_programs_take_them(language: str, path: Path, tmp_path: Path) -> None:
    copy = tmp_path / path.name
    shutil.copyfile(path, copy)
    check(language, copy)


def test_a_mistake_is_found(tmp_path: Path) -> None:
    for language, path, right in (
        ("haproxy", HAPROXY, "retry-on"),
        ("nginx", NGINX, "proxy_pass"),
        ("systemd", UNIT, "KillMode"),
    ):
        copy = tmp_path / path.name
        copy.write_text(path.read_text().replace(right, "NoSuchWord"))
        with pytest.raises(AssertionError, match="refuses it"):
            check(language, copy)


def test_the_unit_leaves_little_open(tmp_path: Path) -> None:
    """systemd's own figure: 0 is a program that may do nothing, 10 one that may do everything."""
    program = shutil.which("systemd-analyze")
    if program is None:
        missing("systemd-analyze is not there: apt-get install systemd")
        return
    shutil.copyfile(UNIT, tmp_path / UNIT.name)
    command = [program, "security", "--offline=yes", "--threshold=15", "--no-pager", str(tmp_path / UNIT.name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr


def test_all_speak_of_the_same_nodes() -> None:
    nodes = sorted(address.name for address in read_file(DOCKER / "nodes"))
    assert sorted(re.findall(r"^    server \w+ (\S+) ", HAPROXY.read_text(), re.MULTILINE)) == nodes
    for upstream in re.findall(r"^upstream \w+ \{(.*?)^\}", NGINX.read_text(), re.MULTILINE | re.DOTALL):
        assert sorted(re.findall(r"server (\S+) ", upstream)) == nodes
    services = loaded(DOCKER / "compose.yml")["services"]
    addresses = {name: service["networks"]["fleet"]["ipv4_address"] for name, service in services.items()}
    balancer = addresses.pop("balancer")
    assert sorted(f"{address}:8080" for address in addresses.values()) == nodes
    assert balancer not in addresses.values()
    for path in (HAPROXY, NGINX, DOCKER / "pypes.ini"):
        assert HOST in path.read_text()


def test_long_polls_last_as_long_as_they_may() -> None:
    seconds = re.findall(r"timeout (?:client|server) (\d+)s", HAPROXY.read_text())
    seconds += re.findall(r"proxy_read_timeout (\d+)s", NGINX.read_text())
    assert len(seconds) == 3
    assert all(int(each) > MAX_WAIT_S for each in seconds)


def test_a_container_is_given_what_its_settings_name(tmp_path: Path) -> None:
    compose = loaded(DOCKER / "compose.yml")
    text = (DOCKER / "pypes.ini").read_text()
    for name in re.findall(r"^(?:nodes|secret_file) = (\S+)", text, re.MULTILINE):
        (tmp_path / Path(name).name).write_text("http://10.0.0.11:8080\n")
        text = text.replace(name, str(tmp_path / Path(name).name))
    (tmp_path / "pypes.ini").write_text(text)
    settings = load_settings(tmp_path / "pypes.ini", {}, {TOKEN_VARIABLE: "secret"})
    assert compose["services"]["balancer"]["networks"]["fleet"]["ipv4_address"] in str(settings.server.proxies)
    for number in (1, 2, 3):
        node = compose["services"][f"node{number}"]
        assert int(node["stop_grace_period"].removesuffix("s")) > settings.limits.grace_s
        targets = [volume.split(":")[1] for volume in node["volumes"]]
        assert targets == ["/etc/pypes/pypes.ini", "/etc/pypes/nodes", str(settings.server.data)]
        assert [volume.partition(":")[0] for volume in node["volumes"]][-1] == f"data{number}"
        assert node["command"] == ["--config", targets[0]]
        for volume in node["volumes"][:2]:
            assert (DOCKER / volume.partition(":")[0]).is_file()
    assert (DOCKER / "../haproxy/haproxy.cfg").is_file()


def test_the_image_starts_a_node_as_the_manifests_do() -> None:
    text = (DOCKER / "Dockerfile").read_text()
    statefulset = loaded(DEPLOY / "kubernetes" / "statefulset.yml")["spec"]["template"]["spec"]
    assert f"--uid {statefulset['securityContext']['runAsUser']} " in text
    assert f"USER {statefulset['securityContext']['runAsUser']}:" in text
    for folder in sorted((DEPLOY.parent / "components").iterdir()):
        if (folder / "setup.py").exists():
            assert f"./components/{folder.name}" in text
