"""The manifest of a backup: all files in it, with sizes and digests. It is written last, so a backup without one is not whole."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from pypes.core.durable import sync_folder
from pypes.errors import InvalidInput, StoreError, StoreFull

#: Form of the manifest.
FORM: Final = 1
#: Its name in the folder of a backup, and that of the copied data directory beside it.
NAME: Final = "backup.json"
DATA: Final = "data"

_BLOCK_BYTES: Final = 1 << 20


@contextmanager
def telling(what: str, folder: Path) -> Iterator[None]:
    """Say of an ``OSError`` what cannot be done, and where; raises :class:`StoreError`."""
    try:
        yield
    except OSError as error:
        hint = {errno.ENOSPC: "; make room for it", errno.EMFILE: "; allow more open files (ulimit -n)"}.get(error.errno or 0, "")
        kind = StoreFull if error.errno == errno.ENOSPC else StoreError
        place = f"{error.filename}: " if error.filename else ""
        raise kind(f"{what}: {place}{error.strerror or error}{hint}", where=str(folder)) from error


class Copied(msgspec.Struct, frozen=True):
    """A file of a backup. ``sha256`` is in hexadecimal."""

    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """Contents of a backup. ``node`` is the number of the node, ``data`` its data directory, ``release`` that of Pypes.

    ``files`` are named by their path in the data directory. ``time`` is that of the beginning, in RFC 3339.
    """

    node: int
    data: str
    time: str
    release: str
    files: dict[str, Copied]
    pypes_backup: int = FORM


def write(folder: Path, manifest: Manifest) -> None:
    """Make a backup whole. All files that it names must be on the disk."""
    fresh = folder / f"{NAME}.new"
    with fresh.open("xb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest)))
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(folder / NAME)
    sync_folder(folder)


def read(folder: Path) -> Manifest:
    """The manifest of a backup, all of whose files have their size. Raises :class:`InvalidInput`."""
    try:
        manifest = msgspec.json.decode((folder / NAME).read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise InvalidInput(
            f"this is no whole backup: it has no {NAME}, which is written last; use another one",
            code="backup.incomplete",
            where=str(folder),
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"{NAME} cannot be read: {error}; use another backup", code="backup.damaged", where=str(folder)
        ) from error
    if manifest.pypes_backup > FORM:
        raise InvalidInput(
            f"the backup was made by Pypes {manifest.release}, in a form of a later release; restore it with that",
            code="backup.newer",
            where=str(folder),
        )
    wrong = [name for name, file in manifest.files.items() if _size(folder / DATA / name) != file.size]
    if wrong:
        raise damaged(folder, wrong)
    return manifest


def damaged(folder: Path, names: list[str]) -> InvalidInput:
    """The error of a backup whose files are not as the manifest says."""
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return InvalidInput(
        f"the backup is damaged: missing, torn or changed since it was made: {shown}; use another backup",
        code="backup.damaged",
        where=str(folder),
    )


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def sync_all(folder: Path) -> None:
    """Make all files below a folder durable, with their names."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            if not path.is_symlink():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
        sync_folder(Path(place))
