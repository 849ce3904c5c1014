"""The pool: graph instances, in generations. The only other place that knows of multiprocessing is the supervisor.

A generation is what one deployment started: ``count`` processes with the same graphs. A new one is started beside the old; only
when all of its instances are ready does it take over, and the old one drains. An instance that dies is reaped first, then
announced as gone, then replaced: a delivery is never in two living instances. How it died is told as far as its exit code and
its note tell it. An instance whose interpreter does not move any more is ended from here.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pypes import logs
from pypes.core.lifeline import ProcessGroup
from pypes.errors import ComponentError
from pypes.ingest.outcome import Death
from pypes.runtime.backoff import FIRST_S, Backoff
from pypes.runtime.entry import run_instance
from pypes.runtime.instance import InstanceSpec
from pypes.runtime.note import Note, death_of
from pypes.runtime.places import places
from pypes.runtime.watchdog import Stillness

#: How often an instance may die during set-up without saying why before its generation is given up.
DEATHS_AT_SETUP = 3
#: How often it is looked whether the interpreters of the instances still move.
LOOK_S = 0.25
#: What an instance gets beyond its grace to tear down, before it is killed.
TEARDOWN_S = 2.0


@dataclass(frozen=True, slots=True)
class SetupFailure:
    """Why an instance did not become ready; ``graph`` and ``node`` are empty when it could not say."""

    graph: str
    node: str
    message: str
    traceback: str = ""

    def error(self) -> ComponentError:
        where = ".".join(part for part in (self.graph, self.node) if part)
        filter_ = f"filter {self.node!r}" if self.node else "an instance"
        return ComponentError(f"{filter_} could not be set up: {self.message}", code="graph.setup_failed", where=where)


class SetupFailed(ComponentError):
    """A generation that did not become ready; carries the :class:`SetupFailure`."""

    def __init__(self, failure: SetupFailure) -> None:
        error = failure.error()
        super().__init__(error.message, code=error.code, where=error.where)
        self.failure = failure


class Instance:
    """One instance process. ``state`` goes starting → ready → stopping → gone; any of them may be skipped but the last."""

    def __init__(self, spec: InstanceSpec, on_ready: Callable[[Instance], None], on_exit: Callable[[Instance], None]) -> None:
        self.spec = spec
        self.state = "starting"
        self.failure: SetupFailure | None = None
        self.exited = asyncio.Event()
        self.pid = 0
        self._on_ready = on_ready
        self._on_exit = on_exit
        self._setting_up = ("", "")
        #: Resolved with "" when new parameters are in force, or with the reason why they are not.
        self._reconfigured: asyncio.Future[str] | None = None

    def start(self, lifeline: Any) -> None:
        """Start the process; blocks for a few milliseconds."""
        Note.create(self.spec.note)
        self._note = Note(self.spec.note)
        context = multiprocessing.get_context("spawn")
        self._control, theirs = context.Pipe()
        self._process = context.Process(
            target=run_instance,
            args=(self.spec, theirs, lifeline, os.getpid()),
            name=f"instance-{self.spec.id}",
        )
        self.started = time.monotonic()
        self._process.start()
        theirs.close()
        self.pid = self._process.pid or 0
        self._group = ProcessGroup(self.pid)
        self._stillness = Stillness(self.pid, self._note)
        asyncio.get_running_loop().add_reader(self._control.fileno(), self._read)

    def _read(self) -> None:
        try:
            while self._control.poll():
                self._heard(self._control.recv())
        except (EOFError, OSError):
            # the process is ending; SIGCHLD tells when it has
            asyncio.get_running_loop().remove_reader(self._control.fileno())

    def _heard(self, message: tuple[Any, ...]) -> None:
        if message[0] == "ready" and self.state == "starting":
            self.state = "ready"
            self._on_ready(self)
        elif message[0] == "setup":
            self._setting_up = (message[1], message[2])
        elif message[0] == "failed":
            self.failure = SetupFailure(*message[1:5])
        elif message[0] == "reconfigured" and self._reconfigured is not None and not self._reconfigured.done():
            self._reconfigured.set_result(message[3])

    def reconfigure(self, graph: str, version: int, params: Mapping[str, Mapping[str, Any]]) -> asyncio.Future[str]:
        """Ask it to take new parameters at the next boundary of epochs; the future gives "" or why it could not."""
        self._reconfigured = asyncio.get_running_loop().create_future()
        try:
            self._control.send(("reconfigure", graph, version, params))
        except OSError:
            self._reconfigured.set_result("it is ending")
        return self._reconfigured

    def hang(self, timeout_s: float) -> SetupFailure:
        """What to say when set-up takes too long."""
        return SetupFailure(*self._setting_up, f"not done after {timeout_s:g} s (setup_s)")

    def stop(self, grace_s: float) -> None:
        """Ask it, once ready, to finish what is in flight, tear down and exit. Returns at once."""
        if self.state == "ready":
            self.state = "stopping"
            try:
                self._control.send(("stop", grace_s))
            except OSError:
                self.kill()

    def kill(self) -> None:
        """Kill it and all it started. Returns at once; :attr:`exited` is set when it is reaped."""
        if self.state != "gone":
            self._process.kill()
            self._group.signal(signal.SIGKILL)

    def look(self) -> str:
        """End it if its interpreter has not moved for longer than any filter may take; returns why, or ``""``."""
        if self.state not in ("ready", "stopping"):
            return ""
        reason = self._stillness.look()
        if reason:
            self.kill()
        return reason

    def reap(self) -> ProcessGroup | None:
        """If it has ended, collect it and report; returns the group to be reaped later if members are left."""
        if self.state == "gone" or self._process.exitcode is None:
            return None
        self._read_rest()
        self.exitcode = self._process.exitcode
        self.was_stopping, self.was_starting = self.state == "stopping", self.state == "starting"
        self.death = death_of(self.exitcode, self._note.read(), was_stopping=self.was_stopping)
        self._note.close()
        self.state = "gone"
        self._group.signal(signal.SIGKILL)
        self._control.close()
        self._process.close()
        self.remove_files()
        self.exited.set()
        if self._reconfigured is not None and not self._reconfigured.done():
            self._reconfigured.set_result("it died")
        self._on_exit(self)
        return None if self._group.reap() else self._group

    def _read_rest(self) -> None:
        loop = asyncio.get_running_loop()
        self._read()
        loop.remove_reader(self._control.fileno())

    def remove_files(self) -> None:
        """Remove its socket and its note."""
        for path in (self.spec.socket, self.spec.note):
            Path(path).unlink(missing_ok=True)

    def death_at_setup(self) -> SetupFailure:
        """Why it ended before it was ready, as far as is known."""
        return self.failure or SetupFailure(*self._setting_up, f"the instance {_in_words(self.death)}")


def _in_words(death: Death) -> str:
    """How an instance ended, in a sentence about it."""
    cause = f"was {death.cause}" if death.cause.startswith("killed") else death.cause
    return f"{cause} in filter {death.filter}" if death.filter else cause


class Generation:
    """The instances of one deployment: ``template`` is the spec they share, a slot holds a living instance or ``None``."""

    def __init__(self, number: int, template: InstanceSpec, count: int) -> None:
        self.number = number
        self.template = template
        self.slots: list[Instance | None] = [None] * count
        self.backoffs = [Backoff() for _ in range(count)]
        #: Which graphs the instance in each slot runs.
        self.places = places({name: graph.get("max_instances") for name, (_, graph) in template.graphs.items()}, count)
        self.is_retired = False
        #: Resolved when all instances are ready, or with the :class:`SetupFailed` that prevented it.
        self.settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def instances(self) -> list[Instance]:
        return [instance for instance in self.slots if instance is not None]

    def fail(self, failure: SetupFailure) -> None:
        if not self.settled.done():
            self.settled.set_exception(SetupFailed(failure))


class Pool:
    """Starts, watches and replaces instances. Used in the supervisor's event loop; :meth:`reap` is its SIGCHLD handler.

    ``on_change()`` is called when the set of ready instances changed, ``on_gone(id, death)`` after an instance was reaped.
    ``lifeline_fd`` is the reading end of the supervisor's lifeline.
    """

    def __init__(
        self, runtime_dir: Path, lifeline_fd: int, on_change: Callable[[], None], on_gone: Callable[[int, Death], None]
    ) -> None:
        self.live: Generation | None = None
        self._runtime_dir = runtime_dir
        self._lifeline = Connection(os.dup(lifeline_fd), writable=False)
        self._on_change = on_change
        self._on_gone = on_gone
        self._generations: list[Generation] = []
        self._leftovers: list[ProcessGroup] = []
        self._draining: set[asyncio.Task[None]] = set()
        self._last_id = 0
        self._last_generation = 0
        self._looks: asyncio.TimerHandle | None = None
        self._log = logs.get("pypes.pool")

    # -- deployments ------------------------------------------------------------------------------------

    async def start(self, template: InstanceSpec, count: int, timeout_s: float) -> Generation:
        """Start a generation beside the live one and wait until it is ready.

        Raises :class:`SetupFailed` when a filter cannot be set up within ``timeout_s``; nothing of it is left then.
        """
        self._last_generation += 1
        generation = Generation(self._last_generation, template, count)
        self._generations.append(generation)
        try:
            for slot in range(count):
                self._launch(generation, slot)
            done, _ = await asyncio.wait([generation.settled], timeout=timeout_s)
            if not done:
                starting = [i.hang(timeout_s) for i in generation.instances if i.state == "starting"]
                generation.fail(starting[0] if starting else SetupFailure("", "", "no process could be started; see the log"))
            generation.settled.result()
        except BaseException:
            await self.discard(generation)
            raise
        return generation

    def switch(self, generation: Generation | None, grace_s: float) -> None:
        """Let ``generation`` take over (``None``: nothing runs any more); the old one drains in the background."""
        old, self.live = self.live, generation
        self._on_change()
        if old is not None:
            task = asyncio.create_task(self._retire(old, grace_s))
            self._draining.add(task)
            task.add_done_callback(self._draining.discard)

    async def reconfigure(
        self, graph: str, version: int, obj: Mapping[str, Any], params: Mapping[str, Mapping[str, Any]], timeout_s: float
    ) -> str:
        """Give filters of a running graph new parameters in place; returns "" when all instances have them, or why not.

        ``obj`` is the graph as it is then: instances that are started later begin with it. If it fails, instances may differ, and
        the caller must start a new generation.
        """
        generation = self.live
        if generation is None or len(instances := self.ready()) < len(generation.slots):
            return "not all instances are ready"
        generation.template = replace(generation.template, graphs={**generation.template.graphs, graph: (version, obj)})
        answers = [instance.reconfigure(graph, version, params) for instance in instances if graph in instance.spec.graphs]
        _, late = await asyncio.wait(answers, timeout=timeout_s)
        if late:
            return f"what is in flight was not done after {timeout_s:g} s"
        return next((answer.result() for answer in answers if answer.result()), "")

    async def discard(self, generation: Generation) -> None:
        """Kill a generation that never went live, and wait until nothing of it is left."""
        generation.is_retired = True
        for instance in generation.instances:
            instance.kill()
        await asyncio.gather(*(instance.exited.wait() for instance in generation.instances))
        self._forget(generation)
        if generation.settled.done():
            generation.settled.exception()  # whoever waited has been told

    async def _retire(self, generation: Generation, grace_s: float) -> None:
        generation.is_retired = True
        instances = generation.instances
        for instance in instances:
            if instance.state == "starting":
                instance.kill()  # it has nothing yet that could be finished
            else:
                instance.stop(grace_s)
        if instances:
            waits = [asyncio.ensure_future(instance.exited.wait()) for instance in instances]
            await asyncio.wait(waits, timeout=grace_s + TEARDOWN_S)
            for instance in instances:
                if instance.state != "gone":
                    self._log.warning("instance killed", instance=instance.spec.id, reason="did not finish within its grace")
                    instance.kill()
            await asyncio.wait(waits)
        self._forget(generation)

    def _forget(self, generation: Generation) -> None:
        if generation in self._generations:
            self._generations.remove(generation)

    async def stop(self, grace_s: float) -> None:
        """Stop everything: instances that are ready finish what they have within ``grace_s``, others are killed."""
        live, self.live = self.live, None
        if live is not None:
            await self._retire(live, grace_s)
        if self._draining:
            await asyncio.wait(self._draining)
        await self.kill()

    async def kill(self) -> None:
        """Kill whatever there is and wait until it is reaped."""
        self.live = None
        await asyncio.gather(*(self.discard(generation) for generation in list(self._generations)))

    # -- processes --------------------------------------------------------------------------------------

    def lost(self, id: int) -> bool:
        """Kill an instance that an ingest worker could not reach any more; False if there is none of that id.

        One that stops is left to: its grace is over, it tears down, and will soon be gone by itself.
        """
        for generation in self._generations:
            for instance in generation.instances:
                if instance.spec.id == id:
                    if instance.state == "stopping":
                        return True
                    self._log.warning("instance killed", instance=id, reason="an ingest worker lost it")
                    instance.kill()
                    return True
        return False

    def reap(self) -> None:
        """Collect instances that ended. To be called on SIGCHLD; spurious calls do no harm."""
        for generation in list(self._generations):
            for instance in generation.instances:
                left = instance.reap()
                if left is not None:
                    self._leftovers.append(left)
        self._leftovers = [group for group in self._leftovers if not group.reap()]

    def ready(self) -> list[Instance]:
        """Instances of the live generation that take deliveries."""
        return [instance for instance in self.live.instances if instance.state == "ready"] if self.live else []

    def status(self) -> list[dict[str, Any]]:
        """Every instance there is, for ``status``."""
        return [
            {"id": i.spec.id, "generation": g.number, "pid": i.pid, "state": i.state}
            for g in self._generations
            for i in g.instances
        ]

    def _launch(self, generation: Generation, slot: int) -> None:
        if generation.is_retired:
            return
        self._last_id += 1
        spec = replace(
            generation.template,
            id=self._last_id,
            generation=generation.number,
            socket=str(self._runtime_dir / f"i-{self._last_id}.sock"),
            graphs={name: found for name, found in generation.template.graphs.items() if name in generation.places[slot]},
            note=str(self._runtime_dir / f"i-{self._last_id}.note"),
        )
        Path(spec.socket).unlink(missing_ok=True)

        def is_ready(instance: Instance) -> None:
            self._log.debug(
                "instance ready", instance=spec.id, pid=instance.pid, seconds=round(time.monotonic() - instance.started, 3)
            )
            if not generation.settled.done() and all(i is not None and i.state == "ready" for i in generation.slots):
                generation.settled.set_result(None)
            if generation is self.live:
                self._on_change()

        def has_exited(instance: Instance) -> None:
            generation.slots[slot] = None
            self._exited(generation, slot, instance)

        instance = Instance(spec, is_ready, has_exited)
        if self._looks is None:
            self._looks = asyncio.get_running_loop().call_later(LOOK_S, self._look)
        try:
            instance.start(self._lifeline)
        except OSError as error:
            instance.remove_files()
            # no more processes or memory just now
            delay_s = generation.backoffs[slot].delay_s(0.0) or FIRST_S
            self._log.error("instance not started", reason=str(error), restart_s=delay_s)
            asyncio.get_running_loop().call_later(delay_s, self._launch, generation, slot)
            return
        generation.slots[slot] = instance

    def _look(self) -> None:
        """Every now and then: end instances that hang where their own watchdog cannot run."""
        self._looks = None
        for generation in self._generations:
            for instance in generation.instances:
                if reason := instance.look():
                    self._log.warning("instance killed", instance=instance.spec.id, reason=reason)
        if self._generations:
            self._looks = asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def _exited(self, generation: Generation, slot: int, instance: Instance) -> None:
        """An instance was reaped: say so, then replace it unless its generation is over."""
        self._on_gone(instance.spec.id, instance.death)
        if generation.is_retired:
            if not instance.was_stopping or instance.exitcode != 0:
                self._log.debug("instance ended", instance=instance.spec.id, reason=instance.death.cause)
            return
        if instance.death.document >= 0 and not instance.death.is_outside:
            # the document that did it will not come again: nor should several of them slow down the others
            for backoff in generation.backoffs:
                backoff.forgive()
            delay_s = 0.0
        else:
            delay_s = generation.backoffs[slot].delay_s(time.monotonic() - instance.started)
        is_hopeless = instance.failure or generation.backoffs[slot].deaths >= DEATHS_AT_SETUP
        if instance.was_starting and not generation.settled.done() and is_hopeless:
            generation.fail(instance.death_at_setup())
            return
        reason = instance.failure.error().message if instance.failure else f"it {_in_words(instance.death)}"
        self._log.warning("instance died", instance=instance.spec.id, reason=reason, restart_s=delay_s)
        if generation is self.live:
            self._on_change()
        if delay_s:
            asyncio.get_running_loop().call_later(delay_s, self._launch, generation, slot)
        else:
            self._launch(generation, slot)
