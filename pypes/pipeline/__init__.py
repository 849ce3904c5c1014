"""Pipelines in Python: functions, programs and components composed, on all cores, item by item."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pypes.pipeline.command import Command, CommandFailed
    from pypes.pipeline.dataflow import Dataflow

_HOMES = {
    "pypes.pipeline.command": ("Command", "CommandFailed"),
    "pypes.pipeline.dataflow": ("Dataflow",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["Command", "CommandFailed", "Dataflow"]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'pypes.pipeline' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
