"""What code prints: cleaned, in the order of its writing, with bytes as they are."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pypes.core.printed import cleaned_prints

CODE = """
import sys, threading, traceback, warnings
from pypes.core.printed import clean_prints

clean_prints(lambda text: text.replace("geheim", "***"))
print("said", "geheim")
sys.stdout.buffer.write(b"bytes: geheim\\n")
print("half a character: \\ud800", end="", flush=True)
print("to errors: geheim", file=sys.stderr)
warnings.warn("old: geheim")


class Odd:
    def __del__(self):
        raise RuntimeError("closing geheim")


Odd()
raise ValueError("geheim in the end")
"""


def test_everything_that_python_code_prints_is_cleaned() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stdout == "said ***\nbytes: geheim\nhalf a character: \\ud800"
    assert "geheim" not in done.stderr
    for said in ("to errors: ***", "UserWarning: old: ***", "RuntimeError: closing ***", "ValueError: *** in the end"):
        assert said in done.stderr


def test_until_the_end_of_a_block(capfd: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    with cleaned_prints(lambda text: text.replace("geheim", "***")):
        sys.stdout.write("geheim\n")
        sys.stderr.write("without an end: geheim")
    assert (sys.stdout, sys.stderr) == before
    sys.stdout.write("geheim behind it\n")
    assert capfd.readouterr() == ("***\ngeheim behind it\n", "without an end: ***")


def test_streams_without_a_file_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with cleaned_prints(str):
        assert sys.stdout is None
