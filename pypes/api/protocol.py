"""HTTP/1.1 of an ingest worker: uvicorn's protocol, with what it leaves open where bytes come from strangers.

- Head, body and idle time have deadlines, and connections are counted (:mod:`pypes.api.door`).
- Head, trailers and chunk extensions are bounded. Trailers are dropped: they are no headers (RFC 9110, 6.5.1).
- An offer to upgrade is ignored (RFC 9110, 7.8): the body belongs to the request, and one request has one answer. The exception
  are links between nodes (:mod:`pypes.api.links`).
- A transfer coding other than ``chunked`` is refused (RFC 9112, 6.1).
- A request that is refused here is answered after those before it, as HTTP/1.1 demands, and with a problem document.
"""

from __future__ import annotations

import logging
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pypes.api import problems
from pypes.api.door import Door, Entry, is_over
from pypes.api.flow import Flow
from pypes.api.guard import PROBE_PATHS
from pypes.api.joining import JoiningTransport
from pypes.api.links import Link, Links
from pypes.api.request import DISCARD_BYTES, DISCARD_S
from pypes.api.short_path import Post, ShortPath
from pypes.api.upgrading import without_offer
from pypes.errors import Forbidden
from pypes.runtime.fleet.link import LINK_PATH

log = logging.getLogger(__name__)

#: Longest head of a request, and longest run of bytes between two pieces of a body (trailers, chunk extensions), roughly: what
#: arrives at once is read at once.
MAX_HEAD_BYTES = 64 << 10
MAX_OVERHEAD_BYTES = 8 << 10

#: Requests of one connection that may wait for those before them; each costs some kilobytes.
MAX_PIPELINED = 256

LINK_URL = LINK_PATH.encode()


