"""Exporting: spans of the requests and deliveries of an ingest worker, and the metrics of the node, to a collector.

A worker tells of the deliveries in its own shards. The one with slot 0, of which there is one at any time, sends the metrics.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from pypes.core.nodetime import Clock
from pypes.core.trace_context import TraceContext, span_of, trace_of
from pypes.core.watched_tasks import in_own_thread
from pypes.errors import PypesError
from pypes.ingest.contracts.leasing import Lease
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import KeptTrace, receipt_of
from pypes.ingest.receipt import received_of
from pypes.observe.otlp.sender import Sender
from pypes.observe.otlp.settings import Otlp
from pypes.observe.otlp.traces import Finished, Requested
from pypes.observe.spans import DELIVERY, REQUEST
from pypes.observe.tallies import Tallies

log = logging.getLogger(__name__)


class Exporting:
    """Gives a sender what there is to tell. Use it in the event loop; nothing here waits."""

    def __init__(self, otlp: Otlp, clock: Clock, tallies: Tallies) -> None:
        self._interval_s = otlp.interval_s
        self._clock = clock
        self._sender = Sender(otlp, tallies)

    def requested(self, header: Header, receipt: str, route: str, status: int, took_s: float) -> None:
        """A request that brought a traced delivery is to be answered with ``status``, so long after it came."""
        ended_s = self._clock.shown(self._clock.now())
        found = Requested(
            receipt=receipt,
            graph=header.graph,
            context=header.context or TraceContext(trace_of(receipt), "", is_sampled=True),
            caller=header.context,
            method=header.method,
            route=route,
            status=status,
            documents=header.documents,
            began_s=ended_s - took_s,
            ended_s=ended_s,
        )
        self._sender.offer(found)

    def finished(self, lease: Lease, trace: KeptTrace) -> None:
        """A traced delivery is done."""
        if trace.spans is None:
            return
        header, receipt = lease.header, lease.id
        has_request = header.is_traced and not header.replays
        caller = "" if header.context is None else header.context.span_id
        found = Finished(
            receipt=receipt,
            graph=header.graph,
            documents=header.documents,
            began_s=self._clock.shown(received_of(receipt)),
            run=trace.spans,
            number=trace.run,
            parent=span_of(receipt, REQUEST) if has_request else caller,
            is_remote=bool(caller) and not has_request,
            origin=_origin(header),
        )
        self._sender.offer(found)

    async def send_metrics(self, metrics: Callable[[], Awaitable[str]]) -> None:
        """Send what ``metrics()`` gives, at once and each interval, until cancelled."""
        while self._interval_s:
            try:
                self._sender.offer_metrics(await metrics())
            except PypesError as error:
                log.warning("the metrics cannot be read to be sent", extra={"error": str(error)})
            await asyncio.sleep(self._interval_s)
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Send what waits, for a moment."""
        await in_own_thread(self._sender.close, "pypes-otlp-close")


def _origin(header: Header) -> TraceContext | None:
    """The delivery that a replay runs again."""
    if not header.replays:
        return None
    receipt = receipt_of(header.replays)
    trace_id = trace_of(receipt) if header.context is None else header.context.trace_id
    return TraceContext(trace_id, span_of(receipt, DELIVERY))
