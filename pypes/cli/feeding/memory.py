"""Memory: what a run of ``pypes feed`` fed from a folder, for the next run to find what has changed or vanished."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
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
        self._is_same_template = True
        with contextlib.suppress(FileNotFoundError):
            self._read()

    def is_changed(self, file: File) -> bool:
        """True unless a file is known to be as it was when it was fed."""
        known = self.known.get(file.name)
        return not self._is_same_template or known is None or known.stamp != (file.size, file.mtime_ns)

    def vanished(self) -> list[str]:
        """Names of known files that are gone. One that cannot be looked at, below a folder without access, is not."""
        return [name for name in self.known if _is_gone(self._root / name)]

    def is_much(self, vanished: Collection[str]) -> bool:
        """True if so much has vanished that somebody should look first."""
        return len(vanished) > FEW and 2 * len(vanished) > len(self.known)

    def take(self, accepted: Iterable[Loaded]) -> list[str]:
        """Remember what was accepted; returns the ids that its files had before and have no more."""
        former = []
        for loaded in accepted:
            known = self.known.get(loaded.file.name)
            self.known[loaded.file.name] = Known(loaded.id, loaded.stamp)
            if known is not None and known.id is not None and known.id != loaded.id:
                former.append(known.id)
        return former

    def ids(self) -> Iterator[str]:
        """The ids of all known documents."""
        return (known.id for known in self.known.values() if known.id is not None)

    def save(self) -> None:
        """Write it, in place of what was there; raises ``OSError``."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        files = {name: [known.id, *known.stamp] for name, known in self.known.items()}
        written = self._path.with_suffix(f".{os.getpid()}")
        try:
            written.write_text(json.dumps({**self._head, "files": files}), encoding="ascii")
            written.replace(self._path)
        except BaseException:
            written.unlink(missing_ok=True)
            raise

    def _read(self) -> None:
        try:
            found = json.loads(self._path.read_text(encoding="ascii"))
            if found["version"] != VERSION:
                raise ValueError(f"it is of version {found['version']}")
            self.known = {name: Known(id, (size, mtime_ns)) for name, (id, size, mtime_ns) in found["files"].items()}
            self._is_same_template = found["template"] == self._head["template"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidInput(
                f"{self._path} is not what an earlier run wrote ({error}); remove it, and the run begins anew", code="feed.memory"
            ) from error


def _is_gone(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
