"""Trials in a process of their own, for the node, which imports no components itself.

``python -m pypes.runtime.trials.apart LIFELINE``: a JSON object on standard input (a :class:`Job`); on standard output the
report of a post as one line, or a line for each test. It ends with the node.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import msgspec

from pypes import logs
from pypes.core.lifeline import die_with, watch
from pypes.core.printed import clean_prints
from pypes.errors import PypesError
from pypes.graph import codec
from pypes.graph.cases import Post, read_cases
from pypes.graph.spec import ComponentSpec
from pypes.runtime.instance.watchdog import limit_memory
from pypes.runtime.making import Site
from pypes.runtime.trials.cutting import Cutter
from pypes.runtime.trials.dryrun_job import MAX_REPORT_BYTES, Job
from pypes.runtime.trials.recording import record
from pypes.runtime.trials.testing import run_case
from pypes.runtime.trials.trial import Trial


def main(lifeline: int) -> None:
    """Do one job for the node: reads it, writes the answers, each perhaps ``{"error": …}``."""
    die_with(lifeline)
    watch([lifeline])
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    if job.max_memory_bytes:
        limit_memory(job.max_memory_bytes)
    # what components print must not get between the lines of the report
    report_fd = os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(report_fd, "wb") as out:
        for answer in _answers(job):
            line = msgspec.json.encode(answer)
            if len(line) >= MAX_REPORT_BYTES:
                message = f"the report has {len(line)} bytes, at most {MAX_REPORT_BYTES} can be shown; try a smaller document"
                line = msgspec.json.encode({"error": {"code": "dryrun.too_large", "message": message, "where": ""}})
            out.write(line + b"\n")
            out.flush()


def _answers(job: Job) -> Iterator[Any]:
    specs = {name: ComponentSpec.from_obj(obj) for name, obj in job.components.items()}
    if job.tests is None:
        yield _try(job, specs)
        return
    graph = codec.from_obj(job.graph, is_expanded=True)
    cases, _ = read_cases([graph.tests[place] for place in job.tests], list(graph.nodes))
    for case in cases:
        yield run_case(graph, case, specs, _site(job), job.pools)


def _site(job: Job) -> Site:
    site = Site(job.paths, redact=job.hides)
    logs.configure(f"trial-{os.getpid()}", json=False, hiding=site.hiding)
    clean_prints(site.secrets.redact)
    return site


def _try(job: Job, specs: dict[str, ComponentSpec]) -> Any:
    """Run the post of a job; the report, with the test that was asked for."""
    graph, site = codec.from_obj(job.graph, is_expanded=True), _site(job)
    post = msgspec.convert(job.post, Post)

    def make_trial(site: Site, *, is_stepped: bool) -> Trial:
        at = (post.at,) if post.at else ()
        return Trial(graph, specs, site=site, is_stepped=is_stepped, left_out=job.left_out, at=at, pools=job.pools)

    try:
        with make_trial(site, is_stepped=True) as trial:
            report = trial.run([post])
    except PypesError as error:
        return {"error": {"code": error.code, "message": site.secrets.redact(error.message), "where": error.where}}
    if job.record is not None:
        test, reason = record(job.record, post, lambda: make_trial(_site(job), is_stepped=False), site.hiding)
        report.test, report.no_test = site.secrets.shown(test), site.secrets.redact(reason)
    return report.shown(site.hiding, Cutter())


if __name__ == "__main__":
    main(int(sys.argv[1]))
