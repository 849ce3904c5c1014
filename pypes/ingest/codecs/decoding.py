"""Decoding of a delivery in an instance: makes packets of it, a wave at a time, whatever its size."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import groupby, islice
from typing import Any, BinaryIO, cast

from pypes.core import hops
from pypes.core.identity import OWN_METADATA
from pypes.core.limits import MIB, Limits
from pypes.core.media_types import PACKETS
from pypes.errors import InternalError
from pypes.ingest.codecs import json, multipart, ndjson, packets, records
from pypes.ingest.codecs.content import HEAD_BYTES, content_of, is_plainly, needs_head
from pypes.ingest.codecs.encodings import inflate, pieces_of
from pypes.ingest.codecs.forms import FORMS
from pypes.ingest.codecs.given import metadata_of
from pypes.ingest.codecs.media import DESCRIPTIVE, IN_PART, JSON, MediaType, parse
from pypes.ingest.codecs.passage import Passage
from pypes.ingest.codecs.raw import StreamBody, UnwrappedBody
from pypes.ingest.codecs.survey import Unreadable
from pypes.ingest.codecs.unwrapping import Layers, Unwrapped, unwrapped
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.receipt import rfc3339
from pypes.packet import Packet

#: Packets of one media type, at most a wave of them; or what could not be read between two of them, in its place.
Batch = tuple[str, list[Packet] | list[Unreadable]]

#: Makes packets of documents, with metadata that all of them have, and the ordinal of the first.
Placed = Callable[[list[Any], dict[str, Any], int], list[Packet]]

_DEFAULTS = Limits()

#: Size to which a compressed body in memory may inflate and still be a value in memory.
_SMALL_BYTES = 8 * MIB

#: Stands for the ordinal of the only document of a delivery, which needs none.
_ONLY = -1

#: Types of values that are ids; an empty text is none.
_ID_TYPES = frozenset([str, int])


def documents(
    header: Header,
    source: bytes | Spooled,
    receipt: str,
    received: float,
    *,
    decoded: bool = False,
    limits: Limits = _DEFAULTS,
    run: int = 0,
) -> Iterator[Batch]:
    """The documents of a delivery as packets, lazily, in their order.

    ``source`` is the stored body, or inflated already (``decoded``); ``received`` is in seconds since the epoch. The body was
    checked when it was accepted, so an error raised here (``BadRequest``, ``OSError``) means that it is not what it was.
    A batch is either all packets or, only where ``header.is_lenient``, all :class:`Unreadable`.

    A document without an id of its own, of a delivery of several, has the metadata ``index``, its ordinal there. ``run`` is the
    time of this run in ms, where versions of documents matter: then those with an id have it, and ``index``, too. Those without
    one are never replaced, so that all of their runs are the same version.
    """
    meta = _metadata(header, receipt, received)
    if run:
        meta["run"] = run
    number = 0 if header.origin is None else header.origin[1]
    if header.documents == 1 and not header.only and not number:
        number = _ONLY
    if header.method == "DELETE":
        meta["mimetype"] = PACKETS
        yield PACKETS, [Packet.from_document({}, meta)]
        return
    media = parse(header.content_type)
    encoding = "" if decoded else header.encoding
    if encoding and isinstance(source, bytes):
        inflated = inflate(source, encoding, limits, _SMALL_BYTES)
        if inflated is not None:
            source, encoding = inflated, ""
    compression = ""
    filename = header.filename or ""
    # PERF: few documents that are JSON have the name of a file
    if (
        (media.is_vague or filename)
        and media.codec != "multipart"
        and needs_head(media, filename)
        and not is_plainly(media, head := _head(source, encoding, limits))
    ):
        content = content_of(media, filename, head)
        media, compression = content.media, content.compression
        if content.declared:
            meta["declared_type"] = content.declared
        if compression and isinstance(source, bytes) and not encoding:
            inflated = inflate(source, compression, limits, _SMALL_BYTES)
            if inflated is not None:
                source, compression = inflated, ""
    _say_type(meta, media)
    if media.codec == "raw":
        value: bytes | StreamBody
        if isinstance(source, bytes) and not encoding and not compression:
            value = source
        else:
            value = StreamBody(source, encoding, limits)
            if compression:
                value = UnwrappedBody(value, Layers(compression=compression), limits)
        if number > 0:
            meta["index"] = number
        if "id" not in meta:
            meta.pop("run", None)
        yield media.type, [Packet.from_document({"data": value}, meta)]
        return
    if media.codec != "multipart" and isinstance(source, bytes) and not encoding and not compression:
        yield from _structured(media, [source], meta, limits, number, header)
        return
    with _open(source) as file:
        pieces = pieces_of(file, encoding, limits)
        if media.codec == "multipart":
            yield from _wave(_parts(media, pieces, source, encoding, meta, limits, number, header.keeps_folders), limits)
        else:
            plain = unwrapped(pieces, Layers(compression=compression), limits)
            yield from _structured(media, plain, meta, limits, number, header)


def _head(source: bytes | Spooled, encoding: str, limits: Limits) -> bytes:
    """The first bytes of a body, inflated."""
    if isinstance(source, bytes) and not encoding:
        return source[:HEAD_BYTES]
    with _open(source) as file:
        if not encoding:
            return file.read(HEAD_BYTES)
        head = b""
        for piece in pieces_of(file, encoding, limits):
            head += piece
            if len(head) >= HEAD_BYTES:
                break
        return head[:HEAD_BYTES]


def _say_type(meta: dict[str, Any], media: MediaType) -> None:
    meta["mimetype"] = media.type
    if media.descriptive:
        meta.update(media.descriptive)


def _structured(
    media: MediaType, pieces: Iterable[bytes], meta: dict[str, Any], limits: Limits, number: int, header: Header
) -> Iterator[Batch]:
    # a client cannot name the filter where its documents begin
    is_foreign = not header.start
    if header.is_lenient and media.codec in IN_PART:
        yield from _lenient(media, pieces, meta, limits, number, is_foreign)
    else:
        yield from _strict(media, pieces, meta, limits, number, is_foreign=is_foreign)


def _placed(found: list[dict[str, Any]], meta: dict[str, Any], number: int) -> list[Packet]:
    """Packets of JSON documents, the first of which has this ordinal.

    PERF: those with an id share their metadata, unless their versions matter.
    """
    make = Packet.from_document
    has_id = "id" in meta
    if "run" in meta:
        bare = meta if has_id else {name: value for name, value in meta.items() if name != "run"}
        metas = [
            meta if has_id or ((id := fields.get("id")) and type(id) is str) or type(id) is int else bare for fields in found
        ]
        if number < 0:
            return [make(fields, own, shared=True) for fields, own in zip(found, metas, strict=True)]
        return [make(fields, {**own, "index": at}) for at, (fields, own) in enumerate(zip(found, metas, strict=True), number)]
    if number < 0:
        return [make(fields, meta, shared=True) for fields in found]
    ids = () if has_id else [fields.get("id") for fields in found]
    if has_id or (_ID_TYPES.issuperset(map(type, ids)) and "" not in ids):
        return [make(fields, meta, shared=True) for fields in found]
    return [
        make(fields, meta, shared=True) if type(id) in _ID_TYPES and id != "" else make(fields, {**meta, "index": at})
        for at, (fields, id) in enumerate(zip(found, ids, strict=True), number)
    ]


def _binary(found: list[dict[str, Any]], meta: dict[str, Any], number: int) -> list[Packet]:
    """:func:`_placed` for documents that may have bytes: one that has nothing else is no file whose content is JSON."""
    packets = _placed(found, meta, number)
    for fields, packet in zip(found, packets, strict=True):
        if len(fields) == 1 and type(fields.get("data")) is bytes:
            packet.set_meta("mimetype", PACKETS)
    return packets


def _packets(found: list[Packet], meta: dict[str, Any], number: int, *, is_foreign: bool) -> list[Packet]:
    """Packets that were sent as such, with what they lack."""
    for at, packet in enumerate(found, max(number, 0)):
        packets.place(packet, meta, at, is_foreign=is_foreign)
    return found


def _placing(media: MediaType, meta: dict[str, Any], is_foreign: bool) -> tuple[str, Placed]:
    """Media type of the packets of a body that is read bit by bit, which is noted in ``meta``, and how they are made."""
    if media.codec == "protobuf":
        meta["mimetype"] = PACKETS
        return PACKETS, partial(_packets, is_foreign=is_foreign)
    if media.codec in ("ndjson", "msgpack"):
        # each line, or map, is a JSON document by itself
        meta["mimetype"] = JSON
        return JSON, _placed if media.codec == "ndjson" else _binary
    return media.type, _placed


def _lenient(
    media: MediaType, pieces: Iterable[bytes], meta: dict[str, Any], limits: Limits, number: int, is_foreign: bool
) -> Iterator[Batch]:
    kind, placed = _placing(media, meta, is_foreign)
    unread = kind
    found: Iterator[Any]
    if media.codec in FORMS:
        unread, found = media.type, records.elements(FORMS[media.codec], pieces, limits)
    elif media.codec == "ndjson":
        found = ndjson.elements(pieces, limits)
    else:
        found = json.elements(_gather(pieces, limits), limits)
    for is_unreadable, run in groupby(found, lambda one: isinstance(one, Unreadable)):
        while wave := list(islice(run, limits.wave_packets)):
            if is_unreadable:
                yield unread, cast("list[Unreadable]", wave)
            else:
                yield kind, placed(wave, meta, number)
            if number >= 0:
                number += len(wave)


def _strict(
    media: MediaType, pieces: Iterable[bytes], meta: dict[str, Any], limits: Limits, number: int, *, is_foreign: bool = True
) -> Iterator[tuple[str, list[Packet]]]:
    if media.codec == "packets":
        stream = packets.documents(_gather(pieces, limits), limits, meta, max(number, 0), is_foreign=is_foreign)
        while wave := list(islice(stream, limits.wave_packets)):
            yield media.type, wave
        return
    kind, placed = _placing(media, meta, is_foreign)
    for found in _documents(media, pieces, limits):
        yield kind, placed(found, meta, number)
        if number >= 0:
            number += len(found)


def _documents(media: MediaType, pieces: Iterable[bytes], limits: Limits) -> Iterator[list[Any]]:
    if media.codec in FORMS:
        yield from records.documents(FORMS[media.codec], pieces, limits)
    elif media.codec == "ndjson":
        yield from ndjson.documents(pieces, limits)
    else:
        values = json.documents(_gather(pieces, limits), limits, is_checked=True)
        while some := list(islice(values, limits.wave_packets)):
            yield some


def _parts(
    media: MediaType,
    pieces: Iterator[bytes],
    source: bytes | Spooled,
    encoding: str,
    meta: dict[str, Any],
    limits: Limits,
    number: int,
    keeps_folders: bool,
) -> Iterator[tuple[str, list[Packet]]]:
    for name in DESCRIPTIVE:
        meta.pop(name, None)
    passage = Passage(source, encoding, limits) if encoding else None
    kept: list[bytes] = []
    most_bytes = MIB
    part = multipart.Part("", "", "")
    content = Unwrapped("", "", limits)
    for event in multipart.events(pieces, multipart.boundary_of(media), keeps_folders=keeps_folders):
        if isinstance(event, multipart.Start):
            part, kept = event.part, []
            content = Unwrapped(part.content_type, part.filename, limits, part.transfer, part.encoding)
            continue
        for plain in content.feed(event.piece) if isinstance(event, multipart.Data) else content.finish():
            if not kept:
                most_bytes = MIB if content.content.media.codec in ("raw", "multipart") else limits.json_bytes
            if content.size <= most_bytes:
                kept.append(plain)
            else:
                kept.clear()
        if not isinstance(event, multipart.End):
            continue
        part_media = content.content.media
        own = {**meta, **metadata_of(part.given.meta), "filename": part.filename, "contentlength": event.size}
        if part.given.id is not None:
            own["id"] = part.given.id
        _say_type(own, part_media)
        if content.content.declared:
            own["declared_type"] = content.content.declared
        if part_media.codec not in ("raw", "multipart"):
            json.check_size(content.size, limits)
            for kind, found in _strict(part_media, [b"".join(kept)], own, limits, number):
                yield kind, found
                if number >= 0:
                    number += len(found)
            continue
        if number >= 0:
            if "id" not in own or "run" in own:
                own["index"] = number
            number += 1
        if "id" not in own:
            own.pop("run", None)
        value: bytes | StreamBody
        if content.size <= most_bytes:
            value = b"".join(kept)
        else:
            value = StreamBody(source, encoding, limits, event.offset, event.size, passage)
            if any(content.layers):
                value = UnwrappedBody(value, content.layers, limits, content.size)
        yield part_media.type, [Packet.from_document({"data": value}, own)]


def _wave(batches: Iterable[tuple[str, list[Packet]]], limits: Limits) -> Iterator[tuple[str, list[Packet]]]:
    """Put neighbours of one type together, up to a wave, and as long as their contents are small."""
    media_type, size = "", 0
    wave: list[Packet] = []
    for found, batch in batches:
        weight = sum(packet.size_bytes() for packet in batch)
        if wave and (found != media_type or len(wave) + len(batch) > limits.wave_packets or size + weight > MIB):
            yield media_type, wave
            wave, size = [], 0
        media_type = found
        wave = wave + batch if wave else batch
        size += weight
    if wave:
        yield media_type, wave


def _metadata(header: Header, receipt: str, received: float) -> dict[str, Any]:
    own: dict[str, Any] = {
        "mimetype": "",
        "contentlength": header.length,
        "requestmethod": header.method,
        "receipt": receipt,
        "processingtime": rfc3339(received),
    }
    # an earlier release may have taken as given what is our own today
    given = {name: value for name, value in metadata_of(header.meta).items() if name not in OWN_METADATA or name == hops.META}
    meta = {**given, **own} if given else own
    if header.origin is not None:
        meta["origin"] = header.origin[0]
    if header.route is not None:
        meta["route"] = header.route
    if header.id is not None:
        meta["id"] = header.id
    if header.filename is not None:
        meta["filename"] = header.filename
    return meta


def _gather(pieces: Iterable[bytes], limits: Limits) -> bytes:
    if isinstance(pieces, list):
        return bytes(pieces[0])
    body = bytearray()
    for piece in pieces:
        json.check_size(len(body) + len(piece), limits)
        body += piece
    return bytes(body)


def _open(source: bytes | Spooled) -> BinaryIO:
    if isinstance(source, Spooled):
        return source.open()
    if isinstance(source, bytes):
        return io.BytesIO(source)
    raise InternalError(f"a body is bytes or a spool file, not {type(source).__name__}")
