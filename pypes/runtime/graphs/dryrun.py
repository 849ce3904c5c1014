"""Trying graphs out for clients: is one valid here, and what would become of a document in it.

The supervisor imports no component, so a trial runs in a disposable process (:mod:`pypes.runtime.trials.trial`). They are
bounded in number, time, memory and what they may answer, end with the client that wanted them, and hold up nobody else.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import msgspec

from pypes.access.client import ALL
from pypes.errors import BadRequest, ComponentError, InvalidGraph, Problem, TooLarge, Unavailable
from pypes.runtime.graphs.check import scrub
from pypes.runtime.graphs.deployer import Deployer
from pypes.runtime.graphs.disposable import Disposable
from pypes.runtime.trials.dryrun_job import MAX_REPORT_BYTES, Job

#: Seconds after which a client may try again that found all places taken.
BUSY_S = 1.0
#: A process that says no more has died, or is about to.
DYING_S = 1.0


class DryRuns:
    """Validates graphs and tries them out; nothing of it is deployed or published."""

    def __init__(self, deployer: Deployer, lifeline_fd: int) -> None:
        self._deployer = deployer
        self._lifeline_fd = lifeline_fd
        self._running = 0

    def validate(self, name: str, obj: Any, rights: str = ALL) -> dict[str, Any]:
        """``{valid, errors: [{path, message, code}]}``: everything that would keep a graph from being deployed as ``name``."""
        try:
            self._deployer.checked(name, obj, rights)
        except InvalidGraph as error:
            listed = error.problems or (Problem("", error.message, error.code),)
            return {"valid": False, "errors": [problem.to_obj() for problem in listed]}
        return {"valid": True, "errors": []}

    async def run(self, name: str, content_type: str, body: Any, graph: Any = None, *, rights: str = ALL) -> dict[str, Any]:
        """One document through a graph (the deployed one unless it is given): the report of a trial.

        ``body`` is text, or ``{"base64": …}``. Raises :class:`NotFound`, :class:`InvalidGraph`, :class:`BadRequest` for what the
        server would refuse, :class:`ComponentError` when a filter cannot be set up or the trial takes too long or dies,
        :class:`TooLarge` when there is too much to report, or :class:`Unavailable` while ``dryruns`` of them run.
        """
        limits = self._deployer.settings.limits
        obj = self._deployer.checked(name, graph, rights) if graph is not None else self._deployer.get(name)["graph"]
        job = Job(
            graph=obj,
            components=self._deployer.components_of(obj),
            posts=[{"content_type": content_type, "body": _base64(body)}],
            paths=self._deployer.paths,
            pools=dict(self._deployer.settings.pools),
            hides=self._deployer.settings.observe.redact,
            max_memory_bytes=self._deployer.settings.server.max_memory_bytes,
        )
        if self._running >= limits.dryruns:
            raise Unavailable(f"{limits.dryruns} dry runs are under way; try again", code="dryrun.busy", retry_after_s=BUSY_S)
        self._running += 1
        try:
            answer = await self._try(msgspec.json.encode(job), obj, limits.dryrun_s)
        finally:
            self._running -= 1
        if "error" in answer:
            error = answer["error"]
            cls = TooLarge if error["code"] == "dryrun.too_large" else BadRequest
            raise cls(error["message"], code=error["code"], where=error["where"])
        return answer

    async def _try(self, job: bytes, graph: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        try:
            process = Disposable("pypes.runtime.trials.trial", self._lifeline_fd, MAX_REPORT_BYTES + 1, keeps_errors=True)
        except OSError as error:
            raise Unavailable(f"no process can be started: {error}", code="dryrun.not_started", retry_after_s=BUSY_S) from error
        try:
            async with asyncio.timeout(timeout_s):
                await process.send(job)
                line = await process.line()
        except TimeoutError:
            raise ComponentError(f"the trial was not done after {timeout_s:g} s", code="dryrun.timeout") from None
        else:
            if line.endswith(b"\n"):
                answer: dict[str, Any] = msgspec.json.decode(line)
                return answer
            status = await process.exit_status(DYING_S)
            reason = process.last_words or f"exit status {status}"
            raise ComponentError(f"the trial ended early: {scrub(reason, [graph])}", code="dryrun.died")
        finally:
            await process.end()


def _base64(body: str | dict[str, Any]) -> str:
    if isinstance(body, str):
        return base64.b64encode(body.encode()).decode()
    if isinstance(body, dict) and isinstance(body.get("base64"), str):
        return str(body["base64"])
    raise BadRequest('body is text, or {"base64": TEXT}', code="request.invalid", where="body")
