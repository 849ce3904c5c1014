"""Recovery of a store at its opening."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from pypes.errors import StoreError
from pypes.ingest.ordering import Fresh
from pypes.ingest.outcome import Poison
from pypes.ingest.store.reading import decode_poisons
from pypes.ingest.store.spool import SpoolDir
from pypes.ingest.store.store import Store
from pypes.ingest.store.write_batch import Found, History


class Recovered(NamedTuple):
    """State from which an embedded queue resumes. ``problems`` describes unreadable data, in words."""

    found: list[Found]
    problems: list[str]
    last_key: int
    history: History
    poisons: list[tuple[int, int, tuple[Poison, ...]]]
    fresh: list[Fresh]


def recover(store: Store, spool: SpoolDir) -> Recovered:
    """Read unfinished deliveries, and remove the spool files that no row names. Raises :class:`StoreError`; blocks."""
    try:
        found, problems = store.scan()
        problems += store.damage()
        # with a part of the rows unknown, so is which files they name
        if not problems:
            spool.sweep({name for each in found for name in each.spools} | set(store.kept_spools()))
        poisons = [(key, position, decode_poisons(data)) for key, position, data in store.poisons()]
        return Recovered(found, problems, store.last_key(found), store.history(), poisons, store.fresh())
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"the queue cannot be read: {error}; restore the shard from a copy", where=str(store.path)) from error
