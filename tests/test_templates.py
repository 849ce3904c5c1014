"""What ``pypes new`` makes, in the hands of a newcomer: built, tested, installed and served in a clean environment.

The wheels are built once, and with everything they need they lie in a folder that pip is pointed to by its own settings
(``PIP_NO_INDEX``, ``PIP_FIND_LINKS``). So one step needs the network, the templates know nothing of these tests, and no
distribution of our names is ever taken from elsewhere.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pypes.testing.node import Server, free_port, serving, until
from tests.needed import missing
from tests.snippets import ADDRESS, blocks_of
from tests.wheels import build, index_of_session

pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True)
class Newcomer:
    """A shell in ``folder``, with nothing of the environment that the tests run in."""

    folder: Path
    environ: Mapping[str, str]

    def run(self, command: str, folder: Path | None = None, status: int = 0) -> str:
        """Run a line of shell; returns what it printed, on standard output and error."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder or self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == status, f"{command}\nstatus {done.returncode}:\n{done.stdout}"
        return done.stdout

    @contextmanager
    def serve(self, command: str, folder: Path) -> Iterator[Server]:
        """A node that ``command`` starts in ``folder``, on a free port; told to end, it must, with all of its processes."""
        port = free_port()
        small = {"PYPES_SERVER_BIND": f"127.0.0.1:{port}", "PYPES_SERVER_WORKERS": "1", "PYPES_SERVER_INSTANCES": "1"}
        words = shlex.split(command, comments=True)
        server = Server(words, folder, port, {**self.environ, **small}, self.folder / f"node-{port}.log")
        with serving(server):
            yield server
            server.stop()
            assert '"event": "stopped"' in server.log()
            until(lambda: not server.leftovers(), 10.0, "its processes have ended")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels of this project and of all that it needs."""
    return index_of_session(tmp_path_factory)


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory, index: Path) -> dict[str, str]:
    """The environment variables of one who has Pypes, with its basic components, in an active virtual environment."""
    if importlib.util.find_spec("ensurepip") is None:
        missing("this Python makes no virtual environments: on Debian and Ubuntu, apt install python3-venv")
    home = tmp_path_factory.mktemp("home")
    venv.create(home / "venv", with_pip=True, symlinks=True)
    (home / ".curlrc").write_text("silent\nfail-with-body\n")
    own = [folder for folder in os.environ["PATH"].split(os.pathsep) if Path(folder) != Path(sys.executable).parent]
    variables = {
        "PATH": os.pathsep.join([str(home / "venv" / "bin"), *own]),
        "HOME": str(home),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(index),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        # saves seconds in each environment, most of which run once
        "PIP_NO_COMPILE": "1",
    }
    Newcomer(home, variables).run("pip install --quiet 'pypes-server[new]' pypes-basic")
    return variables


@pytest.fixture
def newcomer(tmp_path: Path, environ: dict[str, str]) -> Newcomer:
    return Newcomer(tmp_path, environ)


@dataclass(frozen=True)
class Made:
    folder: Path
    files: str
    printed: str


@pytest.fixture(scope="module")
def component(tmp_path_factory: pytest.TempPathFactory, environ: dict[str, str]) -> Made:
    """A new component's distribution in which ``make test`` was run."""
    author = Newcomer(tmp_path_factory.mktemp("component"), environ)
    folder = author.folder / author.run("pypes new component WordCount 2>/dev/null").strip()
    files = unknown_files(author, folder)
    return Made(folder, files, author.run("make test", folder))


def commands(folder: Path) -> list[str]:
    """The commands in the README of what was made."""
    found = blocks_of((folder / "README.md").read_text(encoding="utf-8"))
    return [line for block in found if block.language == "bash" for line in block.text.splitlines()]


def unknown_files(newcomer: Newcomer, folder: Path) -> str:
    """What git would ask about: all files but those that .gitignore names."""
    return newcomer.run("git init --quiet . 2>/dev/null; git status --porcelain --untracked-files=all", folder)


def answer(response: Any) -> Any:
    assert response.status < 300, response.data
    return json.loads(response.data)


def rescan(server: Server) -> Any:
    return answer(server.http.request("POST", f"{server.url}/components/rescan"))


def publish_through(component: str, server: Server) -> None:
    """Deploy a graph with the component, and publish a title that it strips."""
    graph = {
        "pypes": 1,
        "name": "titles",
        "nodes": {
            "json": {"component": "JSON"},
            "strip": {"component": component, "params": {"field": "title"}},
            "out": {"component": "JSONLines", "params": {"path": "titles.jsonl"}},
        },
        "wires": [["json.out", "strip.in"], ["strip.out", "out.in"]],
    }
    assert answer(server.http.request("PUT", f"{server.url}/graphs/titles", json=graph))["state"] == "live"
    receipt = answer(server.post(b'{"title": "  Ada "}'))["receipt"]
    assert answer(server.get(f"/receipts/{receipt}?wait=20"))["state"] == "done"


def test_a_component_tests_itself(newcomer: Newcomer, component: Made) -> None:
    assert "9 passed" in component.printed
    assert unknown_files(newcomer, component.folder) == component.files


