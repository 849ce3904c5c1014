"""Paths: where a parameter that is a path may lead on a node, and whose functions one may name."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

#: Names in a data directory that belong to the node. What publishers keep lies beside them.
STORE = (
    *("shards", "stores", "outbox", "cache", "lock", "clock", "restoring", "handed-over"),
    *("control.db", "control.db-wal", "control.db-shm", "control.db-journal"),
)

#: Folders of the kernel: what looks like a file there is the environment, the memory or a setting of some process.
_KERNEL = ("/proc", "/sys")


@dataclass(frozen=True)
class Paths:
    """The rules for paths in parameters: never into what belongs to a node, and only below ``roots`` if there are any.

    Plain values, so that the rules travel to the processes that set components up. ``own`` are files and folders of this node
    (its store, its sockets, its graphs, its secrets), each with what it is. The data directory, where relative paths begin,
    counts as a root.
    """

    data_dir: str = "."
    roots: tuple[str, ...] = ()
    own: tuple[tuple[str, str], ...] = ()
    #: The folder whose ``*.json`` the node deploys; others may lie beside them, and the data directory below.
    graphs: str = ""
    #: Modules whose functions parameters may name, with those below them; ``None``: any.
    modules: tuple[str, ...] | None = None

    def problem(self, path: str) -> str:
        """Problem of a path, as a sentence that does not repeat it (it may hold a secret); empty if there is none.

        Symbolic links, ``..`` and hard links are followed to where they lead *now*.
        """
        try:
            full = os.path.realpath(Path(self.data_dir, path))
        except ValueError:
            return "must not contain a zero byte"
        places = [full, *map(str, Path(full).parents)]
        what = self._owned(full, places)
        if what:
            return f"leads into {what}; name a file or folder of your own"
        roots = [os.path.realpath(root) for root in (self.data_dir, *self.roots)]
        if self.roots and not any(root in places for root in roots):
            return "leads out of the folders that components may use; list its folder under roots in [components]"
        return ""

    def guarded(self) -> Guarded:
        """Files and folders of this node, as they are on the disk now; for callers that walk through folders."""
        return Guarded(self.own)

    def _owned(self, full: str, places: list[str]) -> str:
        """The node's own file or folder that a path leads into."""
        if any(place in _KERNEL for place in places):
            return "the files of the kernel"
        for own, what in self.own:
            if os.path.realpath(own) in places:
                return what
        if self.graphs and full.lower().endswith(".json") and len(places) > 1:
            folder, graphs = _stat(places[1]), _stat(self.graphs)
            if folder is not None and graphs is not None and os.path.samestat(folder, graphs):
                return "a graph file, which the node would deploy"
        guarded = self.guarded()
        for place in places:
            # by identity, too: names may differ in case, or a folder be mounted twice
            found = _stat(place)
            if found is not None and (what := guarded.what(found)):
                return what
        for above, below in zip(places[1:], places, strict=False):
            if Path(below).name in STORE and all(Path(above, name).is_file() for name in ("control.db", "lock")):
                return "the store of a node"
        return ""


class Guarded:
    """The files and folders of a node by device and number, which all their names share."""

    def __init__(self, own: Iterable[tuple[str, str]]) -> None:
        self._own = list(own)
        found = ((_stat(path), what) for path, what in self._own)
        self._known = {(each.st_dev, each.st_ino): what for each, what in found if each is not None}
        #: All files below, looked up only where a file has several names.
        self._files: set[tuple[int, int]] | None = None

    def what(self, found: os.stat_result) -> str:
        """Role of a file or folder for the node, from the result of ``stat``; empty if the node does not own it."""
        identity = (found.st_dev, found.st_ino)
        if identity in self._known:
            return self._known[identity]
        if found.st_nlink > 1 and stat.S_ISREG(found.st_mode) and identity in self._all():
            return "a file of the node (by a hard link)"
        return ""

    def _all(self) -> set[tuple[int, int]]:
        if self._files is None:
            found = (_stat(Path(folder, name)) for own, _ in self._own for folder, _, names in os.walk(own) for name in names)
            self._files = {(each.st_dev, each.st_ino) for each in found if each is not None}
        return self._files


def _stat(path: str | Path) -> os.stat_result | None:
    try:
        return Path(path).stat()
    except (OSError, ValueError):  # not there (yet), or not to be looked at
        return None
