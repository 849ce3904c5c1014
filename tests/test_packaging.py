"""The wheels, built and installed into a clean environment: what a user gets, not what the work tree has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import pypes
from tests.wheels import ROOT, index_of_session, wheels_of_session

#: The distributions of components, and the names that they register.
DISTRIBUTIONS = sorted(f"pypes-{path.parent.name}" for path in ROOT.glob("components/*/setup.py"))
COMPONENTS = {
    entry.name
    for distribution in DISTRIBUTIONS
    for entry in metadata.distribution(distribution).entry_points.select(group="pypes.components")
}

pytestmark = pytest.mark.timeout(600)


def run(*command: str | Path, cwd: Path) -> str:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "PYPES_"))}
    environ["XDG_CACHE_HOME"] = str(cwd / "cache")
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return wheels_of_session(tmp_path_factory)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, wheels: list[Path]) -> Path:
    """The bin directory of a fresh environment that has the wheels, and what they ask for, and nothing else."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home / "venv", with_pip=False)
    python = home / "venv" / "bin" / "python"
    options = ("--no-index", "--find-links", index_of_session(tmp_path_factory))
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", *options, *wheels, cwd=home)
    return home / "venv" / "bin"


def test_one_wheel_for_each_distribution(wheels: list[Path]) -> None:
    names = [wheel.name.split("-")[0] for wheel in wheels]
    assert names == sorted(name.replace("-", "_") for name in (*DISTRIBUTIONS, "pypes-server"))
    assert {wheel.name.split("-")[1] for wheel in wheels} == {pypes.__version__}


def test_wheels_hold_the_packages_and_nothing_else(wheels: list[Path]) -> None:
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
        package = {"pypes_server": "pypes"}.get(wheel.name.split("-")[0], wheel.name.split("-")[0])
        tops = {name.split("/")[0] for name in names}
        assert all(top == package or top.endswith(".dist-info") for top in tops), tops
        assert f"{package}/py.typed" in names
        if package == "pypes":
            assert any(name.endswith("LICENSE") for name in names), "the licence belongs into the wheel of the server"
            assert {"pypes/api/html/page.html", "pypes/api/html/page.css"} <= {*names}


def test_commands_are_there(environment: Path, tmp_path: Path) -> None:
    assert pypes.__version__ in run(environment / "pypes", "--version", cwd=tmp_path)
    assert "DATABASE" in run(environment / "pypes-search", "--help", cwd=tmp_path)
    for command in ("serve", "run", "lint", "components", "feed", "demo"):
        assert "Usage" in run(environment / "pypes", command, "--help", cwd=tmp_path)


def test_components_are_found_through_their_entry_points(environment: Path, tmp_path: Path) -> None:
    listed = json.loads(run(environment / "pypes", "components", "--json", cwd=tmp_path))
    # optional libraries are not there
    assert not [spec for spec in listed if spec.get("error") and not spec.get("missing")]
    assert {spec["name"] for spec in listed} == COMPONENTS


def test_the_example_graph_is_sound(environment: Path, tmp_path: Path) -> None:
    assert "ok" in run(environment / "pypes", "lint", ROOT / "graphs" / "search.json", cwd=tmp_path)


def test_graphs_to_begin_with_are_there(environment: Path, tmp_path: Path) -> None:
    run(environment / "pypes", "new", "graph", "mine", "--from", "search", cwd=tmp_path)
    assert "ok" in run(environment / "pypes", "lint", "graphs/mine.json", cwd=tmp_path)


def test_documents_run_through_it(environment: Path, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<title>Found</title><p>needle")
    run(environment / "pypes", "run", ROOT / "graphs" / "search.json", "page.html", cwd=tmp_path)
    assert "Found" in run(environment / "pypes-search", "search.db", "needle", cwd=tmp_path)
