"""Graphs as files: the canonical text of one, whatever it is read from, and what comes from elsewhere as a graph of this node."""

from __future__ import annotations

from typing import Any

from pypes.access.client import ALL
from pypes.core.secrets import masked
from pypes.errors import BadRequest, Forbidden, InvalidGraph, Problem
from pypes.graph import codec, pypes1
from pypes.runtime.graphs.deployer import Deployer
from pypes.runtime.graphs.drafts import GraphDrafts
from pypes.runtime.graphs.versions import Versions

#: Origins of a text besides a version.
LIVE, DRAFT, FOLDER = "live", "draft", "folder"
#: Forms of what is read: graphs, and projects of the original.
FORMS = ("pypes", "pypes1")


class GraphTexts:
    """Writes and reads graphs for clients; nothing of it is stored or deployed."""

    def __init__(self, deployer: Deployer, versions: Versions, drafts: GraphDrafts) -> None:
        self._deployer = deployer
        self._versions = versions
        self._drafts = drafts

    def of(self, name: str, origin: str = LIVE, version: int | None = None) -> str:
        """The text of a graph: of what is live, its draft, the file in the folder, or a ``version``.

        Passwords in addresses are hidden.

        Raises :class:`NotFound`, and :class:`InvalidGraph` for a draft that lacks too much to be written as a file.
        """
        if version is not None:
            graph = self._versions.one(name, version)["graph"]
        elif origin == DRAFT:
            graph = self._drafts.draft(name).graph
        elif origin == FOLDER:
            graph = self._deployer.folder.graph(name)
        else:
            graph = self._deployer.get(name)["graph"]
        return _written(masked(graph))

    def written(self, name: str, obj: Any) -> str:
        """The text of a graph as a client has it; it need not be valid but for its form. Raises :class:`InvalidGraph`."""
        if not isinstance(obj, dict):
            raise InvalidGraph("a graph is a JSON object", where=name)
        return _written({"pypes": codec.FORM, **obj, "name": name})

    def converted(self, name: str, obj: Any, form: str | None = None, rights: str = ALL) -> dict[str, Any]:
        """A graph, or a project of the original, as a graph of this ``name``: ``{format, graph, report, errors}``.

        ``report`` is what of a project has no counterpart, ``errors`` what would keep the graph from being deployed, with these
        ``rights``. Without a ``form``, it is found out. Raises :class:`InvalidGraph` for what is neither.
        """
        if form is None:
            form = "pypes1" if isinstance(obj, dict) and "containers" in obj else "pypes"
        if form not in FORMS:
            raise BadRequest(f"there is no format {form!r}; {' or '.join(FORMS)}", code="request.invalid", where="format")
        report: list[dict[str, str]] = []
        if form == "pypes1":
            assert self._deployer.catalogue is not None
            imported = pypes1.from_obj(obj, name, self._deployer.catalogue)
            graph = codec.to_obj(imported.graph)
            report = [problem.to_obj() for problem in imported.report]
        elif isinstance(obj, dict):
            graph = codec.to_obj(codec.from_obj({"pypes": codec.FORM, **obj, "name": name}))
        else:
            raise InvalidGraph("a graph is a JSON object", where=name)
        errors = [problem.to_obj() for problem in self._problems(name, graph, rights)]
        return {"format": form, "graph": graph, "report": report, "errors": errors}

    def _problems(self, name: str, graph: dict[str, Any], rights: str) -> list[Problem]:
        try:
            self._deployer.checked(name, graph, rights)
        except InvalidGraph as error:
            return list(error.problems) or [Problem("", error.message, error.code)]
        except Forbidden as error:
            return [Problem("", error.message, error.code)]
        return []


def _written(obj: dict[str, Any]) -> str:
    return codec.dumps(codec.from_obj(obj))
