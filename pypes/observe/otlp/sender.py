"""Sending: a thread that posts spans and metrics to a collector, in batches, away from the work itself.

Nobody waits for it. What waits to be sent is bounded: while the collector is away, the oldest of it goes, and is counted. A batch
is tried again for as long as the collector cannot take it now; metrics are not, for the next ones say all that these do.
"""

from __future__ import annotations

import gzip
import logging
import threading
import time
from collections import deque
from typing import Final

import urllib3

from pypes.core.clock import wall
from pypes.core.retry_after import retry_after_s
from pypes.core.watched import watched_thread
from pypes.observe.metrics import OTLP_DROPPED, OTLP_SENT
from pypes.observe.otlp import metrics, traces
from pypes.observe.otlp.settings import Otlp
from pypes.observe.otlp.traces import Finished, Requested
from pypes.observe.tallies import Tallies

log = logging.getLogger(__name__)

#: Deliveries, and requests that brought one, that wait to be sent at most, and that go in one request to the collector.
MAX_WAITING: Final = 2048
MAX_BATCH: Final = 256
#: Time for which others are waited for that could go along.
GATHER_S: Final = 1.0
#: The longest time for a request, and of the last ones of a process that ends.
TIMEOUT_S: Final = 10.0
LAST_S: Final = 2.0
#: First and longest time between two attempts.
FIRST_REST_S: Final = 1.0
MAX_REST_S: Final = 30.0
#: Statuses with which a collector asks to be sent the same again later (OTLP).
LATER: Final = (429, 502, 503, 504)
#: Shorter bodies are not worth compressing.
GZIP_BYTES: Final = 1 << 10

TRACES: Final = "traces"
METRICS: Final = "metrics"


class _Refused(Exception):
    """The collector does not want it."""


class _Later(Exception):
    """Nobody takes it now; ``wait_s``: as long as the collector has asked for."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class Sender:
    """Sends what one process gives it. ``tallies`` count what was sent and what was not; only the thread changes those."""

    def __init__(self, otlp: Otlp, tallies: Tallies) -> None:
        self._otlp = otlp
        self._sent = {signal: tallies.counter(OTLP_SENT, signal) for signal in (TRACES, METRICS)}
        self._dropped = {signal: tallies.counter(OTLP_DROPPED, signal) for signal in (TRACES, METRICS)}
        self._http = urllib3.PoolManager(maxsize=1, retries=False)
        self._condition = threading.Condition()
        self._waiting: deque[Finished | Requested] = deque()
        #: The newest metrics, and their time.
        self._metrics: tuple[str, float] | None = None
        self._overflow = 0
        self._is_closing = False
        self._thread = watched_thread(self._work, "pypes-otlp", lambda: None)

    # -- any thread ----------------------------------------------------------------------------------------

    def offer(self, item: Finished | Requested) -> None:
        """Send spans, some time. Never blocks."""
        with self._condition:
            if len(self._waiting) == MAX_WAITING:
                self._waiting.popleft()
                self._overflow += 1
            self._waiting.append(item)
            if len(self._waiting) in (1, MAX_BATCH):
                self._condition.notify()

    def offer_metrics(self, text: str) -> None:
        """Send metrics, as ``GET /metrics`` has them, in place of those that still wait. Never blocks."""
        with self._condition:
            self._metrics = text, wall()
            self._condition.notify()

    def close(self) -> None:
        """Send what waits, once, and end; blocks for :data:`LAST_S` at most."""
        with self._condition:
            self._is_closing = True
            self._condition.notify()
        self._thread.join(LAST_S)

    # -- the thread -------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while self._next():
            pass
        self._http.clear()

    def _next(self) -> bool:
        """Send what comes next; False once all is sent that there will be."""
        with self._condition:
            self._condition.wait_for(lambda: self._waiting or self._metrics or self._is_closing)
            if not self._metrics:
                self._condition.wait_for(lambda: len(self._waiting) >= MAX_BATCH or self._metrics or self._is_closing, GATHER_S)
            newest, self._metrics = self._metrics, None
            batch = [self._waiting.popleft() for _ in range(min(MAX_BATCH, len(self._waiting)))]
            overflow, self._overflow = self._overflow, 0
        self._dropped[TRACES].add(overflow)
        if newest is not None:
            self._send_metrics(*newest)
        if batch:
            self._send_spans(batch)
        return not self._is_closing or bool(self._waiting)

    def _send_metrics(self, text: str, now_s: float) -> None:
        body, points = metrics.request_of(text, now_s, self._otlp.resource)
        try:
            self._post(self._otlp.metrics, body)
        except (_Refused, _Later) as error:
            self._lost(METRICS, points, error)
        else:
            self._sent[METRICS].add(points)

    def _send_spans(self, batch: list[Finished | Requested]) -> None:
        body, spans = traces.request_of(batch, self._otlp.resource)
        rest_s = FIRST_REST_S
        while True:
            try:
                self._post(self._otlp.traces, body)
            except _Later as error:
                if self._is_closing:
                    self._lost(TRACES, spans, error)
                    return
                log.warning("the collector of OpenTelemetry takes nothing now; trying again", extra=self._about(error))
                self._rest(rest_s if error.wait_s is None else error.wait_s)
                rest_s = min(2 * rest_s, MAX_REST_S)
            except _Refused as error:
                self._lost(TRACES, spans, error)
                return
            else:
                self._sent[TRACES].add(spans)
                return

    def _rest(self, seconds: float) -> None:
        """Wait before the next attempt; metrics go meanwhile, and nothing is waited for once the process ends."""
        until = time.monotonic() + seconds
        while not self._is_closing and (left := until - time.monotonic()) > 0:
            with self._condition:
                self._condition.wait_for(lambda: self._is_closing or self._metrics, left)
                newest, self._metrics = self._metrics, None
            if newest is not None:
                self._send_metrics(*newest)

    def _lost(self, signal: str, number: int, error: Exception) -> None:
        self._dropped[signal].add(number)
        log.warning(
            "what was to be sent to the collector of OpenTelemetry is lost", extra={"signal": signal, **self._about(error)}
        )

    def _about(self, error: Exception) -> dict[str, str]:
        return {"endpoint": self._otlp.endpoint, "error": str(error)}

    def _post(self, url: str, body: bytes) -> None:
        """Post once. Raises :class:`_Later` or :class:`_Refused`."""
        headers = {"content-type": "application/x-protobuf", **self._otlp.headers}
        if len(body) >= GZIP_BYTES:
            body = gzip.compress(body, 1)
            headers["content-encoding"] = "gzip"
        timeout = urllib3.Timeout(total=LAST_S if self._is_closing else TIMEOUT_S)
        try:
            answer = self._http.request("POST", url, body=body, headers=headers, timeout=timeout, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            raise _Later(f"{type(error).__name__}: {error}") from error
        if 200 <= answer.status < 300:
            return
        if answer.status in LATER:
            raise _Later(f"answered with {answer.status}", retry_after_s(answer.headers.get("retry-after"), wall()))
        raise _Refused(f"answered with {answer.status}")
