"""What a process did to a directory, and what it said meanwhile: parsed from strace's output, in the order in which it happened.

A call that takes effect (a write, a rename) may be on the disk from its start on, and is finished at its end; a sync
covers what was finished when it started. Memory maps are not seen: the only one is of SQLite's ``-shm`` file, which holds nothing
that has to survive.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.needed import missing
from tests.tracing import needs_strace

CALLS = (
    "open,openat,creat,close,dup,dup2,dup3,lseek,write,pwrite64,writev,pwritev,ftruncate,truncate,fallocate,"
    "rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,link,linkat,symlink,fsync,fdatasync,sync_file_range,sendfile"
)

#: Calls whose effect the disk does not model: seen on the directory, they fail the test instead of being ignored.
UNKNOWN = {
    "pwritev",
    "writev",
    "truncate",
    "fallocate",
    "link",
    "linkat",
    "symlink",
    "rmdir",
    "sync_file_range",
    "sendfile",
    "dup3",
}


@dataclass(slots=True, eq=False)
class Change:
    """A change of a file's data (``offset`` and ``data``, or ``size`` if it was cut) or of folders' entries; by identity."""

    file: int = 0
    offset: int = 0
    data: bytes = b""
    size: int = -1
    makes_folder: bool = False
    #: (folder, name, inode it names from now on or 0 for none)
    entries: list[tuple[int, str, int]] = field(default_factory=list)
    is_finished: bool = False
    is_void: bool = False


@dataclass(slots=True)
class Began:
    change: Change


@dataclass(slots=True)
class Finished:
    change: Change


@dataclass(slots=True)
class SyncBegan:
    file: int
    token: int


@dataclass(slots=True)
class SyncEnded:
    token: int
    is_good: bool


@dataclass(slots=True)
class Said:
    text: str


Event = Began | Finished | SyncBegan | SyncEnded | Said

#: Inode of the directory under which everything is recorded.
ROOT = 1

_LINE = re.compile(r"^(?P<pid>\d+)\s+(?P<rest>.*)$", re.S)
_RESUMED = re.compile(r"^<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)$", re.S)
_CALL = re.compile(r"^(?P<name>\w+)\((?P<rest>.*)$", re.S)
_RESULT = re.compile(r"\)\s*= (-?\d+)[^=]*$")


def record(module: str, folder: Path, log: Path, *arguments: str, timeout_s: float = 60.0) -> list[Event]:
    """Run ``python -m module folder *arguments`` under strace; its events on ``folder``, and what it wrote to its output."""
    strace = needs_strace()
    root = folder.resolve()
    command = [strace, "-f", "-xx", "-s", str(4 << 20), "-e", f"trace={CALLS}", "-e", "signal=none", "-o", str(log)]
    done = subprocess.run(
        [*command, sys.executable, "-m", module, str(root), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    if "ptrace" in done.stderr or "Operation not permitted" in done.stderr:
        missing("this machine does not let a process be traced")
    assert done.returncode == 0, done.stderr
    with log.open(encoding="ascii") as lines:
        return list(Parser(root).events(lines))


class Parser:
    """Turns strace's lines into events, keeping the table of open files and the names under ``root``."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._folders: dict[int, dict[str, int]] = {ROOT: {}}
        self._sizes: dict[int, int] = {}
        self._open: dict[int, list[int]] = {}  # fd → [inode, position, is append]
        self._inodes = ROOT
        self._tokens = 0
        self._begun: dict[str, tuple[str, str, Change | int | None]] = {}

    def events(self, lines: Iterable[str]) -> Iterator[Event]:
        for line in lines:
            match = _LINE.match(line.rstrip("\n"))
            if match is None:
                continue
            pid, rest = match["pid"], match["rest"]
            resumed = _RESUMED.match(rest)
            if resumed is not None:
                name, arguments, begun = self._begun.pop(pid)
                yield from self._end(name, arguments, resumed["rest"], begun)
                continue
            call = _CALL.match(rest)
            if call is None:
                continue
            name, rest = call["name"], call["rest"]
            is_unfinished = rest.endswith("<unfinished ...>")
            arguments = rest.removesuffix("<unfinished ...>") if is_unfinished else rest
            begun = None
            for event in self._begin(name, arguments):
                if isinstance(event, Began):
                    begun = event.change
                elif isinstance(event, SyncBegan):
                    begun = event.token
                yield event
            if is_unfinished:
                self._begun[pid] = (name, arguments, begun)
            else:
                yield from self._end(name, arguments, rest, begun)

    # -- a call begins: what it changes may be on the disk from here on -----------------------------------

    def _begin(self, name: str, arguments: str) -> Iterator[Event]:
        if name in ("write", "pwrite64"):
            fd, data, *tail = _fields(arguments, 2 if name == "write" else 4)
            if int(fd) == 1:
                yield from (Said(line) for line in _bytes(data).decode().splitlines())
            elif (file := self._file(fd)) is not None:
                content = _bytes(data)
                assert '"...' not in arguments, "strace cut the data: give it a larger -s"
                offset = int(tail[1]) if name == "pwrite64" else self._position(file)
                yield Began(Change(file[0], offset, content))
        elif name == "ftruncate":
            fd, size = _fields(arguments, 2)
            if (file := self._file(fd)) is not None:
                yield Began(Change(file[0], size=int(size)))
        elif name in ("fsync", "fdatasync"):
            (fd,) = _fields(arguments, 1)
            if (file := self._file(fd)) is not None:
                self._tokens += 1
                yield SyncBegan(file[0], self._tokens)
        elif name in ("unlink", "unlinkat", "mkdir", "mkdirat", "link", "linkat", "rename", "renameat", "renameat2"):
            yield from self._begin_names(name, arguments)
        elif name in UNKNOWN:
            first = arguments.split(",")[0].strip(") ")
            is_open = first.isdigit() and int(first) in self._open
            is_named = any(self._where(_bytes(text).decode()) for text in re.findall(r'"[^"]*"', arguments))
            if is_open or is_named:
                raise AssertionError(f"the disk does not model {name}")

    def _begin_names(self, name: str, arguments: str) -> Iterator[Event]:
        places = [self._where(_bytes(text).decode()) for text in re.findall(r'"[^"]*"', arguments)]
        if name.startswith("rename"):
            source, target = places
            if source is None and target is None:
                return
            assert source is not None, "renamed from outside"
            assert target is not None, "renamed to outside"
            inode = self._folders[source[0]].get(source[1], 0)
            yield Began(Change(entries=[(target[0], target[1], inode), (source[0], source[1], 0)]))
        elif name.startswith("link"):
            source, target = places
            if source is not None and target is not None and target[1] not in self._folders[target[0]]:
                yield Began(Change(entries=[(target[0], target[1], self._folders[source[0]][source[1]])]))
        elif places[0] is not None:
            folder, entry = places[0]
            if name.startswith("mkdir") and entry not in self._folders[folder]:
                self._inodes += 1
                yield Began(Change(makes_folder=True, entries=[(folder, entry, self._inodes)]))
            elif name.startswith("unlink") and entry in self._folders[folder]:
                yield Began(Change(entries=[(folder, entry, 0)]))

    # -- a call has ended ---------------------------------------------------------------------------------

    def _end(self, name: str, arguments: str, rest: str, begun: Change | int | None) -> Iterator[Event]:
        match = _RESULT.search(rest)
        result = int(match[1]) if match else -1  # "= ?": it never returned
        if name in ("open", "openat", "creat"):
            yield from self._opened(name, arguments, result)
        elif name == "close" and result == 0:
            self._open.pop(int(arguments.split(")")[0]), None)
        elif name in ("dup", "dup2") and result >= 0:
            old = self._open.get(int(arguments.split(",")[0].split(")")[0]))
            if old is not None:
                self._open[result] = old
        elif name == "lseek" and result >= 0:
            file = self._open.get(int(arguments.split(",")[0]))
            if file is not None:
                file[1] = result
        elif isinstance(begun, int):
            yield SyncEnded(begun, result == 0)
        elif isinstance(begun, Change):
            if result < 0:
                begun.is_void = True
            else:
                self._apply(name, arguments, begun, result)
            begun.is_finished = True
            yield Finished(begun)

    def _opened(self, name: str, arguments: str, result: int) -> Iterator[Event]:
        place = self._where(_bytes(re.findall(r'"[^"]*"', arguments)[0]).decode())
        if result < 0:
            return
        if place is None:
            self._open.pop(result, None)
            return
        folder, entry = place
        names = self._folders[folder]
        inode = ROOT if entry == "" else names.get(entry, 0)
        if inode == 0:  # made by this call: whether it gave the file its name before now makes no difference to what may be lost
            self._inodes += 1
            inode = names[entry] = self._inodes
            self._sizes[inode] = 0
            change = Change(entries=[(folder, entry, inode)], is_finished=True)
            yield Began(change)
            yield Finished(change)
        elif "O_TRUNC" in arguments:
            change = Change(inode, size=0, is_finished=True)
            yield Began(change)
            yield Finished(change)
            self._sizes[inode] = 0
        self._open[result] = [inode, 0, int("O_APPEND" in arguments)]

    def _apply(self, name: str, arguments: str, change: Change, result: int) -> None:
        if change.entries:
            for folder, entry, inode in change.entries:
                if inode:
                    self._folders[folder][entry] = inode
                    if name.startswith("mkdir"):
                        self._folders[inode] = {}
                else:
                    self._folders[folder].pop(entry, None)
        elif change.size >= 0:
            self._sizes[change.file] = change.size
        else:
            change.data = change.data[:result]
            end = change.offset + result
            self._sizes[change.file] = max(self._sizes.get(change.file, 0), end)
            if name == "write":
                file = self._file(arguments.split(",")[0])
                assert file is not None
                file[1] = end

    # -- names and numbers --------------------------------------------------------------------------------

    def _file(self, fd: str) -> list[int] | None:
        return self._open.get(int(fd))

    def _position(self, file: list[int]) -> int:
        return self._sizes.get(file[0], 0) if file[2] else file[1]

    def _where(self, path: str) -> tuple[int, str] | None:
        """Folder and name of a path under the root; the root itself is ``(ROOT, "")``; ``None`` for what is elsewhere."""
        if path == self._root:
            return ROOT, ""
        if not path.startswith(self._root + "/"):
            return None
        folder = ROOT
        *parents, name = path[len(self._root) + 1 :].split("/")
        for parent in parents:
            found = self._folders[folder].get(parent)
            if found is None:
                return None
            folder = found
        return folder, name


def _fields(arguments: str, count: int) -> list[str]:
    """The first ``count`` arguments; strings are written in hexadecimal, so that no comma or bracket is in them."""
    return [each.strip() for each in arguments.split(")")[0].split(",")[:count]]


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.strip('".').replace("\\x", ""))
