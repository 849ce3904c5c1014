"""The short path: ``POST /docs`` with a small body, by far the most frequent request, answered in the protocol class itself.

PERF: the cycle, task, event and messages of ASGI cost more than checking a document and queueing it together. So a request
with nothing unusual in its head is not given to the application. It stands in the pipeline of its connection all the same,
where a cycle of uvicorn would stand, and is answered word for word as the application answers (decision 0039).
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pypes.access.client import Client
from pypes.api import problems
from pypes.api.door import room
from pypes.api.ending import ending
from pypes.api.permission import check_current
from pypes.api.reception import INLINE_BYTES, INLINE_COSTLY_BYTES, is_costly
from pypes.api.sampling import FIELDS, context_in
from pypes.api.sender import FORWARDED
from pypes.core.limits import Limits
from pypes.core.trace_context import TraceContext
from pypes.errors import OverBudget, PypesError

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    from pypes.api.counting import RequestTallies
    from pypes.api.docs import Documents
    from pypes.api.guard import Guard

log = logging.getLogger(__name__)

#: Fields of a head that change how a body is read, what is done with it, or who may send it; so do those that begin with the
#: prefix.
_UNUSUAL: Final = frozenset(
    {
        b"content-encoding",
        b"content-disposition",
        b"expect",
        b"transfer-encoding",
        b"prefer",
        b"idempotency-key",
        b"origin",
    }
)
_PREFIX: Final = b"pypes-"

#: Heads that are remembered, and the longest of them, in bytes.
MAX_HEADS: Final = 1024
MAX_HEAD_BYTES: Final = 1024
_END: Final = b"\r\n\r\n"

Fields = list[tuple[bytes, bytes]]


class ShortPath:
    """Takes small documents for one ingest worker. ``guard`` says who may send them, ``documents`` takes them."""

    def __init__(self, guard: Guard, documents: Documents, limits: Limits, requests: RequestTallies) -> None:
        self.guard = guard
        self.documents = documents
        self.requests = requests
        #: Connections of the worker, of which a client may have its part.
        self.most = room(limits)
        self._max_bytes = min(INLINE_BYTES, limits.body_bytes, limits.spool_bytes)
        #: The fields that uvicorn puts into every answer (the date), as they came and as bytes.
        self._default: Fields = []
        self._default_bytes = b""
        #: The client, the content type and the length of the body of requests that were admitted, by their heads.
        self._heads: dict[bytes, tuple[Client, str, int]] = {}
        guard.watch(self._heads.clear)

    def admit(self, protocol: HttpToolsProtocol, fields: Fields) -> Post | None:
        """The request to ``POST /docs`` with these fields in its head, or ``None`` if the application is to have it.

        Who is not known to be let in is left to the guard, which says why not.
        """
        host = length = content_type = token = context = None
        is_in_trace = is_forwarded = False
        for name, value in fields:
            # a field that is there twice is unusual: the application knows which of them counts
            if name == b"host":
                if host is not None:
                    return None
                host = value
            elif name == b"content-length":
                length = value
            elif name == b"content-type":
                if content_type is not None:
                    return None
                content_type = value
            elif name == b"authorization":
                if token is not None:
                    return None
                token = value
            elif name in FIELDS:
                is_in_trace = True
            elif name in FORWARDED:
                is_forwarded = True
            elif name in _UNUSUAL or name.startswith(_PREFIX):
                return None
        if host is None or length is None or (client := self._known(host, token)) is None:
            return None
        is_forwarded = is_forwarded and bool(self.guard.proxies)
        if is_forwarded and not self.guard.is_forwarded(protocol.client, host, fields):
            return None
        size = int(length)  # what is no number was refused by the parser
        if size > self._max_bytes:
            return None
        text = "" if content_type is None else content_type.decode("latin-1")
        if size > INLINE_COSTLY_BYTES and is_costly(text):
            return None
        if is_in_trace:
            context = context_in(fields)
            if context is not None and context.is_sampled and self.documents.sampling.has_room:
                return None
        # heads of traces are never the same, and what a proxy says means nothing from others
        is_once = is_in_trace or is_forwarded
        return Post(protocol, self, client, text, size, context=context, is_once=is_once)

    def _known(self, host: bytes, token: bytes | None) -> Client | None:
        """The client of a request, if it is known, may hand in documents, and has room for one more request."""
        try:
            client = self.guard.known(host, token)
        except PypesError:
            return None
        if client is None or "ingest" not in client.scopes or client.account.is_crowded(self.most):
            return None
        return client

    def whole(self, protocol: HttpToolsProtocol, data: bytes) -> Post | None:
        """The request that ``data`` is from end to end, if its head was admitted before; ``protocol`` is between two requests.

        PERF: clients send the same heads again and again, and to parse one costs as much as to check its document. All are
        forgotten when tokens change.
        """
        end = data.find(_END, 0, MAX_HEAD_BYTES) + len(_END)
        known = self._heads.get(data[:end])
        if known is None or len(data) != end + known[2]:
            return None
        client, content_type, size = known
        return Post(protocol, self, client, content_type, size, data[end:], is_complete=True)

    def remember(self, post: Post, data: bytes) -> None:
        """Keep the head of a request if ``data``, all that came since the one before it, is that request and nothing else."""
        end = data.find(_END, 0, MAX_HEAD_BYTES) + len(_END)
        # what is put here after tokens have changed stays
        is_same = not post.is_once and not post.client.ended.is_set()
        if is_same and len(data) == end + post.size and post.is_complete and post.keep_alive:
            if len(self._heads) >= MAX_HEADS:
                self._heads.clear()
            self._heads[data[:end]] = post.client, post.content_type, post.size

    def head(self, status: bytes, fields: Fields) -> bytes:
        """The head of an answer from ``status`` on, without the empty line at its end; ``fields`` are those of uvicorn."""
        if fields is not self._default:  # a new list each second
            self._default = fields
            self._default_bytes = b"".join(b"%b: %b\r\n" % field for field in fields)
        return b"HTTP/1.1 %b\r\n%b" % (status, self._default_bytes)


class Post(msgspec.Struct, eq=False):
    """A request on the short path. It has the attributes of a cycle of uvicorn that others look at.

    Its turn comes with :meth:`begin`, when those before it are answered. Nothing is taken before the body is complete.
    """

    _protocol: Any
    _short_path: ShortPath
    #: Its sender.
    client: Client
    content_type: str
    #: The length of its body, as its head has it.
    size: int
    body: bytes | bytearray = b""
    is_begun: bool = False
    is_complete: bool = False
    #: It is over a budget, and nothing of it is taken.
    is_refused: bool = False
    #: It is counted among the requests of its client that are under way.
    is_staying: bool = False
    keep_alive: bool = True
    disconnected: bool = False
    response_complete: bool = False
    #: The trace that it belongs to.
    context: TraceContext | None = None
    #: True if its head need not be remembered.
    is_once: bool = False
    #: An answer that the client has no room for yet.
    _answer: bytes = b""
    _documents: int = 0
    _graph: str = ""
    #: The time when its turn came, of the performance counter.
    _began: float = 0.0

    @property
    def response_started(self) -> bool:
        """True from the first byte of the answer on: it leaves at once."""
        return self.response_complete

    # -- what comes --------------------------------------------------------------------------------------

    def take(self, piece: bytes) -> None:
        """Take a piece of the body."""
        if not self.body:
            self.body = piece
            return
        if isinstance(self.body, bytes):
            self.body = bytearray(self.body)
        self.body += piece

    def complete(self) -> None:
        """The body is there."""
        self.is_complete = True
        if self.is_begun:
            self._accept()

    def hang_up(self) -> None:
        """The client is gone, or its body will never be complete. What was submitted stays accepted."""
        self.disconnected = True
        self._protocol.tasks.discard(self)
        self._leave()

    def _stay(self) -> None:
        """Count it as under way: it may take a while."""
        self.is_staying = True
        self.client.account.under_way += 1

    def _leave(self) -> None:
        if self.is_staying:
            self.is_staying = False
            self.client.account.under_way -= 1

    # -- what becomes of it ------------------------------------------------------------------------------

    def begin_soon(self) -> None:
        """Begin in a later iteration of the loop, as a task does: many in a pipeline would go deeper and deeper."""
        self._protocol.tasks.add(self)
        self._protocol.loop.call_soon(self.begin)

    def begin(self) -> None:
        """Go on: it is the next to be answered."""
        if self.disconnected or self.response_complete:
            return
        self.is_begun = True
        self._began = perf_counter()
        # a server that stops waits for what is here, and cancels it when that takes too long
        self._protocol.tasks.add(self)
        if (flow := self._protocol.flow).read_paused:
            flow.resume_reading()
        if (error := self._short_path.guard.draining()) is not None:
            self._refuse(error)
        elif (account := self.client.account).is_charged and (over := account.charge(self.size, 1)) is not None:
            self._hold_back(over)
        elif self.is_complete:
            self._accept()
        elif account.is_one_of_many:
            self._stay()

    def _hold_back(self, over: OverBudget) -> None:
        """Refuse it, at once or a little later."""
        self.is_refused = True
        if over.hold_s and not self.client.account.is_crowded(self._short_path.most):
            self._stay()
            self._protocol.loop.call_later(over.hold_s, self._refuse_late, over)
        else:
            self._refuse(over)

    def _refuse_late(self, over: OverBudget) -> None:
        if not self.done():
            self._refuse(over)

    def _accept(self) -> None:
        if self.disconnected or self.response_complete or self.is_refused:
            return
        body, self.body = bytes(self.body), b""
        try:
            check_current(self.client)
            taken = self._short_path.documents.take(self, self.client, self.content_type, body, self.context)
            receipt, self._documents, self._graph = taken
            self.client.account.owe(self._documents)
        except PypesError as error:
            self._refuse(error)
        except Exception as error:
            self._fail(error)
        else:
            if receipt is not None:
                asyncio.ensure_future(receipt).add_done_callback(self._settled)

    def done(self) -> bool:
        """True if nobody wants to hear of the document any more. The queue asks, as it asks a future."""
        return self.disconnected or self.response_complete

    def set_result(self, id: str, /) -> None:
        """The queue has the document."""
        try:
            body = f'{{"receipt":"{id}","accepted":{self._documents}}}'
            head = self._short_path.head(b"202 Accepted", self._protocol.server_state.default_headers)
            more = (
                f"content-type: application/json\r\ncontent-length: {len(body)}\r\nlocation: /receipts/{id}\r\n"
                f"pypes-graph: {self._graph}\r\n{self._end_of_head}{body}"
            )
            self._short_path.requests.posted(perf_counter() - self._began)
            self._send(head + more.encode())
        except Exception:
            # the queue goes on: others wait for what it says next
            log.exception("answer failed", extra={"graph": self._graph, "receipt": id})
            self._protocol.transport.abort()

    def set_exception(self, error: BaseException, /) -> None:
        """The queue does not have the document."""
        try:
            if isinstance(error, PypesError):
                self._refuse(error)
            else:
                self._fail(error)
        except Exception:
            log.exception("answer failed", extra={"graph": self._graph})
            self._protocol.transport.abort()

    def _settled(self, receipt: asyncio.Future[str]) -> None:
        if receipt.cancelled():
            self._end()
        elif (error := receipt.exception()) is not None:
            self.set_exception(error)
        else:
            self.set_result(receipt.result())

    def cancel(self, msg: object = None) -> bool:
        """Answer that the process ends, soon. Named and called as that of a task."""
        self._protocol.loop.call_soon(self._end)
        return True

    def _end(self) -> None:
        self._refuse(ending())

    # -- what is answered --------------------------------------------------------------------------------

    def _fail(self, error: BaseException) -> None:
        log.error("request failed", extra={"graph": self._graph, "method": "POST", "path": "/docs"}, exc_info=error)
        self._refuse(problems.bug(error))

    def _refuse(self, error: PypesError) -> None:
        status, fields, body = problems.raw(error)
        if (b"connection", b"close") in fields:
            self.keep_alive = False
            fields.remove((b"connection", b"close"))
        default = self._protocol.server_state.default_headers
        head = self._short_path.head(b"%d %b" % (status, HTTPStatus(status).phrase.encode()), default)
        more = b"".join(b"%b: %b\r\n" % field for field in fields)
        self._short_path.requests.answered("/docs", "POST", status, perf_counter() - self._began)
        self._short_path.requests.not_taken(status, error.code)
        if isinstance(error, OverBudget):
            self._short_path.requests.over_budget(error)
        self._send(b"%b%b%b%b" % (head, more, self._end_of_head.encode(), body))

    @property
    def _end_of_head(self) -> str:
        return "\r\n" if self.keep_alive else "connection: close\r\n\r\n"

    def _send(self, answer: bytes) -> None:
        if self.disconnected or self.response_complete or self._answer:
            return
        self._answer = answer
        if not self._protocol.flow.write_paused:
            self.write()

    def write(self) -> None:
        """Send the answer, if there is one that has waited until the client takes more."""
        answer, self._answer = self._answer, b""
        if not answer or self.disconnected:
            return
        protocol = self._protocol
        self.response_complete = True
        protocol.tasks.discard(self)
        self._leave()
        protocol.transport.write_now(answer)
        if not self.keep_alive:
            protocol.transport.close()
        protocol.answered()
