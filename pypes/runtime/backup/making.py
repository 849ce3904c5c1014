"""Making a backup of a data directory, while its node runs or not.

Nothing holds the node still, so the order of the copies is what makes them fit together. The shards come first, and what
publishers have written last: a delivery that is done in a copied shard has left its packets in the copied files; one that was
finished between the two runs again. The graphs come after the shards, which name them, but the times up to which schedules are
dealt with before: a run that was wanted in between is wanted once more.

``stores`` is left out: what filters remember there of published documents holds for publishers as they are now, and not for
those that are brought back.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pypes
from pypes.core import clock, nodetime
from pypes.core.databases import connect, copy_to, is_damage
from pypes.core.descriptors import raise_soft_limit
from pypes.core.paths import STORE
from pypes.errors import InvalidInput, StoreError
from pypes.ingest.receipt import rfc3339
from pypes.ingest.store.copying import copy_shard
from pypes.ingest.store.inspection import ShardStats, node_of
from pypes.runtime.backup.manifest import DATA, Copied, Manifest, digest, sync_all, telling, write
from pypes.runtime.graphs.store import keep_fired

#: Of the node's own, these are copied as publishers' files are.
_KEPT: Final = ("outbox",)
_LEFT_OUT: Final = (*(name for name in STORE if name not in _KEPT), "lost+found")
#: Companions of an SQLite file while it is in use.
_BESIDE: Final = ("-wal", "-shm", "-journal", "-writer")
_SQLITE: Final = b"SQLite format 3\0"


@dataclass
class Made:
    """A backup that was made; ``problems``: what is damaged in the shards, and was copied as it is, and what is left out."""

    manifest: Manifest
    shards: list[ShardStats] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def make(data: Path, target: Path) -> Made:
    """Copy the data directory of a node to the folder ``target``, which is made, or empty. Blocks.

    Raises :class:`InvalidInput` and :class:`StoreError`; what has been copied by then has no manifest, and can be deleted.
    """
    if not (data / "control.db").is_file():
        raise InvalidInput("this is no data directory of a node: it has no control.db", code="backup.data", where=str(data))
    if (data / "handed-over").exists():
        raise InvalidInput(
            "what was in this data directory was handed over to another node, so a backup of it would bring documents back twice",
            code="backup.handed_over",
            where=str(data),
        )
    if target.resolve().is_relative_to(data.resolve()):
        raise InvalidInput("a backup must not lie in the data directory itself", code="backup.target", where=str(target))
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InvalidInput("a backup needs a folder of its own, new or empty", code="backup.target", where=str(target))
    with telling("the backup cannot be made", target):
        return _make(data, target)


def _make(data: Path, target: Path) -> Made:
    began = clock.wall()
    raise_soft_limit()
    copy = target / DATA
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    copy.mkdir(mode=0o700)
    node = node_of(data)
    before = target / "control-before.db"
    _copy_database(data / "control.db", before)
    shards, problems = _copy_shards(data, copy, node)
    _copy_database(data / "control.db", copy / "control.db")
    keep_fired(copy / "control.db", before)
    before.unlink()
    for path in _others(data):
        _copy(path, copy / path.relative_to(data))
    if (data / nodetime.FILE).exists():
        (copy / nodetime.FILE).write_bytes(nodetime.page_of(data / nodetime.FILE))
    sync_all(copy)
    files = {str(path.relative_to(copy)): Copied(path.stat().st_size, digest(path)) for path in _files(copy)}
    manifest = Manifest(node, str(data.resolve()), rfc3339(began), pypes.__version__, files)
    write(target, manifest)
    return Made(manifest, shards, problems + _elsewhere(data))


def _copy_shards(data: Path, copy: Path, node: int) -> tuple[list[ShardStats], list[str]]:
    shards: list[ShardStats] = []
    problems: list[str] = []
    for folder in sorted(path for path in (data / "shards").glob("*") if path.name.isdigit() and (path / "queue.db").exists()):
        stats, found = copy_shard(folder, copy / "shards" / folder.name, node, int(folder.name))
        shards.append(stats)
        problems += [f"shard {stats.shard}: {problem}" for problem in found]
    if (data / "shards" / "owners").exists():
        shutil.copyfile(data / "shards" / "owners", copy / "shards" / "owners")
    return shards, problems


def _others(data: Path) -> Iterator[Path]:
    """Files of publishers, and outboxes, with those of SQLite each as one."""
    for path in _files(data, leaving_out=_LEFT_OUT):
        main = next((path.with_name(path.name.removesuffix(end)) for end in _BESIDE if path.name.endswith(end)), None)
        if main is None or not _is_sqlite(main):
            yield path


def _files(folder: Path, leaving_out: tuple[str, ...] = ()) -> Iterator[Path]:
    """All files below a folder, without what is called so in the folder itself. Links to folders are not followed."""
    for place, folders, names in os.walk(folder, onerror=_unreadable):
        if Path(place) == folder:
            folders[:] = [name for name in folders if name not in leaving_out]
            names = [name for name in names if name not in leaving_out]
        yield from (path for path in (Path(place, name) for name in sorted(names)) if path.is_file())


def _unreadable(error: OSError) -> None:
    """A folder that cannot be read would be missing without a word."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _elsewhere(data: Path) -> list[str]:
    """Links to folders, whose files are not copied."""
    found = []
    for place, folders, _ in os.walk(data):
        if Path(place) == data:
            folders[:] = [name for name in folders if name not in _LEFT_OUT]
        found += [str(Path(place, name)) for name in folders if Path(place, name).is_symlink()]
    return [f"{path} leads to a folder elsewhere, which is not in the backup: copy it by other means" for path in found]


def _copy(path: Path, target: Path) -> None:
    """Copy a file that others may write to, replace or remove meanwhile."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if _is_sqlite(path):
            _copy_database(path, target)
        else:
            # with its attributes: JSONLines knows its own files by one
            shutil.copy2(path, target)
    except FileNotFoundError:
        target.unlink(missing_ok=True)


def _is_sqlite(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False


def _copy_database(path: Path, target: Path) -> None:
    try:
        with closing(connect(path, "ro")) as db:
            copy_to(db, target)
    except sqlite3.Error as error:
        if not path.exists():
            raise FileNotFoundError(path) from error
        what = "is damaged" if isinstance(error, sqlite3.DatabaseError) and is_damage(error) else "cannot be copied"
        raise StoreError(
            f"the file {what}: {error}; move it away, or mend it, then make the backup again", where=str(path)
        ) from error
