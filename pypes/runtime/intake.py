"""Intake: deliveries that go into a graph together, decoded as the graph takes them, and what became of each."""

from __future__ import annotations

import time
import traceback
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import orjson

from pypes.core.limits import Limits
from pypes.errors import BadRequest, PypesError
from pypes.ingest.codecs import documents, media
from pypes.ingest.delivery import Spooled
from pypes.ingest.outcome import DeadLetter, Outcome, dead_letter_id
from pypes.ingest.protocol import Item
from pypes.ingest.receipt import received_of, rfc3339
from pypes.packet import Packet
from pypes.runtime.routing import Router, as_bytes
from pypes.runtime.scheduler import FAILED, PUBLISHED, Epoch, Failure, Feed

#: What a feed yields: the adapter, at most a wave of packets, and the ordinal of the document that each is.
Batch = tuple[str, Sequence[Packet], Sequence[int]]


class Waiting(NamedTuple):
    """A delivery as it came from an ingest worker; ``connection`` is where the acknowledgement goes."""

    connection: Any
    item: Item
    body: bytes

    @property
    def documents(self) -> int:
        return self.item.header.documents


class Intake:
    """Deliveries of one graph; their documents are numbered through. ``epoch`` is set once the feed is submitted."""

    def __init__(
        self, deliveries: Sequence[Waiting], router: Router, limits: Limits, clock: Callable[[], float] = time.time
    ) -> None:
        self.deliveries = deliveries
        self.epoch: Epoch | None = None
        self._router = router
        self._limits = limits
        self._clock = clock
        #: Deliveries (by index) whose dead letters do not hold all there was.
        self._incomplete: set[int] = set()
        #: Number of each delivery's first document.
        self._bases: list[int] = []
        total = 0
        for waiting in deliveries:
            self._bases.append(total)
            total += waiting.item.header.documents
        self.documents = total
        #: Deliveries of one commit came at the same time: it is written out once. The first digits of a receipt tell it.
        self._received = ("", "")

    def feed(self) -> Feed:
        return Feed(self._batches(), self.documents, (self,))

    # -- decoding ---------------------------------------------------------------------------------------

    def _batches(self) -> Iterator[Batch]:
        """Packets by adapter, gathered over deliveries up to a wave; a delivery that cannot be read fails alone."""
        wave = self._limits.wave_packets
        gathered: dict[str, tuple[list[Packet], list[int]]] = {}
        for base, waiting in zip(self._bases, self.deliveries, strict=True):
            item = waiting.item
            end = base + item.header.documents
            ordinal = base
            try:
                if item.header.documents == 1 and (lone := self._lone_object(item, waiting.body)) is not None:
                    node, packet = lone
                    found = gathered.get(node)
                    if found is None:
                        gathered[node] = ([packet], [base])
                    elif len(found[0]) < wave:
                        found[0].append(packet)
                        found[1].append(base)
                    else:
                        gathered[node] = ([packet], [base])
                        yield node, found[0], found[1]
                    continue
                for media_type, packets in self._decode(item, waiting.body):
                    if ordinal + len(packets) > end:
                        raise BadRequest("there are more documents in the body than were counted", code="ingest.count")
                    entries = self._router.entries(media_type)
                    if not entries:
                        self._refuse(media_type, packets, ordinal)
                    for position, entry in enumerate(entries, 1):
                        own = packets if position == len(entries) else [packet.clone() for packet in packets]
                        if entry.wants_bytes and media.is_json(media_type):
                            own = [as_bytes(packet) for packet in own]
                        found = gathered.get(entry.node)
                        if found is not None and len(found[0]) + len(own) > wave:
                            del gathered[entry.node]
                            yield entry.node, found[0], found[1]
                            found = None
                        if found is None:
                            gathered[entry.node] = (own, [*range(ordinal, ordinal + len(own))])
                        else:
                            found[0].extend(own)
                            found[1].extend(range(ordinal, ordinal + len(own)))
                    ordinal += len(packets)
                if ordinal < end:
                    raise BadRequest("there are fewer documents in the body than were counted", code="ingest.count")
            except Exception as error:
                # what was read so far runs on; the rest cannot be had
                self._fail(range(ordinal, end), getattr(error, "code", "ingest.malformed"), error)
        for node, (packets, ordinals) in gathered.items():
            yield node, packets, ordinals

    def _decode(self, item: Item, body: bytes) -> Iterator[tuple[str, list[Packet]]]:
        source = Spooled(item.path, item.header.length) if item.path else body
        received = received_of(item.receipt)
        return documents(item.header, source, item.receipt, received, decoded=item.is_decoded, limits=self._limits)

    def _lone_object(self, item: Item, body: bytes) -> tuple[str, Packet] | None:
        """PERF: most deliveries are one small JSON object for one adapter; ``None`` for any other (see ``codecs.documents``)."""
        header = item.header
        if not body.startswith(b"{") or (header.encoding and not item.is_decoded):
            return None
        route = self._router.json_route(header.content_type)
        if route is None:
            return None
        media_type, charset, entry = route
        receipt = item.receipt
        if receipt[:13] != self._received[0]:
            self._received = (receipt[:13], rfc3339(received_of(receipt)))
        meta = {
            "mimetype": media_type,
            "contentlength": header.length,
            "requestmethod": header.method,
            "receipt": receipt,
            "processingtime": self._received[1],
        }
        if header.route is not None:
            meta["route"] = header.route
        if header.id is not None:
            meta["id"] = header.id
        if header.filename is not None:
            meta["filename"] = header.filename
        if charset is not None:
            meta["charset"] = charset
        return entry.node, Packet.from_document({"data": body} if entry.wants_bytes else orjson.loads(body), meta)

    # -- failures before the graph ------------------------------------------------------------------------

    def _refuse(self, media_type: str, packets: Sequence[Packet], ordinal: int) -> None:
        reason = f"no adapter of the graph accepts {media_type}; add one that does, then replay"
        for position, packet in enumerate(packets, ordinal):
            is_whole = not packet.drop_bodies()
            form = orjson.dumps(packet.to_json(), default=repr)
            self._note((position,), "graph.no_adapter", reason, "", form, is_whole=is_whole)

    def _fail(self, ordinals: range, code: str, error: Exception) -> None:
        reason = error.message if isinstance(error, PypesError) else f"{type(error).__name__}: {error}"
        trace = "" if isinstance(error, PypesError) else "".join(traceback.format_exception(error))
        self._note(tuple(ordinals), code, reason, trace, b"", is_whole=False)

    def _note(
        self, ordinals: tuple[int, ...], code: str, reason: str, trace: str, packet: bytes, *, is_whole: bool = True
    ) -> None:
        assert self.epoch is not None
        if ordinals:
            self.epoch.mark(ordinals, FAILED)
            self.epoch.dead_letters.append(Failure(ordinals, "", "", code, reason, trace, packet, 1, self._clock(), is_whole))

    # -- what became of it --------------------------------------------------------------------------------

    def settle(self, graph: str, version: int) -> None:
        """The epoch is done: give every delivery's outcome to its connection, as ``published`` or among ``outcomes``."""
        epoch = self.epoch
        assert epoch is not None
        flags = epoch.flags
        if not epoch.dead_letters and self.documents == len(self.deliveries) == flags.count(PUBLISHED):
            for connection, item, _ in self.deliveries:
                connection.published_by(graph, version).numbers.append(item.number)
            return
        letters = self._letters(epoch.dead_letters, graph, version) if epoch.dead_letters else {}
        for index, (base, (connection, item, _)) in enumerate(zip(self._bases, self.deliveries, strict=True)):
            count = item.header.documents
            part = flags[base : base + count]
            published = part.count(PUBLISHED)
            dropped = part.count(0)
            own = tuple(letters.get(index, ()))
            outcome = Outcome(published, dropped, count - published - dropped, own, keeps_body=index in self._incomplete)
            connection.outcomes.append((item.number, outcome))

    def _letters(self, failures: Sequence[Failure], graph: str, version: int) -> dict[int, list[DeadLetter]]:
        """Dead letters by delivery. A packet made of several deliveries is kept once, with the first."""
        found: dict[int, list[DeadLetter]] = {}
        seen: dict[tuple[int, str], int] = {}
        for failure in failures:
            first = failure.documents[0] if failure.documents else 0
            index = bisect_right(self._bases, first) - 1
            base = self._bases[index]
            item = self.deliveries[index].item
            if not failure.is_whole:
                self._incomplete.add(index)
            end = base + item.header.documents
            ordinal = seen.get((first, failure.node), 0)
            seen[first, failure.node] = ordinal + 1
            letter = DeadLetter(
                id=dead_letter_id(item.receipt, first - base, failure.node, ordinal),
                documents=tuple(document - base for document in failure.documents if base <= document < end),
                graph=graph,
                version=version,
                filter=failure.node,
                component=failure.component,
                code=failure.code,
                error=failure.error,
                traceback=failure.traceback,
                attempts=failure.attempts,
                packet=failure.packet,
                time=failure.time,
            )
            found.setdefault(index, []).append(letter)
        return found
