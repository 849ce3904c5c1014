"""``pypes new``: what it makes is sound, and never overwrites. tests/test_templates.py installs and serves it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from pypes.cli.commands import pypes
from pypes.graph.codec import loads
from pypes.registry.origins import direct_origin

ROOT = Path(__file__).parents[2]


def new(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(pypes, ["new", *arguments])
    return done.exit_code, done.output


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(cwd)])}
    return subprocess.run([sys.executable, "-m", *command], cwd=cwd, env=environ, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("name", "kind", "folder", "module"),
    [
        ("WordCount", "transformer", "pypes-word-count", "word_count"),
        ("HTMLTitle", "adapter", "pypes-html-title", "html_title"),
        ("X2", "publisher", "pypes-x2", "x2"),
        ("Tail", "source", "pypes-tail", "tail"),
    ],
)
def test_a_component_comes_with_tests_that_pass(tmp_path: Path, name: str, kind: str, folder: str, module: str) -> None:
    done = CliRunner().invoke(pypes, ["new", "component", name, "--kind", kind, "--into", str(tmp_path)])
    assert (done.exit_code, done.stdout) == (0, f"{folder}\n")
    made = shlex.quote(str(tmp_path / folder))
    assert [line.strip() for line in done.stderr.splitlines()] == [
        "next:",
        f"make -C {made} test",
        f"{shlex.quote(sys.executable)} -m pip install -e {made}",
    ]
    # a project around it has settings of its own, which are not those of its tests
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\naddopts = "--no-such-option"\n')
    package = folder.replace("-", "_")
    assert f"{name} = {package}.{module}:{name}" in (tmp_path / folder / "setup.py").read_text()
    assert f"class {name}({kind.capitalize()}):" in (tmp_path / folder / package / f"{module}.py").read_text()
    ran = run("pytest", "-q", "-p", "no:cacheprovider", cwd=tmp_path / folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    # a publisher comes with those of PublisherSuite as well
    passed = int(re.findall(r"(\d+) passed", ran.stdout)[-1])
    assert passed > 100 if kind == "publisher" else passed == {"adapter": 10}.get(kind, 9), ran.stdout


def test_a_graph_is_valid_and_not_overwritten(tmp_path: Path) -> None:
    assert new("graph", "one", "--into", str(tmp_path)) == (0, f"{tmp_path / 'graphs' / 'one.json'}\n")
    assert new("graph", "two", "--into", str(tmp_path))[0] == 0
    for name in ("one", "two"):
        assert run("pypes", "lint", f"graphs/{name}.json", cwd=tmp_path).returncode == 0
    (tmp_path / "graphs" / "one.json").write_text("mine")
    code, output = new("graph", "one", "--into", str(tmp_path))
    assert code == 1
    assert "the name is taken" in output
    assert (tmp_path / "graphs" / "one.json").read_text() == "mine"


def test_a_graph_begins_with_one_that_comes_with_pypes(tmp_path: Path) -> None:
    code, printed = new("graph", "mine", "--from", "documents", "--into", str(tmp_path))
    assert (code, printed) == (0, f"{tmp_path / 'graphs' / 'mine.json'}\n")
    graph, origin = (
        loads((tmp_path / "graphs" / "mine.json").read_text()),
        loads((ROOT / "graphs" / "documents.json").read_text()),
    )
    assert (graph.wires, graph.tests) == (origin.wires, origin.tests)
    # both may run on one node
    assert (graph.routes, graph.nodes["index"].params["path"]) == (("mine",), "mine.db")
    code, output = new("graph", "other", "--from", "nothing", "--into", str(tmp_path))
    assert code == 1
    assert "there are documents" in output


def test_a_project_is_whole(tmp_path: Path) -> None:
    done = CliRunner().invoke(pypes, ["new", "project", "shop", "--into", str(tmp_path)])
    assert (done.exit_code, done.stdout) == (0, "shop\n")
    made = shlex.quote(str(tmp_path / "shop"))
    assert [line.strip() for line in done.stderr.splitlines()] == ["next:", f"make -C {made} test", f"make -C {made} serve"]
    project = tmp_path / "shop"
    assert {entry.name for entry in project.iterdir()} - {"pypes-local.txt"} == {
        ".gitignore", "Makefile", "README.md", "components", "graphs", "pypes.ini", "requirements.txt",
    }  # fmt: skip
    lint = run("pypes", "lint", "--load", "components/title_length.py", "graphs/documents.json", cwd=project)
    assert (lint.returncode, lint.stdout) == (0, "graphs/documents.json: ok\n")
    code, output = new("project", "shop", "--into", str(tmp_path))
    assert code == 1
    assert "the name is taken" in output


@pytest.mark.parametrize(
    ("what", "distributions"), [("component", ["pypes-server"]), ("project", ["pypes-server", "pypes-basic"])]
)
def test_pypes_is_installed_from_where_it_was_installed_here(tmp_path: Path, what: str, distributions: list[str]) -> None:
    origins = [origin for name in distributions if (origin := direct_origin(name)) is not None]
    made = tmp_path / new(what, "Shop", "--into", str(tmp_path))[1].splitlines()[0]
    found = made / "pypes-local.txt"
    lines = found.read_text(encoding="utf-8").splitlines() if found.exists() else []
    assert [line for line in lines if not line.startswith("#")] == origins
    assert "pypes-local.txt" in (made / ".gitignore").read_text().splitlines()
    printed = subprocess.run(["make", "--dry-run", "install"], cwd=made, capture_output=True, text=True, check=True).stdout
    assert ("-r pypes-local.txt" in printed) is bool(origins)


@pytest.mark.parametrize("what", ["component", "graph", "project"])
def test_without_cookiecutter_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    for module in ("cookiecutter", "cookiecutter.exceptions", "cookiecutter.main"):
        monkeypatch.setitem(sys.modules, module, None)
    code, output = new(what, "Thing", "--into", str(tmp_path))
    assert code == 1
    assert "needs cookiecutter: pip install 'pypes-server[new]'" in output
    assert "[new.no_cookiecutter]" in output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [("component", "not a name"), ("component", "class"), ("graph", "ä"), ("project", "a/b")])
def test_names_that_cannot_be_are_refused(tmp_path: Path, arguments: tuple[str, str]) -> None:
    code, output = new(*arguments, "--into", str(tmp_path))
    assert code == 1
    assert "new.name" in output
    assert not list(tmp_path.iterdir())
