"""Checks of a body before an ingest worker accepts it: inflate, check the framing, count the documents."""

from __future__ import annotations

from typing import Protocol

import msgspec

from pypes.core.limits import MIB, Limits
from pypes.errors import BadRequest, TooLarge, UnsupportedMedia
from pypes.ingest.codecs import json, multipart, ndjson, packets, raw, records
from pypes.ingest.codecs.content import HEAD_BYTES, content_of, is_plainly, needs_head
from pypes.ingest.codecs.encodings import Inflater, Tally, inflate
from pypes.ingest.codecs.forms import FORMS
from pypes.ingest.codecs.given import one_id
from pypes.ingest.codecs.media import MediaType, parse
from pypes.ingest.codecs.survey import MissingId, Survey
from pypes.ingest.codecs.unwrapping import Unwrapped
from pypes.ingest.delivery import Header

#: Size to which a compressed body may inflate and still be worth keeping beside it.
DECODED_BYTES = 8 * MIB


class Sink(Protocol):
    """A codec's checker: takes inflated pieces, counts documents at the end."""

    @property
    def held_bytes(self) -> int:
        """Bytes kept of the body."""

    @property
    def most_bytes(self) -> int:
        """Most bytes kept of any body."""

    def feed(self, piece: bytes) -> None: ...
    def finish(self) -> int: ...


def check(header: Header, body: bytes, limits: Limits, seen: Survey | None = None) -> tuple[int, bytes | None]:
    """Check a body in memory; returns its number of documents, and the body inflated (``None`` if that is too large to keep).

    ``header.documents`` and ``length`` are not looked at; ``seen`` is shown every document. Raises :class:`BadRequest`,
    :class:`UnsupportedMedia` or :class:`TooLarge`, and with ``seen`` any :class:`InvalidInput`: then nothing of the POST may be
    accepted.
    """
    if header.method == "DELETE":
        return 1, b""
    media = parse(header.content_type)
    data: bytes | None = body
    if header.encoding:
        data = inflate(body, header.encoding, limits, DECODED_BYTES) if body else b""
        if data is None:
            checker = Checker(header, limits, seen)
            checker.feed(body)
            return checker.finish(), None
    if not data:
        raise _empty()
    filename = header.filename
    if filename and media.codec != "multipart" and not is_plainly(media, data) and needs_head(media, filename):
        content = content_of(media, filename, data[:HEAD_BYTES])
        if content.compression:
            checker = Checker(msgspec.structs.replace(header, encoding=""), limits, seen)
            checker.feed(data)
            return checker.finish(), data
        media = content.media
    codec = media.codec
    if seen is not None or codec == "multipart":
        sink = sink_of(media, limits, seen, header.id)
        sink.feed(data)
        count = sink.finish()
    elif codec == "json":
        count = json.check(data, limits)
    elif codec == "ndjson":
        count = ndjson.check(data, limits)
    elif codec == "packets":
        count = packets.check(data, limits)
    elif codec in FORMS:
        count = records.check(FORMS[codec], data, limits)
    else:
        count = 1
    if count != 1:
        _check_count(count, header, limits)
    return count, data


class Checker:
    """:func:`check` for a body that arrives in chunks (and goes to a spool file meanwhile), in bounded memory."""

    def __init__(self, header: Header, limits: Limits, seen: Survey | None = None) -> None:
        self._header = header
        self._limits = limits
        self._inflater = Inflater(header.encoding, limits) if header.encoding else None
        media = parse(header.content_type)
        self._seen = seen
        self._content: Unwrapped | None = None
        if header.filename and media.codec != "multipart" and needs_head(media, header.filename):
            self._content = Unwrapped(header.content_type, header.filename, limits)
        self._sink: Sink | None = sink_of(media, limits, seen, header.id) if self._content is None else None
        self._size = 0

    @property
    def held_bytes(self) -> int:
        """Bytes of the inflated body kept in memory."""
        return HEAD_BYTES if self._sink is None else self._sink.held_bytes

    def most_bytes(self, size: int) -> int:
        """Most bytes kept after a chunk of ``size`` bytes."""
        is_inflated = self._inflater is not None or self._content is not None
        grown = max(MIB, self._limits.decompressed_ratio * size) if is_inflated else size
        most = max(self._limits.json_bytes, self._limits.line_bytes) if self._sink is None else self._sink.most_bytes
        return min(self.held_bytes + grown, most)

    def feed(self, chunk: bytes) -> None:
        """Take a chunk as received; raises as soon as it is known that the body cannot be accepted."""
        for piece in (chunk,) if self._inflater is None else self._inflater.feed(chunk):
            if self._content is None:
                self._take(piece)
            else:
                for plain in self._content.feed(piece):
                    self._take(plain)

    def finish(self) -> int:
        """The number of documents; raises as :func:`check` does."""
        if self._inflater is not None:
            self._inflater.finish()
        if self._content is not None:
            for plain in self._content.finish():
                self._take(plain)
        if not self._size or self._sink is None:
            raise _empty()
        count = self._sink.finish()
        _check_count(count, self._header, self._limits)
        return count

    def _take(self, piece: bytes) -> None:
        """Take a piece of the content itself."""
        if self._sink is None:
            assert self._content is not None
            self._sink = sink_of(self._content.content.media, self._limits, self._seen)
        self._size += len(piece)
        self._sink.feed(piece)


