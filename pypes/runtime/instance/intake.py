"""Intake: deliveries that go into a graph together, decoded as the graph takes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from pypes.core.identified import id_or_none
from pypes.core.identity import Identity
from pypes.core.limits import Limits
from pypes.core.nodetime import Clock
from pypes.core.shown import shown, trace_of
from pypes.errors import BadRequest, PypesError
from pypes.ingest.codecs import Unreadable, documents, media
from pypes.ingest.delivery import Spooled
from pypes.ingest.ordering import key_of
from pypes.ingest.outcome import KeptTrace
from pypes.ingest.protocol import Item
from pypes.ingest.receipt import received_of, rfc3339
from pypes.packet import Packet
from pypes.runtime.instance.acknowledging import acknowledge
from pypes.runtime.instance.arrived import Arrived
from pypes.runtime.instance.crash_record import CrashRecord
from pypes.runtime.instance.identities import Identities
from pypes.runtime.instance.names import id_in, keep_files, keep_ids
from pypes.runtime.instance.reruns import committed_of
from pypes.runtime.instance.routing import Entry, Router, as_bytes
from pypes.runtime.scheduler import BARRIER, Batch, Epoch, Failure, Feed, as_json, named

#: An item that a feed yields; ``BARRIER`` is of a class that is the scheduler's own.
Fed = Any


class Intake:
    """Deliveries of one graph; their documents are numbered through. ``epoch`` is set once the feed is submitted.

    ``wave`` is the most packets of a batch, as the limits have it unless a smaller one is wanted. ``is_ordered``: documents of
    the same id go in one after the other. With a ``record``, all documents do, and it says when the body is being read.
    ``run`` is the time of this run in ms, 0: now; ``version`` that of the graph. Where components compare versions of
    documents, the feed says which documents have identities.
    """

    epoch: Epoch | None = None
    #: The number below which every document is gathered, was yielded or has failed, as of the last batch.
    _next = 0
    #: Deliveries of one commit came at the same time: it is written out once. The first digits of a receipt tell it.
    _received = ("", "")
    _has_reruns = False

    def __init__(
        self,
        deliveries: Sequence[Arrived],
        router: Router,
        limits: Limits,
        clock: Clock | None = None,
        *,
        wave: int = 0,
        is_ordered: bool = False,
        record: CrashRecord | None = None,
        run: int = 0,
        version: int = 0,
    ) -> None:
        self.deliveries = deliveries
        #: Ids of documents that have one, by number.
        self.ids: dict[int, str] = {}
        #: Names of files that came together, by number.
        self.files: dict[int, str] = {}
        #: Number of each delivery's first document.
        self.bases: list[int] = []
        self._router = router
        self._limits = limits
        self._clock = clock or Clock()
        self._wave = wave if 0 < wave < limits.wave_packets else limits.wave_packets
        self._is_ordered = is_ordered
        self._record = record
        self._version = version
        #: Time of this run of all its documents, in ms, where that matters; else 0.
        self._run = (run or int(self._clock.now() * 1000)) if router.wants_versions else 0
        self._identities = Identities(self._run, has_nameless=router.wants_nameless) if router.wants_versions else None
        total = 0
        for _, item, _ in deliveries:
            self.bases.append(total)
            total += item.header.documents
            if item.rerun is not None:
                self._has_reruns = True
        self.documents = total
        #: By adapter, packets that make no wave yet, and their numbers.
        self._gathered: dict[str, tuple[list[Packet], list[int]]] = {}
        #: Documents of the bulk lane that are older than what was taken since.
        self.superseded: set[int] = set()
        #: Ids that went in since the last barrier, in an ordered graph.
        self._since_barrier: set[str] = set()

    def feed(self) -> Feed:
        """The feed that is to be submitted to the scheduler, once."""
        feed = Feed(self._batches(), self.documents, (self,), complete=self._complete, bases=self.bases)
        if self._identities is not None:
            feed.identities = self._identities.known
        if self._has_reruns:
            feed.committed = committed_of(
                self.bases, self.deliveries, self._router.told, self._version, is_ordered=self._is_ordered
            )
        return feed

    def acknowledge(self, graph: str, version: int, trace: KeptTrace | None = None) -> None:
        """The epoch is done: give every delivery's outcome to its connection, as ``published`` or among ``outcomes``."""
        assert self.epoch is not None
        acknowledge(self, self.epoch, graph, version, trace)

    # -- decoding ---------------------------------------------------------------------------------------

    def _batches(self) -> Iterator[Fed]:
        """Packets by adapter, gathered over deliveries up to a wave; a delivery that cannot be read fails alone."""
        wave, gathered = self._wave, self._gathered
        may_be_lone = self._record is None and not self._is_ordered
        for base, waiting in zip(self.bases, self.deliveries, strict=True):
            _, item, body = waiting
            if may_be_lone and item.header.documents == 1 and item.rerun is None:
                try:
                    lone = self._lone_object(item, body, base)
                except Exception as error:
                    self._note_unread(item, base)
                    self._fail(range(base, base + 1), getattr(error, "code", "ingest.malformed"), error)
                    continue
                if lone is not None:
                    filter, packet = lone
                    found = gathered.get(filter)
                    if found is None:
                        gathered[filter] = ([packet], [base])
                    elif len(found[0]) < wave:
                        found[0].append(packet)
                        found[1].append(base)
                    else:
                        gathered[filter] = ([packet], [base])
                        self._next = base
                        yield filter, found[0], _consecutive(found[1])
                    continue
            self._next = base
            yield from self._delivery(base, waiting)
        self._next = self.documents
        yield from self._rest()

    def _delivery(self, base: int, waiting: Arrived) -> Iterator[Fed]:
        """All documents of a delivery; what cannot be read of it has failed."""
        item = waiting.item
        header = item.header
        end = base + header.documents
        wanted = frozenset(header.only)
        number, ordinal = base, 0
        room = self._limits.receipt_ids_bytes
        is_multipart = header.content_type[:10].lower() == "multipart/"
        try:
            batches = self._decode(item, waiting.body)
            while True:
                if self._record is not None:
                    self._record.decoding()
                batch = next(batches, None)
                if batch is None or (wanted and number == end):
                    break
                media_type, found = batch
                ordinals: Sequence[int] = range(ordinal, ordinal + len(found))
                ordinal += len(found)
                if wanted:
                    found = [one for at, one in zip(ordinals, found, strict=True) if at in wanted]  # type: ignore[assignment]
                    ordinals = [at for at in ordinals if at in wanted]
                if number + len(found) > end:
                    raise BadRequest("the body has more documents than were counted at its acceptance", code="ingest.count")
                if not found:
                    continue
                if isinstance(found[0], Unreadable):
                    self._unreadable(item, media_type, found, number)
                    number += len(found)
                    continue
                packets: list[Packet] = found
                numbers: Sequence[int] = range(number, number + len(packets))
                room = keep_ids(self.ids, packets, number, base, room)
                if self._identities is not None:
                    self._identities.add(item, packets, number, ordinals)
                if is_multipart:
                    room = keep_files(self.files, packets, number, room)
                number += len(packets)
                if item.rerun is not None:
                    packets, numbers = self._rerun(item, packets, numbers, base)
                first = 0
                for kind, entries, run in self._router.routed(header.start, media_type, packets):
                    yield from self._enter(entries, kind, run, numbers[first : first + len(run)])
                    first += len(run)
                self._next = number
            if number < end:
                raise BadRequest("the body has fewer documents than were counted at its acceptance", code="ingest.count")
        except Exception as error:
            # what was read so far runs on; the rest cannot be had
            self._note_unread(item, base)
            self._fail(range(number, end), getattr(error, "code", "ingest.malformed"), error)

    def _enter(self, entries: Sequence[Entry], media_type: str, packets: list[Packet], numbers: Sequence[int]) -> Iterator[Fed]:
        if not entries:
            self._refuse(media_type, packets, numbers)
        elif self._record is not None or self._is_ordered:
            for packet, at in zip(packets, numbers, strict=True):
                yield from self._in_order(entries, media_type, packet, at, self._record is not None)
        else:
            yield from self._gather(entries, media_type, packets, numbers)

    def _gather(
        self, entries: Sequence[Entry], media_type: str, packets: list[Packet], numbers: Sequence[int]
    ) -> Iterator[Batch]:
        gathered, wave = self._gathered, self._wave
        for position, entry in enumerate(entries, 1):
            own = packets if position == len(entries) else [packet.clone() for packet in packets]
            if entry.wants_bytes and media.is_json(media_type):
                own = [as_bytes(packet) for packet in own]
            for start in range(0, len(own), wave):
                part, part_numbers = own[start : start + wave], numbers[start : start + wave]
                if position == len(entries):
                    self._next = part_numbers[0]  # what comes before is yielded, or gathered
                found = gathered.get(entry.filter)
                if found is not None and len(found[0]) + len(part) > wave:
                    del gathered[entry.filter]
                    yield entry.filter, found[0], _consecutive(found[1])
                    found = None
                if found is None:
                    gathered[entry.filter] = (part, [*part_numbers])
                else:
                    found[0].extend(part)
                    found[1].extend(part_numbers)

    def _in_order(
        self, entries: Sequence[Entry], media_type: str, packet: Packet, number: int, one_by_one: bool
    ) -> Iterator[Fed]:
        """A document that may have to wait until others are finished; ``one_by_one``, all those after it wait for it too."""
        self._next = number
        id = id_in(packet)
        if one_by_one:
            yield from self._gather(entries, media_type, [packet], (number,))
            self._next = number + 1
            yield from self._rest()
            yield BARRIER
            return
        if id is None or id in self._since_barrier:
            # without an id that can be compared it is in order with everything
            yield from self._rest()
            yield BARRIER
            self._since_barrier.clear()
        if id is not None:
            self._since_barrier.add(id)
        yield from self._gather(entries, media_type, [packet], (number,))

    def _rest(self) -> Iterator[Batch]:
        gathered = self._gathered
        while gathered:
            filter = next(iter(gathered))
            packets, numbers = gathered.pop(filter)
            yield filter, packets, _consecutive(numbers)

    def _complete(self) -> int:
        """The number below which every packet of every document was yielded."""
        return min((numbers[0] for _, numbers in self._gathered.values()), default=self._next)

    def _decode(self, item: Item, body: bytes) -> Iterator[tuple[str, list[Packet] | list[Unreadable]]]:
        source = Spooled(item.path, item.header.length) if item.path else body
        received = self._clock.shown(received_of(item.receipt))
        return documents(item.header, source, item.receipt, received, decoded=item.is_decoded, limits=self._limits, run=self._run)

    def _lone_object(self, item: Item, body: bytes, number: int) -> tuple[str, Packet] | None:
        """PERF: most deliveries are one small JSON object for one adapter; ``None`` for any other (see ``codecs.documents``)."""
        header = item.header
        if not body.startswith(b"{") or (header.encoding and not item.is_decoded) or header.is_lenient:
            return None
        if header.meta or header.origin is not None:
            return None
        route = self._router.json_route(header.content_type)
        if route is None:
            return None
        media_type, charset, entry = route
        receipt = item.receipt
        if receipt[:13] != self._received[0]:
            self._received = (receipt[:13], rfc3339(self._clock.shown(received_of(receipt))))
        meta = {
            "mimetype": media_type,
            "contentlength": header.length,
            "requestmethod": header.method,
            "receipt": receipt,
            "processingtime": self._received[1],
        }
        if header.route is not None:
            meta["route"] = header.route
        if header.filename is not None:
            meta["filename"] = header.filename
        if charset is not None:
            meta["charset"] = charset
        fields = orjson.loads(body)
        own = header.id
        if own is not None:
            meta["id"] = self.ids[number] = own
        elif "id" in fields:
            own = id_or_none(fields["id"])
            if own is not None and len(own) <= self._limits.receipt_ids_bytes:
                self.ids[number] = own
        if self._identities is not None:
            if own is not None:
                meta["run"] = self._run
            self._identities.add_lone(item, number, own or "")
        return entry.filter, Packet.from_document({"data": body} if entry.wants_bytes else fields, meta)

    # -- runs that are not the first --------------------------------------------------------------------

    def _rerun(self, item: Item, packets: list[Packet], numbers: Sequence[int], base: int) -> tuple[list[Packet], Sequence[int]]:
        """Take out what is known to end an instance, and what newer documents have made void."""
        rerun = item.rerun
        assert rerun is not None
        poisons = {base + poison.document: poison for poison in rerun.poisons}
        identities, keys = map(frozenset, rerun.superseded)
        if not poisons and not identities and not keys:
            return packets, numbers
        left: list[tuple[Packet, int]] = []
        for packet, number in zip(packets, numbers, strict=True):
            poison = poisons.get(number)
            if poison is not None:
                reason = f"{poison.cause} in filter {poison.filter}"
                self._dead_letter((number,), "instance.killed", reason, packet, poison.filter)
            elif (identity := _identity_of(packet)) is not None and (identity in identities or key_of(identity.id) in keys):
                self.superseded.add(number)
                if self._identities is not None:
                    self._identities.supersede(number)
            else:
                left.append((packet, number))
        return [packet for packet, _ in left], [number for _, number in left]

    # -- failures before the graph ----------------------------------------------------------------------

    def _refuse(self, media_type: str, packets: Sequence[Packet], numbers: Sequence[int]) -> None:
        for number, packet in zip(numbers, packets, strict=True):
            declared = packet.get_meta("declared_type")
            found = f" (detected from the content, which was declared as {declared})" if declared else ""
            reason = f"no adapter of the graph accepts {media_type}{found}; add one that does, then replay"
            self._dead_letter((number,), "graph.no_adapter", reason, packet)

    def _unreadable(self, item: Item, media_type: str, found: Sequence[Unreadable], number: int) -> None:
        for at, one in enumerate(found, number):
            meta = {"mimetype": media_type, "receipt": item.receipt, "requestmethod": item.header.method, "where": one.where}
            for name, value in (("route", item.header.route), ("filename", item.header.filename)):
                if value is not None:
                    meta[name] = value
            try:
                data: str | bytes = one.raw.decode()
            except UnicodeDecodeError:
                data = one.raw
            self._dead_letter((at,), one.code, one.reason, Packet.from_document({"data": data}, meta))

    def _note_unread(self, item: Item, number: int) -> None:
        if self._identities is not None and item.header.id is not None and item.header.documents == 1:
            self._identities.add_lone(item, number, item.header.id)

    def _fail(self, numbers: range, code: str, error: Exception) -> None:
        reason = error.message if isinstance(error, PypesError) else shown(error)
        trace = "" if isinstance(error, PypesError) else trace_of(error)
        if numbers:
            assert self.epoch is not None
            self.epoch.fail(Failure(tuple(numbers), "", "", code, reason, trace, b"", 1, self._clock.now(), False))

    def _dead_letter(self, numbers: tuple[int, ...], code: str, reason: str, packet: Packet, filter: str = "") -> None:
        assert self.epoch is not None
        names = named(packet)
        form, is_whole = as_json(packet)
        component = self._router.components.get(filter, "")
        self.epoch.fail(Failure(numbers, filter, component, code, reason, "", form, 1, self._clock.now(), is_whole, None, names))


def _consecutive(numbers: list[int]) -> Sequence[int]:
    """Ascending numbers as a ``range`` if none is left out: the outcome of all of them is then noted at once."""
    first, end = numbers[0], numbers[-1] + 1
    return range(first, end) if end - first == len(numbers) else numbers


def _identity_of(packet: Packet) -> Identity | None:
    return None if id_in(packet) is None else packet.identity
