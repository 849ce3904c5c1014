"""Components as a pool worker finds them again: by the place of their class and by their parameters."""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from pypes.component import Component
from pypes.errors import InvalidComponent


def refuse_in_pool_worker(cls: type[Component]) -> None:
    """Raise :class:`InvalidComponent` in a process that only loads the class: its module begins something at its top level."""
    main = getattr(sys.modules.get("__main__"), "__spec__", None)
    if main is not None and main.name == "pypes.placement.pool_worker":
        raise InvalidComponent(
            "loading the component in its own process starts a graph; put that code under if __name__ == '__main__'",
            where=cls.__name__,
        )


def given_parameters(component: Component) -> dict[str, Any]:
    """The parameters of a component as ``configure`` takes them."""
    declared = msgspec.to_builtins(component.params) if component.params is not None else {}
    return {**declared, **{name: pair[0] for name, pair in component._parameters.items()}}


def home_of(cls: type[Component]) -> tuple[str, str]:
    """Module (or path of the file) and attribute by which another process finds a class. Raises :class:`InvalidComponent`."""
    module = sys.modules.get(cls.__module__)
    name = cls.__module__
    found = getattr(module, "__spec__", None)
    if name == "__main__" and found is not None:
        name = found.name
    elif not any(finder.find_spec(name.partition(".")[0], None) for finder in sys.meta_path) or name == "__main__":
        # a script, a load file, a test: known here only
        name = getattr(module, "__file__", None) or ""
    attrs = [attr for attr, value in vars(module).items() if value is cls] if module is not None else []
    if not name or not attrs:
        raise InvalidComponent(
            "a component that works in another process is loaded again there: define it at the top level of a module",
            where=cls.__name__,
        )
    return name, attrs[0]
