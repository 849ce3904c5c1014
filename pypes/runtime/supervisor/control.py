"""Answers to the calls of clients: a small class for each contract of :mod:`pypes.runtime.contracts.control`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from pypes.access.audit import ITSELF, Cause
from pypes.access.client import ALL, is_among
from pypes.access.issuing import shown
from pypes.core.clock import wall
from pypes.core.secrets import masked
from pypes.errors import Draining, PypesError
from pypes.ingest.receipt import rfc3339
from pypes.runtime.contracts.control import (
    OWN_EDIT,
    AuditCalls,
    ComponentCalls,
    CompositeCalls,
    DraftCalls,
    Edit,
    FilterCalls,
    GraphCalls,
    LogCalls,
    LogPage,
    LogQuery,
    Page,
    Shown,
    StoreCalls,
    TokenCalls,
    TrialCalls,
    VersionCalls,
)
from pypes.runtime.contracts.events import EventCalls
from pypes.runtime.contracts.fleet import AgreementCalls
from pypes.runtime.contracts.handing import DrainCalls
from pypes.runtime.contracts.supervisor import NodeStatus, WorkerCalls
from pypes.runtime.graphs.pages import COMPONENTS, COMPOSITES, DRAFTS, FILTERS, GRAPHS, STORES, TOKENS, VERSIONS, page
from pypes.runtime.graphs.texts import LIVE, GraphTexts
from pypes.runtime.rpc import Peer
from pypes.runtime.rpc.contract import answer, methods_of

if TYPE_CHECKING:
    from pypes.access.issuing import Issuer
    from pypes.access.token import Token
    from pypes.ingest.dispatch.topology import Topology
    from pypes.runtime.graphs.deployer import Deployer
    from pypes.runtime.graphs.dryrun import DryRuns
    from pypes.runtime.graphs.filters import Filters
    from pypes.runtime.graphs.shadows import Shadows
    from pypes.runtime.graphs.stepwise import Steps
    from pypes.runtime.graphs.versions import Versions
    from pypes.runtime.supervisor.logbook import LogBook
    from pypes.runtime.supervisor.workers import Workers

#: Groups that are answered while the node starts: the log says why it does not, and a token must be revoked at any time.
_ALWAYS = frozenset({"audit", "logs", "tokens"})

Answer = Callable[[str, dict[str, Any]], Awaitable[Any]]


class Control:
    """Answers calls; ``wait_started`` holds those of clients back, which need the catalogue, until there is one.

    What a client asked for is given up when ``wait_stopping`` is over: a deployment may take longer than the grace.
    """

    def __init__(
        self,
        deployer: Deployer,
        versions: Versions,
        steps: Steps,
        dryruns: DryRuns,
        shadows: Shadows,
        filters: Filters,
        workers: Workers,
        events: EventCalls,
        logbook: LogBook,
        issuer: Issuer,
        audit: AuditCalls,
        draining: DrainCalls,
        status: Callable[[], NodeStatus],
        metrics: Callable[[bool], str],
        lost: Callable[[int], bool],
        rescan: Callable[[Cause], Awaitable[dict[str, list[str]]]],
        wait_started: Callable[[], Awaitable[Any]],
        wait_stopping: Callable[[], Awaitable[Any]],
        agreement: AgreementCalls | None = None,
    ) -> None:
        self._agreement = agreement
        self._workers = workers
        self._events = events
        self._status = status
        self._metrics = metrics
        self._lost = lost
        self._wait_started = wait_started
        self._wait_stopping = wait_stopping
        graphs = _Graphs(deployer, GraphTexts(deployer, versions, steps.drafts))
        components = _Components(deployer, rescan)
        tried = _Trials(dryruns, shadows)
        self._desks: Mapping[str, Answer] = {
            "graphs": lambda method, params: answer(GraphCalls, graphs, method, params),
            "versions": lambda method, params: answer(VersionCalls, _Versions(versions), method, params),
            "composites": lambda method, params: answer(CompositeCalls, _Composites(deployer), method, params),
            "drafts": lambda method, params: answer(DraftCalls, _Drafts(steps), method, params),
            "trials": lambda method, params: answer(TrialCalls, tried, method, params),
            "filters": lambda method, params: answer(FilterCalls, _Filters(filters), method, params),
            "stores": lambda method, params: answer(StoreCalls, _Stores(deployer), method, params),
            "components": lambda method, params: answer(ComponentCalls, components, method, params),
            "logs": lambda method, params: answer(LogCalls, _Logs(logbook), method, params),
            "tokens": lambda method, params: answer(TokenCalls, _Tokens(issuer), method, params),
            "audit": lambda method, params: answer(AuditCalls, audit, method, params),
            "drain": lambda method, params: answer(DrainCalls, draining, method, params),
        }

    async def handle(self, peer: Peer, method: str, params: dict[str, Any]) -> Any:
        """Answer one call; raises errors of :mod:`pypes.errors`."""
        group, dot, name = method.partition(".")
        if not dot and method in methods_of(WorkerCalls):
            session = _Session(peer, self._workers, self._lost, self._status, self._metrics)
            return await answer(WorkerCalls, session, method, params)
        if group == "events":
            # they tell of the start and of the end as well
            return await answer(EventCalls, self._events, name, params)
        if group == "agreement" and self._agreement is not None:
            # between nodes, that is as it is: nothing of it is shown to anybody
            return await answer(AgreementCalls, self._agreement, name, params)
        desk = self._desks.get(group)
        if desk is None:
            raise PypesError(f"there is no control method {method!r}", code="control.unknown_method")
        if group not in _ALWAYS:
            await self._wait_started()
        answering = asyncio.ensure_future(desk(name, params))
        stopping = asyncio.ensure_future(self._wait_stopping())
        try:
            await asyncio.wait([answering, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                raise Draining("the server is stopping; ask again after its restart")
            return masked(msgspec.to_builtins(answering.result()))
        finally:
            for task in (answering, stopping):
                task.cancel()
            await asyncio.gather(answering, stopping, return_exceptions=True)


class _Session:
    """One worker's connection, see :class:`WorkerCalls`."""

    def __init__(
        self,
        peer: Peer,
        workers: Workers,
        lost: Callable[[int], bool],
        status: Callable[[], NodeStatus],
        metrics: Callable[[bool], str],
    ) -> None:
        self._peer = peer
        self._workers = workers
        self._lost = lost
        self._status = status
        self._metrics = metrics

    async def hello(self, pid: int, slot: int) -> Topology:
        return self._workers.hello(self._peer, pid, slot)

    async def ready(self) -> None:
        self._workers.ready(self._peer)

    async def lost(self, id: int) -> bool:
        return self._lost(id)

    async def drained(self, queued: int) -> None:
        self._workers.drained(self._peer, queued)

    async def status(self) -> NodeStatus:
        return self._status()

    async def metrics(self, is_openmetrics: bool) -> str:
        return self._metrics(is_openmetrics)


