"""Recording: a post that was tried out, as a test that the graph can carry."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import orjson

from pypes.core.limits import Limits
from pypes.core.media_types import PACKETS
from pypes.errors import BadRequest, PypesError
from pypes.graph.cases import Post
from pypes.graph.recording import case_of, post_of, redacted_body
from pypes.ingest.codecs import media
from pypes.ingest.codecs.legible import legible
from pypes.observe.hiding import Hiding
from pypes.runtime.trials.report import Report
from pypes.runtime.trials.trial import Trial

#: A larger body makes no test: graphs are read by people, and compared line by line.
RECORDED_BYTES = 256 << 10


def record(name: str, post: Post, make_trial: Callable[[], Trial], hiding: Hiding) -> tuple[dict[str, Any] | None, str]:
    """A test called ``name`` that expects what a post makes, or ``None`` and the reason why there can be none.

    The post runs twice, each time in a trial of its own, so that nothing that changes from run to run is expected. Values that
    are hidden are not in it, and what comes of them is what comes of the marker.
    """
    if len(post.body) > RECORDED_BYTES:
        return None, f"the body has {len(post.body)} bytes; at most {RECORDED_BYTES} fit into a test"
    if not post.encoding:
        with suppress(BadRequest):  # what cannot be read has no names that could be hidden
            content_type, text = legible(post.content_type, post.body, Limits())
            post = replace(post, content_type=content_type, body=text)
        body = redacted_body(post.body, media.parse(post.content_type).codec, hiding.hides)
        post = post if body is None else replace(post, body=body)
    try:
        runs = [_run(post, make_trial) for _ in range(2)]
    except PypesError as error:
        return None, error.message
    (arrived, report), (again, _) = runs
    case = case_of(name, _post(post), arrived, again, report.dropped, report.failures, hiding.hides)
    return case, "" if case is not None else "two runs of it gave different numbers of packets"


def _run(post: Post, make_trial: Callable[[], Trial]) -> tuple[dict[str, list[dict[str, Any]]], Report]:
    with make_trial() as trial:
        report = trial.run([post])
        return {name: report.arrived[name] for name in trial.publishers}, report


def _post(post: Post) -> dict[str, Any]:
    if post.content_type == PACKETS and post.at and not post.body.startswith(b"["):
        return {"packet": orjson.loads(post.body), "at": post.at}
    others = {"route": post.route, "id": post.id, "filename": post.filename, "method": post.method, "at": post.at or None}
    return post_of(post.body, post.content_type, post.encoding, others)
