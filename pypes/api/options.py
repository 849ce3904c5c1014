"""Options of a request to ``/docs``, given in its query or header fields."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import NamedTuple

from pypes.api.operation import TEXT, Parameter
from pypes.api.query import MAX_WAIT_S, choice_of
from pypes.api.request import Request
from pypes.core.limits import Limits
from pypes.errors import BadRequest
from pypes.runtime.worker.callbacks import checked_url


class Options(NamedTuple):
    """``key`` is the Idempotency-Key as sent, or else, with ``is_request``, the id that a balancer gave the request.

    ``wait_s`` is how long the client prefers to wait, in seconds.
    """

    is_lenient: bool = False
    is_bulk: bool = False
    callback: str | None = None
    key: str | None = None
    wait_s: float = 0.0
    keeps_folders: bool = False
    is_traced: bool = False
    is_request: bool = False


PLAIN = Options()

#: Fields by which a request that comes again is known, the first that is there.
REQUEST_ID = "Pypes-Request-Id"
KEYS = ("Idempotency-Key", REQUEST_ID)

TRACED = Parameter(
    "trace",
    "1: keep with the receipt what each filter did with these documents; see /receipts/{id}/trace.",
    {"type": "string", "enum": ["0", "1"]},
)

PARAMETERS = (
    Parameter(
        "on_error",
        (
            "Treatment of a line of NDJSON, an element of a JSON array, or a document of a binary form that cannot be read: "
            "refuse the whole body, or put that one among the dead letters of the receipt and accept the others."
        ),
        {"type": "string", "enum": ["refuse", "deadletter"]},
    ),
    Parameter(
        "lane",
        "bulk: for backfills, which run only as fast as live documents leave room.",
        {"type": "string", "enum": ["live", "bulk"]},
    ),
    Parameter(
        "folders",
        "keep: names of files keep their folders, without drives and dots; by default the folders are cut off.",
        {"type": "string", "enum": ["cut", "keep"]},
    ),
    TRACED,
    Parameter(
        "callback",
        "Address to which the finished receipt is posted, signed; the server's configuration must allow its host.",
        {"type": "string", "format": "uri"},
    ),
    Parameter(
        "Idempotency-Key",
        "The same key with the same request gives the same receipt, and nothing is processed twice.",
        {"type": "string", "minLength": 1},
        "header",
    ),
    Parameter(
        REQUEST_ID,
        "The id that a load balancer gave this request, which it may send to several nodes of a fleet: it is accepted once. "
        "An Idempotency-Key counts before it.",
        {"type": "string", "minLength": 1},
        "header",
    ),
    Parameter(
        "traceparent",
        "The trace that the request belongs to (W3C Trace Context): carried on to the callback and to publishers over HTTP. "
        "What is not valid is ignored.",
        TEXT,
        "header",
    ),
    Parameter("tracestate", "Carried on with traceparent.", TEXT, "header"),
    Parameter(
        "Prefer",
        f"wait=SECONDS: answer when the receipt is finished, if that is within the time (at most {MAX_WAIT_S:g}); RFC 7240.",
        TEXT,
        "header",
    ),
)


def options_of(req: Request, limits: Limits, hosts: Collection[str]) -> Options:
    """Parse the options of a request; ``hosts`` lists the hosts to which callbacks may go.

    Raises :class:`BadRequest` for what has no meaning, :class:`Forbidden` (``callback.host``) for another host.
    """
    name = next((name for name in KEYS if req.has_header(name.lower().encode())), None)
    prefer = req.header(b"prefer")
    if not req.query_string and name is None and not prefer:
        return PLAIN
    callback = req.get_param("callback")
    return Options(
        choice_of(req, "on_error", ("refuse", "deadletter")) == "deadletter",
        choice_of(req, "lane", ("live", "bulk")) == "bulk",
        callback if callback is None else checked_url(callback, hosts),
        None if name is None else _checked_key(req.header(name.lower().encode()), name, limits),
        _preferred_wait_s(prefer) if prefer else 0.0,
        choice_of(req, "folders", ("cut", "keep")) == "keep",
        is_traced(req),
        name == REQUEST_ID,
    )


def is_traced(req: Request) -> bool:
    """True if a request asks for a trace. Raises :class:`BadRequest`."""
    return choice_of(req, "trace", ("0", "1")) == "1"


def _checked_key(key: str, name: str, limits: Limits) -> str:
    if not 0 < len(key) <= limits.idempotency_key_bytes:
        raise BadRequest(
            f"{name} must have 1 to {limits.idempotency_key_bytes} bytes; use a UUID, for example",
            code="idempotency.key",
            where=name,
        )
    return key


def _preferred_wait_s(prefer: str) -> float:
    """The preference ``wait``; one that makes no sense counts as none (RFC 7240, 2)."""
    for preference in prefer.split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "wait":
            try:
                wait_s = float(value.strip().strip('"'))
            except ValueError:
                return 0.0
            return min(wait_s, MAX_WAIT_S) if 0 <= wait_s < math.inf else 0.0
    return 0.0
