"""The names of ``pypes.testing`` are loaded when first used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import pypes.testing

#: Import names of what only the extra ``test`` installs.
ONLY_OF_TESTS = ("pytest", "_pytest", "hypothesis", "httpx", "requests", "psycopg", "opensearchpy", "docx", "schemathesis")


def without_tests(code: str) -> None:
    """Run code in a process in which the libraries of the extra ``test`` cannot be imported."""
    blocked = f"import sys\nfor name in {ONLY_OF_TESTS!r}: sys.modules[name] = None\n"
    subprocess.run([sys.executable, "-c", blocked + code], check=True)


def test_every_public_name_can_be_had() -> None:
    for name in pypes.testing.__all__:
        assert getattr(pypes.testing, name).__name__ == name
        assert name in dir(pypes.testing)
    with pytest.raises(AttributeError, match="no attribute 'Suite'"):
        _ = pypes.testing.Suite


def test_a_component_runs_without_pytest() -> None:
    without_tests("from pypes.testing import Result, run_component, run_example")


def test_the_benchmarks_need_no_more_than_their_extra() -> None:
    without_tests("import benchmarks.__main__, benchmarks.shares, benchmarks.receipts, benchmarks.stores, benchmarks.walks")
