"""The installed components: found through entry points, described in disposable processes, imported only by instances.

The names below are loaded when first used: an instance that imports a component needs nothing of the discovery, and neither
does the process that describes one.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pypes.registry.catalogue import Broken, Catalogue
    from pypes.registry.code import Code, codes_of, differences, digest_of
    from pypes.registry.commands import load_command
    from pypes.registry.discovery import component_files, discover, discover_for_user
    from pypes.registry.loading import load, make

__all__ = [
    "Broken",
    "Catalogue",
    "Code",
    "codes_of",
    "component_files",
    "differences",
    "digest_of",
    "discover",
    "discover_for_user",
    "load",
    "load_command",
    "make",
]

_HOMES = {
    "Broken": "catalogue",
    "Catalogue": "catalogue",
    "Code": "code",
    "codes_of": "code",
    "differences": "code",
    "digest_of": "code",
    "component_files": "discovery",
    "discover": "discovery",
    "discover_for_user": "discovery",
    "load": "loading",
    "load_command": "commands",
    "make": "loading",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'pypes.registry' has no attribute {name!r}")
    return getattr(import_module(f"pypes.registry.{home}"), name)
