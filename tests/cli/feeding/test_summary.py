"""What is told at the end of a run."""

from __future__ import annotations

import pytest

from pypes.cli.feeding.summary import plain


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("sub/grün [bold] 100%.txt", "sub/grün [bold] 100%.txt"),
        ("two\nlines\r.txt", r"two\nlines\r.txt"),
        ("\x1b[2Jcleared", r"\x1b[2Jcleared"),
        ("gr\udcfcn.txt", r"gr\xfcn.txt"),
        ("\u202egnp.txt", r"\u202egnp.txt"),
    ],
)
def test_a_path_is_one_line_that_a_terminal_does_not_obey(path: str, told: str) -> None:
    assert plain(path) == told
