"""Values and exceptions of a program's own classes come back from processes as what they are: real programs, run as people run
them.
"""

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


VALUES = """
import enum
from pypes import Pipeline, node

class Kind(enum.Enum):
    NEW = 1

    def said(self):
        return f"{self.name} of {NAME}"

class Note:
    made = []

    def __init__(self, kind):
        self.kind = kind

    def said(self):
        return f"note of {NAME}"

NAME = "the program"

def same(note):
    Note.made.append(note)
    Kind.seen = [*getattr(Kind, "seen", ()), note]
    return note, len(Note.made), len(Kind.seen)

if __name__ == "__main__":
    for place, options in (({"processes": 1}, {}), ({}, {"instances": 1})):
        with Pipeline(node(same, **place), **options) as pipeline:
            for note, made, seen in pipeline.run([Note(Kind.NEW), Note(Kind.NEW)]):
                NAME = "the parent"
                print(type(note) is Note and note.kind is Kind.NEW, note.said(), note.kind.said(), made, seen)
        print(Note.made, hasattr(Kind, "seen"))
"""


def test_classes_of_values_stay_what_they_are_in_each_process(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(VALUES)
    done = subprocess.run([sys.executable, "-W", "error", str(path)], capture_output=True, text=True, timeout=120)
    each = "".join(f"True note of the parent NEW of the parent {n} {n}\n" for n in (1, 2)) + "[] False\n"
    assert (done.stdout, done.stderr) == (2 * each, "")
