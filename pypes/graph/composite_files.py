"""Composites in files: those of the folder ``composites`` beside the file of a graph."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final

from pypes.errors import InvalidGraph
from pypes.graph import codec
from pypes.graph import composite as form
from pypes.graph.expansion import Expanded, Found, expand_graph

#: The folder of composites within that of graphs.
FOLDER: Final = "composites"


class FolderLibrary:
    """The composites in the files of a folder, read when one is asked for. They have no versions."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._found: dict[str, Found | InvalidGraph] | None = None

    def find(self, name: str, version: int | None) -> Found | None:
        """A composite; ``None`` for a version of one. Raises :class:`InvalidGraph` if its file cannot be read."""
        if self._found is None:
            self._found = dict(map(_read, sorted(self._folder.glob("*.json"))))
        found = self._found.get(name)
        if isinstance(found, InvalidGraph):
            raise found
        return None if version is not None else found


def read_file(path: Path, catalogue: Collection[str] = ()) -> Expanded:
    """The graph in a file, with the composites beside it put in. Raises :class:`InvalidGraph`, and ``OSError``."""
    return expand_graph(codec.loads(path.read_bytes()), FolderLibrary(path.parent / FOLDER), catalogue)


def _read(path: Path) -> tuple[str, Found | InvalidGraph]:
    try:
        composite = form.loads(path.read_bytes())
    except (OSError, InvalidGraph) as error:
        problems = error.problems if isinstance(error, InvalidGraph) else ()
        return path.stem, InvalidGraph(f"the composite in {path} cannot be read: {error}", problems=problems)
    return composite.name, Found(composite)
