"""Roster: the names in a running graph."""

from __future__ import annotations

from typing import Final, NamedTuple


class Roster(NamedTuple):
    """Names in a running graph, in the order in which its filters run; ``is_shared``: there are several publishers."""

    filters: tuple[str, ...] = ()
    publishers: tuple[str, ...] = ()
    is_shared: bool = False


NO_ROSTER: Final = Roster()
