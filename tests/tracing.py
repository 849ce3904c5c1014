"""strace, for tests that must see what reaches the kernel."""

from __future__ import annotations

import os
import shutil

import pytest


def needs_strace() -> str:
    """Path of strace; without it the test is skipped, and fails where ``CI`` is set."""
    found = shutil.which("strace")
    if found is None:
        missing("strace is not there: apt-get install strace")
    return found or ""


def missing(message: str) -> None:
    """Skip for want of a tool or a right; fail where ``CI`` is set."""
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