def test_a_component_is_used_as_its_readme_says(newcomer: Newcomer, component: Made) -> None:
    test, install, look_again, show = commands(component.folder)
    assert test.startswith("make test")  # the fixture has run it
    try:
        with newcomer.serve("pypes serve", newcomer.folder) as server:
            newcomer.run(install, component.folder)
            found = newcomer.run(look_again.replace(f"http://{ADDRESS}", server.url), component.folder)
            assert json.loads(found) == {"added": ["WordCount"], "removed": []}
            shown = json.loads(newcomer.run(show.replace(f"http://{ADDRESS}", server.url), component.folder))
            assert (shown["name"], shown["distribution"], shown["error"]) == ("WordCount", "pypes-word-count", None)
            publish_through("WordCount", server)
    finally:
        newcomer.run("pip uninstall --quiet --yes pypes-word-count")


def test_a_component_is_built_and_installed_beside_a_running_server(newcomer: Newcomer) -> None:
    folder = newcomer.folder / newcomer.run("pypes new component HTMLTitle 2>/dev/null").strip()
    files = unknown_files(newcomer, folder)
    build(folder, folder / "dist")
    wheel, sdist = sorted(path.name for path in (folder / "dist").iterdir())
    assert (wheel, sdist) == ("pypes_html_title-0.1.0-py3-none-any.whl", "pypes_html_title-0.1.0.tar.gz")
    assert unknown_files(newcomer, folder) == files
    with zipfile.ZipFile(folder / "dist" / wheel) as archive:
        assert {name.partition("/")[0] for name in archive.namelist()} == {"pypes_html_title", "pypes_html_title-0.1.0.dist-info"}
    with newcomer.serve("pypes serve", newcomer.folder) as server:
        assert "HTMLTitle" not in [spec["name"] for spec in answer(server.get("/components"))]
        newcomer.run(f"pip install --quiet {folder}/dist/{wheel}")
        try:
            assert rescan(server) == {"added": ["HTMLTitle"], "removed": []}
            publish_through("HTMLTitle", server)
            assert (newcomer.folder / "data" / "titles.jsonl").read_text() == '{"title":"Ada"}\n'
        finally:
            newcomer.run("pip uninstall --quiet --yes pypes-html-title")
        assert rescan(server) == {"added": [], "removed": ["HTMLTitle"]}


def test_a_component_in_the_src_layout_is_installed_in_place(newcomer: Newcomer) -> None:
    """Its folder is put on the path by a file that Python reads at its start only: the running node has to look itself."""
    folder = newcomer.folder / newcomer.run("pypes new component Apart 2>/dev/null").strip()
    (folder / "src").mkdir()
    (folder / "pypes_apart").rename(folder / "src" / "pypes_apart")
    setup = (folder / "setup.py").read_text()
    (folder / "setup.py").write_text(setup.replace("packages=", 'package_dir={"": "src"}, packages='))
    with newcomer.serve("pypes serve", newcomer.folder) as server:
        newcomer.run(f"pip install --quiet --editable {folder}")
        try:
            assert rescan(server) == {"added": ["Apart"], "removed": []}
            publish_through("Apart", server)
        finally:
            newcomer.run("pip uninstall --quiet --yes pypes-apart")


def test_a_graph_is_sound_and_tests_itself(newcomer: Newcomer) -> None:
    assert newcomer.run("pypes new graph shop") == "graphs/shop.json\n"
    assert newcomer.run("pypes lint graphs/shop.json") == "graphs/shop.json: ok\n"
    assert newcomer.run("pypes test graphs/shop.json") == "graphs/shop.json: titles are lower case: ok\n1 passed, 0 failed\n"
    assert [path.name for path in newcomer.folder.iterdir()] == ["graphs"]


def test_a_project_is_used_as_its_readme_says(newcomer: Newcomer) -> None:
    folder = newcomer.folder / newcomer.run("pypes new project shop 2>/dev/null").strip()
    files = unknown_files(newcomer, folder)
    test, serve, post = commands(folder)
    assert newcomer.run(test, folder) == (
        "graphs/documents.json: ok\ngraphs/documents.json: titles are lower case: ok\n1 passed, 0 failed\n"
    )
    with newcomer.serve(serve, folder) as server:
        printed = newcomer.run(post.replace(f"http://{ADDRESS}", server.url), folder)
        assert printed.startswith("HTTP/1.1 202 ")
        receipt = json.loads(printed.splitlines()[-1])["receipt"]
        assert answer(server.get(f"/receipts/{receipt}?wait=20"))["state"] == "done"
        assert (folder / "data" / "documents.jsonl").read_text() == '{"title":"hello"}\n'
        # the component that lies in a file is there, too
        assert answer(server.get("/components/TitleLength"))["error"] is None
    assert unknown_files(newcomer, folder) == files


def test_without_the_extra_it_says_what_to_install(newcomer: Newcomer, component: Made) -> None:
    """The component's own environment has Pypes without the extra ``new``."""
    printed = newcomer.run(f"{component.folder}/.venv/bin/pypes new graph shop", status=1)
    assert "needs cookiecutter: pip install 'pypes-server[new]'" in printed
    assert "Traceback" not in printed
    assert not list(newcomer.folder.iterdir())
