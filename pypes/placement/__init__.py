"""Placement: where the work of a filter is done, in the instance, in threads, or in processes that can be killed.

``executor`` is the contract: work on items, a stride at a time. ``inline_executor``, ``thread_executor`` and ``process_executor``
fulfil it. Of the last, ``strides`` does the bookkeeping, ``keeper`` owns the pool workers, ``pool_process`` is one of them as
that sees it, ``pool_worker`` is what runs in it, ``parcels`` is how items get there.

``isolated_proxy`` stands for an isolated component in the scheduler (``isolated = True``), ``process`` and ``child`` are its
process, ``frames`` is what the two say to each other: words only, because that child is not trusted.

Both kinds of processes are ``spawned``, take their ``first_steps``, and are replaced by a ``respawner``; ``channel`` is how one
speaks with them.
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
