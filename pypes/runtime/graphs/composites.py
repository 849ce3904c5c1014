"""The composites of a node: kept, changed, shown with who uses them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pypes import logs
from pypes.access.audit import ITSELF, Cause
from pypes.access.client import ALL, is_among
from pypes.errors import Changed, Conflict, InvalidGraph, NotFound, Problem, PypesError
from pypes.graph import codec
from pypes.graph import composite as form
from pypes.graph.composite import Composite
from pypes.graph.composite_spec import problems_of, spec_of
from pypes.graph.expansion import SUBGRAPH, Found, Overlaid, named, named_in
from pypes.ingest.receipt import rfc3339
from pypes.runtime.contracts.control import OWN_EDIT, Edit
from pypes.runtime.graphs.check import check_size
from pypes.runtime.graphs.checking import CheckedGraphs
from pypes.runtime.graphs.composite_store import StoredComposite
from pypes.runtime.graphs.document import nodes_of
from pypes.runtime.graphs.files import SUFFIX
from pypes.runtime.graphs.store import ControlStore

#: Users of one that nobody uses.
NONE: Final[Mapping[str, set[str]]] = {"graphs": set(), "drafts": set(), "composites": set()}

#: Names of graphs, drafts and composites, by the composite that they use.
Users = dict[str, dict[str, set[str]]]


class Composites:
    """Keeps composites. What a graph has of one stays as it is until the graph is deployed again."""

    def __init__(self, store: ControlStore, graphs: CheckedGraphs) -> None:
        self._store = store
        self._kept = store.composites
        self._library = graphs.library
        self._graphs = graphs
        self._log = logs.get("pypes.deployments")

    # -- what is shown ----------------------------------------------------------------------------------

    def summaries(self, among: tuple[str, ...] = ()) -> list[dict[str, Any]]:
        """All composites, by name: as :meth:`get` without ``composite``. ``users`` are those ``among`` these graphs, if any."""
        users = self._users()
        return [self._summary(name, among, users) for name in sorted(self._library.newest)]

    def get(self, name: str, among: tuple[str, ...] = ()) -> dict[str, Any]:
        """The newest version of a composite, described as a component is; raises :class:`NotFound`.

        ``{name, version, digest, by, time, note, doc, inputs, outputs, schema, composite, users}``; ``users`` are ``graphs``,
        ``drafts`` and ``composites`` that name it.
        """
        newest = self._newest(name)
        return {**self._summary(name, among, self._users()), "composite": newest.composite}

    def versions(self, name: str) -> list[dict[str, Any]]:
        """All versions, the newest first: ``{version, time, by, note, digest}``. Raises :class:`NotFound`."""
        found = self._kept.versions(name)
        if not found:
            raise self._unknown(name)
        return [self._version(each) for each in found]

    def version(self, name: str, version: int) -> dict[str, Any]:
        """One version, as in :meth:`versions`, with its ``composite``; raises :class:`NotFound`."""
        stored = self._kept.version(name, version)
        return {**self._version(stored), "composite": stored.composite}

    def _newest(self, name: str) -> StoredComposite:
        found = self._library.newest.get(name)
        if found is None:
            raise self._unknown(name)
        return found

    @staticmethod
    def _unknown(name: str) -> NotFound:
        return NotFound(f"there is no composite {name!r}; GET /composites lists them", code="composite.not_found", where=name)

    def _version(self, stored: StoredComposite) -> dict[str, Any]:
        return {
            "version": stored.version,
            "time": rfc3339(self._store.clock.shown(stored.created)),
            "by": stored.author,
            "note": stored.note,
            "digest": form.from_obj(stored.composite).digest,
        }

    def _summary(self, name: str, among: tuple[str, ...], users: Users) -> dict[str, Any]:
        newest = self._library.newest[name]
        spec = spec_of(Found(form.from_obj(newest.composite), newest.version), self._library, self._graphs.catalogue or {})
        told = {"doc": spec.doc, "inputs": dict(spec.inputs), "outputs": dict(spec.outputs), "schema": dict(spec.schema)}
        shown = {kind: sorted(names) for kind, names in users.get(name, NONE).items()}
        if among:
            shown |= {kind: [each for each in shown[kind] if is_among(each, among)] for kind in ("graphs", "drafts")}
        return {"name": name, **self._version(newest), **told, "users": shown}

    def _users(self) -> Users:
        """The names of all that would be other if a composite was, by its name."""
        found: Users = {}

        def add(kind: str, user: str, names: Iterable[str]) -> None:
            for name in names:
                found.setdefault(name, {each: set() for each in NONE})[kind].add(user)

        for graph in self._graphs.live.values():
            add("graphs", graph.name, (use.name for use in graph.composites))
        for head in self._store.drafts.all():
            add("drafts", head.name, _named(self._drafted(head.name)))
        for name, stored in self._library.newest.items():
            add("composites", name, _named(stored.composite))
        return found

    def _drafted(self, name: str) -> dict[str, Any]:
        draft = self._store.drafts.get(name)
        return {} if draft is None else draft.graph

    # -- what is changed --------------------------------------------------------------------------------

    def put(self, name: str, obj: Any, edit: Edit = OWN_EDIT) -> dict[str, Any]:
        """Keep a composite as the newest version; as :meth:`get`, with ``created`` telling whether the name is new.

        Raises :class:`Changed`, :class:`InvalidGraph` with all problems, and :class:`Forbidden` for filters in it that may not be
        placed.
        """
        before = self._library.newest.get(name)
        self._expect(name, edit.expected)
        composite = self._checked(name, obj, edit.rights)
        if before is None or form.from_obj(before.composite) != composite:
            self._keep(composite, edit.author, edit.note, edit.cause)
        return {**self.get(name), "created": before is None}

    def delete(self, name: str, expected: list[int] | None = None, cause: Cause = ITSELF) -> None:
        """Have a composite no more; its versions stay. Raises :class:`NotFound`, :class:`Changed`, and :class:`Conflict` with
        the names of all that use it.
        """
        self._newest(name)
        self._expect(name, expected)
        users = {kind: names for kind, names in self._users().get(name, NONE).items() if names}
        if users:
            told = "; ".join(f"{kind}: {', '.join(sorted(names))}" for kind, names in users.items())
            message = f"composite {name!r} is used by {told}; take it out of them first"
            raise Conflict(message, code="composite.used", where=name)
        self._kept.delete(name, cause)
        self._library.renew()
        self._log.info("composite deleted", composite=name)

    def load_files(self, folder: Path) -> None:
        """Keep what is new in the files of a folder, the ones that others are made of first; what is wrong is logged."""
        waiting = list(self._fresh(folder))
        while waiting:
            left = []
            for path, digest, composite in waiting:
                try:
                    self._checked(composite.name, form.to_obj(composite), ALL)
                except PypesError as error:
                    left.append((path, digest, composite, str(error)))
                else:
                    self._take(path, digest, composite)
            if len(left) == len(waiting):
                for path, _, _, reason in left:
                    self._log.error("composite file not kept", file=str(path), reason=reason)
                return
            waiting = [(path, digest, composite) for path, digest, composite, _ in left]

    def _fresh(self, folder: Path) -> Iterator[tuple[Path, str, Composite]]:
        """The files whose content is another than when they were last loaded."""
        for path in sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []:
            try:
                data = path.read_bytes()
                digest = hashlib.sha256(data).hexdigest()
                if self._store.digest(str(path)) != digest:
                    yield path, digest, form.loads(data)
            except (OSError, PypesError) as error:
                self._log.error("composite file not kept", file=str(path), reason=str(error))

    def _take(self, path: Path, digest: str, composite: Composite) -> None:
        before = self._library.newest.get(composite.name)
        if before is not None and form.from_obj(before.composite) == composite:
            self._store.loaded(str(path), digest)
        else:
            self._keep(composite, str(path), "", ITSELF, (str(path), digest))

    def _keep(self, composite: Composite, author: str, note: str, cause: Cause, file: tuple[str, str] | None = None) -> None:
        name = composite.name
        version, now = self._kept.next_version(name), self._store.clock.now()
        self._kept.put(StoredComposite(name, version, form.to_obj(composite), author, now, note), cause, file)
        self._library.renew()
        self._log.info("composite kept", composite=name, version=version, by=author)

    def _expect(self, name: str, expected: list[int] | None) -> None:
        newest = self._library.newest.get(name)
        version = 0 if newest is None else newest.version
        if expected is None or version in expected or (version > 0 and not expected):
            return
        now = f"version {version} is the newest" if version else "there is no such composite"
        raise Changed(f"the composite is not what it was expected to be: {now}; read it again", code="graph.changed", where=name)

    def _checked(self, name: str, obj: Any, rights: str) -> Composite:
        """A composite that may be kept; raises :class:`InvalidGraph`, :class:`Forbidden`."""
        if not isinstance(obj, dict):
            raise InvalidGraph("a composite is a JSON object", where=name)
        if obj.get("name", name) != name:
            problem = Problem("name", f"is not {name!r}, by which it is kept; make them the same", "graph.name")
            raise InvalidGraph("the composite is not valid", where=name, problems=[problem])
        check_size(name, obj)
        composite = form.from_obj({"pypes": codec.FORM, **obj, "name": name})
        catalogue = self._graphs.catalogue
        assert catalogue is not None
        library = Overlaid(composite, self._library)
        if problems := problems_of(composite, library, catalogue, self._graphs.problems):
            raise InvalidGraph("the composite is not valid", where=name, problems=problems)
        if rights != ALL:
            before = self._library.newest.get(name)
            old = {} if before is None else self._graphs.placed(nodes_of(before.composite))
            self._graphs.permit_filters(old, self._graphs.placed(nodes_of(form.to_obj(composite))), f"{name}.")
        return composite


def _named(graph: Mapping[str, Any]) -> set[str]:
    """The names of components and composites in a graph that may be unfinished."""
    found: set[str] = set()
    for node in nodes_of(graph).values():
        found.add(named(named_in(node))[0])
        params = node.get("params")
        if node["component"] == SUBGRAPH and isinstance(params, Mapping) and isinstance(params.get("graph"), Mapping):
            found |= _named(params["graph"])
    return found
