"""Every command and snippet of README.md is run here, in its order, against real servers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import urllib3

from tests.snippets import ADDRESS, ROOT, Shell, blocks_of, environ, furnish, server

README = (ROOT / "README.md").read_text(encoding="utf-8")

pytestmark = pytest.mark.timeout(180)


def blocks(language: str) -> list[str]:
    return [block.text for block in blocks_of(README) if block.language == language]


def commands() -> list[str]:
    return [line for block in blocks("sh") for line in block.splitlines()]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return furnish(tmp_path)


def shell(command: str, cwd: Path, **variables: str) -> str:
    done = subprocess.run(
        ["bash", "-c", command], cwd=cwd, env={**environ(cwd), **variables}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def recipe(target: str) -> list[str]:
    """What ``make target`` runs last, as words."""
    printed = subprocess.run(["make", "--dry-run", "--silent", target], cwd=ROOT, capture_output=True, text=True, check=True)
    return printed.stdout.strip().splitlines()[-1].split()


def test_nothing_in_it_is_left_out() -> None:
    known = ("make ", "curl ", ".venv/bin/", "echo ", "RECEIPT=")
    assert all(command.startswith(known) for command in commands())
    assert {block.language for block in blocks_of(README) if block.language} == {"sh", "python", "json"}
    assert "pip install pypes" not in README


def test_make_targets_are_there() -> None:
    for command in commands():
        if command.startswith("make "):
            recipe(command.split()[1])
    assert recipe("test")[0].endswith("pytest")


def test_make_demo(place: Path) -> None:
    command = recipe("demo")
    assert command[0] == ".venv/bin/pypes"
    printed = shell(" ".join([*command, "--exit", "2>&1"]), place)
    assert re.search(r"\d+ documents published", printed)
    assert " 0 dropped, 0 failed, 0 refused" in printed
    for question, place_cited in (
        ("how does a hole in a card lift a thread?", "jacquard-loom.pdf, page 2, How the cards choose the threads"),
        ("how much undyed silk is in stock?", "yarn-stock.xlsx, page 1, Yarn"),
        ("what happens when a process is killed?", "operator-guide.md, Operator guide > What happens when a process is killed"),
    ):
        answer = printed.partition(f'"{question}"\n')[2]
        assert place_cited in answer.partition("[1] ")[2].partition("[1] ")[2].partition("\n")[0]
    assert "found by words alone" not in printed


def test_use_it(place: Path) -> None:
    shell = Shell(place)  # one for all of it: variables keep their values
    try:
        with server(" ".join(recipe("serve")), place) as address:
            use_it(shell, address)
    finally:
        shell.close()


def use_it(shell: Shell, address: str) -> None:
    marks = ("127.0.0.1:8080", "data/search.db", "components")
    use = [command for command in commands() if any(mark in command for mark in marks) and "shout" not in command]
    assert len(use) == 16
    receipts: list[str] = []
    accepted: list[int] = []
    for command in use:
        if "data/search.db" in command:
            wait_for(address, receipts)
        status, printed = shell.run(command.replace(ADDRESS, address))
        assert status == 0, f"{command}\n{printed}"
        if "/docs" in command and command.startswith("curl"):
            answer = json.loads(printed)
            accepted.append(answer["accepted"])
            receipts.append(answer["receipt"])
        elif "pypes ask" in command:
            assert "jacquard-loom.pdf, page 2, How the cards choose the threads" in printed
        elif "pypes-search" in command or "/search" in command:
            assert "Ada" in printed
        elif "/documents" in command:
            assert [each["outcome"] for each in json.loads(printed)["documents"]] == ["published"]
        elif "/deadletters" in command:
            assert json.loads(printed)["deadletters"] == []
        elif "/receipts/" in command:
            assert json.loads(printed)["state"] == "done"
        elif "/filters" in command:
            assert "SQLiteSearch" in json.loads(printed)
        elif "/graphs" in command:
            assert [graph["name"] for graph in json.loads(printed)] == ["documents", "search"]
        elif "components" in command:
            assert "path" in printed
    assert accepted == [1, 1, 2, 2, 1], "as it says"
    wait_for(address, receipts)


def wait_for(address: str, receipts: list[str]) -> None:
    with urllib3.PoolManager() as http:
        for receipt in receipts:
            answer = json.loads(http.request("GET", f"http://{address}/receipts/{receipt}?wait=20").data)
            assert answer["state"] == "done", answer


def test_write_a_component(place: Path) -> None:
    shout, _ = blocks("python")
    (graph,) = blocks("json")
    (place / "shout.py").write_text(shout)
    (place / "shout.json").write_text(graph)
    lint, run, serve, deploy, post = (command for command in commands() if "shout" in command.lower())
    assert "ok" in shell(lint, place)
    assert shell(run, place) == '{"text":"HELLO!!!"}\n'
    assert f'prints `{"{"}"text":"HELLO!!!"{"}"}`' in README
    with server(serve, place) as address:
        assert json.loads(shell(deploy.replace(ADDRESS, address), place))["state"] == "live"
        wait_for(address, [json.loads(shell(post.replace(ADDRESS, address), place))["receipt"]])
    assert '{"text":"HELLO!!!"}' in (place / "server.log").read_text()


def test_in_a_script(place: Path) -> None:
    _, script = blocks("python")
    printed = [line.split() for line in shell(f"{sys.executable} -c '{script}'", place).splitlines()]
    assert sorted(name for name, _ in printed) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))
    assert all(int(count) > 0 for _, count in printed)
