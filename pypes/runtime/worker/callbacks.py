"""Callbacks: finished receipts posted, signed, to where the client asked for; durable in the queue until they were taken.

A callback is posted at least once: a crash between the answer of its server and the commit that forgets it posts it again.
The signature is that of ``Pypes-Signature: t=UNIX,v1=HEX``: HMAC-SHA256 with the secret over ``UNIX.BODY``. Where the delivery
belongs to a trace (``traceparent``), so does its callback.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import math
import random
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import orjson
import urllib3

from pypes.core.limits import Limits
from pypes.core.nodetime import Clock
from pypes.core.watched_tasks import OnFailed, WatchedTasks
from pypes.errors import BadRequest, Forbidden, PypesError
from pypes.ingest.contracts.callbacks import Callback
from pypes.ingest.contracts.callbacks import Callbacks as KeptCallbacks
from pypes.ingest.contracts.receipts import Receipts
from pypes.ingest.receipt import Receipt, received_of

log = logging.getLogger(__name__)

SIGNATURE = "Pypes-Signature"

#: Callbacks on their way at once, and how long a server may take to be connected to, and to say something.
THREADS = 4
TIMEOUT_S = 10.0

#: First and longest time between two attempts, before jitter.
FIRST_BACKOFF_S = 1.0
MAX_BACKOFF_S = 600.0

#: Wait before a queue that could not be asked is asked again.
REST_S = 5.0
#: Longest wait for the commit after which what was done is not due any more.
COMMIT_S = 0.05

_DEFAULT_PORTS = {"http": 80, "https": 443}


def checked_url(url: str, hosts: Collection[str]) -> str:
    """A callback's URL as it is, if receipts may be posted there.

    ``hosts`` are the names allowed, ``host`` for the scheme's own port or ``host:port``. Raises :class:`BadRequest` for what
    is no such URL, :class:`Forbidden` (``callback.host``) for another host.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _malformed() from None
    # what parsers differ about is nothing to trust a list of hosts with
    is_plain = url.isascii() and url.isprintable() and not set(url) & set(' \\"<>^`{|}')
    host = parts.hostname
    if not is_plain or parts.scheme not in _DEFAULT_PORTS or not host or "@" in parts.netloc or port == 0:
        raise _malformed()
    name = f"[{host}]" if ":" in host else host
    default = _DEFAULT_PORTS[parts.scheme]
    names = {f"{name}:{port or default}", *([name] if port in (None, default) else [])}
    if not any(one.lower() in names for one in hosts):
        raise Forbidden(
            "receipts may not be posted to this host; to allow the host, add it to hosts in section [callbacks] of pypes.ini",
            code="callback.host",
            where="callback",
        )
    return url


def _malformed() -> BadRequest:
    return BadRequest(
        "callback must be the address of an http or https server, without user name, such as https://example.com/receipts",
        code="callback.invalid",
        where="callback",
    )


def signature(secret: str, body: bytes, now: float) -> str:
    """The value of the signature's header for a body posted at ``now`` (seconds since the epoch)."""
    moment = b"%d" % int(now)
    digest = hmac.new(secret.encode(), moment + b"." + body, "sha256").hexdigest()
    return f"t={moment.decode()},v1={digest}"


def backoff_s(attempts: int, jitter: Callable[[], float]) -> float:
    """Time to the next attempt after so many failed ones: doubling, between half and all of it by chance."""
    return min(FIRST_BACKOFF_S * 2.0 ** min(attempts, 30), MAX_BACKOFF_S) * (0.5 + jitter() / 2)


