"""The folder of graphs as it is now: the file of each graph, and whether it has what is live."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pypes.errors import InvalidGraph, NotFound, PypesError
from pypes.graph import codec
from pypes.runtime.graphs.files import Stamp, Undeployed, stamps_of
from pypes.runtime.graphs.store import ControlStore, StoredGraph


class _Read(NamedTuple):
    """A file as it was read: the graph that it is of, that in canonical form, or what is wrong with it."""

    stamp: Stamp
    digest: str
    name: str
    graph: dict[str, Any] | None
    problem: str


class GraphFolder:
    """Reads the graph files of a folder anew where they have changed; nothing of them is deployed here.

    ``folder()`` says which it is, ``undeployed()`` which files could not be deployed when they were looked at last.
    """

    def __init__(
        self, store: ControlStore, folder: Callable[[], Path], undeployed: Callable[[], Mapping[str, Undeployed]]
    ) -> None:
        self._store = store
        self._folder = folder
        self._undeployed = undeployed
        self._read: dict[Path, _Read] = {}
        self._by_graph: dict[str, Path] = {}

    def look(self) -> None:
        """Look at the files: those that have another size or time are read."""
        folder = self._folder()
        try:
            stamps = {folder / name: stamp for name, stamp in sorted(stamps_of(folder).items())}
        except OSError:
            stamps = {}
        known = self._read
        self._read = {
            path: known[path] if path in known and known[path].stamp == stamp else _read(path, stamp)
            for path, stamp in stamps.items()
        }
        self._by_graph = {read.name: path for path, read in reversed(self._read.items())}

    def state_of(self, live: StoredGraph) -> dict[str, Any] | None:
        """The file of a graph, as of the last look: ``{path, differs, changed, problem}``; ``None`` if it has none.

        ``changed`` says which of them is newer where they differ: ``file``, which is not deployed, or ``node``, which was given
        another version since. ``problem`` says why the file is not deployed, if that is known.
        """
        path = self._by_graph.get(live.name)
        if path is None:
            return None
        read = self._read[path]
        differs = read.graph != live.source
        is_newer = differs and self._store.digest(str(path)) != read.digest
        undeployed = self._undeployed().get(str(path))
        problem = read.problem or (undeployed.reason if is_newer and undeployed is not None else "")
        changed = ("file" if is_newer else "node") if differs else ""
        return {"path": str(path), "differs": differs, "changed": changed, "problem": problem}

    def graph(self, name: str) -> dict[str, Any]:
        """The graph in the file of one; raises :class:`NotFound` (``graph.no_file``), or :class:`InvalidGraph`."""
        self.look()
        path = self._by_graph.get(name)
        if path is None:
            raise NotFound(f"no file in {self._folder()} is of graph {name!r}", code="graph.no_file", where=name)
        read = self._read[path]
        if read.graph is None:
            raise InvalidGraph(f"{path} cannot be read: {read.problem}", where=name)
        return read.graph


def _read(path: Path, stamp: Stamp) -> _Read:
    digest = ""
    try:
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        graph = codec.loads(data)
    except (OSError, PypesError) as error:
        return _Read(stamp, digest, path.stem, None, str(error))
    return _Read(stamp, digest, graph.name, codec.to_obj(graph), "")
