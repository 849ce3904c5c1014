"""The command line as a whole, and the commands that look without touching: components, lint."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pypes.cli.commands import BROUGHT, COMMANDS, pypes
from pypes.cli.feeding.asking import Asker
from pypes.errors import NotFound

ROOT = Path(__file__).parent.parent.parent


def run(*arguments: object) -> Result:
    return CliRunner().invoke(pypes, [str(argument) for argument in arguments])


def test_every_command_has_help() -> None:
    names = [*COMMANDS, *BROUGHT]
    assert all(name in run("--help").output for name in names)
    for name in names:
        assert "Usage" in run(name, "--help").output


def test_a_command_of_a_distribution_that_is_not_there_names_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise NotFound(name)

    monkeypatch.setattr("pypes.cli.commands.load_command", absent)
    result = run("ask", "data/search.db", "Who?", "--limit", 3)
    assert result.exit_code == 1
    assert "pip install pypes-search" in result.output
    assert "pip install pypes-search" in " ".join(run("search", "--help").output.split())
    assert run("--help").exit_code == 0


def test_the_package_stays_light() -> None:
    """Spawned instances import the main module again: it must not bring the commands and their libraries with it."""
    script = "import sys, pypes.cli; print(sorted({'click', 'rich', 'urllib3', 'falcon', 'asyncio'} & sys.modules.keys()))"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


def test_unknown_commands_are_named() -> None:
    result = run("fly")
    assert result.exit_code == 2
    assert "fly" in result.output


@pytest.mark.parametrize("command", [["components"], ["components", "Absent"], ["run", "GRAPH", "-"], ["lint", "GRAPH"]])
def test_a_load_file_that_cannot_be_read_is_named_last(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "bad.py").write_text("import pypes\n\nclass Bad(pypes.Transformer:\n    pass\n")
    (tmp_path / "g.json").write_text(json.dumps({"pypes": 1, "name": "g", "nodes": {"bad": {"component": "Bad"}}, "wires": []}))
    arguments = [str(tmp_path / "g.json") if argument == "GRAPH" else argument for argument in command]
    last = run(*arguments, "--load", tmp_path / "bad.py").output.strip().splitlines()[-1]
    assert f"SyntaxError: invalid syntax ({tmp_path / 'bad.py'}, line 3)" in last


class TestComponents:
    def test_they_are_listed_by_kind(self) -> None:
        output = run("components").output
        assert output.index("Adapters") < output.index("HTML") < output.index("Publishers") < output.index("SQLiteSearch")

    def test_one_is_shown_whole(self) -> None:
        output = run("components", "SQLiteSearch").output
        for expected in ("PUBLISHER", "path", "search.db", "inputs", "error"):
            assert expected in output

    def test_a_worked_example_is_shown(self) -> None:
        output = run("components", "RenameField").output
        shown = ["tags\n  fields", 'with {"source":"name","target":"title"}', 'in   {"name":"Ada"}', 'out  {"title":"Ada"}']
        assert all(expected in output for expected in shown)
        lines = 'in   {"data":"name;age\\nAda;36\\nAlan;41\\n"}\n  out  {"name":"Ada","age":"36"}  metadata {"row":1}'
        assert lines in run("components", "CSV").output

    def test_what_a_component_needs_is_shown(self, tmp_path: Path) -> None:
        (tmp_path / "mine.py").write_text(
            'from pypes import Filter\nclass Mine(Filter):\n    """My own."""\n'
            "    needs = {'json': 'pip install json', 'no_such_library': 'pip install no-such-library'}\n"
        )
        output = run("components", "--load", tmp_path / "mine.py", "Mine").output
        assert "cannot be used: it needs no_such_library, not installed here; run pip install no-such-library" in output
        assert "json             pip install json\n" in output
        assert "no_such_library  pip install no-such-library (not installed)" in output

    def test_json(self) -> None:
        spec = json.loads(run("components", "CSV", "--json").output)
        assert spec["kind"] == "ADAPTER"
        assert "text/csv" in spec["accepts"]

    def test_an_unknown_one_is_named_with_those_there_are(self) -> None:
        result = run("components", "Nope")
        assert result.exit_code == 1
        assert "Nope" in result.output
        assert "component.unknown" in result.output

    def test_load_files_count(self, tmp_path: Path) -> None:
        (tmp_path / "mine.py").write_text(
            'from pypes import Transformer\nclass Mine(Transformer):\n    """My own."""\n    def process(self, packet):\n'
            "        return packet\n"
        )
        assert "My own." in run("components", "--load", tmp_path / "mine.py").output


class TestLint:
    def test_the_example_graphs_are_sound(self) -> None:
        for path in (ROOT / "graphs").glob("*.json"):
            result = run("lint", path)
            assert result.exit_code == 0, result.output

    def test_every_problem_is_named_with_its_place(self, tmp_path: Path) -> None:
        path = tmp_path / "bad.json"
        path.write_text(
            '{"pypes": 1, "name": "bad", "nodes": {"a": {"component": "JSN"}, "b": {"component": "SetField", "params": {"x": 1}},'
            ' "c": {"component": "Null"}}, "wires": [["b.out", "b.in"], ["a.nowhere", "c.in"]]}'
        )
        result = run("lint", path)
        assert result.exit_code == 1
        for expected in ("JSN", "nodes.b.params.x", str(path)):
            assert expected in result.output

    def test_a_warning_is_no_problem(self, tmp_path: Path) -> None:
        (tmp_path / "hold.py").write_text(
            'from pypes import Operator\nclass Hold(Operator):\n    """Holds."""\n    holds = True\n'
            "    def process(self, packet):\n        pass\n"
        )
        path = tmp_path / "held.json"
        path.write_text(
            '{"pypes": 1, "name": "held", "nodes": {"json": {"component": "JSON"}, "split": {"component": "Split"},'
            ' "hold": {"component": "Hold"}, "merge": {"component": "Merge"}, "end": {"component": "Null"}}, "wires": ['
            '["json.out", "split.in"], ["split.out", "hold.in"], ["hold.out", "merge.in"], ["split.out2", "merge.in2"],'
            ' ["merge.out", "end.in"]]}'
        )
        result = run("lint", "--load", tmp_path / "hold.py", path)
        assert result.exit_code == 0, result.output
        assert "nodes.merge: warning: " in result.output
        assert "[graph.held_branch]" in result.output
        assert result.output.endswith("ok\n")

    def test_a_limit_beyond_the_node_is_a_warning(self, tmp_path: Path) -> None:
        (tmp_path / "node.ini").write_text("[server]\nworkers = 2\n[limits]\nqueue_max_bytes = 1MiB\n")
        path = tmp_path / "g.json"
        path.write_text(
            '{"pypes": 1, "name": "g", "limits": {"queue_max_bytes": "3MiB"}, "nodes": {"json": {"component": "JSON"},'
            ' "end": {"component": "Null"}}, "wires": [["json.out", "end.in"]]}'
        )
        result = run("lint", "--config", tmp_path / "node.ini", path)
        assert result.exit_code == 0, result.output
        assert "limits.queue_max_bytes: warning: is more than the 2097152 that the node has" in result.output
        assert "warning" not in run("lint", path).output

    def test_pools_are_those_of_the_settings_that_serve_finds(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "g.json"
        path.write_text(
            '{"pypes": 1, "name": "g", "nodes": {"json": {"component": "JSON", "pool": "models"}, "end": {"component": "Null"}},'
            ' "wires": [["json.out", "end.in"]]}'
        )
        monkeypatch.chdir(tmp_path)
        result = run("lint", path)
        assert result.exit_code == 0, result.output
        warning = "the node must have [pool:models] in its pypes.ini; give that with --config, and it is looked at"
        assert f"nodes.json.pool: warning: {warning} [graph.unknown_pool]" in result.output
        (tmp_path / "pypes.ini").write_text("[pool:models]\nprocesses = 1\n")
        assert run("lint", path).output == f"{path}: ok\n"
        (tmp_path / "pypes.ini").write_text("[pool:model]\nprocesses = 1\n")
        result = run("lint", path)
        assert result.exit_code == 1
        assert "there is no pool 'models'; did you mean 'model'?" in result.output

    def test_parameters_that_a_component_refuses_are_a_problem(self, tmp_path: Path) -> None:
        (tmp_path / "range.py").write_text(
            'from pypes import Parameters, Transformer\nclass Range(Transformer):\n    """Has two ends."""\n'
            "    class Params(Parameters):\n        low: int = 0\n        high: int = 9\n        name: str = ''\n"
            "        def __post_init__(self):\n            if self.low > self.high:\n"
            "                raise ValueError(f'low is over high {self.name}')\n"
        )
        path = tmp_path / "g.json"

        def lint(*flags: str, **params: Any) -> Any:
            nodes = {"json": {"component": "JSON"}, "r": {"component": "Range", "params": params}, "end": {"component": "Null"}}
            wires = [["json.out", "r.in"], ["r.out", "end.in"]]
            path.write_text(json.dumps({"pypes": 1, "name": "g", "nodes": nodes, "wires": wires}))
            return run("lint", "--load", tmp_path / "range.py", *flags, path)

        assert lint(low=3).exit_code == 0
        result = lint(low=10)
        assert (result.exit_code, result.output) == (1, f"{path}: nodes.r.params: low is over high  [param.invalid]\n")
        assert lint(low=10, name="${WHO_IS_IT}").exit_code == 0  # it may be another one where the graph runs
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("WHO_IS_IT", "nobody-knows-me")
            assert "low is over high ${WHO_IS_IT} [param.invalid]" in lint("--env", low=10, name="${WHO_IS_IT}").output

    def test_a_file_that_is_not_there_does_not_keep_others_from_being_checked(self, tmp_path: Path) -> None:
        good, absent, folder = tmp_path / "good.json", tmp_path / "absent.json", tmp_path / "folder"
        nodes = {"json": {"component": "JSON"}, "end": {"component": "Null"}}
        good.write_text(json.dumps({"pypes": 1, "name": "good", "nodes": nodes, "wires": [["json.out", "end.in"]]}))
        folder.mkdir()
        result = run("lint", absent, folder, good)
        assert (result.exit_code, result.output.splitlines()) == (
            1,
            [
                f"{absent}: cannot be read: No such file or directory [graph.unreadable]",
                f"{folder}: cannot be read: Is a directory [graph.unreadable]",
                f"{good}: ok",
            ],
        )

    def test_a_syntax_error_names_line_and_column(self, tmp_path: Path) -> None:
        path = tmp_path / "bad.json"
        path.write_text('{"pypes": 1,\n "name": }')
        result = run("lint", path)
        assert result.exit_code == 1
        assert "line 2" in result.output

    def test_graphs_that_cannot_be_deployed_side_by_side_name_both_files(self, tmp_path: Path) -> None:
        def write(file: str, name: str, *routes: str) -> Path:
            path = tmp_path / file
            nodes = {"json": {"component": "JSON"}, "end": {"component": "Null"}}
            wires = [["json.out", "end.in"]]
            path.write_text(json.dumps({"pypes": 1, "name": name, "routes": routes, "nodes": nodes, "wires": wires}))
            return path

        one, two, copy = write("1.json", "one", "a", "b"), write("2.json", "two", "c", "b"), write("3.json", "one")
        assert run("lint", two, one, one).exit_code == 1
        result = run("lint", one, two, copy)
        assert (result.exit_code, result.output.splitlines()) == (
            1,
            [
                f"{one}: ok",
                f"{two}: routes.1: route 'b' belongs to graph 'one' ({one}); remove it from one of them [graph.route_taken]",
                f"{copy}: name: {one} has a graph of the same name 'one'; rename one of them [graph.name_taken]",
            ],
        )
        # a file that is named twice is one graph
        assert run("lint", one, one, tmp_path / "." / "1.json").exit_code == 0


@pytest.mark.parametrize(
    ("url", "token"),
    [
        ("http://me:geheim@127.0.0.1:1/?query", "t"),
        ("ftp://me:geheim@host", "t"),
        ("http://127.0.0.1:1", "geheim\nx"),
        ("http://127.0.0.1:1", "gehe\u00efm-geheim"),
    ],
)
@pytest.mark.parametrize("arguments", [["status"], ["feed", "URL", "."]])
def test_an_error_repeats_no_password_and_no_token(url: str, token: str, arguments: list[str]) -> None:
    given = [url if each == "URL" else each for each in arguments]
    done = CliRunner().invoke(pypes, given, env={"PYPES_URL": url, "PYPES_TOKEN": token})
    assert done.exit_code == 1
    assert "Error" in done.output
    assert "geheim" not in done.output


def test_who_waits_for_a_server_is_told_no_password() -> None:
    def told(reason: str) -> None:
        raise NotFound(reason)

    asker = Asker("http://me:geheim@127.0.0.1:1", token=None, connections=1, on_absence=told)
    with pytest.raises(NotFound, match=r"127\.0\.0\.1:1") as raised:
        asker.get("/healthz")
    assert "geheim" not in str(raised.value)
