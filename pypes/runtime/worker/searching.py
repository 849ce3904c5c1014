"""Searching: asks a publisher of a graph that can be searched, in a process of its own.

What a third party wrote runs there, and so does what takes long: neither the loop of the worker nor its interpreter lock waits
for a search, and one that takes all the memory or never ends costs that process alone. Questions and answers travel as JSON:
nothing that was made there is unpickled here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import orjson

from pypes.component import Component
from pypes.component.searching import SearchQuery
from pypes.core.limits import MIB
from pypes.core.paths import Paths
from pypes.errors import Draining, PypesError, Reject, Retry, Unavailable
from pypes.graph.spec import ComponentSpec
from pypes.observe.hiding import Hiding
from pypes.placement.executor import ExecutorClosed, ExecutorFull
from pypes.placement.keeper import LocalKeeper
from pypes.placement.pool_process import Bounds
from pypes.placement.process_executor import ProcessExecutor
from pypes.placement.words import UserWords
from pypes.runtime.making import Site
from pypes.runtime.rpc.transport import error_from_obj, error_to_obj

#: A search gives itself up after so long, and is ended when that did not help: a model may have to be loaded as well.
SEARCH_S: Final = 10.0
LATE_S: Final = 30.0
#: Address space of the process. Libraries for arrays reserve much more than they use.
MAX_BYTES: Final = 4096 * MIB
#: Longest answer.
ANSWER_BYTES: Final = 64 * MIB
#: Searches that wait for the one that runs; more are refused.
MOST_WAITING: Final = 16
#: Components that are kept configured, with the models that they have loaded.
MOST_KEPT: Final = 8


@dataclass(frozen=True, slots=True)
class Search:
    """A question to a publisher of a graph: its filter, the component as ``ComponentSpec.to_obj`` tells it, its parameters."""

    graph: str
    filter: str
    component: Mapping[str, Any]
    params: Mapping[str, Any]
    data_dir: str
    query: SearchQuery


class SearchWork:
    """Answers searches, in the process: the question and the answer are JSON, as :meth:`Searches.ask` writes and reads them."""

    def __init__(self) -> None:
        self._kept: dict[str, Component] = {}
        #: Without the secrets in parameters of all components that were asked.
        self.hiding = Hiding()

    def setup(self) -> None:
        """Nothing is loaded before it is asked."""

    def run(self, question: bytes) -> list[Any]:
        """``[True, answer]``, or ``[False, error]`` for one that is to be told, which loses nothing as a value."""
        search = msgspec.json.decode(question, type=Search)
        try:
            with self.hiding.secrets.kept():
                component: Any = self._made(search)
                return [True, orjson.dumps({**component.search(search.query), "graph": search.graph})]
        except PypesError as error:
            return [False, orjson.dumps(error_to_obj(error))]

    def close(self) -> None:
        """Nothing to let go of: components are never set up here."""

    def _made(self, search: Search) -> Component:
        key = repr((search.filter, search.component, search.params, search.data_dir))
        component = self._kept.pop(key, None)
        if component is None:
            spec = ComponentSpec.from_obj(search.component)
            site = Site(Paths(data_dir=search.data_dir), secrets=self.hiding.secrets)
            component = site.make(spec, search.params, search.filter)
        self._kept[key] = component
        if len(self._kept) > MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        return component


class Searches:
    """Searches of one worker; the process is started for the first one."""

    def __init__(self) -> None:
        self._executor: ProcessExecutor | None = None
        #: The set-up of the process, while it is under way.
        self._starting: asyncio.Task[None] | None = None
        self._is_closed = False
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def ask(self, search: Search) -> bytes:
        """The answer of a publisher with the name of its graph, as JSON.

        Raises what the publisher raises, and :class:`Unavailable` if there is no room or no time, or it cannot do it now.
        """
        if self._waiting >= MOST_WAITING:
            raise Unavailable(f"{MOST_WAITING} searches wait already; ask again later", code="search.busy")
        self._waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting -= 1
        try:
            return await self._ask(msgspec.json.encode(search))
        finally:
            self._turn.release()

    async def _ask(self, question: bytes) -> bytes:
        executor = await self._started()
        try:
            # shielded: the process goes on with it when nobody waits for it any more
            (outcome,) = await asyncio.shield(asyncio.wrap_future(executor.submit([question])))
        except (ExecutorClosed, ExecutorFull) as error:
            raise Unavailable("the searches of before are not done yet; ask again later", code="search.busy") from error
        if isinstance(outcome.error, Reject | Retry):  # so is what has ended its process, or was late
            raise Unavailable(f"the search was ended: {outcome.error}", code="search.lost") from outcome.error
        if outcome.error is not None:
            raise outcome.error
        is_answer, data = outcome.value
        if not is_answer:
            raise error_from_obj(orjson.loads(data))
        answer: bytes = data
        return answer

    async def _started(self) -> ProcessExecutor:
        """The executor, set up; who asks may be gone before that is done, and the next one finds it."""
        if self._is_closed:
            raise Draining("the node is stopping")
        if self._executor is None:
            if self._starting is None:
                self._starting = asyncio.create_task(self._start())
            await asyncio.shield(self._starting)
        assert self._executor is not None
        return self._executor

    async def _start(self) -> None:
        speech = UserWords()
        keeper = LocalKeeper(SearchWork, 1, Bounds(MAX_BYTES, LATE_S), "search", speech=speech)
        executor = ProcessExecutor(keeper, speech, ANSWER_BYTES)
        try:
            await asyncio.to_thread(executor.setup)
            self._executor = executor
        finally:
            self._starting = None

    async def close(self) -> None:
        """End the process, also one that is being set up."""
        self._is_closed = True
        if self._starting is not None:
            await asyncio.wait([self._starting])
        executor, self._executor = self._executor, None
        if executor is not None:
            await asyncio.to_thread(executor.close)
