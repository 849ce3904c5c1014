"""The shadows of a node: started, watched, ended, their reports kept for a while.

The supervisor imports no component, and a candidate may do anything: each shadow is a process
(:mod:`pypes.runtime.trials.shadow`) that nothing waits for. One that ends before it has seen what it was to see leaves a report
that says so.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from pypes import logs
from pypes.access.audit import ITSELF, Cause, line_of
from pypes.access.client import ALL
from pypes.core.clock import wall
from pypes.core.watched_tasks import OnFailed, WatchedTasks
from pypes.errors import BadRequest, Conflict, NotFound
from pypes.runtime.graphs.check import scrub
from pypes.runtime.graphs.deployer import Deployer
from pypes.runtime.graphs.disposable import Disposable
from pypes.runtime.graphs.store import ControlStore
from pypes.runtime.trials.shadow_job import Job

#: For how long a report is kept, in seconds; and after how long a shadow is ended that has not seen enough by then.
KEPT_S = 3600.0
MAX_S = 3600.0
#: Shadows that run at a time on a node, each on as many processors as a live instance takes.
MAX_SHADOWS = 4
#: Longest report, in bytes; one is kept of each shadow.
MAX_REPORT_BYTES = 32 << 20


class Shadow:
    """One shadow; ``state`` goes starting → running → done, or ended when it was ended or died before."""

    def __init__(self, id: str, graph: str, version: int, wanted: int, socket: str) -> None:
        self.id = id
        self.graph = graph
        self.version = version
        self.wanted = wanted
        self.socket = socket
        self.state = "starting"
        self.error: dict[str, Any] | None = None
        self.found: dict[str, Any] = {}
        #: The time of its start, by the wall clock and by the monotonic one.
        self.started, self.began_s = wall(), time.monotonic()
        self.process: Disposable | None = None
        self.was_told_to_end = False

    @property
    def is_over(self) -> bool:
        return self.state in ("done", "ended")

    def remove_socket(self) -> None:
        """Remove its socket."""
        Path(self.socket).unlink(missing_ok=True)

    def report(self) -> dict[str, Any]:
        """The findings so far; ``incomplete`` unless it has compared the requested number of documents."""
        started = datetime.fromtimestamp(self.started, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {
            "shadow": self.id,
            "graph": self.graph,
            "version": self.version,
            "state": self.state,
            "incomplete": self.state != "done",
            "error": self.error,
            "started": started,
            "wanted": self.wanted,
            "documents": 0,
            "missed": 0,
            **self.found,
        }


class Shadows:
    """Starts and ends shadows. ``on_change()`` is called when ingest workers must know of another set of them."""

    def __init__(
        self,
        store: ControlStore,
        deployer: Deployer,
        runtime_dir: Path,
        lifeline_fd: int,
        on_change: Callable[[], None],
        on_failed: OnFailed,
    ) -> None:
        self._store = store
        self._deployer = deployer
        self._runtime_dir = runtime_dir
        self._lifeline_fd = lifeline_fd
        self._on_change = on_change
        self._known: dict[str, Shadow] = {}
        self._watched = WatchedTasks(on_failed)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._log = logs.get("pypes.shadows")

    def sockets(self) -> dict[str, str]:
        """Graph → socket to which copies of its deliveries go."""
        return {shadow.graph: shadow.socket for shadow in self._known.values() if shadow.state == "running"}

    async def start(
        self,
        name: str,
        graph: Any = None,
        documents: int = 1000,
        record: int = 0,
        redact: Sequence[str] = (),
        *,
        rights: str = ALL,
        cause: Cause = ITSELF,
    ) -> dict[str, Any]:
        """Start one; returns ``{"shadow": id}`` at once, set-up goes on.

        Without ``record``, ``graph`` is compared with the version that is live, over so many documents. With it, so many
        deliveries become tests. Raises :class:`NotFound`, :class:`InvalidGraph`, :class:`BadRequest`, or :class:`Conflict` while
        the graph has a shadow.
        """
        live = self._deployer.get(name)
        if record and graph is not None:
            raise BadRequest("what is recorded is the deployed graph; leave out graph or record", code="request.invalid")
        if not record and graph is None:
            raise BadRequest('send {"graph": {…}}: the version to compare with the live one', code="request.invalid")
        candidate = None if graph is None else self._deployer.checked(name, graph, rights).graph
        running = [shadow for shadow in self._known.values() if not shadow.is_over]
        if any(shadow.graph == name for shadow in running):
            raise Conflict("the graph has a shadow already; DELETE it, or wait for its end", code="shadow.running", where=name)
        if len(running) >= MAX_SHADOWS:
            raise Conflict(f"there are {MAX_SHADOWS} shadows already; DELETE one", code="shadow.too_many", where=name)
        self._forget()
        id = secrets.token_hex(8)
        shadow = Shadow(id, name, live["version"], record or documents, str(self._runtime_dir / f"s-{id}.sock"))
        runs = self._deployer.running(name)
        graphs = [runs] if candidate is None else [runs, candidate]
        settings = self._deployer.settings
        job = Job(
            socket=shadow.socket,
            live=runs,
            candidate=candidate,
            components=self._deployer.components_of(*graphs),
            documents=documents,
            record=record,
            redact=list(redact),
            hides=settings.observe.redact,
            paths=self._deployer.paths,
            pools=dict(self._deployer.settings.pools),
            limits=settings.limits,
            max_memory_bytes=settings.server.max_memory_bytes,
            log_json=logs.is_json(settings.log.format),
            log_level=settings.log.level,
            log_ring_bytes=settings.observe.log_ring_bytes,
        )
        self._store.note(line_of(cause, "shadow.start", graph=name, object=id, detail={"version": shadow.version}))
        self._known[id] = shadow
        self._tasks[id] = self._watched.start(self._run(shadow, job, graphs), f"shadow of {name}")
        return {"shadow": id}

    def get(self, name: str, id: str) -> dict[str, Any]:
        """The report of one, as far as it is; raises :class:`NotFound`."""
        return self._find(name, id).report()

    async def end(self, name: str, id: str, cause: Cause = ITSELF) -> None:
        """End one; its report stays for a while. Raises :class:`NotFound`."""
        shadow = self._find(name, id)
        if not (shadow.is_over or shadow.was_told_to_end):
            self._store.note(line_of(cause, "shadow.end", graph=name, object=id))
        shadow.was_told_to_end = True
        await self._kill(id)

    def _find(self, name: str, id: str) -> Shadow:
        self._forget()
        shadow = self._known.get(id)
        if shadow is None or shadow.graph != name:
            raise NotFound("there is no such shadow; reports are kept for an hour", code="shadow.not_found", where=id)
        return shadow

    def _forget(self) -> None:
        oldest = time.monotonic() - MAX_S - KEPT_S
        for id, shadow in list(self._known.items()):
            if shadow.is_over and shadow.began_s < oldest:
                del self._known[id]

    async def _kill(self, id: str) -> None:
        if (task := self._tasks.get(id)) is not None:
            task.cancel()
            await asyncio.wait([task])

    async def close(self) -> None:
        """End all of them."""
        for id in list(self._tasks):
            await self._kill(id)

    # -- the process ------------------------------------------------------------------------------------

    async def _run(self, shadow: Shadow, job: Job, graphs: list[dict[str, Any]]) -> None:
        try:
            shadow.process = Disposable("pypes.runtime.trials.shadow", self._lifeline_fd, MAX_REPORT_BYTES)
            async with asyncio.timeout(MAX_S):
                await self._follow(shadow, shadow.process, job)
        except TimeoutError:
            shadow.error = {"code": "shadow.timeout", "message": f"it had not seen enough after {MAX_S:g} s", "where": ""}
        except OSError as error:
            shadow.error = {"code": "shadow.not_started", "message": str(error), "where": ""}
        except Exception as error:
            # what it said is too long, or no report: its own affair
            self._log.exception("shadow cannot be understood", graph=shadow.graph, shadow=shadow.id)
            message = f"its report cannot be read: {type(error).__name__}; the log has more"
            shadow.error = {"code": "shadow.unreadable", "message": message, "where": ""}
        finally:
            if shadow.state != "done":
                shadow.state = "ended"
                if shadow.error is None and not shadow.was_told_to_end:
                    shadow.error = {"code": "shadow.died", "message": "its process died; the log may say why", "where": ""}
            if shadow.error is not None:
                shadow.error["message"] = scrub(shadow.error["message"], graphs)
            self._on_change()
            if shadow.process is not None:
                await shadow.process.end()
            shadow.remove_socket()
            del self._tasks[shadow.id]
            self._log.info("shadow ended", graph=shadow.graph, shadow=shadow.id, state=shadow.state, error=shadow.error)

    async def _follow(self, shadow: Shadow, process: Disposable, job: Job) -> None:
        """Hear what the process reports until it says that it is done, or ends."""
        setup_s = self._deployer.settings.server.setup_s
        await process.send(msgspec.json.encode(job) + b"\n")
        while shadow.state != "done":
            try:
                async with asyncio.timeout(setup_s if shadow.state == "starting" else None):
                    line = await process.line()
            except TimeoutError:
                message = f"its set-up was not done after {setup_s:g} s (setup_s)"
                shadow.error = {"code": "shadow.setup_failed", "message": message, "where": shadow.graph}
                return
            if not line.endswith(b"\n"):
                return
            self._on_report(shadow, msgspec.json.decode(line))

    def _on_report(self, shadow: Shadow, said: dict[str, Any]) -> None:
        if "error" in said:
            shadow.error = {**said["error"], "code": "shadow.setup_failed"}
        elif "is_ready" in said:
            shadow.state = "running"
            self._on_change()
        else:
            is_done = said.pop("is_done")
            shadow.found = said
            if is_done:
                shadow.state = "done"
