"""Libraries that components need and that are not installed: which those are, and the line that installs them.

No library is imported to find out.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib.machinery import PathFinder
from typing import Final

from pypes.graph.spec import ComponentSpec

#: A requirement of a distribution (PEP 508): its name, and the extra that it belongs to.
_REQUIREMENT: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:.*\bextra\s*==\s*[\"']([^\"']+)[\"'])?")


def is_installed(module: str) -> bool:
    """True if a module of this name (dots allowed) can be found; neither it nor a package around it is imported."""
    name, *inner = module.split(".")
    try:
        found = importlib.util.find_spec(name)
    except ValueError:  # it is imported already, and does not say from where
        return True
    for part in inner:
        if found is None or found.submodule_search_locations is None:
            return False
        name = f"{name}.{part}"
        found = PathFinder.find_spec(name, list(found.submodule_search_locations))
    return found is not None


def missing_of(modules: Iterable[str]) -> tuple[str, ...]:
    """Those of ``modules`` that are not installed here."""
    return tuple(module for module in modules if not is_installed(module))


def checked(spec: ComponentSpec) -> ComponentSpec:
    """A spec as it holds here: where something that it needs is not installed, with an error that names it."""
    missing = missing_of(spec.needs)
    return replace(spec, missing=missing, error=lack(spec.needs, missing)) if missing else spec


def lack(needs: Mapping[str, str], missing: Iterable[str]) -> str:
    """The sentence that says which libraries are missing, and what to do."""
    names = " and ".join(missing)
    lines = " and ".join(dict.fromkeys(needs[module] for module in missing if needs[module]))
    return f"it needs {names}, not installed here; {f'run {lines}' if lines else 'install the library that provides it'}"


def needs_of(error: BaseException, module: str, distribution: str) -> dict[str, str]:
    """The library without which ``module`` of a distribution raised ``error``, with the line that installs it, if known.

    Nothing unless the error is that a module was not found; the component's own package is no library.
    """
    if not isinstance(error, ModuleNotFoundError) or not error.name or is_installed(error.name):
        return {}
    own = module.partition(".")[0]
    return {} if error.name.partition(".")[0] == own else {error.name: _line_for(error.name, distribution)}


def _line_for(module: str, distribution: str) -> str:
    """The line that installs a module which ``distribution`` requires, perhaps in an extra; empty if it does not say so."""
    # imported here: needed only where something is missing
    from importlib import metadata

    try:
        requirements = metadata.requires(distribution) or []
    except (metadata.PackageNotFoundError, ValueError):
        return ""
    wanted = _normal(module.partition(".")[0])
    for requirement in requirements:
        found = _REQUIREMENT.match(requirement)
        if found and _normal(found[1]) == wanted:
            return f"pip install '{distribution}[{found[2]}]'" if found[2] else f"pip install {found[1]}"
    return ""


def _normal(name: str) -> str:
    """The name of a distribution as it is compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
