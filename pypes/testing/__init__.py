"""Aids for tests of component authors and of Pypes: running one component, and the behaviour that every component must show.

The names below are loaded when first used: the suites need pytest, and running a component, or a node, does not.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pypes.testing.component import Result, run_component
    from pypes.testing.example import run_example
    from pypes.testing.publishers import PublisherSuite
    from pypes.testing.suite import ComponentSuite
    from pypes.testing.tasklet import tasklet

_HOME_OF = {
    "ComponentSuite": "pypes.testing.suite",
    "PublisherSuite": "pypes.testing.publishers",
    "Result": "pypes.testing.component",
    "run_component": "pypes.testing.component",
    "run_example": "pypes.testing.example",
    "tasklet": "pypes.testing.tasklet",
}

__all__ = ["ComponentSuite", "PublisherSuite", "Result", "run_component", "run_example", "tasklet"]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    # completion in a shell shows what is meant to be used, loaded or not
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
