"""pypes top: one picture for scripts, and the live one in a real terminal that is as before when it ends."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

from pypes.cli.commands import pypes
from pypes.testing.node import until
from tests.cli.looked_at import Looked, looked_at
from tests.cli.terminal import ENTER, LEAVE, Terminal


@pytest.fixture
def node() -> Iterator[Looked]:
    with looked_at() as made:
        yield made


def run(node: Looked, *arguments: str) -> str:
    result = CliRunner().invoke(pypes, ["top", "--url", node.url, "--interval", "0.1", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_one_picture_is_printed_for_scripts(node: Looked) -> None:
    lines = run(node, "--once").splitlines()
    assert lines[0].startswith("Pypes ready  ")
    filters = lines[lines.index("Busiest filters") + 2 :][:3]
    assert [line.split()[:2] for line in filters[:2]] == [["shop", "judge"], ["shop", "json"]]
    assert filters[2] == ""
    for title in ("Graphs", "Dead letters by cause", "Instances"):
        assert title in lines
    assert node.looks == 2


def test_the_same_as_json(node: Looked) -> None:
    found = json.loads(run(node, "--json"))
    rate = found["graphs"]["shop"]
    assert rate["accepted"] == rate["published"] > 0
    # both shards of the node count, and the filter counts once
    assert found["filters"][0]["packets"] * 2 == pytest.approx(rate["accepted"], rel=0.01)
    assert found["filters"][0]["busy"] == pytest.approx(found["filters"][0]["packets"] * 0.002)


def test_graphs_in_trouble_come_first_and_then_those_that_work(node: Looked) -> None:
    node.status["graphs"] = [
        {"name": "idle", "state": "live"},
        {"name": "shop", "state": "live"},
        {"name": "resting", "state": "live", "resting": [{"filter": "f", "since": "", "reason": "", "instances": 1}]},
        {"name": "stopped", "state": "paused"},
    ]
    lines = run(node, "--once").splitlines()
    rows = lines[lines.index("Graphs") + 2 :][:4]
    assert [line.split()[0] for line in rows] == ["resting", "stopped", "shop", "idle"]


def test_what_a_sentence_names_comes_first(node: Looked) -> None:
    node.status["graphs"] = [{"name": "idle", "state": "live"}, {"name": "shop", "state": "live"}]
    node.status["concerns"] = [{"kind": "behind", "graph": name, "filter": "json", "text": "?"} for name in ("idle", "shop")]
    lines = run(node, "--once").splitlines()
    assert lines[lines.index("Busiest filters") + 2].split()[:2] == ["shop", "json"]
    node.status["concerns"] = node.status["concerns"][:1]
    lines = run(node, "--once").splitlines()
    assert lines[lines.index("Graphs") + 2].split()[0] == "idle"


def test_without_a_terminal_it_says_what_to_do(node: Looked) -> None:
    result = CliRunner().invoke(pypes, ["top", "--url", node.url])
    assert result.exit_code == 1
    assert "--once" in result.output


@contextmanager
def terminal(node: Looked, *arguments: str, **environment: str) -> Iterator[Terminal]:
    made = Terminal("--url", node.url, *arguments, **environment)
    try:
        yield made
    finally:
        made.close()


def test_the_picture_is_live(node: Looked) -> None:
    with terminal(node, "--interval", "0.1") as shown:
        shown.shows("Busiest filters")
        shown.shows("judge")
        until(lambda: (shown.read(), node.looks > 3)[1], 30, "looked again")
        shown.press("q")
        assert shown.ends() == 0


def test_it_has_no_colours_where_none_are_wanted(node: Looked) -> None:
    with terminal(node, "--interval", "0.1", NO_COLOR="1") as shown:
        shown.shows("Busiest filters")
        assert not re.search(r"\x1b\[[0-9;]*m", shown.text)
        shown.press("q")
        assert shown.ends() == 0


def test_a_terminal_that_cannot_show_it_is_told_what_to_do(node: Looked) -> None:
    with terminal(node, TERM="dumb") as shown:
        until(lambda: (shown.read(), shown.process.poll() is not None)[1], 30, "ended")
        assert "--once" in shown.read()
        assert "\x1b" not in shown.text


def test_it_is_as_large_as_the_terminal(node: Looked) -> None:
    with terminal(node, "--interval", "60") as shown:
        shown.shows("Instances")
        assert max(map(len, shown.frame())) > 40
        shown.resize(40, 8)
        # nobody looks at the node for a minute: the same is drawn anew
        until(lambda: len(shown.frame()) <= 8 and max(map(len, shown.frame())) <= 40, 30, "drawn smaller")
        assert node.looks == 1
        shown.press(" ")
        until(lambda: (shown.read(), node.looks == 2)[1], 30, "looked at once")
        shown.press("q")
        assert shown.ends() == 0


@pytest.mark.parametrize(("key", "code"), [("q", 0), ("Q", 0), ("\x03", 0)])
def test_keys_end_it(node: Looked, key: str, code: int) -> None:
    with terminal(node, "--interval", "60") as shown:
        shown.shows("Graphs")
        shown.press("x")
        shown.press(key)
        assert shown.ends() == code
        assert "Traceback" not in shown.text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_leave_the_terminal_as_it_was(node: Looked, number: signal.Signals) -> None:
    with terminal(node, "--interval", "60") as shown:
        shown.shows("Graphs")
        shown.process.send_signal(number)
        assert shown.ends() == 128 + number


def test_a_shell_gets_its_terminal_as_it_was(node: Looked) -> None:
    with terminal(node, "--interval", "60") as shown:
        shown.shows("Graphs")
        shown.process.send_signal(signal.SIGTSTP)
        # as no shell waits for it here, the kernel does not stop it: it is back at once
        until(lambda: ENTER in shown.read().partition(LEAVE)[2], 30, "back")
        shown.shows("Graphs")
        shown.press("q")
        assert shown.ends() == 0


def test_a_node_that_is_away_is_asked_again(node: Looked) -> None:
    with terminal(node, "--interval", "0.1") as shown:
        shown.shows("judge")
        node.is_down = True
        shown.shows("trying again")
        # what was known last stays
        shown.shows("Instances")
        node.is_down = False
        until(lambda: shown.frame()[0].startswith("Pypes ready"), 30, "back")
        shown.press("q")
        assert shown.ends() == 0
