"""Functions by name, ``package.module:name``: found again in another process, and only in modules that may be used."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Collection
from typing import Any, Final

NAME: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def problem_of(name: str, modules: Collection[str] | None) -> str:
    """The reason why the function of this name may not be called, before anything is imported; empty if it may.

    ``modules`` are those whose functions may be called, with all modules below them; ``None``: any.
    """
    if not NAME.fullmatch(name):
        return "is no name of a function; write package.module:name"
    module = name.partition(":")[0]
    if modules is None or _is_among(module, modules):
        return ""
    return f"names a function of {module}, which graphs may not call; list the module under modules in [components]"


def find_function(name: str, modules: Collection[str] | None = None) -> Callable[..., Any]:
    """Import the function of a name. Raises ``ValueError`` with the reason where there is none, or it may not be called.

    A function that a module has imported belongs to the module that defines it: by ``tools:system`` nobody calls that of ``os``
    where only ``tools`` may be used. Names lead through classes, not through modules.
    """
    if fault := problem_of(name, modules):
        raise ValueError(f"{name!r} {fault}")
    module, _, attr = name.partition(":")
    found: Any = importlib.import_module(module)
    parts = attr.split(".")
    for at, part in enumerate(parts):
        if at and not isinstance(found, type):
            raise ValueError(f"{name!r} is no function of a module or of a class in it")
        try:
            found = getattr(found, part)
        except AttributeError:
            place = ":".join((module, ".".join(parts[:at]))) if at else module
            raise ValueError(f"there is no {part!r} in {place}") from None
    if not callable(found):
        raise ValueError(f"{name!r} is {type(found).__name__}, which cannot be called")
    home = _home_of(found)
    if modules is not None and not _is_among(home, modules):
        raise ValueError(f"{name!r} is defined in {home or 'an unknown module'}, whose functions graphs may not call")
    return found  # type: ignore[no-any-return]


def name_of_function(function: Callable[..., Any]) -> str:
    """The name by which another process finds a function. Raises ``ValueError`` with the reason where there is none."""
    called = getattr(function, "__qualname__", "")
    shown = repr(called or function)
    if called.endswith("<lambda>"):
        raise ValueError("a lambda has no name; define the function in a module")
    if "<locals>" in called:
        raise ValueError(f"{shown} is defined within a function; define it at the top level of a module")
    if isinstance(function, type) or not called:
        kind = "a class" if isinstance(function, type) else "an object"
        raise ValueError(f"{shown} is {kind}; define a function that calls it at the top level of a module")
    home = _home_of(function)
    if home == "__main__":
        home = getattr(getattr(sys.modules["__main__"], "__spec__", None), "name", "")
        if not home:
            raise ValueError(f"{shown} is defined in the program itself; define it in a module that can be imported")
    name = f"{home}:{called}"
    try:
        found = find_function(name)
    except (ValueError, ImportError) as error:
        raise ValueError(f"{shown} cannot be found again: {error}") from error
    if found is not function and found != function:
        raise ValueError(f"{shown} is not what {name} names; give it a name of its own at the top level of a module")
    return name


def _home_of(function: Any) -> str:
    """The module that defines a function; of one that is written in C, that of its class."""
    home = getattr(function, "__module__", None) or getattr(getattr(function, "__objclass__", None), "__module__", None)
    return str(home or "")


def _is_among(module: str, modules: Collection[str]) -> bool:
    return any(module == each or module.startswith(f"{each}.") for each in modules)
