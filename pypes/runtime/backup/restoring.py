"""Restoring a backup into an empty data directory."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import closing
from pathlib import Path
from typing import Final

from pypes.access.audit import ITSELF, line_of
from pypes.core.durable import sync_folder
from pypes.errors import InvalidInput, StoreError
from pypes.ingest.store.inspection import node_of
from pypes.runtime.backup.manifest import DATA, Manifest, damaged, digest, read, sync_all, telling
from pypes.runtime.data_dir import RESTORING, DataDir
from pypes.runtime.graphs.store import ControlStore

#: Names that may be in an empty data directory: its lock, and a folder that some file systems have of their own.
_NOTHING: Final = {"lock", "lost+found"}


def restore(backup: Path, data: Path, *, is_paused: bool = False) -> Manifest:
    """Make a data directory of a backup, in a folder that is made, or empty. Blocks. ``is_paused``: with all graphs paused.

    Until all is there, and is what the manifest says, no node starts on the directory. Raises :class:`InvalidInput` for a backup
    that is not whole, for a directory that is not empty, and for a node that still runs, unless graphs are to be paused.
    """
    manifest = read(backup)
    _refuse_contents(data)
    if not is_paused and _runs(Path(manifest.data), manifest.node):
        raise InvalidInput(
            (
                "the node of this backup still runs; stop it first: two nodes with one number fetch and publish the same twice. "
                "To look at the backup beside it, restore with --paused"
            ),
            code="restore.running",
            where=manifest.data,
        )
    with closing(_Locked(data)), telling("the backup cannot be restored", data):
        place = data / RESTORING
        place.mkdir()
        try:
            for name, wanted in manifest.files.items():
                _copy(backup, name, place, wanted.sha256)
            _note(place / "control.db", manifest, is_paused=is_paused)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        sync_all(place)
        for entry in sorted(place.iterdir()):
            entry.rename(data / entry.name)
        sync_folder(data)
        place.rmdir()
        sync_folder(data)
    return manifest


class _Locked(DataDir):
    def close(self) -> None:
        self.release()


def _refuse_contents(data: Path) -> None:
    if not data.exists() or (data.is_dir() and {entry.name for entry in data.iterdir()} <= _NOTHING):
        return
    raise InvalidInput(
        "a backup is restored into a data directory that is new or empty; name another one, or move this one away",
        code="restore.not_empty",
        where=str(data),
    )


def _runs(data: Path, node: int) -> bool:
    """True if the node that the backup is of runs on this machine, where it ran then."""
    try:
        if node_of(data) != node:
            return False
        fd = os.open(data / "lock", os.O_RDWR)
    except (OSError, StoreError):
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(fd)


def _copy(backup: Path, name: str, place: Path, sha256: str) -> None:
    source, target = backup / DATA / name, place / name
    if ".." in Path(name).parts or Path(name).is_absolute():
        raise damaged(backup, [name])
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)
    if digest(target) != sha256:
        raise damaged(backup, [name])


def _note(control: Path, manifest: Manifest, *, is_paused: bool) -> None:
    """Have the audit log tell that what is here came from a backup, and pause all graphs."""
    with closing(ControlStore(control)) as store:
        store.note(line_of(ITSELF, "node.restore", detail={"backup": manifest.time, "data": manifest.data}))
        if is_paused:
            for name in store.live():
                store.pause(name, True)
