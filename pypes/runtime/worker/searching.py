"""Searching: asks the publishers of a graph that can be searched, in a process of its own.

What a third party wrote runs there, and so does what takes long: neither the loop of the worker nor its interpreter lock waits
for a search, and one that takes all the memory or never ends costs that process alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from pypes.component import Component
from pypes.component.searching import SearchQuery
from pypes.core.limits import MIB
from pypes.core.paths import Paths
from pypes.errors import Conflict, NotFound, PypesError, Unavailable
from pypes.graph.spec import ComponentSpec
from pypes.placement.executor import ExecutorClosed, ExecutorFull
from pypes.placement.pool_process import Bounds, ItemLost
from pypes.placement.process_executor import ProcessExecutor, processes
from pypes.runtime.making import Site

#: A search gives itself up after so long, and is ended when that did not help: a model may have to be loaded as well.
SEARCH_S: Final = 10.0
LATE_S: Final = 30.0
#: Address space of the process. Libraries for arrays reserve much more than they use.
MAX_BYTES: Final = 4096 * MIB
#: Searches that wait for the one that runs; more are refused.
MOST_WAITING: Final = 16
#: Components that are kept configured, with the models that they have loaded.
MOST_KEPT: Final = 8


class Searched(NamedTuple):
    """A publisher of a graph: its filter, the component as ``ComponentSpec.to_obj`` tells it, and its parameters."""

    filter: str
    component: Mapping[str, Any]
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Search:
    """A question to the publishers of a graph, of which ``index`` names one if there are several."""

    graph: str
    publishers: Sequence[Searched]
    index: str | None
    data_dir: str
    query: SearchQuery


class SearchWork:
    """Answers searches, in the process."""

    def __init__(self) -> None:
        self._kept: dict[str, Component] = {}

    def setup(self) -> None:
        """Nothing is loaded before it is asked."""

    def run(self, search: Search) -> Mapping[str, Any] | PypesError:
        """The answer; or the error that is to be told, which loses nothing as a value."""
        try:
            component = self._chosen(search)
            answer: Mapping[str, Any] = component.search(search.query)
            return answer
        except PypesError as error:
            return error

    def close(self) -> None:
        """Nothing to let go of: components are never set up here."""

    def _chosen(self, search: Search) -> Any:
        found = {}
        for each in search.publishers:
            component = self._made(each, search.data_dir)
            if getattr(component, "search", None) is not None:
                found[each.filter] = component
        names = ", ".join(found)
        if search.index is not None:
            if search.index not in found:
                told = f"; those that can be are {names}" if names else ""
                raise NotFound(
                    f"graph {search.graph!r} has no publisher {search.index!r} that can be searched{told}", code="search.no_index"
                )
            return found[search.index]
        if not found:
            raise NotFound(
                f"graph {search.graph!r} publishes to nothing that can be searched; name another one with graph=",
                code="search.no_index",
                where=search.graph,
            )
        if len(found) > 1:
            raise Conflict(
                f"graph {search.graph!r} has several publishers that can be searched; name one with index=: {names}",
                code="search.several",
                where=search.graph,
            )
        return next(iter(found.values()))

    def _made(self, each: Searched, data_dir: str) -> Component:
        key = repr((each, data_dir))
        component = self._kept.pop(key, None)
        if component is None:
            spec = ComponentSpec.from_obj(each.component)
            component = Site(Paths(data_dir=data_dir)).make(spec, each.params, each.filter)
        self._kept[key] = component
        if len(self._kept) > MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        return component


class Searches:
    """Searches of one worker; the process is started for the first one."""

    def __init__(self) -> None:
        self._executor: ProcessExecutor | None = None
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def ask(self, search: Search) -> Mapping[str, Any]:
        """The answer of a publisher. Raises what that raises, :class:`Unavailable` if there is no room or no time."""
        if self._waiting >= MOST_WAITING:
            raise Unavailable(f"{MOST_WAITING} searches wait already; ask again later", code="search.busy")
        self._waiting += 1
        try:
            async with self._turn:
                return await self._ask(search)
        finally:
            self._waiting -= 1

    async def _ask(self, search: Search) -> Mapping[str, Any]:
        if self._executor is None:
            executor = processes(SearchWork, 1, Bounds(MAX_BYTES, LATE_S), "search")
            await asyncio.to_thread(executor.setup)
            self._executor = executor
        try:
            # shielded: the process goes on with it when nobody waits for it any more
            (outcome,) = await asyncio.shield(asyncio.wrap_future(self._executor.submit([search])))
        except (ExecutorClosed, ExecutorFull) as error:
            raise Unavailable("the searches of before are not done yet; ask again later", code="search.busy") from error
        if isinstance(outcome.error, ItemLost):
            raise Unavailable(f"the search was ended: {outcome.error}", code="search.lost") from outcome.error
        if outcome.error is not None:
            raise outcome.error
        if isinstance(outcome.value, PypesError):
            raise outcome.value
        answer: Mapping[str, Any] = outcome.value
        return answer

    async def close(self) -> None:
        """End the process."""
        executor, self._executor = self._executor, None
        if executor is not None:
            with suppress(ExecutorClosed):
                await asyncio.to_thread(executor.close)
