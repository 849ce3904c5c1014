"""Generations of instances: what one deployment started, up to ``count`` processes with the graphs that it changed.

The only other place that knows of multiprocessing is the supervisor.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pypes.core.clock import wall
from pypes.core.lifeline import ProcessGroup
from pypes.errors import ComponentError
from pypes.ingest.outcome import ExitReason
from pypes.ingest.receipt import rfc3339
from pypes.observe.tallies import Tallies
from pypes.runtime.generations.backoff import Backoff
from pypes.runtime.generations.places import places
from pypes.runtime.instance.crash_record import CrashRecord, exit_reason_of
from pypes.runtime.instance.entry import run_instance
from pypes.runtime.instance.spec import InstanceSpec
from pypes.runtime.instance.watchdog import Stillness

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SetupFailure:
    """The reason why an instance did not become ready; ``graph`` and ``filter`` are empty when it could not say."""

    graph: str
    filter: str
    message: str
    traceback: str = ""

    @property
    def names(self) -> dict[str, str]:
        """Graph and filter, as far as they are known, for a log line."""
        return {name: value for name, value in (("graph", self.graph), ("filter", self.filter)) if value}

    def error(self) -> ComponentError:
        where = ".".join(part for part in (self.graph, self.filter) if part)
        filter_ = f"filter {self.filter!r}" if self.filter else "an instance"
        return ComponentError(f"{filter_} could not be set up: {self.message}", code="graph.setup_failed", where=where)


class SetupFailed(ComponentError):
    """A generation that did not become ready; carries the :class:`SetupFailure`."""

    def __init__(self, failure: SetupFailure) -> None:
        error = failure.error()
        super().__init__(error.message, code=error.code, where=error.where)
        self.failure = failure


class Instance:
    """One instance process. ``state`` goes starting → ready → stopping → gone; any of them may be skipped but the last."""

    def __init__(
        self,
        spec: InstanceSpec,
        on_ready: Callable[[Instance], None],
        on_exit: Callable[[Instance], None],
        on_resting: Callable[[str], None] = lambda graph: None,
    ) -> None:
        self.spec = spec
        self.state = "starting"
        self.failure: SetupFailure | None = None
        #: The reason for which it was killed from here, if that is known.
        self.killed_for = ""
        #: Its interpreter does not move any more.
        self.is_stuck = False
        #: It ends because it does not let go of a graph, and another one follows at once.
        self.is_replaced = False
        #: By graph, filters that wait for a service: since when (seconds since the epoch), and why.
        self.resting: dict[str, Mapping[str, tuple[float, str]]] = {}
        #: By graph and filter, what it has counted since its start.
        self.counts: dict[str, dict[str, Mapping[str, int]]] = {}
        self.exited = asyncio.Event()
        #: Set when it is ready, or has ended before.
        self.setup_ended = asyncio.Event()
        #: Graphs that it is to run; and those that it was told to let go of and has not yet.
        self.hosts = set(spec.graphs)
        self.leaving: set[str] = set()
        #: Versions of its graphs; and until when it may finish those that others run, in seconds since the epoch.
        self.versions = {name: version for name, (version, _) in spec.graphs.items()}
        self.former: dict[str, float] = {}
        #: Set while there are none of those.
        self.has_left = asyncio.Event()
        self.has_left.set()
        self.pid = 0
        self._on_ready = on_ready
        self._on_exit = on_exit
        self._on_resting = on_resting
        self._setting_up = ("", "")
        self._asked_to_leave: set[str] = set()
        #: Graphs that were removed from the node, of which it may still tell.
        self._removed: set[str] = set()
        #: Resolved with "" when new parameters are in force, or with the reason why they are not.
        self._reconfigured: asyncio.Future[str] | None = None

    def start(self, lifeline: Any) -> None:
        """Start the process; blocks for a few milliseconds."""
        CrashRecord.create(self.spec.crash_record)
        Tallies.create(self.spec.tallies)
        Tallies.create(self.spec.times)
        self._record = CrashRecord(self.spec.crash_record)
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
        self._stillness = Stillness(self.pid, self._record)
        asyncio.get_running_loop().add_reader(self._control.fileno(), self._read)

    def _read(self) -> None:
        while True:
            try:
                if not self._control.poll():
                    return
                message = self._control.recv()
            except (EOFError, OSError):
                # the process is ending; SIGCHLD tells when it has
                asyncio.get_running_loop().remove_reader(self._control.fileno())
                return
            except Exception as error:
                # a component has written where only its instance should
                asyncio.get_running_loop().remove_reader(self._control.fileno())
                log.exception(
                    "an instance cannot be understood",
                    extra={"pid": self.pid, **about(self)},
                )
                self.killed_for = f"what it said cannot be read: {type(error).__name__}"
                self.kill()
                return
            self._on_message(message)

    def _on_message(self, message: tuple[Any, ...]) -> None:
        if message[0] == "ready" and self.state == "starting":
            self.state = "ready"
            self.setup_ended.set()
            self._on_ready(self)
        elif message[0] == "setup":
            self._setting_up = (message[1], message[2])
        elif message[0] == "failed":
            self.failure = SetupFailure(*message[1:5])
        elif message[0] == "left":
            self.leaving -= set(message[1])
            for graph in message[1]:
                self.former.pop(graph, None)
            if not self.leaving:
                self.has_left.set()
        elif message[0] == "resting":
            self.resting[message[1]] = message[2]
            self._on_resting(message[1])
        elif message[0] == "counts":
            for graph, filters in message[1].items():
                if graph not in self._removed:
                    self.counts.setdefault(graph, {}).update(filters)
        elif message[0] == "reconfigured" and self._reconfigured is not None and not self._reconfigured.done():
            self._reconfigured.set_result(message[3])

    def forget_counts(self, graphs: Iterable[str]) -> None:
        """Drop what was counted in graphs that are removed from the node, now and from here on: it takes up none again."""
        for graph in graphs:
            self._removed.add(graph)
            self.counts.pop(graph, None)

    def reconfigure(self, graph: str, version: int, params: Mapping[str, Mapping[str, Any]]) -> asyncio.Future[str]:
        """Ask it to take new parameters at the next boundary of epochs; the future gives "" or why it could not."""
        self.versions[graph] = version
        self._reconfigured = asyncio.get_running_loop().create_future()
        try:
            self._control.send(("reconfigure", graph, version, params))
        except OSError:
            self._reconfigured.set_result("it is ending")
        return self._reconfigured

    def leave(self) -> None:
        """Tell it to let go of the graphs that are not among :attr:`hosts` any more. Returns at once."""
        asked = self.spec.graphs.keys() - self.hosts - self._asked_to_leave
        if asked:
            self._asked_to_leave |= asked
            self.leaving |= asked
            self.has_left.clear()
            # one that is still being set up does it then; one that is ending has nothing to let go of
            with contextlib.suppress(OSError):
                self._control.send(("leave", sorted(asked)))

    def hang(self, timeout_s: float) -> SetupFailure:
        """The failure of a set-up that takes too long."""
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
        """The reason to kill it: its interpreter has not moved for longer than any filter may take; else ``""``."""
        reason = self._stillness.look() if self.state in ("ready", "stopping") else ""
        self.is_stuck = bool(reason)
        return reason

    def reap(self) -> ProcessGroup | None:
        """If it has ended, collect it and report; returns the group to be reaped later if members are left."""
        if self.state == "gone" or self._process.exitcode is None:
            return None
        self._read_rest()
        self.exitcode = self._process.exitcode
        self.was_stopping, self.was_starting = self.state == "stopping", self.state == "starting"
        self.exit_reason = exit_reason_of(self.exitcode, self._record.read(), was_stopping=self.was_stopping)
        self._record.close()
        self.state = "gone"
        self._group.signal(signal.SIGKILL)
        self._control.close()
        self._process.close()
        self.remove_files()
        for event in (self.exited, self.setup_ended, self.has_left):
            event.set()
        if self._reconfigured is not None and not self._reconfigured.done():
            self._reconfigured.set_result("it died")
        self._on_exit(self)
        return None if self._group.reap() else self._group

    def status(self, generation: int) -> dict[str, Any]:
        """Its id, process, state and graphs, for ``status``."""
        found = {"id": self.spec.id, "generation": generation, "pid": self.pid}
        return {**found, "state": self.state, "graphs": sorted(self.hosts)}

    def _read_rest(self) -> None:
        loop = asyncio.get_running_loop()
        self._read()
        loop.remove_reader(self._control.fileno())

    def remove_files(self) -> None:
        """Remove its socket, its crash record and its tally files, which whoever has one open reads on."""
        for path in (self.spec.socket, self.spec.crash_record, self.spec.tallies, self.spec.times):
            Path(path).unlink(missing_ok=True)

    def failure_at_setup(self) -> SetupFailure:
        """The reason why it ended before it was ready, as far as is known."""
        return self.failure or SetupFailure(*self._setting_up, f"the instance {in_words(self.exit_reason)}")


def about(instance: Instance) -> dict[str, Any]:
    """The names of an instance in a log line; of one that was reaped also the filter that ended it, if that is known."""
    by = instance.exit_reason.filter if instance.state == "gone" else ""
    return {"instance": instance.spec.id, "graphs": sorted(instance.hosts), **({"filter": by} if by else {})}


def in_words(reason: ExitReason) -> str:
    """The end of an instance in words that follow "it" or "the instance" in a sentence."""
    cause = reason.cause
    if not cause.startswith("exited"):  # ``killed by SIGSEGV``, ``not done after 5 s``, ``over 512 MiB of memory``, ``stopped``
        cause = f"was {cause}"
    return f"{cause} in filter {reason.filter}" if reason.filter else cause


def cause_of(instance: Instance) -> str:
    """The cause of the end of an instance in one word, of which there are few."""
    cause = instance.exit_reason.cause
    if cause.startswith("killed by "):
        return "stuck" if instance.is_stuck else cause.removeprefix("killed by ").replace(" ", "_")
    first = cause.partition(" ")[0]
    return {"not": "timeout", "over": "memory"}.get(first, "exit")


def ending_of(instance: Instance) -> dict[str, Any]:
    """The end of an instance that was reaped just now, for ``status``."""
    return {
        "time": rfc3339(wall()),
        "instance": instance.spec.id,
        "graphs": sorted(instance.hosts),
        "cause": cause_of(instance),
        "reason": instance.exit_reason.cause,
        "filter": instance.exit_reason.filter,
    }


class Generation:
    """The instances of one deployment: ``template`` is the spec they share, a slot holds a living instance or ``None``.

    ``count`` is how many a graph may run in; there are fewer slots if no graph may run in so many. A generation takes up no graph
    later on, and lets go of those that another one has taken over: its template shrinks with it.
    """

    def __init__(self, number: int, template: InstanceSpec, count: int) -> None:
        self.number = number
        self.template = template
        self.count = count
        most = {name: graph.get("max_instances") for name, (_, graph) in template.graphs.items()}
        #: The graphs that the instance in each slot runs.
        self.places = [place for place in places(most, count) if place]
        self.slots: list[Instance | None] = [None] * len(self.places)
        self.backoffs = [Backoff() for _ in self.slots]
        self.is_retired = False
        #: The time of its start, by the monotonic clock.
        self.began = time.monotonic()
        #: Slots that stay empty: a successor has taken their place.
        self.vacant: set[int] = set()
        self.expect(len(self.slots))

    @property
    def instances(self) -> list[Instance]:
        return [instance for instance in self.slots if instance is not None]

    @property
    def serving(self) -> list[Instance]:
        """Those whose places are not taken by successors."""
        return [i for slot, i in enumerate(self.slots) if i is not None and slot not in self.vacant]

    @property
    def graphs(self) -> Set[str]:
        """The graphs that it hosts."""
        return self.template.graphs.keys()

    def let_go(self, graphs: Set[str], grace_s: float) -> None:
        """Host these graphs no more; instances with nothing left are out of place, others are told by :meth:`Instance.leave`.

        What they have of these graphs they may finish for ``grace_s``.
        """
        self.template = replace(self.template, graphs={n: g for n, g in self.template.graphs.items() if n not in graphs})
        for slot, place in enumerate(self.places):
            self.places[slot] = place - graphs
            instance = self.slots[slot]
            if instance is not None:
                instance.former.update(dict.fromkeys(instance.hosts & graphs, wall() + grace_s))
                instance.hosts -= graphs
            if not self.places[slot]:
                self.vacant.add(slot)

    def expect(self, count: int) -> None:
        """Wait anew: for instances in the first ``count`` slots."""
        self._expected = count
        #: Resolved when all that are expected are ready, or with the :class:`SetupFailed` that prevented it.
        self.setup_ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def look(self) -> None:
        """An instance is ready: are all that are expected?"""
        expected = self.slots[: self._expected]
        if not self.setup_ended.done() and all(i is not None and i.state == "ready" for i in expected):
            self.setup_ended.set_result(None)

    def is_open(self, slot: int) -> bool:
        """True if an instance that is not there any more is to be replaced."""
        return not self.is_retired and slot not in self.vacant

    def fail(self, failure: SetupFailure) -> None:
        if not self.setup_ended.done():
            self.setup_ended.set_exception(SetupFailed(failure))
