"""Outbox: leave results on the node for whoever fetches them."""

from __future__ import annotations

import hashlib
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import orjson

from pypes import Example, Help, Packet, Parameters, Publisher, Reject
from pypes.core.identity import Completed
from pypes.outbox.file import OUTBOXES, Bounds, OutboxFile, Result
from pypes_basic.encoding import encode, refused_field
from pypes_basic.log_lines import end_of, line_of

#: Versions without an end that are remembered at once.
MOST_BEGUN = 10_000

#: A version of a document: digest of the document, text of the version.
_Name = tuple[str, str]


class Outbox(Publisher):
    """Keep results on the node until a client has fetched and acknowledged them (``GET /outbox/NAME``, ``pypes outbox``).

    Each packet is a result: a JSON object with ``id``, ``document``, ``route``, ``version``, ``part``, ``fields`` and ``meta``.
    The last one of a version says ``"complete": true`` if that is whole, so that what older versions left can go, and false if
    something of it failed. Where nothing comes of a document, that is a result by itself. A deletion is a result with
    ``"deleted": true``. Nothing older follows a version that is whole. What runs again after a crash comes again, under the same
    ``id``.

    All instances append to one outbox, a transaction for up to 256 packets that wait. While it is full, or cannot be written, the
    filter rests, and documents wait in the queue.
    """

    icon = "mailbox"
    tags = ("files", "http")
    example = Example(
        takes=Packet({"id": "ada", "text": "Wrote the first program."}),
        params={"name": "results"},
        leaves={"outbox/results.db": None},
    )

    # documents that are posted one by one share a transaction
    batch_size = 256

    class Params(Parameters):
        name: Annotated[
            str,
            Help(
                "Name of the outbox: 1 to 64 letters, digits, - and _.",
                pattern="^[A-Za-z0-9_-]{1,64}$",
                extra_json_schema={"format": "outbox"},
            ),
        ] = "results"
        empty: Annotated[
            bool,
            Help(
                "A document of which nothing comes here is a result as well, so that clients remove what an older version left;"
                " false where a Route leads few documents here, and clients need not know of the others."
            ),
        ] = True
        max_bytes: Annotated[int, Help("The outbox is full when its results have so many bytes.", ge=1)] = 1 << 30
        max_age_s: Annotated[
            float, Help("It is full, too, when the oldest result waits for so many seconds; 0: never.", ge=0)
        ] = 0.0
        tombstone_s: Annotated[
            float, Help("How long it is known of a version that is whole that older ones must not follow, in seconds.", ge=0)
        ] = 86_400.0

    def setup(self) -> None:
        params = self.params
        self._turn: list[_Pending] = []
        #: Versions of which results were appended, and of which nobody has told yet that they end.
        self._begun: set[_Name] = set()
        self._are_ends_results = params.empty
        self._file = OutboxFile(
            Path(self.data_dir, OUTBOXES, f"{params.name}.db"),
            Bounds(params.max_bytes, params.max_age_s, params.tombstone_s),
            is_synced=self.durability == "always",
            log=self.log,
        )

    def process_batch(self, packets: list[Packet]) -> None:
        seen: Counter[str] = Counter()
        try:
            self._turn += [_of_packet(line_of(packet), seen) for packet in packets]
        except orjson.JSONEncodeError as error:
            raise Reject(f"{refused_field(packets)}JSON cannot say it: {error}", "outbox.value") from error

    def complete(self, documents: list[Completed]) -> None:
        last = {pending.name: pending for pending in self._turn}
        for document in documents:
            end = _of_end(document)
            pending = last.get(end.name)
            if pending is not None:
                pending.is_whole = document.is_whole
            elif self._are_ends_results or end.name in self._begun:
                end.is_whole = document.is_whole
                self._turn.append(end)

    def commit(self) -> None:
        turn, self._turn = self._turn, []
        if not turn:
            return
        if late := self.offload(self._file.append, [pending.result() for pending in turn]):
            self.count("late", late)
        if not self._are_ends_results:
            self._remember(turn)

    def _remember(self, turn: list[_Pending]) -> None:
        for pending in turn:
            if pending.is_whole is not None:
                self._begun.discard(pending.name)
            elif pending.has_end:
                self._begun.add(pending.name)
        if len(self._begun) > MOST_BEGUN:
            # packets with other ids than their documents, which nobody ends: rather a result too many than one that is missing
            self._begun.clear()
            self._are_ends_results = True

    def teardown(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()


@dataclass(slots=True)
class _Pending:
    """A result of this turn. ``is_whole`` is that of its version, once it is known that nothing more comes of it here.

    ``has_end`` is false if nobody will tell, as of documents without an id.
    """

    text: bytes
    name: _Name
    has_end: bool = True
    is_whole: bool | None = None

    def result(self) -> Result:
        text, is_whole = self.text, self.is_whole
        if is_whole is not None:
            text = b'%b,"complete":%b}' % (text[:-1], b"true" if is_whole else b"false")
        # without a receipt, nothing is known of versions
        document, version = self.name
        return Result(text, document, "" if version.startswith("/") else version, bool(is_whole))


def _of_packet(line: dict[str, Any], seen: Counter[str]) -> _Pending:
    """The result of a packet; ``seen`` tells equal ones of a batch apart that have neither an id nor a part."""
    id = _delivery(line)
    document = _digest(line["route"], line["document"] or id)
    if part := line.get("part"):
        id = f"{id}/{part}"
    elif line["document"] is None:
        # several packets may be made of one document, and nothing says in which order
        id += f"/{_digest(encode(line['fields']).decode())}"
        seen[id] += 1
        if seen[id] > 1:
            id = f"{id}-{seen[id]}"
    return _Pending(encode({"id": id, **line}), (document, line["version"]), line["document"] is not None)


def _of_end(document: Completed) -> _Pending:
    """A result for the end of a version of which nothing else came in this turn."""
    line = end_of(document)
    del line["complete"]
    if document.is_deleted:
        line["deleted"] = True
    name = _digest(line["route"], line["document"]), line["version"]
    return _Pending(encode({"id": f"{_delivery(line)}/end", **line}), name)


def _delivery(line: dict[str, Any]) -> str:
    """Receipt and place of the document in its delivery, which are the same in every run; something random without a receipt."""
    delivery: str = line["version"].rpartition("/")[0]
    return uuid.uuid4().hex if delivery.startswith("/") else delivery


def _digest(*texts: str) -> str:
    return hashlib.blake2b("\0".join(texts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
