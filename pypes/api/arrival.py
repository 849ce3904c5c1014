"""A delivery while it arrives: what its body is checked for, and what its idempotency key is compared by."""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from pypes.core.limits import Limits
from pypes.errors import BadRequest
from pypes.ingest.codecs import IN_PART, Checker, Survey, check, parse
from pypes.ingest.contracts.intake import Key
from pypes.ingest.delivery import Header

_DIGEST_BYTES = 16


class Arrival:
    """``header`` and ``key`` are complete once the body was checked, whole by :meth:`check` or in blocks by :meth:`feed`."""

    def __init__(self, header: Header, key: str | None, limits: Limits, is_ordered: bool, is_request: bool = False) -> None:
        """Raises :class:`BadRequest` for a lenient body that has no parts that could be left out."""
        if header.is_lenient and (header.method == "DELETE" or parse(header.content_type).codec not in IN_PART):
            raise BadRequest(
                "on_error=deadletter works for NDJSON, JSON arrays, MessagePack and Protocol Buffers; leave it out with others",
                code="request.invalid",
                where="on_error",
            )
        self.header = header
        #: Scoped to the graph, and to those who give such keys. Its digest is empty until the body was checked.
        scope = f"{header.graph}\0\0" if is_request else f"{header.graph}\0"
        self.key = None if key is None else Key(scope + key, b"", is_request)
        self._limits = limits
        self._seen = Survey(header, is_ordered) if header.is_lenient or is_ordered else None
        self._hash = None if key is None else blake2b(_identity(header), digest_size=_DIGEST_BYTES)
        self._checker: Checker | None = None

    @property
    def rejected(self) -> int:
        """Number of documents that cannot be read."""
        return 0 if self._seen is None else self._seen.rejected

    def check(self, body: bytes) -> bytes | None:
        """Check a whole body; returns it decoded, as :func:`pypes.ingest.codecs.check` does and raises."""
        documents, decoded = check(self.header, body, self._limits, self._seen)
        if self._hash is not None:
            self._hash.update(body)
        self.finish(documents, len(body))
        return decoded

    @property
    def checker(self) -> Checker:
        """Checker for a body that arrives in blocks."""
        if self._checker is None:
            self._checker = Checker(self.header, self._limits, self._seen)
        return self._checker

    def feed(self, block: bytes) -> None:
        """Take a block of the body; raises as :meth:`check`."""
        self.checker.feed(block)
        if self._hash is not None:
            self._hash.update(block)

    def finish(self, documents: int, length: int) -> None:
        """Complete header and key: the body had so many documents and bytes."""
        self.header = msgspec.structs.replace(self.header, documents=documents, length=length)
        if self._seen is not None:
            self.header = msgspec.structs.replace(self.header, keys=self._seen.keys, identities=self._seen.identities)
        if self.key is not None and self._hash is not None:
            self.key = self.key._replace(digest=self._hash.digest())


def _identity(header: Header) -> bytes:
    """Encoded parts of a request, besides its body, that distinguish it from another request."""
    parts = (header.method, header.route, header.id, header.content_type, header.encoding, header.is_lenient)
    return msgspec.msgpack.encode((*parts, header.meta, header.keeps_folders) if header.meta or header.keeps_folders else parts)