class _Logs:
    def __init__(self, logbook: LogBook) -> None:
        self._logbook = logbook

    async def page(self, query: LogQuery, limit: int) -> LogPage:
        return self._logbook.page(query, limit)


def _among(entries: Iterable[Shown], graphs: tuple[str, ...]) -> list[Shown]:
    """Those with the names of some graphs, or fitting their patterns; all without any."""
    return [entry for entry in entries if not graphs or is_among(entry["name"], graphs)]


def _is_of(filter: str, graphs: tuple[str, ...]) -> bool:
    """True for a filter of one of the graphs; a draft is of none."""
    graph, dot, _ = filter.partition(".")
    return bool(dot) and is_among(graph, graphs)


class _Graphs:
    def __init__(self, deployer: Deployer, texts: GraphTexts) -> None:
        self._deployer = deployer
        self._texts = texts
        self.put = deployer.put
        self.delete = deployer.delete
        self.rollback = deployer.rollback
        self.pause = deployer.pause

    async def page(self, limit: int, after: str | None = None, among: tuple[str, ...] = ()) -> Page:
        return page(GRAPHS, _among(self._deployer.summaries(), among), limit, after)

    async def outboxes(self) -> dict[str, list[str]]:
        return self._deployer.outboxes()

    async def get(self, name: str) -> Shown:
        return self._deployer.get(name)

    async def searched(self, name: str, filter: str | None = None) -> Shown:
        return self._deployer.searched(name, filter)

    async def times(self, name: str) -> Shown:
        return self._deployer.times(name)

    async def convert(self, name: str, obj: Any, form: str | None = None, rights: str = ALL) -> Shown:
        return self._texts.converted(name, obj, form, rights)

    async def text(self, name: str, origin: str = LIVE, version: int | None = None) -> str:
        return self._texts.of(name, origin, version)

    async def written(self, name: str, obj: Any) -> str:
        return self._texts.written(name, obj)


class _Versions:
    def __init__(self, versions: Versions) -> None:
        self._versions = versions

    async def page(self, name: str, limit: int, after: int | None = None) -> Page:
        return page(VERSIONS, self._versions.all(name), limit, after)

    async def get(self, name: str, version: int) -> Shown:
        return self._versions.one(name, version)

    async def compare(self, name: str, old: int, new: int) -> Shown:
        return self._versions.compare(name, old, new)


class _Composites:
    def __init__(self, deployer: Deployer) -> None:
        self._composites = deployer.composites

    async def page(self, limit: int, after: str | None = None, among: tuple[str, ...] = ()) -> Page:
        return page(COMPOSITES, self._composites.summaries(among), limit, after)

    async def get(self, name: str, among: tuple[str, ...] = ()) -> Shown:
        return self._composites.get(name, among)

    async def put(self, name: str, obj: Any, edit: Edit = OWN_EDIT) -> Shown:
        return self._composites.put(name, obj, edit)

    async def delete(self, name: str, expected: list[int] | None = None, cause: Cause = ITSELF) -> None:
        self._composites.delete(name, expected, cause)

    async def versions(self, name: str, limit: int, after: int | None = None) -> Page:
        return page(VERSIONS, self._composites.versions(name), limit, after)

    async def version(self, name: str, version: int) -> Shown:
        return self._composites.version(name, version)


