"""Components: the base classes that built-in and third-party components derive from.

=================  ===========================================================================
``base``           :class:`Component`: ports, parameters, the methods to override, ``send``
``kinds``          adapters, sources, filters, transformers, extractors, operators, publishers
``batching``       how many packets a call of ``process_batch`` gets
``parameters``     ``Params`` classes: typed parameters with help
``example``        worked examples
``original``       the API of the original Pypes
``functions``      components made of functions
``shared``         objects that several components use together
``store``          entries that a component keeps beyond its life
``context``        what the scheduler gives a running component
=================  ===========================================================================

The package can be called: it is the decorator :func:`pypes.component.functions.component` then, because ``from pypes import
component`` gives this package once it is imported.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from pypes.component.base import ERROR_PORT, JOINS, Component, is_told
from pypes.component.batching import BATCH_OPTIONS, Batching, batch_problem, check_batching, takes_batches
from pypes.component.context import Context, FilterLog
from pypes.component.example import Example
from pypes.component.functions import component
from pypes.component.kinds import (
    KINDS,
    Adapter,
    Extractor,
    Filter,
    Operator,
    Publisher,
    Source,
    Transformer,
    is_publisher,
    kind_of,
)
from pypes.component.parameters import Help, Parameters
from pypes.component.shared import Resources
from pypes.component.store import Changes, MemoryStore, MemoryStores, Store, Stores

__all__ = [
    "BATCH_OPTIONS",
    "ERROR_PORT",
    "JOINS",
    "KINDS",
    "Adapter",
    "Batching",
    "Changes",
    "Component",
    "Context",
    "Example",
    "Extractor",
    "Filter",
    "FilterLog",
    "Help",
    "MemoryStore",
    "MemoryStores",
    "Operator",
    "Parameters",
    "Publisher",
    "Resources",
    "Source",
    "Store",
    "Stores",
    "Transformer",
    "batch_problem",
    "check_batching",
    "component",
    "is_publisher",
    "is_told",
    "kind_of",
    "takes_batches",
]


class _Package(ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Any:
        return component(*args, **options)


sys.modules[__name__].__class__ = _Package