class Protocol(HttpToolsProtocol):
    """One connection. Made by uvicorn for each; ``door``, ``short_path`` and ``links`` are those of the worker."""

    #: The newest request: a cycle of uvicorn, or a post on the short path.
    cycle: Any

    def __init__(self, door: Door, short_path: ShortPath, links: Links | None = None, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._door = door
        self._links = links
        #: Speaks for the connection once it is one between nodes.
        self._link: Link | None = None
        self._short_path = short_path
        #: The request that is being read, if it is on the short path.
        self._post: Post | None = None
        self._limits = door.limits
        self._is_probe_only = False
        #: The request that is to be answered next; newer ones wait in the pipeline.
        self._running: Any = None
        #: Requests that were taken on and have no answer yet.
        self._unanswered = 0
        #: True from the end of a head to the end of its message.
        self._is_in_body = False
        #: True from the end of a message to the first byte of the next.
        self._is_between = True
        #: True while a message is read that offered to upgrade; it is read once more without the offer.
        self._is_offer = False
        self._has_coding = False
        #: Bytes since the last piece of a body, or since the last message ended; they are counted per read.
        self._overhead = 0
        self._is_progress = False
        self._trailer_bytes = 0
        #: The answer to what was refused; from then on nothing more is read of this connection.
        self._refusal: bytes | None = None
        self._refused_at: float | None = None
        self._discarded = 0
        now = self._moved_at = self._waits_since = self.loop.time()
        #: Bytes of answers that the client has not taken, as the last sweep saw it, and since when they are as many.
        self._unsent = 0
        self._unsent_since = now

    # -- the connection ----------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        self._joining = JoiningTransport(transport, self._linger)
        super().connection_made(self._joining)  # type: ignore[arg-type]
        self.flow = Flow(self._joining, self.pipeline)
        entry = self._door.enter(self)
        if entry is Entry.REFUSED:
            transport.abort()
        self._is_probe_only = entry is Entry.PROBE

    def connection_lost(self, exc: Exception | None) -> None:
        self._door.leave(self)
        if self._link is not None:
            self._link.end()
        # uvicorn tells the newest request, which is not the one that is being answered if others wait behind that
        if self._running is not None and not self._running.response_complete:
            _hang_up(self._running)
        self.pipeline.clear()
        if self._post is not None:
            self.cycle = self._post = None
        super().connection_lost(exc)
        self._running = None
        self._joining.linger = None  # or the two would hold each other

    @property
    def is_new(self) -> bool:
        """True if it has not sent a request yet."""
        return self.cycle is None

    @property
    def waits_since(self) -> float | None:
        """Start of the wait for a request; ``None`` while one is under way."""
        if self._refused_at is not None:
            return self._refused_at
        if self._link is not None:
            return None if self._link.is_proven else self._waits_since
        return None if self._unanswered or self._is_in_body else self._waits_since

    def evict(self) -> None:
        """End the connection at once."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def check_deadlines(self, now: float) -> None:
        """End the connection if its client has kept the worker waiting for too long. 0 is no deadline."""
        limits = self._limits
        if self._link is not None:
            if not self._link.is_proven and is_over(self._waits_since, limits.head_s, now):
                self.transport.abort()
            return
        if unsent := self.transport.get_write_buffer_size():
            if unsent != self._unsent:
                self._unsent, self._unsent_since = unsent, now
            elif is_over(self._unsent_since, limits.stall_s, now):
                self.transport.abort()
            return
        self._unsent = 0
        if self._refused_at is not None:
            if now - self._refused_at > DISCARD_S:
                self.transport.abort()
        elif self._is_in_body:
            if self.flow.read_paused:
                # it is us who make the client wait
                self._moved_at = now
            elif is_over(self._moved_at, limits.stall_s, now):
                self._refuse(408, "http.body_timeout", f"nothing came of the body for {limits.stall_s:g} s; send it again")
        elif not self._unanswered:
            if self._overhead:
                if is_over(self._waits_since, limits.head_s, now):
                    self._refuse(408, "http.head_timeout", f"the head of a request has to come within {limits.head_s:g} s")
            # one that never said anything gets no answer: some clients connect ahead of need
            elif is_over(self._waits_since, limits.head_s if self.is_new else limits.keep_alive_s, now):
                self.transport.close()

    # -- what arrives ------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._moved_at = self.loop.time()
        if self._link is not None:
            self._link.feed(data)
            return
        if self._refusal is not None:
            self._discard(len(data))
            return
        newest, is_idle = self.cycle, not self._unanswered and self._is_between and not self._is_probe_only
        if is_idle and (post := self._short_path.whole(self, data)) is not None:
            self._start_whole(post)
            return
        self._is_progress = False
        size = len(data)
        while data and self._refusal is None:
            try:
                self.parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as offer:
                rest = data[offer.args[0] :]
                if self._became_link(rest):
                    return
                data = self._without_offer() + rest
            except httptools.HttpParserError as error:
                log.debug("not a valid HTTP request", extra={"error": str(error)})
                self._refuse(400, "http.malformed", "this is not a valid HTTP request")
                return
        if self._is_progress:
            self._overhead = 0
            if is_idle and self._post is not None and self._post is self.cycle is not newest:
                self._short_path.remember(self._post, data)
        else:
            if not self._overhead and not self._is_in_body and not self.is_new:
                # a head begins on a connection that was idle
                self._waits_since = self._moved_at
            self._overhead += size
            self._check_overhead()

    def _check_overhead(self) -> None:
        if not self._is_in_body:
            if self._overhead > MAX_HEAD_BYTES:
                self._refuse(431, "http.head_too_large", f"the head of a request has at most {MAX_HEAD_BYTES} bytes")
        elif self._overhead > MAX_OVERHEAD_BYTES:
            self._refuse_trailers()

    def _refuse_trailers(self) -> None:
        detail = f"trailers and chunk extensions have at most {MAX_OVERHEAD_BYTES} bytes; the server ignores them: leave them out"
        self._refuse(431, "http.trailers_too_large", detail)

    def _discard(self, size: int) -> None:
        """Throw away what comes after a refusal, so that the client gets to read it instead of a reset."""
        self._discarded += size
        if self._discarded > DISCARD_BYTES:
            self.transport.abort()

    def _became_link(self, rest: bytes) -> bool:
        """True if the message that offered to upgrade is from another node: the connection is theirs from then on."""
        if self._links is None or self._unanswered or self._is_probe_only or self.url != LINK_URL:
            return False
        try:
            self._link = self._links.open(self.headers, self.transport)
        except Forbidden as error:
            self._refuse(403, error.code, error.message)
            return True
        if self._link is not None:
            self._joining.flush()
            self._link.feed(rest)
        return self._link is not None

    def _without_offer(self) -> bytes:
        """The head of the message that offered to upgrade, without the offer; a new parser takes it, then what follows."""
        head = without_offer(self.parser.get_method(), self.url, self.parser.get_http_version(), self.headers)
        self.parser = httptools.HttpRequestParser(self)
        # as uvicorn's: what follows a request that closes must not keep that from being answered
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return head

    # -- what the parser tells ---------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._is_between = False
        # PERF: the scope of ASGI is made when the application is given the request
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_in_body:
            self._trailer_bytes += len(name) + len(value)
            if self._trailer_bytes > MAX_OVERHEAD_BYTES:
                self._refuse_trailers()
            return
        name = name.lower()
        if name == b"transfer-encoding":
            # named twice is a list, too
            if self._has_coding or value.strip().lower() != b"chunked":
                self._refuse(501, "http.transfer_coding", "the only transfer coding is chunked; compress with Content-Encoding")
            self._has_coding = True
        elif name == b"expect" and value.lower() == b"100-continue" and self.parser.get_http_version() != "1.0":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._refusal is not None or self.transport.is_closing():
            # what follows the last answer in the same bytes is no request any more
            return
        self._has_coding, self._trailer_bytes = False, 0
        self._is_offer = self.parser.should_upgrade()
        if self._is_offer:
            if self.parser.get_method() == b"CONNECT":
                self._refuse(501, "http.connect", "this server is no proxy: CONNECT is not possible")
            return
        if b"#" in self.url:
            # the parser would leave out what follows, and two documents had one id
            detail = "an address ends before #, which is for browsers; write %23 if it is part of an id"
            self._refuse(400, "http.fragment", detail)
            return
        if len(self.pipeline) >= MAX_PIPELINED:
            self._refuse(400, "http.pipeline", f"at most {MAX_PIPELINED} requests may wait for the answers before theirs")
            return
        if self._is_probe_only and self.url.decode("latin-1").partition("?")[0] not in PROBE_PATHS:
            detail = "the node has too many connections; try again later"
            self._refuse(503, "http.too_many_connections", detail, {"retry-after": "1"})
            return
        self._is_in_body = self._is_progress = True
        self._unanswered += 1
        is_post = self.url == b"/docs" and self.parser.get_method() == b"POST" and self.parser.get_http_version() == "1.1"
        self._post = self._short_path.admit(self, self.headers) if is_post else None
        if self._post is None:
            self._start_cycle()
        else:
            self._start_post(self._post)

    def _start_cycle(self) -> None:
        """Give a request to the application."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers  # the scope has the same list
        super().on_headers_complete()
        if not self.pipeline:
            self._running = self.cycle
        if self._is_server_ending:
            self.cycle.keep_alive = False

    def _start_post(self, post: Post) -> None:
        """Answer a request on the short path, as uvicorn does a cycle."""
        newest, self.cycle = self.cycle, post
        post.keep_alive = self.parser.should_keep_alive() and not self._is_server_ending
        if newest is None or newest.response_complete:
            self._running = post
            post.begin()
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((post, None))  # type: ignore[arg-type]

    def _start_whole(self, post: Post) -> None:
        """Answer a request that came whole, as if the parser had seen it."""
        self.cycle = self._post = self._running = post
        self._unanswered += 1
        self._overhead = self._discarded = 0
        self._waits_since = self._moved_at
        post.keep_alive = not self._is_server_ending
        post.begin()

    @property
    def _is_server_ending(self) -> bool:
        return getattr(self.server_state, "is_ending", False)

    def on_body(self, body: bytes) -> None:
        if self._refusal is not None:
            return
        self._is_progress = True
        if self.cycle.response_complete:
            self._discarded += len(body)
            if self._discarded > DISCARD_BYTES:
                self.transport.abort()
            return
        if self._post is not None:
            self._post.take(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._refusal is not None or self._is_offer:
            return
        self._is_in_body, self._is_between, self._is_progress = False, True, True
        self._waits_since = self._moved_at
        self._discarded = 0
        if self._post is not None:
            self._post.complete()
        else:
            super().on_message_complete()

    # -- what is answered --------------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        """The application has answered."""
        self._joining.flush()
        self.answered()

    def answered(self) -> None:
        """Go on with the next request. Instead of a timer for each idle connection there is the sweep of the door."""
        self._unanswered -= 1
        self.server_state.total_requests += 1
        if self.transport.is_closing() or self._refused_at is not None:
            return
        if self.flow.read_paused:
            self.flow.resume_reading()
        self._waits_since = self.loop.time()
        if self.pipeline:
            self._running, app = self.pipeline.pop()
            if isinstance(self._running, Post):
                self._running.begin_soon()
            else:
                self._start_asgi_task(self._running, app)
        elif self._refusal is not None and self._refused_at is None:
            self._send_refusal()

    def _refuse(self, status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> None:
        """Answer the message that is being read with a problem document, after those before it, and end the connection."""
        if self._refusal is not None or self.transport.is_closing():
            return
        self._refusal = problems.last(status, code, detail, headers or {})
        self._short_path.requests.refused(status)
        if self._is_in_body and self.cycle is not None:
            self._give_up(self.cycle)
        if not self._unanswered and not self.transport.is_closing():
            self._send_refusal()

    def _give_up(self, cycle: Any) -> None:
        """The body of the newest request will never be complete: its application is told, and its answer is the refusal."""
        if self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()
            self._unanswered -= 1
        elif cycle.response_complete or cycle.response_started:
            self.transport.close()
        else:
            _hang_up(cycle)
            self._unanswered -= 1

    def resume_writing(self) -> None:
        super().resume_writing()
        if isinstance(self._running, Post):
            self._running.write()

    def _send_refusal(self) -> None:
        self._joining.flush()
        self._joining.write_now(self._refusal or b"")
        self._end_sending()

    def _linger(self) -> bool:
        """The answer to a body that was not read is the last one: let the client read it, who would else see a reset."""
        if self._refusal is not None or not self._is_in_body or self.transport.is_closing():
            return False
        self._refusal = b""
        self._end_sending()
        return True

    def _end_sending(self) -> None:
        """Half-close; what still comes is thrown away."""
        self._refused_at = self.loop.time()
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()


def _hang_up(request: Any) -> None:
    """Tell a request whose answer is not complete that nobody waits for it."""
    if isinstance(request, Post):
        request.hang_up()
    else:
        request.disconnected = True
        request.message_event.set()
