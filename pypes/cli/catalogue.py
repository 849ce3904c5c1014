"""Common parts of the commands that need components: the ``--load`` option and discovery with the user's cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from pypes.errors import InvalidComponent
from pypes.registry import Catalogue, discover_for_user

Command = TypeVar("Command", bound=Callable[..., Any])


def load_option(command: Command) -> Command:
    """Add ``--load FILE.py``, any number of times."""
    return click.option(
        "--load",
        "load_files",
        multiple=True,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Python file whose components are available too.",
    )(command)


def find_components(load_files: Sequence[Path], *, is_complete: bool = True) -> Catalogue:
    """All installed components and those of ``load_files``; cached in the user's cache directory.

    Raises :class:`InvalidComponent` for a load file that cannot be read, unless the catalogue need not be complete.
    """
    catalogue = discover_for_user(load_files)
    if is_complete:
        require_files(catalogue)
    return catalogue


def require_files(catalogue: Catalogue) -> None:
    """Raise :class:`InvalidComponent` if a load file could not be read."""
    if catalogue.unread:
        raise InvalidComponent("; ".join(catalogue.unread), code="component.broken")
