"""TLS of a connection: a protocol that deciphers for the one of HTTP, and the transport on which that one writes.

asyncio has one of its own, which tells nobody of a connection before its handshake is over: clients that never finish it would
not be counted, and have deadlines apart. Here the protocol of HTTP has the connection from its first moment, so that
:mod:`pypes.api.door` sees to it as to any other. What came in one piece is handed over in one piece, so the short path finds
whole requests.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from contextlib import suppress
from typing import Any, Final

from pypes.api import problems

log = logging.getLogger(__name__)

#: A record holds no more (RFC 8446, 5.1).
RECORD_BYTES: Final = 16 << 10

#: Bytes of TLS itself that may wait for a client that does not read: it asks for new keys again and again.
MAX_OWN_BYTES: Final = 16 << 10

#: The protocol of a connection that is over.
_NOBODY: Final = asyncio.Protocol()


class Encrypted(asyncio.Protocol):
    """A connection over TLS, for both sides: the transport's protocol, and the transport of ``protocol``."""

    def __init__(self, context: ssl.SSLContext, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol
        self._context = context
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._transport: asyncio.Transport
        #: True from the end of the handshake on.
        self._is_open = False
        self._is_closing = False
        #: True once nothing more is sent: what still comes is not deciphered.
        self._has_ended = False
        self._is_stuck = False
        self._own_bytes = 0

    # -- the protocol of the transport -------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        # PERF: asked for each answer and each piece
        self.get_write_buffer_size = self._transport.get_write_buffer_size
        self.pause_reading = self._transport.pause_reading
        self.resume_reading = self._transport.resume_reading
        self._protocol.connection_made(self)  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_closing = True
        # or the two would hold each other
        protocol, self._protocol = self._protocol, _NOBODY
        protocol.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._has_ended:
            # it is counted, and thrown away
            self._protocol.data_received(data)
            return
        self._incoming.write(data)
        try:
            if not self._is_open:
                self._tls.do_handshake()
                self._is_open = True
                self._flush()
            pieces, is_end = self._deciphered()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except ssl.SSLError as error:
            self._refuse(error)
            return
        if pieces:
            self._protocol.data_received(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if is_end:
            self._protocol.eof_received()
            self.close()

    def _deciphered(self) -> tuple[list[bytes], bool]:
        """All that can be read, and whether the client has said that nothing more comes."""
        pieces: list[bytes] = []
        # PERF: asking once more than there is something raises
        while self._incoming.pending:
            try:
                piece = self._tls.read(RECORD_BYTES)
            except ssl.SSLWantReadError:
                break
            if not piece:
                return pieces, True
            pieces.append(piece)
        if self._outgoing.pending:
            self._answer()
        return pieces, False

    def _answer(self) -> None:
        """Send what TLS itself has to say, to a client that reads."""
        self._own_bytes = self._own_bytes + self._outgoing.pending if self._is_stuck else 0
        self._flush()
        if self._own_bytes > MAX_OWN_BYTES:
            self._transport.abort()

    def _refuse(self, error: ssl.SSLError) -> None:
        """End a connection that does not speak TLS as it should; it may have been told why."""
        if error.reason == "HTTP_REQUEST":
            detail = "this address speaks TLS: ask for it with https:// instead of http://"
            self._transport.write(problems.last(400, "http.tls_required", detail, {}))
        else:
            log.debug("TLS failed", extra={"error": str(error)})
            self._flush()
        self._is_closing = True
        self._transport.close()

    def _flush(self) -> None:
        if self._outgoing.pending and not self._transport.is_closing():
            self._transport.write(self._outgoing.read())

    def eof_received(self) -> bool | None:
        return self._protocol.eof_received()

    def pause_writing(self) -> None:
        self._is_stuck = True
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._is_stuck = False
        self._protocol.resume_writing()

    # -- the transport of the protocol -------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send to the client, who has finished its handshake, or would have asked for nothing."""
        if self._is_closing or self._has_ended or not self._is_open:
            return
        rest = memoryview(data)
        try:
            # one record at a time
            while rest:
                rest = rest[self._tls.write(rest) :]
        except ssl.SSLError as error:
            self._refuse(error)
            return
        self._transport.write(self._outgoing.read())

    def _end(self) -> None:
        """Say that nothing more comes, so that nobody can cut an answer short unseen."""
        if self._is_open and not self._has_ended:
            self._has_ended = True
            with suppress(ssl.SSLError):  # the client has not said it, too
                self._tls.unwrap()
            self._flush()

    def close(self) -> None:
        """End the connection when all is sent."""
        if not self._is_closing:
            self._end()
            self._is_closing = True
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once."""
        self._is_closing = True
        self._transport.abort()

    def can_write_eof(self) -> bool:
        """True: what comes afterwards is still read, and thrown away."""
        return self._transport.can_write_eof()

    def write_eof(self) -> None:
        """Say that nothing more comes, and read on."""
        self._end()
        self._transport.write_eof()

    def is_closing(self) -> bool:
        """True once it ends."""
        return self._is_closing or self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As that of a transport; ``sslcontext`` tells that it is encrypted."""
        return self._context if name == "sslcontext" else self._transport.get_extra_info(name, default)
