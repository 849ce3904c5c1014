"""Placement: where the work of a filter is done, in the instance, in threads, or in processes that can be killed.

``executor`` is the contract: work on items, a stride at a time. ``inline_executor``, ``thread_executor`` and ``process_executor``
fulfil it. Of the last, ``strides`` does the bookkeeping, ``keeper`` owns the pool workers, ``pool_process`` is one of them as
that sees it, ``pool_worker`` is what runs in it, ``parcels`` is how items get there, and ``speech`` what they are put into:
``words`` where a pool worker is not trusted. ``by_value`` has classes and functions of the main program travel with values.

An isolated component (``isolated = True``) has an executor of one such pool worker: ``isolated_proxy`` stands for it in the
scheduler, ``component_work`` is the component over there, ``conversation`` is what the two are at. ``worker_context`` is what
any component finds in a pool worker in place of the scheduler.
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