class MultipartChecker:
    """Checks each part with the checker of its own type; ``given`` is the id that the request gives its only document."""

    def __init__(self, media: MediaType, limits: Limits, seen: Survey | None, given: str | None) -> None:
        self._seen = seen
        self._given = given
        self._part_id: str | None = None
        self._parser = multipart.Parser(multipart.boundary_of(media))
        self._limits = limits
        self._content: Unwrapped | None = None
        self._part: Sink | None = None
        self._raw = raw.Checker(seen)
        self._tally = Tally()
        self._documents = 0
        self._filename = ""

    @property
    def held_bytes(self) -> int:
        return 0 if self._part is None else self._part.held_bytes

    @property
    def most_bytes(self) -> int:
        return max(self._limits.json_bytes, self._limits.line_bytes)

    def feed(self, piece: bytes) -> None:
        for event in self._parser.feed(piece):
            if isinstance(event, multipart.Start):
                self._filename = event.part.filename
            try:
                self._take(event)
            except (BadRequest, MissingId, TooLarge, UnsupportedMedia) as error:
                message = f"file {self._filename!r}: {error.message}"
                raise type(error)(message, code=error.code, where=error.where) from error

    def _take(self, event: multipart.Event) -> None:
        if isinstance(event, multipart.Start):
            part = event.part
            self._part_id = one_id(self._given, part.given.id)
            self._content = Unwrapped(part.content_type, part.filename, self._limits, part.transfer, part.encoding, self._tally)
            return
        content = self._content
        if content is None:
            return
        for plain in content.feed(event.piece) if isinstance(event, multipart.Data) else content.finish():
            self._sink(content).feed(plain)
        if isinstance(event, multipart.End):
            if not content.size:
                raise BadRequest(
                    "the file is empty, or a folder; leave the file out, or send the files of the folder", code="ingest.empty"
                )
            sink = self._sink(content)
            if sink is not self._raw:
                json.check_size(content.size, self._limits)
            count = sink.finish()
            if count > 1 and self._part_id is not None:
                raise _several_documents()
            self._documents += count
            self._part = self._content = None
            _check_most(self._documents, self._limits)

    def _sink(self, content: Unwrapped) -> Sink:
        """The checker of the part; multipart within multipart is not taken apart: it is a file like others."""
        if self._part is None:
            media = content.content.media
            is_raw = media.codec in ("multipart", "raw")
            if self._seen is not None:
                # packets may say otherwise of themselves, and are looked at one by one
                self._seen.part(self._part_id, has_own=media.codec in ("packets", "protobuf"))
            self._part = self._raw if is_raw else sink_of(media, self._limits, self._seen)
        return self._part

    def finish(self) -> int:
        self._parser.finish()
        return self._documents


def sink_of(media: MediaType, limits: Limits, seen: Survey | None, given: str | None = None) -> Sink:
    """A fresh checker for a media type; every document is shown to ``seen``."""
    if media.codec == "json":
        return json.Checker(limits, seen)
    if media.codec == "ndjson":
        return ndjson.Checker(limits, seen)
    if media.codec == "packets":
        return packets.Checker(limits, seen)
    if media.codec in FORMS:
        return records.Checker(FORMS[media.codec], limits, seen)
    if media.codec == "multipart":
        return MultipartChecker(media, limits, seen, given)
    return raw.Checker(seen)


def _check_most(count: int, limits: Limits) -> None:
    if count > limits.documents_per_post:
        raise TooLarge(
            f"one POST may have at most {limits.documents_per_post} documents; send several POSTs",
            code="ingest.too_many_documents",
        )


def _check_count(count: int, header: Header, limits: Limits) -> None:
    if count == 0:
        raise BadRequest("the body has no documents; send at least one", code="ingest.not_documents")
    _check_most(count, limits)
    if count > 1 and header.id is not None:
        raise _several_documents()


def _several_documents() -> BadRequest:
    return BadRequest(
        "several documents cannot share the id in the URL or in Pypes-Id; send one, or leave the id out",
        code="ingest.several_documents",
    )


def _empty() -> BadRequest:
    return BadRequest("the body is empty; send a document", code="ingest.empty")
