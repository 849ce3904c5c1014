"""The folder of graphs: which of its files hold something that is not deployed yet."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pypes import logs
from pypes.errors import InvalidGraph, PypesError
from pypes.graph import codec
from pypes.graph.beside import Beside
from pypes.graph.composite_files import FOLDER
from pypes.runtime.graphs.checking import Checked
from pypes.runtime.graphs.store import ControlStore, StoredGraph

#: The end of the names of graph files.
SUFFIX = ".json"

#: By which a file is known to have changed: bytes, and nanoseconds since the epoch.
Stamp = tuple[int, int]


@dataclass(frozen=True, slots=True)
class GraphFile:
    """A file whose content is new; ``graph`` is what it would deploy."""

    path: str
    digest: str
    graph: StoredGraph


@dataclass(frozen=True, slots=True)
class Undeployed:
    """A file that is not deployed, and why; ``graph`` is the name in it, or that of the file if it cannot be read."""

    path: str
    graph: str
    routes: tuple[str, ...]
    reason: str


def is_graph_file(change: object, path: str) -> bool:
    """True for a path that may hold a graph: what else changes in the folder, such as a log, is no reason to look at it."""
    return path.endswith(SUFFIX)


def stamps_of(folder: Path) -> dict[str, Stamp]:
    """Size and time of each graph file in a folder, by name; none where there is no folder. Raises ``OSError``."""
    try:
        with os.scandir(folder) as entries:
            statuses = [(entry.name, entry.stat()) for entry in entries if is_graph_file(None, entry.name)]
    except FileNotFoundError:  # a file may go while the others are looked at: the next look sees them
        return {}
    return {name: (status.st_size, status.st_mtime_ns) for name, status in statuses}


def all_stamps_of(folder: Path) -> dict[str, Stamp]:
    """As :func:`stamps_of`, with the files of composites in the folder within."""
    within = stamps_of(folder / FOLDER)
    return stamps_of(folder) | {f"{FOLDER}/{name}": stamp for name, stamp in within.items()}


class GraphFiles:
    """Compares files with what was last loaded from them: one that did not change does not undo what was deployed otherwise."""

    def __init__(self, store: ControlStore) -> None:
        self._store = store
        #: Files that are not deployed, by path, as far as the last look at the folder has found.
        self.undeployed: dict[str, Undeployed] = {}
        self._log = logs.get("pypes.deployments")

    def fresh(self, folder: Path, check: Callable[[str, Any], Checked]) -> dict[str, GraphFile]:
        """Graph files, by graph, whose content changed since they were last deployed; what is wrong with others is logged.

        ``check(name, obj)`` gives a graph as it can be deployed, or raises what is wrong with it.
        """
        found: dict[str, GraphFile] = {}
        self.undeployed = {}
        beside = Beside()
        live = self._store.live()
        for path in sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []:
            about = {"file": str(path)}
            routes: tuple[str, ...] = ()
            try:
                data = path.read_bytes()
                digest = hashlib.sha256(data).hexdigest()
                if self._store.digest(str(path)) == digest:
                    continue
                parsed = codec.loads(data)
                about["graph"] = parsed.name
                routes = tuple(parsed.routes)
                graph = check(parsed.name, codec.to_obj(parsed))
                if problems := beside.add(parsed, str(path)):
                    raise InvalidGraph("the graph is not valid", where=parsed.name, problems=problems)
            except (OSError, PypesError) as error:
                self._log.error("graph file not deployed", reason=str(error), **about)
                self.undeployed[str(path)] = Undeployed(str(path), about.get("graph", path.stem), routes, str(error))
                continue
            old = live.get(parsed.name)
            if old is not None and graph.is_of(old):
                self._store.loaded(str(path), digest)
                continue
            version = self._store.next_version(parsed.name)
            stored = graph.stored(parsed.name, version, self._store.clock.now(), str(path))
            found[parsed.name] = GraphFile(str(path), digest, stored)
        return found

    def not_deployed(self, file: GraphFile, reason: str) -> None:
        """Keep in mind that a file was fresh, but cannot be deployed."""
        graph = file.graph
        self.undeployed[file.path] = Undeployed(file.path, graph.name, tuple(graph.graph.get("routes", ())), reason)

    def forget(self, graph: str) -> None:
        """A graph was deployed in another way: what is wrong with its file matters no more."""
        self.undeployed = {path: each for path, each in self.undeployed.items() if each.graph != graph}
