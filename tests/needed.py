"""Tools and libraries that tests need: one that is missing skips the test, and fails it where ``CI`` is set."""

from __future__ import annotations

import importlib
import os
from typing import Any

import pytest


def missing(message: str) -> None:
    """Skip for want of a tool, a library or a right; fail where ``CI`` is set."""
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message, allow_module_level=True)


def library(name: str, distribution: str) -> Any:
    """An optional library, imported; ``distribution`` is what pip installs."""
    try:
        return importlib.import_module(name)
    except ImportError:
        missing(f"{name} is not installed: pip install '{distribution}'")
        raise
