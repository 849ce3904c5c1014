"""Memory: what a run of ``pypes feed`` fed from a folder, for the next run to find what has changed or vanished."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from pypes.cli.feeding.loading import Loaded, Stamp
from pypes.cli.feeding.walking import File
from pypes.errors import InvalidInput

VERSION = 1

#: More deletions than this, and more than half of what is known, have to be confirmed: perhaps a disk is not mounted.
FEW = 10


class Known(NamedTuple):
    """A file that was fed. ``id`` is that of its document, ``None`` if it had none or is several."""

    id: str | None
    stamp: Stamp


def default_folder() -> Path:
    """Where runs are remembered, by the XDG Base Directory Specification."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "pypes" / "feed"


class Memory:
    """What was fed from one folder to one address, in a file that is replaced as a whole."""

    def __init__(self, folder: Path, address: str, root: Path, template: str) -> None:
        self._head = {"version": VERSION, "address": address, "root": str(root.resolve()), "template": template}
        name = hashlib.sha256(os.fsencode(f"{address}\0{self._head['root']}")).hexdigest()[:32]
        self._path = folder / f"{name}.json"
        self._root = root
        #: Path from the folder → what was fed.
        self.known: dict[str, Known] = {}
        #: Ids that files had before and have no more, whose documents are still to be deleted.
        self.owed: list[str] = []
        self._is_same_template = True
        with contextlib.suppress(FileNotFoundError):
            self._read()

    def is_changed(self, file: File) -> bool:
        """True unless a file is known to be as it was when it was fed."""
        known = self.known.get(file.name)
        return not self._is_same_template or known is None or known.stamp != (file.size, file.mtime_ns)

    def vanished(self) -> list[str]:
        """Names of known files that are gone. One that cannot be looked at, below a folder without access, is not."""
        return [name for name in self.known if self.is_gone(name)]

    def is_gone(self, name: str) -> bool:
        """True if no file has this name any more, perhaps a folder has."""
        return _is_gone(self._root / name)

    def is_much(self, vanished: Collection[str]) -> bool:
        """True if so much has vanished that somebody should look first."""
        return len(vanished) > FEW and 2 * len(vanished) > len(self.known)

    def take(self, accepted: Iterable[Loaded]) -> None:
        """Remember what was accepted, and in ``owed`` the ids that its files had before and have no more."""
        for loaded in accepted:
            known = self.known.get(loaded.file.name)
            self.known[loaded.file.name] = Known(loaded.id, loaded.stamp)
            if known is not None and known.id is not None and known.id != loaded.id:
                self.owed.append(known.id)

    def ids(self) -> Iterator[str]:
        """The ids of all known documents."""
        return (known.id for known in self.known.values() if known.id is not None)

    def save(self) -> None:
        """Write it, in place of what was there; raises ``OSError``."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        files = {name: [known.id, *known.stamp] for name, known in self.known.items()}
        written = self._path.with_suffix(f".{os.getpid()}")
        try:
            written.write_text(json.dumps({**self._head, "files": files, "owed": self.owed}), encoding="ascii")
            written.replace(self._path)
        except BaseException:
            written.unlink(missing_ok=True)
            raise

    def _read(self) -> None:
        try:
            found = json.loads(self._path.read_text(encoding="ascii"))
            if found["version"] != VERSION:
                raise ValueError(f"it is of version {found['version']}")
            self.known = {_name(name): _known(*entry) for name, entry in found["files"].items()}
            self.owed = [_text(id) for id in found.get("owed", [])]
            self._is_same_template = found["template"] == self._head["template"]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InvalidInput(
                f"{self._path} is not what an earlier run wrote ({error}); remove it, and the run begins anew", code="feed.memory"
            ) from error


def _is_gone(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False


def _name(name: str) -> str:
    """The name of a file below the folder, as it was written; raises ``ValueError`` for what leads elsewhere."""
    if "\0" in name or Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError(f"{name!r} is no file of the folder")
    return name


def _known(id: object, size: object, mtime_ns: object) -> Known:
    if not isinstance(size, int) or not isinstance(mtime_ns, int):
        raise ValueError("a size or a time is no number")
    return Known(None if id is None else _text(id), (size, mtime_ns))


def _text(id: object) -> str:
    if not isinstance(id, str):
        raise ValueError("an id is no text")
    return id
