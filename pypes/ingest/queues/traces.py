"""Traces that cannot be told, and why."""

from __future__ import annotations

from pypes.errors import Gone, NotFound


def not_finished() -> NotFound:
    return NotFound(
        "the delivery is not finished, and its trace comes with its end; ask again (GET /receipts/{id}?wait=10 waits)",
        code="trace.not_finished",
    )


def not_traced() -> NotFound:
    return NotFound(
        "the delivery was not traced; POST with ?trace=1 traces it, and the option trace of a graph a share of all",
        code="trace.not_traced",
    )


def forgotten_trace() -> Gone:
    return Gone(
        "no trace of the delivery is kept any more, if it was traced; traces are kept for traces_s, within traces_bytes",
        code="trace.forgotten",
    )
