"""Placed: a component class with its parameters, and where it is to run; made by ``Component.on``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Placed:
    """A component that a pipeline is to make, with ``params``, in a pool with ``options`` (those that pools have in graphs)."""

    component: Any
    params: Mapping[str, Any]
    options: Mapping[str, Any]
