"""Memory: what runs of ``pypes feed`` fed from a folder, for the next run to find what has changed or vanished.

Two files in the folder of states: ``.json`` is replaced as a whole at the end of a run, ``.journal`` is there while a run is
under way, locked, and has what that adds. A run that is killed leaves it to the next one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import stat
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pypes.cli.feeding.loading import Loaded
from pypes.cli.feeding.state import Known, State, entry, read
from pypes.cli.feeding.walking import File
from pypes.errors import Conflict, InvalidInput

#: More deletions than this, and more than half of what is known, have to be confirmed: perhaps a disk is not mounted.
FEW = 10

DAMAGE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


def default_folder() -> Path:
    """Folder for the records of runs, by the XDG Base Directory Specification."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "pypes" / "feed"


class Memory:
    """Record of the files fed from one folder to one address. One run holds the record at a time, until it is closed.

    Raises :class:`Conflict` if another run has it, :class:`InvalidInput` if it cannot be written or is damaged. Its methods
    raise ``OSError`` where they write. Threads may share it.
    """

    def __init__(self, folder: Path, address: str, root: Path, template: str) -> None:
        resolved = str(root.resolve())
        self._path = folder / f"{_stem(address, resolved)}.json"
        self._root = root
        self._lock = threading.Lock()
        self._journal = _locked(self._path.with_suffix(".journal"), root)
        self._is_saved = True
        try:
            found = peek(self._path)
            #: The state as it is known. Only this class and what runs alone change it.
            self.state = found or State(address, resolved, template)
            self._is_same_template = self.state.template == template
            self.state.template = template
            self.state.reserved.clear()
            self.save()
        except OSError as error:
            os.close(self._journal)
            raise unwritable(folder, error) from error
        except BaseException:
            os.close(self._journal)
            raise

    def meet(self, node: str) -> bool:
        """Note which node is fed now, so that other runs know; True if it is another than before. Raises ``OSError``."""
        was = self.state.node
        is_other = self.state.meet(node)
        if self.state.node != was:
            self.save()
        return is_other

    def is_changed(self, file: File) -> bool:
        """True unless a file is known to be as it was when it was fed."""
        known = self.state.known.get(file.name)
        return not self._is_same_template or known is None or known.stamp != (file.size, file.mtime_ns)

    def vanished(self) -> list[str]:
        """Names of known files that are gone. One that cannot be looked at, below a folder without access, is not."""
        return [name for name in dict.fromkeys([*self.state.known, *self.state.claims.values()]) if self.is_gone(name)]

    def is_gone(self, name: str) -> bool:
        """True if no file has this name any more, perhaps a folder has."""
        return _is_gone(self._root / name)

    def is_much(self, vanished: Collection[str]) -> bool:
        """True if so much has vanished that somebody should look first."""
        return len(vanished) > FEW and 2 * len(vanished) > len(self.state.known)

    def reserve(self, files: Iterable[File]) -> None:
        """Tell other runs which ids this one is about to send."""
        self._note("reserved", {file.id: file.name for file in files if file.id is not None})

    def claim(self, loaded: Iterable[Loaded]) -> None:
        """Note documents before they are sent, unless known already, so that a killed run forgets nothing."""
        known = self.state.known
        self._note(
            "claims",
            {
                one.id: one.file.name
                for one in loaded
                if one.id is not None and ((old := known.get(one.file.name)) is None or old.id != one.id)
            },
        )

    def take(self, accepted: Iterable[Loaded], receipt: str) -> None:
        """Note accepted documents."""
        fed = {loaded.file.name: entry(Known(loaded.id, loaded.stamp, receipt)) for loaded in accepted}
        try:
            self._note("fed", fed)
        except OSError:  # a run that is killed now knows of it by the claim
            with self._lock:
                self.state.apply({"fed": fed})

    def unclaim(self, loaded: Loaded) -> None:
        """Note that the server has refused a file: the ids claimed for it hold no documents."""
        with self._lock:
            if loaded.id is not None and self.state.claims.get(loaded.id) == loaded.file.name:
                del self.state.claims[loaded.id]

    def asking(self, ids: Collection[str]) -> None:
        """Note which documents are about to be deleted."""
        self._note("asking", list(ids))

    def save(self) -> None:
        """Write the record in place of the former one."""
        written = self._path.with_suffix(f".{os.getpid()}")
        self.state.generation += 1
        try:
            with written.open("w", encoding="ascii") as file:
                file.write(self.state.written())
                file.flush()
                os.fsync(file.fileno())
            written.replace(self._path)
        except BaseException:
            written.unlink(missing_ok=True)
            raise
        os.ftruncate(self._journal, 0)
        # the generation ties it to this state: a journal that a kill left behind is not applied to a newer one
        os.write(self._journal, b'{"process": %d, "generation": %d}\n' % (os.getpid(), self.state.generation))
        self._is_saved = True

    def close(self) -> None:
        """Release the record to the next run, keeping the journal if it has unsaved entries."""
        if self._is_saved:
            self._path.with_suffix(".journal").unlink(missing_ok=True)
        os.close(self._journal)

    def remove(self) -> None:
        """Forget the folder, and close."""
        self._path.unlink(missing_ok=True)
        self._is_saved = True
        self.close()

    def _note(self, kind: str, change: Mapping[str, Any] | list[str]) -> None:
        if not change:
            return
        line = json.dumps({kind: change}).encode() + b"\n"
        with self._lock:
            end = os.fstat(self._journal).st_size
            self._is_saved = False
            # one call, so that a kill leaves the line whole or not at all
            if os.write(self._journal, line) < len(line):
                os.ftruncate(self._journal, end)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path.with_suffix(".journal")))
            self.state.apply({kind: change})


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other runs from reserving ids meanwhile."""
    try:
        fd = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def states(folder: Path, address: str, ours: Iterable[str] = ()) -> Iterator[State]:
    """Ids that folders other than ``ours`` have at an address. Raises as :func:`peek`."""
    left_out = {_stem(address, root) for root in ours}
    for path in sorted(folder.glob(f"{_digest(address)}-*.json")):
        if path.stem not in left_out and (found := peek(path)) is not None:
            yield found


def peek(path: Path) -> State | None:
    """The state in a file, with what its journal adds; ``None`` if there is none.

    Raises :class:`InvalidInput` if it is damaged.
    """
    journal = path.with_suffix(".journal")
    try:
        # the journal first: what it loses meanwhile is in the state
        lines = [json.loads(line) for line in _text(journal).splitlines(keepends=True) if line.endswith("\n")]
        text = _text(path)
        if not text:
            return None
        found = read(text)
        if lines and lines[0].get("generation") == found.generation:
            for line in lines:
                found.apply(line)
    except DAMAGE as error:
        raise InvalidInput(
            f"{path} is not a record of an earlier run ({error}); remove the file, and the next run starts without a record",
            code="feed.memory",
        ) from error
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        return ""


def _stem(address: str, root: str) -> str:
    return f"{_digest(address)}-{_digest(root)}"


def _digest(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:20]


def _locked(path: Path, root: Path) -> int:
    """The journal, opened and locked."""
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise unwritable(path.parent, error) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            found = re.match(rb'{"process": (\d+)', os.pread(fd, 64, 0))
            os.close(fd)
            process = f" (process {found[1].decode()})" if found else ""
            raise Conflict(
                f"another run of pypes feed{process} is feeding {root} to the same address; wait until it has ended, or end it",
                code="feed.busy",
            ) from None
        except OSError as error:  # a file system without locks
            os.close(fd)
            raise unwritable(path.parent, error) from error
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(fd), path.stat()):
                return fd
        os.close(fd)  # the run before removed it between our opening and locking it


def unwritable(folder: Path, error: OSError) -> InvalidInput:
    """The error of a run that cannot be remembered."""
    return InvalidInput(
        (
            f"no record of the run can be written to {folder}: {error.strerror or error}; give a writable folder with "
            "--state, or feed without ids and records with --no-id"
        ),
        code="feed.state",
    )


def _is_gone(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
