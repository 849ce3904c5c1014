"""Copying a shard while its worker writes to it: its store at one moment, with the spool files that it names then."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import orjson

from pypes.core.databases import connect, copy_to
from pypes.errors import StoreError
from pypes.ingest.store.inspection import Inspector, ShardStats
from pypes.ingest.store.origin import ORIGIN
from pypes.ingest.store.reading import failure

#: Looks after which a spool file that is not there counts as gone: for a moment the store names those of finished deliveries.
_LOOKS: Final = 5


def copy_shard(folder: Path, target: Path, node: int, shard: int) -> tuple[ShardStats, list[str]]:
    """Copy a shard, in use or not, to the new folder ``target``; returns its size, and what is wrong with it.

    Blocks until all is copied; the worker goes on meanwhile, and the log of its store grows for as long. The copy has what was
    committed before one moment, and nothing else. Raises :class:`StoreError` if it cannot be read, and ``OSError``.
    """
    store = folder / "queue.db"
    if not store.is_file():
        raise StoreError("the shard has no queue; give the node's data directory", code="store.no_such_shard", where=str(folder))
    (target / "spool").mkdir(parents=True)
    if (folder / ORIGIN).exists():
        shutil.copyfile(folder / ORIGIN, target / ORIGIN)
    try:
        with closing(connect(store, "ro")) as db, _opened(db, folder / "spool") as spools:
            copy_to(db, target / "queue.db")
            for name, fd in spools.items():
                with open(fd, "rb", closefd=False) as body, (target / "spool" / name).open("xb") as copy:
                    shutil.copyfileobj(body, copy, 1 << 20)
    except sqlite3.Error as error:
        raise failure(error, store) from error
    with closing(Inspector(target, node, shard)) as inspector:
        problems = list(inspector.problems())
        stats = inspector.stats()
    for end in ("-wal", "-shm"):  # of the look at the copy
        (target / f"queue.db{end}").unlink(missing_ok=True)
    return stats, problems


@contextmanager
def _opened(db: sqlite3.Connection, spool: Path) -> Iterator[dict[str, int]]:
    """Begin to read a store, with the spool files that it names open: what is removed from now on can still be read."""
    fds: dict[str, int] = {}
    try:
        for look in range(_LOOKS):
            for name in _entries(spool):
                _open(spool, name, fds)
            db.execute("BEGIN")
            named = _named(db)
            for name in named:
                _open(spool, name, fds)
            if named <= fds.keys() or look == _LOOKS - 1:
                break
            db.execute("COMMIT")
        yield {name: fd for name, fd in fds.items() if name in named}
        db.execute("COMMIT")
    finally:
        for fd in fds.values():
            os.close(fd)


def _entries(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


def _open(folder: Path, name: str, fds: dict[str, int]) -> None:
    if name not in fds:
        try:
            fds[name] = os.open(folder / name, os.O_RDONLY)
        except FileNotFoundError:
            return


def _named(db: sqlite3.Connection) -> set[str]:
    names: set[str] = set()
    for (spools,) in db.execute("SELECT spools FROM commits WHERE spools IS NOT NULL"):
        names.update(orjson.loads(spools))
    # in format 1 dead letters name the files themselves
    table = "bodies" if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'bodies'").fetchone() else "dead_letters"
    names.update(name for (name,) in db.execute(f"SELECT spool FROM {table} WHERE spool IS NOT NULL"))
    return names
