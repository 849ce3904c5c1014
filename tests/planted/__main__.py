"""``python -m tests.planted NAME|all``: plant a fault, wait, and take pictures of what is shown of it."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from pypes.testing.node import until
from tests.browser.chromium import PHONE, chromium, looking
from tests.cli.terminal import Terminal
from tests.planted.faults import FAULTS, NONE, Fault
from tests.planted.node import Shown, working

PICTURES = Path(__file__).parents[2] / "docs" / ".pictures"
DESK = {"width": 1280, "height": 900}
#: Seconds of work before anything is planted.
BEFORE_S = 20.0


def wait(seconds: float) -> None:
    threading.Event().wait(seconds)


def take(node: Shown, name: str, browser: Any, folder: Path) -> None:
    """Write down what the page, ``pypes top`` and ``pypes status`` show now."""
    for suffix, viewport in (("", DESK), ("-phone", PHONE)):
        with looking(browser, viewport=viewport) as seen:
            seen.page.goto(f"{node.url}/plain?refresh=0")
            wait(3.0)
            seen.page.goto(f"{node.url}/plain?refresh=0")
            seen.page.screenshot(path=folder / f"planted-{name}{suffix}.png", full_page=not suffix)
    (folder / f"planted-{name}.txt").write_text(f"$ pypes top\n{top_of(node)}\n\n$ pypes status\n{status_of(node)}\n")


def top_of(node: Shown) -> str:
    """A picture of ``pypes top`` in a terminal of 100 columns and 30 lines, after two looks."""
    terminal = Terminal("--url", node.url, "--interval", "3")
    try:
        until(lambda: terminal.pictures() > 3, 30, "drawn")
        return "\n".join(line.rstrip() for line in terminal.frame())
    finally:
        terminal.close()


def status_of(node: Shown) -> str:
    command = [sys.executable, "-m", "pypes", "status", "--url", node.url]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def run(fault: Fault, options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="pypes-planted-") as folder, working(Path(folder), fault, options.port) as node:
        wait(BEFORE_S)
        fault.plant(node)
        sys.stdout.write(f"{node.url} (ends with Ctrl-C, or kill -INT {os.getpid()})\n")
        sys.stdout.flush()
        if options.hold:
            while not threading.Event().wait(3600):
                pass
        wait(options.seconds)
        with chromium() as browser:
            take(node, fault.name, browser, options.folder)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.planted", description=__doc__)
    parser.add_argument("name", choices=[*FAULTS, "none", "all"])
    parser.add_argument("--seconds", type=float, default=90.0, help="time from the plant to the pictures")
    parser.add_argument("--port", type=int, default=0, help="port of the node; a free one unless given")
    parser.add_argument("--hold", action="store_true", help="take no pictures, and run until Ctrl-C")
    parser.add_argument("--folder", type=Path, default=PICTURES, help="folder of the pictures")
    options = parser.parse_args()
    for name in FAULTS if options.name == "all" else [options.name]:
        try:
            run(FAULTS.get(name, NONE), options)
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
