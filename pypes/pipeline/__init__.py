"""Pipelines in Python: functions, programs and components composed, on all cores, item by item.

The names below are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pypes.pipeline.bucket import Bucket, BucketClosed
    from pypes.pipeline.command import Command, CommandFailed
    from pypes.pipeline.dataflow import Dataflow
    from pypes.pipeline.items import Done, Failed
    from pypes.pipeline.nodes import node
    from pypes.pipeline.pipeline import Pipeline
    from pypes.pipeline.pool import Pool
    from pypes.pipeline.results import Results
    from pypes.pipeline.run import Run
    from pypes.pipeline.stats import NodeStats

_HOMES = {
    "pypes.pipeline.bucket": ("Bucket", "BucketClosed"),
    "pypes.pipeline.command": ("Command", "CommandFailed"),
    "pypes.pipeline.dataflow": ("Dataflow",),
    "pypes.pipeline.items": ("Done", "Failed"),
    "pypes.pipeline.nodes": ("node",),
    "pypes.pipeline.pipeline": ("Pipeline",),
    "pypes.pipeline.pool": ("Pool",),
    "pypes.pipeline.results": ("Results",),
    "pypes.pipeline.run": ("Run",),
    "pypes.pipeline.stats": ("NodeStats",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Bucket",
    "BucketClosed",
    "Command",
    "CommandFailed",
    "Dataflow",
    "Done",
    "Failed",
    "NodeStats",
    "Pipeline",
    "Pool",
    "Results",
    "Run",
    "node",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'pypes.pipeline' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
