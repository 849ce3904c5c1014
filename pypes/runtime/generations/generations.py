"""The generations of a node: the instances that each deployment started.

A new generation is started beside the others; only when all of its instances are ready does it take over its graphs. The others
let go of those, and one with nothing left drains and ends: the generations that serve host different graphs, each graph in one.
Where memory is short it takes over instance by instance instead, each when the one in its place has ended.
An instance that dies is reaped first, then announced as gone, then replaced: a delivery is never in two living instances. The
reason is announced once, as far as its exit code and its crash record tell it. An instance whose interpreter does not move any
more is ended from here.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pypes import logs
from pypes.core.lifeline import ProcessGroup
from pypes.core.watched_tasks import OnFailed, WatchedTasks
from pypes.ingest.outcome import ExitReason
from pypes.observe import Observer, guarded
from pypes.observe.gathering import Gathering
from pypes.observe.metrics import INSTANCE_RESTARTS
from pypes.runtime.generations.backoff import FIRST_S
from pypes.runtime.generations.generation import Generation, Instance, SetupFailure, about, cause_of, ending_of, in_words
from pypes.runtime.generations.parting import end, part
from pypes.runtime.generations.told import EndedCounts, RestingNews, former, no_endings, resting
from pypes.runtime.instance.spec import InstanceSpec
from pypes.runtime.pools.order import pools_of

#: Deaths of an instance during set-up, without saying why, after which its generation is given up.
DEATHS_AT_SETUP = 3
#: Seconds between two looks at whether the interpreters of the instances still move.
LOOK_S = 0.25


class Generations:
    """Starts, watches and replaces instances. Used in the supervisor's event loop; :meth:`reap` is its SIGCHLD handler.

    ``on_change()`` is called when the set of ready instances changed, ``on_gone(id, reason)`` after an instance was reaped,
    ``on_failed(name)`` when a bug of ours has left it in a state that it cannot go on from.
    ``lifeline_fd`` is the reading end of the supervisor's lifeline. An ``observer`` is told of instances, ``gathering`` has what
    they count, beyond their end.
    """

    def __init__(
        self,
        runtime_dir: Path,
        lifeline_fd: int,
        on_change: Callable[[], None],
        on_gone: Callable[[int, ExitReason], None],
        on_failed: OnFailed,
        observer: Observer | None = None,
        gathering: Gathering | None = None,
    ) -> None:
        #: The generations that serve, the oldest first.
        self.live: list[Generation] = []
        #: The generation that takes the place of :attr:`live` instance by instance; those that are ready take deliveries.
        self._incoming: Generation | None = None
        #: The last instances that ended unasked.
        self.endings = no_endings()
        self._grace_s = 0.0
        self._runtime_dir = runtime_dir
        self._lifeline = Connection(os.dup(lifeline_fd), writable=False)
        self._on_change = on_change
        self._on_gone = on_gone
        self._observer = guarded(observer) or Observer()
        self._gathering = gathering or Gathering()
        self._all: list[Generation] = []
        self._leftovers: list[ProcessGroup] = []
        self._draining: set[asyncio.Task[None]] = set()
        self._tasks = WatchedTasks(on_failed)
        self._ended_counts = EndedCounts()
        self._resting_news = RestingNews(self._observer, self.resting)
        self._last_id = 0
        self._last_generation = 0
        self._looks: asyncio.TimerHandle | None = None
        self._log = logs.get("pypes.generations")

    # -- deployments ------------------------------------------------------------------------------------

    async def start(self, template: InstanceSpec, count: int, timeout_s: float) -> Generation:
        """Start a generation beside the live one and wait until it is ready.

        Raises :class:`SetupFailed` when a filter cannot be set up within ``timeout_s``; nothing of it is left then.
        """
        generation = self._new(template, count)
        try:
            for slot in range(len(generation.slots)):
                self._launch(generation, slot)
            await self._await_setup(generation, timeout_s)
        except BaseException:
            await self.discard(generation)
            raise
        return generation

    async def roll(self, template: InstanceSpec, count: int, timeout_s: float, grace_s: float) -> Generation:
        """As :meth:`start`, slot by slot: the live instances there end, within ``grace_s``, before their successor is started.

        The template is of all graphs. So there are never more instances than before. A successor takes deliveries as soon as it
        is ready. When one cannot be set up, :class:`SetupFailed` is raised, and those that had ended are started again.
        """
        if not self.live:
            return await self.start(template, count, timeout_s)
        generation = self._incoming = self._new(template, count)
        self._grace_s = grace_s
        try:
            for slot in range(max(len(each.slots) for each in (generation, *self.live))):
                await asyncio.gather(*(self._vacate(old, slot) for old in self.live))
                if slot < len(generation.slots):
                    generation.expect(slot + 1)
                    self._launch(generation, slot)
                    await self._await_setup(generation, timeout_s)
        except BaseException:
            await self.discard(generation)
            raise
        return generation

    def _new(self, template: InstanceSpec, count: int) -> Generation:
        self._last_generation += 1
        generation = Generation(self._last_generation, template, count)
        self._all.append(generation)
        return generation

    async def _await_setup(self, generation: Generation, timeout_s: float) -> None:
        done, _ = await asyncio.wait([generation.setup_ended], timeout=timeout_s)
        if not done:
            starting = [i.hang(timeout_s) for i in generation.instances if i.state == "starting"]
            generation.fail(starting[0] if starting else SetupFailure("", "", "no process could be started; see the log"))
        generation.setup_ended.result()

    async def _vacate(self, generation: Generation, slot: int) -> None:
        """End the instance in a slot, and let none follow it."""
        generation.vacant.add(slot)
        if slot < len(generation.slots) and (instance := generation.slots[slot]) is not None:
            self._on_change()
            await end([instance], self._grace_s)

    def switch(self, generation: Generation | None, grace_s: float, gone: Collection[str] = ()) -> None:
        """Let ``generation`` take over its graphs; the others let go of those in the background, and of what is ``gone``."""
        self._ended_counts.forget(gone)
        for instance in [instance for each in self._all for instance in each.instances]:
            instance.forget_counts(gone)
        moved = {*gone, *(generation.graphs if generation is not None else ())}
        parting = [old for old in self.live if old.graphs & moved]
        for old in parting:
            old.let_go(moved, grace_s)
        self.live = [old for old in self.live if old.graphs] + ([generation] if generation is not None else [])
        self._incoming = None
        self._on_change()
        self._resting_news.look_at(moved)
        for old in parting:
            work = part(old, grace_s, self._on_change) if old.graphs else self._retire(old, grace_s)
            task = self._tasks.start(work, f"end of generation {old.number}")
            self._draining.add(task)
            task.add_done_callback(self._draining.discard)

    async def reconfigure(
        self, graph: str, version: int, obj: Mapping[str, Any], params: Mapping[str, Mapping[str, Any]], timeout_s: float
    ) -> str:
        """Give filters of a running graph new parameters in place; returns "" when all instances have them, or why not.

        ``obj`` is the graph as it is then: instances that are started later begin with it. If it fails, instances may differ, and
        the caller must start a new generation.
        """
        hosting = [generation for generation in self.live if graph in generation.graphs]
        instances = [instance for instance in self.ready() if graph in instance.hosts]
        if not hosting or len(instances) < sum(graph in place for generation in hosting for place in generation.places):
            return "not all instances are ready"
        for generation in hosting:
            generation.template = replace(generation.template, graphs={**generation.template.graphs, graph: (version, obj)})
        answers = [instance.reconfigure(graph, version, params) for instance in instances]
        _, late = await asyncio.wait(answers, timeout=timeout_s)
        if late:
            return f"what is in flight was not done after {timeout_s:g} s"
        return next((answer.result() for answer in answers if answer.result()), "")

    async def discard(self, generation: Generation) -> None:
        """End a generation that is not to go live, and wait until nothing of it is left.

        It has nothing that could be finished, unless it has taken places already: those are given back then.
        """
        if generation is self._incoming:
            await self._retire(generation, self._grace_s)
            self._give_back()
        else:
            generation.is_retired = True
            for instance in generation.instances:
                instance.kill()
            await asyncio.gather(*(instance.exited.wait() for instance in generation.instances))
            self._forget(generation)
        if generation.setup_ended.done():
            generation.setup_ended.exception()  # whoever waited has been told

    def _give_back(self) -> None:
        """Fill the places again that the live generations had left."""
        self._incoming = None
        for generation in self.live:
            generation.vacant = {slot for slot, place in enumerate(generation.places) if not place}
            for slot in range(len(generation.slots)):
                self._launch(generation, slot)

    async def _retire(self, generation: Generation, grace_s: float) -> None:
        generation.is_retired = True
        await end(generation.instances, grace_s)
        self._forget(generation)

    def _forget(self, generation: Generation) -> None:
        if generation in self._all:
            self._all.remove(generation)

    async def stop(self, grace_s: float) -> None:
        """Stop everything: instances that are ready finish what they have within ``grace_s``, others are killed."""
        running = [generation for generation in (*self.live, self._incoming) if generation is not None]
        self.live, self._incoming = [], None
        await asyncio.gather(*(self._retire(generation, grace_s) for generation in running))
        if self._draining:
            await asyncio.wait(self._draining)
        await self.kill()

    async def kill(self) -> None:
        """Kill whatever there is and wait until it is reaped."""
        self.live, self._incoming = [], None
        await asyncio.gather(*(self.discard(generation) for generation in list(self._all)))

    # -- processes --------------------------------------------------------------------------------------

    def lost(self, id: int) -> bool:
        """Kill an instance that an ingest worker could not reach any more; False if there is none of that id.

        One that stops is left to: its grace is over, it tears down, and will soon be gone by itself.
        """
        for generation in self._all:
            for instance in generation.instances:
                if instance.spec.id == id:
                    if instance.state == "stopping":
                        return True
                    # mostly the connection ended because the instance is dying by itself; its exit code will tell
                    self._kill(generation, instance, "an ingest worker had lost it")
                    return True
        return False

    def _kill(self, generation: Generation, instance: Instance, reason: str) -> None:
        """Kill an instance; the log says so when it is reaped, or at once if nothing is logged about its generation then."""
        instance.killed_for = reason
        instance.kill()
        if generation.is_retired:
            self._log.warning("instance killed", reason=reason, **about(instance))

    def reap(self) -> None:
        """Collect instances that ended. To be called on SIGCHLD; spurious calls do no harm."""
        for generation in list(self._all):
            for instance in generation.instances:
                left = instance.reap()
                if left is not None:
                    self._leftovers.append(left)
        self._leftovers = [group for group in self._leftovers if not group.reap()]

    @property
    def pools(self) -> set[str]:
        """The pools that instances use, or will: those of their graphs, and of graphs that they may be started with again."""
        found: set[str] = set()
        for generation in self._all:
            found |= pools_of(generation.template.pools, generation.graphs)
            for instance in generation.instances:
                found |= pools_of(instance.spec.pools, instance.spec.graphs if instance.state == "starting" else instance.hosts)
        return found

    def ready(self) -> list[Instance]:
        """Instances that take deliveries."""
        serving = [generation for generation in self._all if self._serves(generation)]
        return [i for generation in serving for i in generation.serving if i.state == "ready"]

    def retiring(self) -> list[Instance]:
        """Instances of former generations that finish what they have."""
        return [i for generation in self._all for i in generation.instances if i.state == "stopping"]

    def resting(self, graph: str) -> list[dict[str, Any]]:
        """Filters of a graph that wait for a service: ``{filter, since, reason, instances}`` each, as of who began first."""
        return resting([i.resting[graph] for i in self.ready() if graph in i.hosts and graph in i.resting])

    def former(self, graph: str, version: int) -> list[dict[str, Any]]:
        """Other versions of a graph that finish documents: ``{version, until}`` each; what is left then goes to this one."""
        leaving = [(i.versions[graph], i.former[graph]) for g in self._all for i in g.instances if graph in i.former]
        return former([each for each in leaving if each[0] != version])

    def counts(self, graph: str) -> dict[str, dict[str, int]]:
        """By filter of a graph, what it has counted in all instances since the start of the node."""
        return self._ended_counts.and_of(graph, [i.counts for g in self._all for i in g.instances])

    def _serves(self, generation: Generation) -> bool:
        return generation in self.live or generation is self._incoming

    def hosting(self, graph: str) -> Generation | None:
        """The generation that runs a graph."""
        return next((generation for generation in self.live if graph in generation.graphs), None)

    @property
    def number(self) -> int:
        """The number of the newest generation that serves; 0 if none does."""
        return max((generation.number for generation in self.live), default=0)

    def status(self) -> list[dict[str, Any]]:
        """Every instance there is, for ``status``."""
        return [i.status(g.number) for g in self._all for i in g.instances]

    def _launch(self, generation: Generation, slot: int) -> None:
        if not generation.is_open(slot) or generation.slots[slot] is not None:
            return
        self._last_id += 1
        spec = replace(
            generation.template,
            id=self._last_id,
            generation=generation.number,
            socket=str(self._runtime_dir / f"i-{self._last_id}.sock"),
            graphs={name: found for name, found in generation.template.graphs.items() if name in generation.places[slot]},
            crash_record=str(self._runtime_dir / f"i-{self._last_id}.note"),
            tallies=str(self._runtime_dir / f"i-{self._last_id}.tally"),
        )
        Path(spec.socket).unlink(missing_ok=True)

        def is_ready(instance: Instance) -> None:
            seconds = time.monotonic() - instance.started
            self._log.debug("instance ready", pid=instance.pid, seconds=round(seconds, 3), **about(instance))
            self._observer.instance_started(spec.id, sorted(spec.graphs), seconds)
            generation.look()
            if self._serves(generation):
                self._on_change()

        def has_exited(instance: Instance) -> None:
            generation.slots[slot] = None
            self._exited(generation, slot, instance)

        instance = Instance(spec, is_ready, has_exited, self._resting_news.look)
        if self._looks is None:
            self._looks = asyncio.get_running_loop().call_later(LOOK_S, self._look)
        try:
            instance.start(self._lifeline)
        except OSError as error:
            instance.remove_files()
            # no more processes or memory just now
            delay_s = generation.backoffs[slot].delay_s(0.0) or FIRST_S
            self._log.error("instance not started", reason=str(error), restart_s=delay_s, **about(instance))
            asyncio.get_running_loop().call_later(delay_s, self._launch, generation, slot)
            return
        self._gathering.join(spec.tallies)
        generation.slots[slot] = instance

    def _look(self) -> None:
        """Every now and then: end instances that hang where their own watchdog cannot run."""
        self._looks = None
        for generation in self._all:
            for instance in generation.instances:
                if reason := instance.look():
                    self._kill(generation, instance, reason)
        if self._all:
            self._looks = asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def _exited(self, generation: Generation, slot: int, instance: Instance) -> None:
        """An instance was reaped: say so, then replace it unless its generation is over."""
        self._gathering.leave(instance.spec.tallies)
        self._ended_counts.add(instance.counts, {name for each in self._all for name in each.graphs})
        self._on_gone(instance.spec.id, instance.exit_reason)
        self._observer.instance_ended(instance.spec.id, instance.exit_reason.cause, instance.exit_reason.filter)
        self._resting_news.look_at(instance.resting)
        if not generation.is_open(slot):
            if not instance.was_stopping or instance.exitcode != 0:
                self._log.debug("instance ended", reason=instance.exit_reason.cause, **about(instance))
            return
        if instance.is_replaced:
            self._launch(generation, slot)
            return
        if instance.exit_reason.document >= 0 and not instance.exit_reason.is_outside:
            # the document that did it will not come again: nor should several of them slow down the others
            for backoff in generation.backoffs:
                backoff.forgive()
            delay_s = 0.0
        else:
            delay_s = generation.backoffs[slot].delay_s(time.monotonic() - instance.started)
        is_hopeless = instance.failure or generation.backoffs[slot].deaths >= DEATHS_AT_SETUP
        if instance.was_starting and not generation.setup_ended.done() and is_hopeless:
            generation.fail(instance.failure_at_setup())
            return
        reason = instance.failure.error().message if instance.failure else f"it {in_words(instance.exit_reason)}"
        if instance.exit_reason.is_outside and instance.killed_for:
            reason += f"; {instance.killed_for}"
        self._gathering.own.counter(INSTANCE_RESTARTS, cause_of(instance)).add()
        self.endings.append(ending_of(instance))
        self._log.warning("instance died", reason=reason, restart_s=delay_s, **about(instance))
        if self._serves(generation):
            self._on_change()
        if delay_s:
            asyncio.get_running_loop().call_later(delay_s, self._launch, generation, slot)
        else:
            self._launch(generation, slot)
