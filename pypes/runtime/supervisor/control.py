"""What an ingest worker may ask the supervisor, and what it is told unasked (the transport is :mod:`pypes.runtime.rpc`).

A worker's life on the control socket::

    → hello {pid, slot}         first; the answer is the topology
    → ready {}                  it serves
    ← topology {…}              whenever it changed; always complete (see Deployments.topology), plus ``ready``
    ← gone {id, death}          an instance is dead and reaped: what it had may go to another one; of what it died (see Death)
    → lost {id}                 an instance cannot be reached: kill it, then say that it is gone
    ← drain {grace_s}           answer 503, finish what is queued
    → drained {queued}          done, or as far as it got when the grace was over: deliveries that stay queued

Everything else is asked on behalf of clients and answered as the HTTP interface shows it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from pypes.core.secrets import masked
from pypes.errors import Draining, PypesError
from pypes.graph import codec, pypes1
from pypes.runtime.graphs.pages import page
from pypes.runtime.rpc import Peer

if TYPE_CHECKING:
    from pypes.runtime.graphs.deployment import Deployments
    from pypes.runtime.graphs.drafts import GraphDrafts
    from pypes.runtime.graphs.dryrun import DryRuns
    from pypes.runtime.graphs.filters import Filters
    from pypes.runtime.graphs.shadows import Shadows
    from pypes.runtime.graphs.versions import Versions
    from pypes.runtime.supervisor.workers import Workers

Method = Callable[..., Awaitable[Any]]


class Control:
    """Answers calls; ``wait_started`` holds those back that need the catalogue until there is one.

    What a client asked for is given up when ``wait_stopping`` is over: a deployment may take longer than the grace.
    """

    def __init__(
        self,
        deployments: Deployments,
        versions: Versions,
        drafts: GraphDrafts,
        dryruns: DryRuns,
        shadows: Shadows,
        filters: Filters,
        workers: Workers,
        status: Callable[[], dict[str, Any]],
        lost: Callable[[int], bool],
        rescan: Callable[[], Awaitable[dict[str, list[str]]]],
        wait_started: Callable[[], Awaitable[Any]],
        wait_stopping: Callable[[], Awaitable[Any]],
    ) -> None:
        self._deployments = deployments
        self._versions = versions
        self._drafts = drafts
        self._dryruns = dryruns
        self._shadows = shadows
        self._filters = filters
        self._workers = workers
        self._status = status
        self._lost = lost
        self._wait_started = wait_started
        self._wait_stopping = wait_stopping
        self._methods: dict[str, Method] = {
            "graphs.list": self._graphs_list,
            "graphs.get": self._graphs_get,
            "graphs.put": deployments.put,
            "graphs.convert": self._graphs_convert,
            "graphs.delete": deployments.delete,
            "graphs.rollback": deployments.rollback,
            "graphs.pause": deployments.pause,
            "graphs.validate": self._graphs_validate,
            "graphs.dryrun": dryruns.run,
            "graphs.shadow": shadows.start,
            "graphs.shadow_report": self._graphs_shadow_report,
            "graphs.shadow_end": shadows.end,
            "graphs.wire": self._graphs_wire,
            "graphs.unwire": self._graphs_unwire,
            "graphs.drafts": self._graphs_drafts,
            "graphs.draft": self._graphs_draft,
            "graphs.discard": self._graphs_discard,
            "graphs.deploy": drafts.deploy,
            "graphs.versions": self._graphs_versions,
            "graphs.version": self._graphs_version,
            "graphs.compare": self._graphs_compare,
            "filters.list": self._filters_list,
            "filters.get": self._filters_get,
            "filters.create": self._filters_create,
            "filters.update": filters.update,
            "filters.delete": filters.delete,
            "page": self._page,
            "components.rescan": rescan,
            "components.list": self._components_list,
            "components.get": self._components_get,
            "components.kinds": self._components_kinds,
        }

    async def handle(self, peer: Peer, method: str, params: dict[str, Any]) -> Any:
        """Answer one call; raises errors of :mod:`pypes.errors`."""
        match method:
            case "hello":
                return self._workers.hello(peer, **params)
            case "ready":
                return self._workers.ready(peer)
            case "drained":
                return self._workers.drained(peer, **params)
            case "lost":
                return self._lost(params["id"])
            case "status":
                return self._status()
        found = self._methods.get(method)
        if found is None:
            raise PypesError(f"there is no control method {method!r}", code="control.unknown_method")
        await self._wait_started()
        answer = asyncio.ensure_future(found(**params))
        stopping = asyncio.ensure_future(self._wait_stopping())
        try:
            await asyncio.wait([answer, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise Draining("the server is stopping; ask again when it is back")
            return masked(answer.result())
        finally:
            for task in (answer, stopping):
                task.cancel()
            await asyncio.gather(answer, stopping, return_exceptions=True)

    async def _page(self, of: str, limit: int, after: str | int | None = None, **params: Any) -> Any:
        """A page of what another method lists, see :mod:`pypes.runtime.graphs.pages`."""
        return page(of, await self._methods[of](**params), limit, after)

    async def _graphs_list(self) -> Any:
        return self._deployments.summaries()

    async def _graphs_get(self, name: str) -> Any:
        return self._deployments.get(name)

    async def _graphs_convert(self, name: str, obj: Any) -> Any:
        """A project of the original Pypes as a graph, which need not be valid, and what of it has no counterpart."""
        catalogue = self._deployments.catalogue
        assert catalogue is not None
        imported = pypes1.from_obj(obj, name, catalogue)
        return {"graph": codec.to_obj(imported.graph), "report": [problem.to_obj() for problem in imported.report]}

    async def _graphs_wire(self, name: str, source: str, target: str) -> Any:
        return self._drafts.wire(name, source, target)

    async def _graphs_unwire(self, name: str, source: str, target: str) -> Any:
        return self._drafts.unwire(name, source, target)

    async def _graphs_drafts(self) -> Any:
        return self._drafts.all()

    async def _graphs_draft(self, name: str) -> Any:
        return self._drafts.get(name)

    async def _graphs_discard(self, name: str) -> Any:
        return self._drafts.discard(name)

    async def _graphs_validate(self, name: str, obj: Any) -> Any:
        return self._dryruns.validate(name, obj)

    async def _graphs_shadow_report(self, name: str, id: str) -> Any:
        return self._shadows.get(name, id)

    async def _graphs_versions(self, name: str) -> Any:
        return self._versions.all(name)

    async def _graphs_version(self, name: str, version: int) -> Any:
        return self._versions.one(name, version)

    async def _graphs_compare(self, name: str, old: int, new: int) -> Any:
        return self._versions.compare(name, old, new)

    async def _filters_list(self, node: str | None = None) -> Any:
        """Component names of one kind, as the original did; without a kind, all filters."""
        return await self._components_kinds(node) if node is not None else self._filters.summaries()

    async def _filters_get(self, id: str) -> Any:
        return self._filters.get(id)

    async def _filters_create(self, component: str, params: Any = None) -> Any:
        return self._filters.create(component, {} if params is None else params)

    async def _components_list(self) -> Any:
        catalogue = self._deployments.catalogue
        assert catalogue is not None
        return [catalogue[name].to_obj() for name in sorted(catalogue)]

    async def _components_get(self, name: str) -> Any:
        catalogue = self._deployments.catalogue
        assert catalogue is not None
        return catalogue.find(name).to_obj()

    async def _components_kinds(self, node: str) -> Any:
        catalogue = self._deployments.catalogue
        assert catalogue is not None
        return catalogue.by_kind(node)
