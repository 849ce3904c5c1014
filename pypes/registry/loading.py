"""Imports component classes, from installed distributions and from load files alike."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from pypes.component import Component
from pypes.core.raised import is_interruption
from pypes.core.shown import Clean, shown
from pypes.errors import ComponentError, InvalidComponent, PypesError
from pypes.graph.spec import ComponentSpec

#: Held while a load file is executed: another thread would find a module without the classes that are yet to come.
_executing = threading.RLock()


def load(spec: ComponentSpec, clean: Clean = str) -> type[Component]:
    """Import the class that ``spec`` describes into this process, with everything that its module imports.

    For instances only: whatever a third party wrote runs here. Raises :class:`InvalidComponent`.
    """
    if spec.error:
        raise InvalidComponent(f"component {spec.name!r} cannot be used: {spec.error}", code=spec.error_code, where=spec.name)
    try:
        found = resolve(spec.module, spec.attr)
    except BaseException as error:
        if is_interruption(error):
            raise
        message = f"component {spec.name!r} cannot be imported from {spec.module}: {shown(error, clean)}"
        raise InvalidComponent(message, code="component.broken", where=spec.name) from error
    if not (isinstance(found, type) and issubclass(found, Component)):
        raise InvalidComponent(f"{spec.module}:{spec.attr} is no component class", code="component.broken", where=spec.name)
    return found


def make(spec: ComponentSpec, params: Mapping[str, Any], filter: str, clean: Clean = str) -> Component:
    """Load a component and configure one for a filter.

    Raises :class:`InvalidComponent`, :class:`InvalidInput` over parameters, and :class:`ComponentError` for what its
    ``__init__`` raises.
    """
    cls = load(spec, clean)
    try:
        component = cls()
        component.configure(params)
    except PypesError:
        raise
    except BaseException as error:
        if is_interruption(error):
            raise
        raise ComponentError(f"it cannot be made: {shown(error, clean)}", code="graph.setup_failed", where=filter) from error
    return component


def resolve(module: str, attr: str) -> object:
    """The object that ``attr`` (dots allowed) names in ``module``, a module's name or the path of a load file."""
    found: object = load_file(Path(module)) if module.endswith(".py") else importlib.import_module(module)
    for part in attr.split("."):
        found = getattr(found, part)
    return found


def load_file(path: Path) -> ModuleType:
    """Execute a load file as a module of its own; once per process, however many of its components are used."""
    path = path.resolve()
    # two load files may have the same name in different folders
    name = f"pypes_load_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    with _executing:
        return sys.modules[name] if name in sys.modules else _execute(name, path)


def _execute(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
