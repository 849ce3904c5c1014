"""Commands of ``pypes`` that distributions bring, found through entry points."""

from __future__ import annotations

from importlib import metadata
from typing import Any, Final

from pypes.errors import NotFound

GROUP: Final = "pypes.commands"


def load_command(name: str) -> Any:
    """The command that an installed distribution has registered under a name. Raises ``NotFound`` if none has."""
    for entry in metadata.entry_points(group=GROUP, name=name):
        return entry.load()
    raise NotFound(f"no distribution that is installed has the command {name!r}", code="command.not_installed", where=name)
