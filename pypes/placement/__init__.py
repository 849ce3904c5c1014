"""Placement of a component: in the instance, or (``isolated = True``) in a process of its own that can be killed.

``isolated_proxy`` stands for an isolated component in the scheduler, ``respawner`` sees to it that there is always a ``process``
to send packets to, ``child`` is what runs in that, ``frames`` is what the two say to each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pypes.placement.isolated_proxy import isolate

__all__ = ["isolate"]


def __getattr__(name: str) -> Any:
    # loaded when first used: the child is in this package too, and starts the faster the less it imports
    if name != "isolate":
        raise AttributeError(f"module 'pypes.placement' has no attribute {name!r}")
    from pypes.placement.isolated_proxy import isolate

    return isolate
