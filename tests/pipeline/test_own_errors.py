"""Exceptions of a program's own classes come back from processes as what they are: real programs, run as people run them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
from pypes import Failed, Pipeline, node

class OwnError(Exception):
    said = []

    def __str__(self):
        return f"{self.args[0]} of {NAME}"

class ParseError(OwnError):
    def __init__(self, text, *, line):
        super().__init__(text)
        self.line = line

NAME = "the program"

def of_main(value):
    OwnError.said.append(value)
    raise ParseError("strange", line=value)

def of_python(value):
    raise ValueError("no __main__ here")

def in_function():
    class LocalError(KeyError):
        pass

    def work(value):
        raise LocalError(value)

    return work, LocalError

def caught(kind, work, place, options):
    try:
        with Pipeline(node(work, **place), errors="raise", **options) as pipeline:
            [*pipeline.run([7])]
    except kind as error:
        assert type(error) is kind and "Traceback" in str(error.__cause__)
        return error

if __name__ == "__main__":
    for place, options in (({"processes": 1}, {}), ({}, {"instances": 1})):
        NAME = "the program"
        error = caught(ParseError, of_main, place, options)
        assert isinstance(error, OwnError)
        print(error.args, error.line, str(error))
        NAME = "the parent"
        print(error, OwnError.said)
        work, kind = in_function()
        print(repr(caught(kind, work, place, options)))
        print(repr(caught(ValueError, of_python, place, options)))
        with Pipeline(node(of_main, **place), errors="return", **options) as pipeline:
            print([type(failed.error) is ParseError and failed.error.line for failed in pipeline.run([1, 2, 3])])
"""

SAID = """\
('strange',) 7 strange of the program
strange of the parent []
LocalError(7)
ValueError('no __main__ here')
[1, 2, 3]
"""


@pytest.mark.parametrize("is_file", [True, False], ids=["file", "-c"])
def test_errors_of_processes_are_caught_by_their_class(tmp_path: Path, is_file: bool) -> None:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    how = [str(path)] if is_file else ["-c", PROGRAM]
    done = subprocess.run([sys.executable, "-W", "error", *how], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == (2 * SAID, "")
