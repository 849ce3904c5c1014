"""Calls of clients to the supervisor, through an ingest worker: graphs, versions, drafts, trials, filters, components.

What is shown to clients travels as JSON values, in the form that the HTTP interface documents. All calls may raise errors of
:mod:`pypes.errors`, and :class:`Unavailable` while the supervisor starts or stops.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import msgspec

from pypes.access.audit import ITSELF, AuditQuery, Cause, Entry, Kept
from pypes.access.client import ALL
from pypes.runtime.contracts.fleet import AgreementCalls
from pypes.runtime.contracts.handing import DrainCalls
from pypes.runtime.rpc.contract import Caller, once, stub, while_wanted

#: An object as HTTP shows it.
Shown = dict[str, Any]


class Page(msgspec.Struct, frozen=True):
    """A page of a list. ``next`` is what to give as ``after`` for the page behind it, ``None`` on the last one."""

    entries: list[Shown]
    next: str | int | None


class LogQuery(msgspec.Struct, frozen=True):
    """The log lines that are asked for: of at least ``level``, since a time in seconds since the epoch, of these names.

    ``among``: only those about graphs, all of which have these names or patterns; empty: all.

    ``after`` and ``before`` are positions from a :class:`LogPage`.
    """

    graph: str | None = None
    filter: str | None = None
    receipt: str | None = None
    level: str = ""
    since: float = 0.0
    after: str | None = None
    before: str | None = None
    among: tuple[str, ...] = ()


class LogPage(msgspec.Struct, frozen=True):
    """Log lines, the newest last.

    ``earlier`` is what to give as ``before`` for the lines before these, ``None`` if there are none; ``later`` is what to give as
    ``after`` for those that come behind these.
    """

    logs: list[Shown]
    earlier: str | None
    later: str


class Edit(msgspec.Struct, frozen=True):
    """Whoever changes a graph, and on which condition. ``author`` and ``note``, the reason, are kept with the version.

    ``expected`` are the versions one of which must be live: ``[0]`` for none yet, ``[]`` for any, ``None`` for no condition.
    ``rights`` say which filters may be placed and changed (:class:`pypes.access.client.Client`). ``cause`` is for the audit log.
    """

    author: str = ""
    note: str = ""
    expected: list[int] | None = None
    rights: str = ALL
    cause: Cause = ITSELF


#: The node changes a graph of itself.
OWN_EDIT: Final = Edit()


class GraphCalls(Protocol):
    """Deployed graphs."""

    async def page(self, limit: int, after: str | None = None, among: tuple[str, ...] = ()) -> Page:
        """Summaries by name, of those ``among`` these names and patterns; empty: of all."""

    async def get(self, name: str) -> Shown:
        """One graph. Raises :class:`NotFound`."""

    async def searched(self, name: str, filter: str | None = None) -> Shown:
        """The publisher of a graph that a search asks: ``{filter, component, params}``.

        ``filter`` names one if there are several that can be searched. Raises :class:`NotFound`, :class:`Conflict`.
        """

    async def times(self, name: str) -> Shown:
        """The time that packets take at the filters of a graph, see :func:`pypes.runtime.graphs.times.times_of`.

        Raises :class:`NotFound`.
        """

    async def outboxes(self) -> dict[str, list[str]]:
        """Outboxes, and the graphs that publish to each."""

    async def put(self, name: str, obj: Any, edit: Edit = OWN_EDIT) -> Shown:
        """Check a graph and deploy it; returns it with ``created``.

        ``rights``, ``expected`` and ``cause`` alone, here and in other groups, are as those of an :class:`Edit`.
        """

    async def convert(self, name: str, obj: Any, form: str | None = None, rights: str = ALL) -> Shown:
        """A graph, or a project of the original Pypes, as ``{format, graph, report, errors}``; the graph need not be valid."""

    async def text(self, name: str, origin: str = "live", version: int | None = None) -> str:
        """The canonical text of a graph: what is live, its draft, the file in the folder, or a version."""

    async def written(self, name: str, obj: Any) -> str:
        """The canonical text of a graph that a client has."""

    async def delete(self, name: str, force: bool = False, expected: list[int] | None = None, cause: Cause = ITSELF) -> None:
        """Take a graph down when all that was accepted for it is done; with ``force``, at once."""

    async def rollback(self, name: str, version: int, edit: Edit = OWN_EDIT) -> Shown:
        """Deploy an earlier version again, as a new one."""

    async def pause(self, name: str, is_paused: bool, cause: Cause = ITSELF) -> Shown:
        """Keep the documents of a graph in the queue, or go on with them."""


class VersionCalls(Protocol):
    """Versions of graphs; they outlive the graph."""

    async def page(self, name: str, limit: int, after: int | None = None) -> Page:
        """Versions of a graph, the newest first."""

    async def get(self, name: str, version: int) -> Shown:
        """One version with its graph."""

    async def compare(self, name: str, old: int, new: int) -> Shown:
        """The difference of two versions."""


class CompositeCalls(Protocol):
    """Composites; ``among`` names the graphs of which it is told that they use one, empty: all."""

    async def page(self, limit: int, after: str | None = None, among: tuple[str, ...] = ()) -> Page:
        """Composites by name."""

    async def get(self, name: str, among: tuple[str, ...] = ()) -> Shown:
        """The newest version of a composite. Raises :class:`NotFound`."""

    async def put(self, name: str, obj: Any, edit: Edit = OWN_EDIT) -> Shown:
        """Keep a composite as the newest version; returns it with ``created``."""

    async def delete(self, name: str, expected: list[int] | None = None, cause: Cause = ITSELF) -> None:
        """Have a composite no more. Raises :class:`Conflict` while it is used."""

    async def versions(self, name: str, limit: int, after: int | None = None) -> Page:
        """Versions of a composite, the newest first."""

    async def version(self, name: str, version: int) -> Shown:
        """One version."""


class DraftCalls(Protocol):
    """Graphs that are not deployed yet.

    ``seen`` are counters of which the draft must have one: ``[0]`` for no draft yet, ``None`` for no condition.
    """

    async def page(self, limit: int, after: str | None = None, among: tuple[str, ...] = ()) -> Page:
        """Drafts by name; ``among`` as for graphs."""

    async def get(self, name: str, rights: str = ALL) -> Shown:
        """The draft of a graph, and what is wrong with it yet."""

    async def save(self, name: str, graph: Shown, base: int, seen: list[int], edit: Edit = OWN_EDIT) -> Shown:
        """Keep a whole graph as the draft; returns it with ``created``."""

    async def wire(self, name: str, source: str, target: str, edit: Edit = OWN_EDIT) -> Shown:
        """Draw a wire between two ends, ``filter.port``; returns the draft."""

    async def unwire(self, name: str, source: str, target: str, edit: Edit = OWN_EDIT) -> Shown:
        """Take a drawn wire away; returns the draft."""

    async def deploy(self, name: str, edit: Edit = OWN_EDIT, seen: list[int] | None = None) -> Shown:
        """Deploy a draft, which is gone then."""

    async def discard(self, name: str, edit: Edit = OWN_EDIT, seen: list[int] | None = None) -> None:
        """Delete a draft with its filters."""


class TrialCalls(Protocol):
    """Graphs that are tried out; nothing of it is published."""

    async def validate(self, name: str, obj: Any, rights: str = ALL) -> Shown:
        """Everything that would keep a graph from being deployed under a name."""

    @while_wanted
    async def dryrun(self, name: str, sample: Shown, graph: Any = None, record: str | None = None, *, rights: str = ALL) -> Shown:
        """One document through a graph, the deployed one unless it is given: a report filter by filter.

        ``sample`` is what is posted, as in the tests of a graph. ``record`` names a test that is to be made of it.
        """

    @while_wanted
    async def test(self, name: str, graph: Any = None, tests: list[str] | None = None, *, rights: str = ALL) -> Shown:
        """The tests of a graph, all or some of them: ``{passed, failed, seconds, tests}``."""

    async def shadow(
        self,
        name: str,
        graph: Any = None,
        documents: int = 1000,
        record: int = 0,
        redact: Sequence[str] = (),
        *,
        rights: str = ALL,
        cause: Cause = ITSELF,
    ) -> Shown:
        """Run a candidate on copies of live deliveries; returns ``{shadow: id}`` at once."""

    async def shadow_report(self, name: str, id: str) -> Shown:
        """Report of a shadow so far."""

    async def end_shadow(self, name: str, id: str, cause: Cause = ITSELF) -> None:
        """End a shadow; its report stays for a while."""


class FilterCalls(Protocol):
    """Configured components: drafts, and the nodes of deployed graphs (``graph.filter``)."""

    async def page(self, limit: int, after: str | None = None, among: tuple[str, ...] = ()) -> Page:
        """Filters, drafts last; with ``among``, as for graphs, no drafts."""

    async def get(self, id: str) -> Shown:
        """One filter."""

    async def create(self, component: str, params: Any = None, cause: Cause = ITSELF, *, rights: str = ALL) -> Shown:
        """Draft a filter."""

    async def update(self, id: str, params: Any, edit: Edit = OWN_EDIT) -> Shown:
        """Give a filter other parameters; one of a deployed graph is deployed with them."""

    async def delete(self, id: str, edit: Edit = OWN_EDIT) -> None:
        """Delete a filter."""


class ComponentCalls(Protocol):
    """The catalogue."""

    async def page(self, limit: int, after: str | None = None) -> Page:
        """Components by name."""

    async def get(self, name: str) -> Shown:
        """One component."""

    async def kinds(self, node: str) -> list[str]:
        """Names of the components of one kind."""

    async def rescan(self, cause: Cause = ITSELF) -> dict[str, list[str]]:
        """Look for components again: names that are ``added``, and ``removed``."""


class StoreCalls(Protocol):
    """The stores of filters on this node."""

    async def page(self, name: str, limit: int, after: str | None = None) -> Page:
        """Stores of a graph by filter. Raises :class:`NotFound`."""

    async def clear(self, name: str, filter: str, cause: Cause = ITSELF) -> Shown:
        """Empty the store of a filter: ``{filter, cleared}``. Raises :class:`NotFound`."""


class LogCalls(Protocol):
    """The last log lines of all processes; answered also while the node starts."""

    async def page(self, query: LogQuery, limit: int) -> LogPage:
        """Lines that match, the newest last."""


class TokenCalls(Protocol):
    """The tokens of clients; answered also while the node starts."""

    async def page(self, limit: int, after: str | None = None) -> Page:
        """Tokens by name, without their secrets."""

    async def get(self, name: str) -> Shown:
        """One token. Raises :class:`NotFound`."""

    @once
    async def create(self, name: str, wanted: Shown, cause: Cause = ITSELF) -> Shown:
        """Make a token; returns it with its ``secret``.

        ``wanted`` has some of ``scopes``, ``graphs``, ``expires``, in seconds since the epoch, and ``budget``, numbers by kind.
        """

    async def change(self, name: str, changes: Shown, cause: Cause = ITSELF) -> Shown:
        """Give a token what ``changes`` have, as for :meth:`create`; all else stays."""

    async def revoke(self, name: str, cause: Cause = ITSELF) -> None:
        """Let a token allow nothing any more."""


class AuditCalls(Protocol):
    """The audit log of what the supervisor changes; answered also while the node starts."""

    async def lines(self, query: AuditQuery, limit: int) -> list[Entry]:
        """Up to ``limit`` lines that match, in the order that the query asks for."""

    async def kept(self) -> Kept:
        """The lines that there should be."""

    @once
    async def note(self, cause: Cause) -> None:
        """Write the line of what a worker is about to change of itself."""


class Control:
    """All that clients may ask, each group a contract of its own; ``caller`` does the calls, as ``graphs.put`` and so on."""

    def __init__(self, caller: Caller) -> None:
        self.graphs = stub(GraphCalls, caller, "graphs.")
        self.versions = stub(VersionCalls, caller, "versions.")
        self.composites = stub(CompositeCalls, caller, "composites.")
        self.drafts = stub(DraftCalls, caller, "drafts.")
        self.trials = stub(TrialCalls, caller, "trials.")
        self.filters = stub(FilterCalls, caller, "filters.")
        self.components = stub(ComponentCalls, caller, "components.")
        self.stores = stub(StoreCalls, caller, "stores.")
        self.logs = stub(LogCalls, caller, "logs.")
        self.tokens = stub(TokenCalls, caller, "tokens.")
        self.audit = stub(AuditCalls, caller, "audit.")
        self.drain = stub(DrainCalls, caller, "drain.")
        #: Calls of other members of the fleet, which are passed on.
        self.agreement = stub(AgreementCalls, caller, "agreement.")
