"""Faults that are planted in a node under load: the page, ``pypes top`` and ``pypes status`` name each by the same sentence.

Each node needs some time to fall behind, or to grow: half a minute mostly.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pypes.testing.node import Node, until
from tests.browser.chromium import Seen
from tests.planted.faults import FAULTS, NONE, Fault
from tests.planted.node import working

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

#: Longest time for a fault to show, on a machine that has much else to do.
SHOWN_S = 240.0


def told(node: Node) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(node.get("/status").data)["concerns"]
    return found


def command(node: Node, *words: str) -> str:
    """The output of a command, in one line."""
    run = [sys.executable, "-m", "pypes", *words, "--url", node.url]
    return " ".join(subprocess.run(run, capture_output=True, text=True, check=True, timeout=60).stdout.split())


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_it_is_named(fault: Fault, seen: Seen, tmp_path: Path) -> None:
    with working(tmp_path, fault) as node:
        until(lambda: json.loads(node.get("/status").data)["lately"], 30, "something is known of late")
        fault.plant(node)

        def named() -> str:
            return next((each["text"] for each in told(node) if fault.is_named(each)), "")

        until(named, SHOWN_S, f"named: {fault.name}")

        def on_page() -> bool:
            seen.page.goto(f"{node.url}/plain?refresh=0")
            return any(fault.has_words(text) for text in seen.texts(".warnings li"))

        # each asks anew: what has just begun may be below a threshold again at the next look
        until(on_page, SHOWN_S, f"named on the page: {fault.name}")
        until(lambda: fault.has_words(command(node, "status")), SHOWN_S, f"named in pypes status: {fault.name}")
        until(
            lambda: fault.has_words(command(node, "top", "--once", "--interval", "0.5")),
            SHOWN_S,
            f"named in pypes top: {fault.name}",
        )


def test_nothing_is_said_of_a_node_that_is_well(seen: Seen, tmp_path: Path) -> None:
    with working(tmp_path, NONE) as node:

        def lately() -> float:
            assert told(node) == []
            return float(json.loads(node.get("/status").data)["lately"]["seconds"])

        until(lambda: lately() >= 30, SHOWN_S, "half a minute is known")
        seen.page.goto(f"{node.url}/plain?refresh=0")
        assert "Nothing needs a look." in seen.page.inner_text("main")
        assert "Nothing needs a look." in command(node, "top", "--once", "--interval", "0.5")