class Callbacks:
    """Posts what is due in the queues of this worker. Make it and use it in the event loop; requests are made in threads."""

    def __init__(
        self,
        hosts: Collection[str],
        secret: str,
        limits: Limits,
        *,
        clock: Clock | None = None,
        jitter: Callable[[], float] = random.random,
        on_failed: OnFailed = lambda name: None,
    ) -> None:
        self._hosts = hosts
        self._secret = secret
        self._limits = limits
        self._times = clock or Clock()
        self._clock = self._times.fresh
        self._jitter = jitter
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="pypes-callback")
        timeout = urllib3.Timeout(total=TIMEOUT_S)
        self._http = urllib3.PoolManager(maxsize=THREADS, retries=False, timeout=timeout)
        self._tasks = WatchedTasks(on_failed)

    def add(self, kept: KeptCallbacks, receipts: Receipts) -> None:
        """Post the callbacks of a queue until :meth:`close`."""
        wake = asyncio.Event()
        kept.on_due = wake.set
        self._tasks.keep(self._serve(kept, receipts, wake), "callbacks")

    async def _serve(self, kept: KeptCallbacks, receipts: Receipts, wake: asyncio.Event) -> None:
        #: Attempted callbacks, and when they are due again: the queue says so only after its next commit.
        handled: dict[str, float] = {}
        while True:
            wake.clear()
            now = self._clock()
            try:
                found = await kept.due(now, THREADS + len(handled))
                handled = {one.receipt: handled[one.receipt] for one in found if one.receipt in handled}
                due = [one for one in found if handled.get(one.receipt, now) <= now]
                if due:
                    again = await asyncio.gather(*(self._post(kept, receipts, one) for one in due))
                    handled.update(zip((one.receipt for one in due), again, strict=True))
                    continue
                next_due = await kept.next_due()
            except PypesError as error:
                log.warning("callbacks cannot be read; trying again", extra={"error": str(error)})
                next_due = now + REST_S
            rest_s = None if next_due is None else max(COMMIT_S, next_due - self._clock())
            try:
                await asyncio.wait_for(wake.wait(), rest_s)
            except TimeoutError:
                continue

    async def _post(self, kept: KeptCallbacks, receipts: Receipts, callback: Callback) -> float:
        """Post a callback once; returns when it is due again."""
        about = {"receipt": callback.receipt}
        try:
            receipt = await receipts.get(callback.receipt)
            if receipt is not None:
                about["graph"] = receipt.graph
            reason = None if receipt is None else await self._attempt(callback, receipt)
        except PypesError as error:
            reason = str(error)
        except Exception as error:
            # one that we cannot deal with must not keep the others from being posted
            log.exception("callback failed because of a bug in Pypes", extra=about)
            reason = f"{type(error).__name__}: {error}"
        if reason is None:
            kept.done(callback.receipt)
            return math.inf
        now = self._clock()
        due = now + backoff_s(callback.attempts, self._jitter)
        fields = {**about, "url": callback.url, "attempts": callback.attempts + 1, "error": reason}
        is_old = self._times.ago(self._limits.callback_s - (due - now)) > received_of(callback.receipt)
        if is_old and self._times.is_steady():
            log.error("callback given up", extra=fields)
            kept.done(callback.receipt)
            return math.inf
        log.warning("callback failed; trying again later", extra=fields)
        kept.failed(callback.receipt, due)
        return due

    async def _attempt(self, callback: Callback, receipt: Receipt) -> str | None:
        """Post a receipt; ``None`` once it was taken, otherwise why not. Raises :class:`PypesError` for a wrong address."""
        checked_url(callback.url, self._hosts)
        body = orjson.dumps(receipt.to_obj())
        more = {} if callback.context is None else callback.context.fields()
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._request, callback.url, body, more)

    def _request(self, url: str, body: bytes, more: Mapping[str, str]) -> str | None:
        signed = signature(self._secret, body, self._times.shown(self._clock()))
        headers = {"Content-Type": "application/json", SIGNATURE: signed, **more}
        try:
            # a redirect is an answer like any other that is no success: it could lead where nobody allowed
            answer = self._http.request("POST", url, body=body, headers=headers, redirect=False, preload_content=False)
        except urllib3.exceptions.HTTPError as error:
            return f"{type(error).__name__}: {error}"
        try:
            return None if 200 <= answer.status < 300 else f"answered with {answer.status}"
        finally:
            # its body means nothing, and might never end
            answer.close()

    async def close(self) -> None:
        """Stop; what was on its way is posted again by whoever opens the queue next."""
        await self._tasks.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._http.clear()
