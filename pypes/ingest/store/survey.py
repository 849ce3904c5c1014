"""What opening a store finds in it."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from pypes.errors import StoreError
from pypes.ingest.ordering import Fresh
from pypes.ingest.outcome import Blame
from pypes.ingest.store.reading import decode_blames
from pypes.ingest.store.spool import SpoolDir
from pypes.ingest.store.store import Store
from pypes.ingest.store.turn import Found, Totals


class Survey(NamedTuple):
    """What an embedded queue goes on from. ``problems``: what cannot be read, in words."""

    found: list[Found]
    problems: list[str]
    last_key: int
    totals: Totals
    horizon: tuple[int, int]
    blames: list[tuple[int, int, tuple[Blame, ...]]]
    fresh: list[Fresh]


def survey(store: Store, spool: SpoolDir) -> Survey:
    """Read what is unfinished, and sweep the spool files that no row names. Raises :class:`StoreError`; blocks."""
    try:
        found, problems = store.scan()
        problems += store.damage()
        # with a part of the rows unknown, so is which files they name
        if not problems:
            spool.sweep({name for each in found for name in each.spools} | set(store.kept_spools()))
        blames = [(key, position, decode_blames(data)) for key, position, data in store.blames()]
        return Survey(found, problems, store.last_key(found), store.totals(), store.horizon(), blames, store.fresh())
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"the queue cannot be read: {error}; restore the shard from a copy", where=str(store.path)) from error
