"""Drafts of graphs: whole documents, valid or not, that are kept on the server until they are deployed or deleted.

Each change of a draft gives it another counter, by which whoever saves, deploys or deletes it says which one was seen. A draft
begins from a live version, its base; it can be deployed while that version is live.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

import msgspec

from pypes.access.audit import Line, line_of
from pypes.access.client import ALL
from pypes.core.limits import Limits
from pypes.errors import Changed, Conflict, InvalidGraph, InvalidInput, NotFound, Problem
from pypes.graph.codec import NAME
from pypes.ingest.receipt import rfc3339
from pypes.runtime.contracts.control import OWN_EDIT, Edit
from pypes.runtime.graphs.check import check_size
from pypes.runtime.graphs.deployer import Deployer
from pypes.runtime.graphs.document import Document, empty, is_same, names_of, nodes_of, plain, unmasked
from pypes.runtime.graphs.draft_store import DraftedFilter, GraphDraft
from pypes.runtime.graphs.store import ControlStore

#: Seconds for which the saves of one author have one line in the audit log: an editor saves by itself, each second or so.
NOTED_S: Final = 600.0


class Tell(Protocol):
    """Tells that a draft was changed, or is gone; ``counter`` is that of the draft, or of the one that is gone."""

    def __call__(self, graph: str, counter: int, by: str, *, is_gone: bool) -> None: ...


class GraphDrafts:
    """Keeps drafts on the server until they are deployed or deleted."""

    def __init__(self, store: ControlStore, deployer: Deployer, tell: Tell) -> None:
        self.store = store.drafts
        self._versions = store
        self._deployer = deployer
        self._clock = store.clock
        self._tell = tell

    # -- whole ------------------------------------------------------------------------------------------

    def all(self) -> list[dict[str, Any]]:
        """All drafts of graphs: ``{name, base, live, counter, by, time}`` each."""
        return [
            {
                "name": head.name,
                "base": head.base,
                "live": self._live(head.name),
                "counter": head.counter,
                "by": head.author,
                "time": rfc3339(self._clock.shown(head.time)),
            }
            for head in self.store.all()
        ]

    def get(self, name: str, rights: str = ALL) -> dict[str, Any]:
        """The draft: as in :meth:`all`, with its ``graph``, ``names`` of filters by uid, and the ``errors`` that it has now."""
        return self.shown(self.draft(name), rights)

    def save(self, name: str, graph: Document, base: int, expected: Sequence[int], edit: Edit = OWN_EDIT) -> dict[str, Any]:
        """Keep a document as the draft of a graph; as :meth:`get`, with ``created`` telling whether there was none.

        ``expected`` are the counters one of which the draft must have, 0 for none yet; otherwise :class:`Changed`, unless it is
        just so already. Raises :class:`InvalidInput` for a base that never was, :class:`InvalidGraph` for what is too large to be
        checked, :class:`Forbidden` for filters that may not be placed, and :class:`Conflict` (``drafts.full``).
        """
        check_name(name)
        check_size(name, graph)
        before, live = self.store.get(name), self._deployer.live.get(name)
        known = [*([before.graph] if before is not None else []), *([live.source] if live is not None else [])]
        wanted = unmasked(graph, known)
        # a save whose answer was lost is repeated with the counter from before
        if before is None or base != before.base or _text(wanted) != _text(before.graph):
            self._expect(name, before, expected)
            self._check_base(name, base, before)
            self._permit(name, wanted, before, edit.rights)
            now = self._clock.now()
            is_noted = before is not None and before.author == edit.author and 0 <= now - before.noted < NOTED_S
            lines = [] if is_noted else [line_of(edit.cause, "draft.save", graph=name, detail={"base": base})]
            draft = before or GraphDraft(name, base, graph=wanted)
            noted = draft.noted if is_noted else now
            self.put(replace(draft, graph=wanted, base=base, noted=noted), edit, lines)
        return {**self.get(name, edit.rights), "created": before is None}

    async def deploy(self, name: str, edit: Edit = OWN_EDIT, seen: Sequence[int] | None = None) -> dict[str, Any]:
        """Deploy the draft, as :meth:`Deployer.put`; then it is gone. If it cannot be deployed, it stays.

        ``seen`` are the counters one of which it must have; otherwise :class:`Changed`. Raises :class:`Conflict`
        (``draft.outdated``) if its base is not live. A draft that is saved meanwhile stays.
        """
        draft = self.draft(name, seen)
        before = self._live(name)
        live = self._deployer.live.get(name)
        # the node may have been killed when it was deployed, and the draft not gone yet
        expected = [draft.base, *([live.version] if live is not None and is_same(draft.graph, live.source) else [])]
        try:
            deployed = await self._deployer.put(name, draft.graph, msgspec.structs.replace(edit, expected=expected))
        except Changed as error:
            raise self._outdated(draft) from error
        # where nothing was to be deployed, that the draft goes is all there is to tell
        line = line_of(edit.cause, "draft.delete", graph=name)
        self._delete(draft, edit.author, [line] if deployed["version"] == before else [])
        return deployed

    def discard(self, name: str, edit: Edit = OWN_EDIT, seen: Sequence[int] | None = None) -> None:
        """Throw the draft away, its filters included; raises :class:`NotFound`, and :class:`Changed` as :meth:`deploy`."""
        self._delete(self.draft(name, seen), edit.author, [line_of(edit.cause, "draft.delete", graph=name)])

    # -- for those who change it --------------------------------------------------------------------------

    def draft(self, name: str, seen: Sequence[int] | None = None) -> GraphDraft:
        """The draft of a graph, which must have one of the counters that were ``seen``, if it is said which."""
        draft = self.store.get(name)
        if seen:
            self._expect(name, draft, seen)
        if draft is None:
            raise NotFound(
                f"there is no draft of graph {name!r}; PUT /graphs/{name}/draft begins one", code="graph.no_draft", where=name
            )
        return draft

    def _expect(self, name: str, draft: GraphDraft | None, expected: Sequence[int]) -> None:
        if (0 if draft is None else draft.counter) in expected:
            return
        if draft is None:
            raise Changed(
                f"the draft of graph {name!r} is gone: it was deployed or deleted; begin another one with If-None-Match: *",
                code="draft.gone",
                where=name,
            )
        by = f" by {draft.author}" if draft.author else ""
        raise Changed(
            f"the draft of graph {name!r} is not the one that was seen: it was saved{by} since; merge with it, and send its ETag",
            code="draft.changed",
            where=name,
        )

    def _outdated(self, draft: GraphDraft) -> Conflict:
        live, name = self._live(draft.name), draft.name
        now = f"version {live} is live" if live else "no version is live"
        began = f"version {draft.base}" if draft.base else "none"
        return Conflict(
            f"{now} of graph {name!r}, and its draft began from {began}: merge what has changed since, save the draft with the "
            f"base {live}, and deploy it then",
            code="draft.outdated",
            where=name,
        )

    def _check_base(self, name: str, base: int, before: GraphDraft | None) -> None:
        if base in (0, self._live(name)) or (before is not None and base == before.base):
            return
        try:
            self._versions.version(name, base)
        except NotFound as error:
            raise InvalidInput(error.message, code=error.code, where="base") from error

    def _permit(self, name: str, graph: Document, before: GraphDraft | None, rights: str) -> None:
        """Raise :class:`Forbidden` for filters that may not be placed, and are not just so in the draft or the live version."""
        if rights == ALL:
            return
        placed_of = self._deployer.placed
        drafted = {} if before is None else placed_of({filter: plain(node) for filter, node in nodes_of(before.graph).items()})
        placed = placed_of({filter: plain(node) for filter, node in nodes_of(graph).items()})
        new = {filter: node for filter, node in placed.items() if node != drafted.get(filter)}
        live = self._deployer.live.get(name)
        self._deployer.permit_filters({} if live is None else live.graph["nodes"], new, f"{name}.")

    def _live(self, name: str) -> int:
        """The live version of a graph, 0 if there is none."""
        live = self._deployer.live.get(name)
        return 0 if live is None else live.version

    def begun(self, name: str) -> GraphDraft:
        """A draft as it begins, of what is live; it is not kept yet."""
        base = self._live(name)
        return GraphDraft(name, base, graph=self._beginning(name, base))

    def _beginning(self, name: str, base: int) -> Document:
        return self._versions.version(name, base).source if base else empty(name)

    def put(
        self,
        draft: GraphDraft,
        edit: Edit,
        lines: Sequence[Line],
        taken: Iterable[str] = (),
        freed: Sequence[DraftedFilter] = (),
    ) -> None:
        """Write a draft; the filters that were made one by one are in it as long as their uids are."""
        taken = list(taken)
        check_size(draft.name, draft.graph)
        count, size = self.store.beside(draft.name, taken)
        check_room(self._deployer.settings.limits, count, size + len(_text(draft.graph)))
        uids = names_of(draft.graph)
        filters = tuple(id for id in (*draft.filters, *taken) if id in uids)
        counter = self.store.put(replace(draft, author=edit.author, filters=filters), lines, taken, freed)
        self._tell(draft.name, counter, edit.author, is_gone=False)

    def settle(
        self, draft: GraphDraft, graph: Document, edit: Edit, lines: Sequence[Line], freed: Sequence[DraftedFilter] = ()
    ) -> dict[str, Any]:
        """Write a draft of which something was taken away, or delete it if that is all there was; returns it."""
        changed = replace(draft, graph=graph)
        if graph == self._beginning(draft.name, draft.base):
            self._delete(draft, edit.author, lines, freed)
            return self.shown(changed, edit.rights)
        self.put(changed, edit, lines, freed=freed)
        return self.get(draft.name, edit.rights)

    def _delete(self, draft: GraphDraft, author: str, lines: Sequence[Line], freed: Sequence[DraftedFilter] = ()) -> None:
        """Delete a draft, unless it was saved meanwhile."""
        if self.store.delete(draft.counter, lines, freed):
            self._tell(draft.name, draft.counter, author, is_gone=True)

    def shown(self, draft: GraphDraft, rights: str = ALL) -> dict[str, Any]:
        """A draft as :meth:`get` has it."""
        try:
            self._deployer.read(draft.name, draft.graph, rights)
            problems: tuple[Problem, ...] = ()
        except InvalidGraph as error:
            problems = error.problems or (Problem("", error.message, error.code),)
        return {
            "name": draft.name,
            "graph": draft.graph,
            "base": draft.base,
            "live": self._live(draft.name),
            "counter": draft.counter,
            "by": draft.author,
            "time": rfc3339(self._clock.shown(draft.time)),
            "names": names_of(draft.graph),
            "errors": [problem.to_obj() for problem in problems],
        }


def check_room(limits: Limits, count: int, size: int) -> None:
    """Raise :class:`Conflict` if there are as many drafts already as may be, or if all would have more bytes than they may."""
    if count >= limits.drafts_kept:
        raise Conflict(f"there are {count} drafts (limits.drafts_kept); deploy or delete some", code="drafts.full")
    if size > limits.drafts_bytes:
        raise Conflict(
            f"all drafts together would have more than {limits.drafts_bytes} bytes (limits.drafts_bytes); deploy or delete some",
            code="drafts.full",
        )


def check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise InvalidInput("a graph's name has 1 to 64 letters, digits, - and _", code="graph.name", where=name)


def _text(value: Any) -> bytes:
    return msgspec.json.encode(value)
