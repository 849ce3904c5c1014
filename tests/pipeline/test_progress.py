"""Progress: the bar on a terminal, and nothing where there is none."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys
from pypes import Pipeline, node
from tests.pipeline.samples import no_three, same

def feed(bucket):
    for number in range(20):
        bucket.put(number)

with Pipeline(no_three, node(same, threads=2), progress=True) as pipeline:
    {}
"""
#: The form in which it is run, and the number of items that the bar knows.
FORMS = {
    "a list": ("print(len([*pipeline.run([*range(20)])]))", "20 of 20 items"),
    "an iterator": ("print(len([*pipeline.run(iter(range(20)))]))", "20 items"),
    "a feed": ("print(len([*pipeline.feed(feed)]))", "20 items"),
    "in the background": ("print(pipeline.start([*range(20)]).wait())", "20 of 20 items"),
    "given up": ("next(pipeline.run([*range(20)]))", " of 20 items"),
    "twice at once": ("print(len([*zip(pipeline.run([*range(20)]), pipeline.run([*range(20)]))]))", "20 of 20 items"),
}


def run(body: str, *, on_terminal: bool) -> tuple[str, str]:
    """Run a script with a pipeline; its standard output, which is no terminal, and its standard error."""
    script = SCRIPT.format(body)
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "PYTHONPATH": str(ROOT)}
    if not on_terminal:
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env, timeout=60, check=True)
        return done.stdout, done.stderr
    ours, theirs = pty.openpty()
    found: list[bytes] = []

    def read() -> None:
        try:
            while data := os.read(ours, 65536):
                found.append(data)
        except OSError:  # the last one that had it open has ended
            return

    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=theirs, text=True, env=env) as process:
        os.close(theirs)
        reader = threading.Thread(target=read)
        reader.start()
        out, _ = process.communicate(timeout=60)
        reader.join(20)
    os.close(ours)
    assert process.returncode == 0, b"".join(found).decode()
    return out, b"".join(found).decode()


@pytest.mark.parametrize("form", FORMS)
def test_a_bar_is_shown_on_a_terminal(form: str) -> None:
    body, items = FORMS[form]
    out, error = run(body, on_terminal=True)
    assert items in error
    if form != "given up":
        assert out == "19\n"
        assert "1 failed" in error
        assert "/s" in error


def test_nothing_is_shown_where_there_is_none() -> None:
    assert run(FORMS["a list"][0], on_terminal=False) == ("19\n", "")
