"""Trying graphs out for clients: is one valid here, what would become of a document in it, and do its tests pass.

The supervisor imports no component, so a trial runs in a disposable process (:mod:`pypes.runtime.trials.apart`). They are
bounded in number, time, memory and what they may answer, end with the client that wanted them, and hold up nobody else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec

from pypes.access.client import ALL
from pypes.errors import BadRequest, ComponentError, InvalidGraph, NotFound, Problem, TooLarge, Unavailable
from pypes.graph.cases import Post, read_cases, read_post
from pypes.runtime.graphs.check import scrub
from pypes.runtime.graphs.deployer import Deployer
from pypes.runtime.graphs.disposable import Disposable
from pypes.runtime.trials.dryrun_job import MAX_REPORT_BYTES, Job

T = TypeVar("T")

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

    async def run(
        self, name: str, sample: dict[str, Any], graph: Any = None, record: str | None = None, *, rights: str = ALL
    ) -> dict[str, Any]:
        """One document through a graph (the deployed one unless it is given): the report of a trial.

        ``sample`` is what is posted, in the form of a graph's tests. What it cannot reach of the graph is left out, and need not
        be valid. ``record``: the name of a test that is made of it, too. Raises :class:`NotFound`, :class:`InvalidGraph`,
        :class:`BadRequest` for what the server would refuse, :class:`ComponentError` when a filter cannot be set up or the trial
        takes too long or dies, :class:`TooLarge` when there is too much to report, or :class:`Unavailable` while ``dryruns`` of
        them run.
        """
        expanded = self._deployer.expansion(name, graph)
        post = _post(sample, [*expanded.graph.nodes])
        part, whole = self._deployer.tried(name, expanded, post.at.partition(".")[0], rights)
        self._check_port(post.at, whole)
        job = self._job(whole)
        job.post, job.record, job.left_out = msgspec.to_builtins(post), record, tuple(sorted(part.absent))
        with self._place():
            lines = self._lines(job, whole, self._limit_s)
            answer = await anext(lines)
            await lines.aclose()
        if "error" in answer:
            error = answer["error"]
            cls = TooLarge if error["code"] == "dryrun.too_large" else BadRequest
            raise cls(error["message"], code=error["code"], where=error["where"])
        return {**answer, "left_out": [*part.left_out]}

    async def test(
        self, name: str, graph: Any = None, tests: Sequence[str] | None = None, *, rights: str = ALL
    ) -> dict[str, Any]:
        """The tests of a graph, all or those of these names: ``{passed, failed, seconds, tests}``.

        They run one after the other for ``dryrun_s`` together; of those for which there is no time left, and of those that end
        their process, ``error`` says so. Raises as :meth:`run`; :class:`NotFound` (``test.not_found``) for a name.
        """
        began_s = time.monotonic()
        running = self._deployer.running
        obj = running(name) if graph is None else self._deployer.checked(name, graph, rights).graph
        cases, problems = read_cases(obj.get("tests", ()), list(obj["nodes"]))
        if problems:
            raise InvalidGraph("the tests of the graph are not valid", where=name, problems=problems)
        known = [case.name for case in cases]
        if missing := [each for each in tests or () if each not in known]:
            told = f"there are {', '.join(known)}" if known else "there are none"
            raise NotFound(f"the graph has no test {missing[0]!r}; {told}", code="test.not_found", where=name)
        wanted = [place for place, each in enumerate(known) if tests is None or each in tests]
        with self._place():
            results = [result async for result in self._results(self._job(obj), obj, wanted)]
        answers = [{**result, "index": place, "name": known[place]} for place, result in zip(wanted, results, strict=True)]
        passed = sum(result["passed"] for result in answers)
        seconds = round(time.monotonic() - began_s, 6)
        return {"passed": passed, "failed": len(answers) - passed, "seconds": seconds, "tests": answers}

    async def _results(self, job: Job, graph: dict[str, Any], wanted: list[int]) -> AsyncIterator[dict[str, Any]]:
        """The results of tests; where one ends its process, another one goes on with those behind it."""
        deadline_s = time.monotonic() + self._limit_s
        done = 0
        while done < len(wanted):
            job.tests = wanted[done:]
            lines, began_s = self._lines(job, graph, deadline_s - time.monotonic()), time.monotonic()
            try:
                async for line in lines:
                    began_s = time.monotonic()
                    done += 1
                    yield _not_run(line["error"], 0.0) if "name" not in line else line
            except ComponentError as error:
                told = {"code": error.code, "message": error.message, "where": error.where}
                yield _not_run(told, time.monotonic() - began_s)
                done += 1
                if error.code == "dryrun.timeout":
                    break
            finally:
                await lines.aclose()
        for _ in wanted[done:]:
            yield _not_run({"code": "dryrun.timeout", "message": "no time was left for this test", "where": ""}, 0.0)

    # -- processes --------------------------------------------------------------------------------------------

    @property
    def _limit_s(self) -> float:
        return self._deployer.settings.limits.dryrun_s

    @contextmanager
    def _place(self) -> Iterator[None]:
        """Take one of the places for trials, or raise :class:`Unavailable`."""
        limits = self._deployer.settings.limits
        if self._running >= limits.dryruns:
            raise Unavailable(f"{limits.dryruns} dry runs are under way; try again", code="dryrun.busy", retry_after_s=BUSY_S)
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    def _job(self, graph: dict[str, Any]) -> Job:
        settings = self._deployer.settings
        return Job(
            graph=graph,
            components=self._deployer.components_of(graph),
            paths=self._deployer.paths,
            pools=dict(settings.pools),
            hides=settings.observe.redact,
            max_memory_bytes=settings.server.max_memory_bytes,
        )

    async def _lines(self, job: Job, graph: dict[str, Any], timeout_s: float) -> AsyncGenerator[dict[str, Any], None]:
        """Answers of a process to a job: a line for each test, or one.

        Raises :class:`ComponentError` (``dryrun.timeout``, ``dryrun.died``) where a line is missing.
        """
        try:
            process = Disposable("pypes.runtime.trials.apart", self._lifeline_fd, MAX_REPORT_BYTES + 1, keeps_errors=True)
        except OSError as error:
            raise Unavailable(f"no process can be started: {error}", code="dryrun.not_started", retry_after_s=BUSY_S) from error
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        try:
            await _within(process.send(msgspec.json.encode(job)), deadline_s, self._limit_s)
            for _ in range(1 if job.tests is None else len(job.tests)):
                line = await _within(process.line(), deadline_s, self._limit_s)
                if not line.endswith(b"\n"):
                    status = await process.exit_status(DYING_S)
                    reason = process.last_words or f"exit status {status}"
                    raise ComponentError(f"the trial ended early: {scrub(reason, [graph])}", code="dryrun.died")
                yield msgspec.json.decode(line)
        finally:
            await process.end()

    def _check_port(self, at: str, graph: dict[str, Any]) -> None:
        filter, _, port = at.partition(".")
        if port:
            catalogue = self._deployer.catalogue
            assert catalogue is not None
            inputs = catalogue[graph["nodes"][filter]["component"]].inputs
            if port not in inputs:
                known = ", ".join(inputs) or "none"
                raise BadRequest(f"filter {filter!r} has no input {port!r}; it has {known}", code="request.invalid", where="at")


async def _within(waiting: Awaitable[T], deadline_s: float, limit_s: float) -> T:
    try:
        async with asyncio.timeout_at(deadline_s):
            return await waiting
    except TimeoutError:
        raise ComponentError(f"the trial was not done after {limit_s:g} s", code="dryrun.timeout") from None


def _not_run(error: dict[str, str], seconds: float) -> dict[str, Any]:
    return {"passed": False, "seconds": round(seconds, 6), "failures": [], "error": error}


def _post(sample: dict[str, Any], nodes: list[str]) -> Post:
    post, problems = read_post(sample, nodes)
    if post is None:
        raise BadRequest(problems[0].message, code="request.invalid", where=problems[0].path, problems=problems[1:])
    return post
