"""Folder: the regular files in a folder, found and opened without ever leaving it."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from pypes.core.file_names import is_temporary, shown

if TYPE_CHECKING:
    from pypes.core.paths import Paths


#: Folders within folders that are walked through; each holds a descriptor meanwhile.
MAX_DEPTH = 100

_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)
_FOLDER = _FLAGS | getattr(os, "O_DIRECTORY", 0)
# without waiting for the other end, should somebody put a pipe there meanwhile
_FILE = _FLAGS | getattr(os, "O_NONBLOCK", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)

#: The parts of a pattern; ``None`` is ``**``.
Pattern = list[re.Pattern[str] | None]
#: Paths, and what ``stat`` says of each.
Found = dict[str, os.stat_result]

#: Stands for a name that may have come by any number of folders.
_ANY_DEPTH = "**"


class Folder:
    """A folder, held open while it is looked through. Use it as a context manager; raises ``OSError`` if it cannot be opened.

    Every step goes from an open folder to a name in it and follows no symbolic link, so that nobody can lead it elsewhere by
    putting a link somewhere meanwhile. With ``follows_links``, links to files and folders are followed to wherever ``paths``
    allows; ``**`` does not follow links to folders, for they may lead round.

    Hidden files and folders, and files with the names of temporary ones, are left out unless it ``takes_hidden``, or the pattern
    asks for them: with a dot where the name has it, or the same end (``*.tmp``).
    """

    def __init__(self, home: Path, paths: Paths, *, follows_links: bool, takes_hidden: bool = False) -> None:
        self._home = home
        self._paths = paths
        self._guarded = paths.guarded()
        self._follows_links = follows_links
        self._takes_hidden = takes_hidden
        self._fd = os.open(home, _FOLDER)
        #: Names that were passed over, each with the reason.
        self.passed_over: dict[str, str] = {}
        #: Folders that could not be looked into: what is in them is not known.
        self.unknown: list[str] = []

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._fd)

    def files(self, pattern: str) -> Found:
        """The files that match (``*.html``, ``**/*.html``): the path of each from here, and what ``stat`` says of it."""
        parts = [part for part in pattern.split("/") if part not in ("", ".")]
        if parts and parts[-1] == _ANY_DEPTH:
            parts.append("*")
        found: Found = {}
        self._walk(self._fd, "", [self._matcher(part) for part in parts], {0}, found, 0)
        if self._takes_hidden:
            return found
        return {path: status for path, status in found.items() if not is_temporary(path, pattern)}

    def open(self, name: str) -> int:
        """Open a file for reading; raises ``OSError``. What it is now, ``fstat`` says."""
        above = os.dup(self._fd)
        try:
            *folders, last = name.split("/")
            at = ""
            for part in folders:
                at += part
                below = self._open_folder(above, part, at)
                os.close(above)
                above, at = below, f"{at}/"
            fd = self._open_at(above, last, name, _FILE)
        finally:
            os.close(above)
        return fd

    def _walk(self, fd: int, prefix: str, pattern: Pattern, places: set[int], found: Found, depth: int) -> None:
        """Gather what matches below an open folder, which is looked through once.

        ``places`` are the parts of the pattern that names in it may match: ``**`` lets that be several.
        """
        try:
            names = sorted(os.listdir(fd))
        except OSError as error:
            self._pass(prefix.rstrip("/"), error, is_folder=True)
            return
        at_any_depth = {place for place in places if pattern[place] is None}
        named = {_named(pattern, place) for place in places}
        for name in names:
            # where the pattern goes on in a folder of this name; in one that a link leads to only if the name itself is in it
            beyond = {place + 1 for place in named if (part := pattern[place]) is not None and part.fullmatch(name)}
            below = at_any_depth if self._takes_hidden or not name.startswith(".") else set()
            if not (beyond or below):
                continue
            path = prefix + name
            try:
                status = os.stat(name, dir_fd=fd, follow_symlinks=False)
                is_link = stat.S_ISLNK(status.st_mode)
                if is_link and self._follows_links and beyond:
                    status = self._linked(path)
            except OSError as error:
                self._pass(path, error)
                continue
            inside = (beyond if is_link else beyond | below) - {len(pattern)}
            if inside and stat.S_ISDIR(status.st_mode):
                self._descend(fd, name, path, pattern, inside, found, depth)
            elif len(pattern) in beyond:
                self._consider(path, status, found)

    def _matcher(self, part: str) -> re.Pattern[str] | None:
        if part == _ANY_DEPTH:
            return None
        begin = "" if self._takes_hidden or part.startswith(".") else r"(?!\.)"
        return re.compile(begin + fnmatch.translate(part))

    def _descend(self, fd: int, name: str, path: str, pattern: Pattern, places: set[int], found: Found, depth: int) -> None:
        if depth >= MAX_DEPTH:
            self._pass(path, OSError(f"it is more than {MAX_DEPTH} folders deep"), is_folder=True)
            return
        try:
            below = self._open_folder(fd, name, path)
        except OSError as error:
            self._pass(path, error, is_folder=True)
            return
        try:
            self._walk(below, f"{path}/", pattern, places, found, depth + 1)
        finally:
            os.close(below)

    def _consider(self, path: str, status: os.stat_result, found: Found) -> None:
        if stat.S_ISREG(status.st_mode):
            if what := self._guarded.what(status):
                self._pass(path, OSError(f"it is {what}"))
            else:
                found[path] = status
        elif stat.S_ISLNK(status.st_mode):
            self._pass(path, OSError("a symbolic link"))
        elif not stat.S_ISDIR(status.st_mode):
            self._pass(path, OSError("not a regular file"))

    def _open_folder(self, fd: int, name: str, path: str) -> int:
        below = self._open_at(fd, name, path, _FOLDER)
        if what := self._guarded.what(os.fstat(below)):
            os.close(below)
            raise OSError(f"it is {what}")
        return below

    def _open_at(self, fd: int, name: str, path: str, flags: int) -> int:
        """Open a name in an open folder: no link, unless links are followed to where they may lead."""
        try:
            return os.open(name, flags | _NO_LINK, dir_fd=fd)
        except OSError:
            if not (self._follows_links and stat.S_ISLNK(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode)):
                raise
        return os.open(self._target(path), flags | _NO_LINK)

    def _linked(self, path: str) -> os.stat_result:
        return Path(self._target(path)).lstat()

    def _target(self, path: str) -> str:
        """The target of a link; raises ``OSError`` if it may not lead there."""
        target = os.path.realpath(self._home / path)
        if problem := self._paths.problem(target):
            raise OSError(f"the link {problem}")
        return target

    def _pass(self, path: str, error: OSError, *, is_folder: bool = False) -> None:
        self.passed_over[shown(path) or "."] = error.strerror or str(error)
        if is_folder:
            self.unknown.append(f"{path}/" if path else "")


def _named(pattern: Pattern, place: int) -> int:
    """The next part of a pattern that is a name: ``**`` may stand for nothing."""
    while pattern[place] is None:
        place += 1
    return place


def read(fd: int, status: os.stat_result, *, may_grow: bool = False) -> bytes | None:
    """All of an open file that is as it was when ``status`` was taken, before and after; else ``None``.

    One that ``may_grow`` may have grown meanwhile: what it had then is read.
    """
    if not _is_as(fd, status, may_grow):
        return None
    pieces = list(_pieces(fd, status.st_size))
    data = b"".join(pieces)
    return data if len(data) == status.st_size and _is_as(fd, status, may_grow) else None


def _is_as(fd: int, status: os.stat_result, may_grow: bool) -> bool:
    now = os.fstat(fd)
    return stamp(now) == stamp(status) or (may_grow and os.path.samestat(now, status) and now.st_size > status.st_size)


def _pieces(fd: int, size: int) -> Iterator[bytes]:
    while size > 0 and (piece := os.read(fd, min(size, 1 << 20))):
        yield piece
        size -= len(piece)


def stamp(status: os.stat_result) -> list[int]:
    """The size and the time of modification of a file, by which a change is noticed."""
    return [status.st_size, status.st_mtime_ns]