class _Drafts:
    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._drafts = steps.drafts
        self.deploy = steps.drafts.deploy

    async def page(self, limit: int, after: str | None = None, among: tuple[str, ...] = ()) -> Page:
        return page(DRAFTS, _among(self._drafts.all(), among), limit, after)

    async def get(self, name: str, rights: str = ALL) -> Shown:
        return self._drafts.get(name, rights)

    async def save(self, name: str, graph: Shown, base: int, seen: list[int], edit: Edit = OWN_EDIT) -> Shown:
        return self._drafts.save(name, graph, base, seen, edit)

    async def wire(self, name: str, source: str, target: str, edit: Edit = OWN_EDIT) -> Shown:
        return self._steps.wire(name, source, target, edit)

    async def unwire(self, name: str, source: str, target: str, edit: Edit = OWN_EDIT) -> Shown:
        return self._steps.unwire(name, source, target, edit)

    async def discard(self, name: str, edit: Edit = OWN_EDIT, seen: list[int] | None = None) -> None:
        self._drafts.discard(name, edit, seen)


class _Trials:
    def __init__(self, dryruns: DryRuns, shadows: Shadows) -> None:
        self._dryruns = dryruns
        self._shadows = shadows
        self.dryrun = dryruns.run
        self.test = dryruns.test
        self.shadow = shadows.start
        self.end_shadow = shadows.end

    async def validate(self, name: str, obj: Any, rights: str = ALL) -> Shown:
        return self._dryruns.validate(name, obj, rights)

    async def shadow_report(self, name: str, id: str) -> Shown:
        return self._shadows.get(name, id)


class _Filters:
    def __init__(self, filters: Filters) -> None:
        self._filters = filters
        self.update = filters.update
        self.delete = filters.delete

    async def page(self, limit: int, after: str | None = None, among: tuple[str, ...] = ()) -> Page:
        found = self._filters.summaries()
        return page(FILTERS, [each for each in found if not among or _is_of(each["id"], among)], limit, after)

    async def get(self, id: str) -> Shown:
        return self._filters.get(id)

    async def create(self, component: str, params: Any = None, cause: Cause = ITSELF, *, rights: str = ALL) -> Shown:
        return self._filters.create(component, {} if params is None else params, cause, rights=rights)


class _Components:
    def __init__(self, deployer: Deployer, rescan: Callable[[Cause], Awaitable[dict[str, list[str]]]]) -> None:
        self._deployer = deployer
        self._rescan = rescan

    async def page(self, limit: int, after: str | None = None) -> Page:
        catalogue = self._deployer.catalogue
        assert catalogue is not None
        return page(COMPONENTS, [spec.to_obj() for spec in catalogue.values()], limit, after)

    async def get(self, name: str) -> Shown:
        catalogue = self._deployer.catalogue
        assert catalogue is not None
        return catalogue.find(name).to_obj()

    async def kinds(self, node: str) -> list[str]:
        catalogue = self._deployer.catalogue
        assert catalogue is not None
        return catalogue.by_kind(node)

    async def rescan(self, cause: Cause = ITSELF) -> dict[str, list[str]]:
        return await self._rescan(cause)


class _Stores:
    def __init__(self, deployer: Deployer) -> None:
        self._deployer = deployer
        self._stores = deployer.launcher.stores

    async def page(self, name: str, limit: int, after: str | None = None) -> Page:
        self._deployer.get(name)
        return page(STORES, await self._stores.all(name), limit, after)

    async def clear(self, name: str, filter: str, cause: Cause = ITSELF) -> Shown:
        self._deployer.get(name)
        return await self._stores.clear(name, filter, cause)


class _Tokens:
    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    async def page(self, limit: int, after: str | None = None) -> Page:
        return page(TOKENS, map(_token, self._issuer.all()), limit, after)

    async def get(self, name: str) -> Shown:
        return _token(self._issuer.get(name))

    async def create(self, name: str, wanted: Shown, cause: Cause = ITSELF) -> Shown:
        token, secret = self._issuer.create(name, cause=cause, **{"scopes": (), **wanted})
        return {**_token(token), "secret": secret}

    async def change(self, name: str, changes: Shown, cause: Cause = ITSELF) -> Shown:
        return _token(self._issuer.change(name, changes, cause))

    async def revoke(self, name: str, cause: Cause = ITSELF) -> None:
        self._issuer.revoke(name, cause)


def _token(token: Token) -> Shown:
    return shown(token, wall(), rfc3339)
