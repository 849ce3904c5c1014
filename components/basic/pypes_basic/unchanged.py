"""Unchanged: hold back documents that are published already as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

from pypes import Example, Filter, Help, Packet, Parameters, Retry
from pypes.component import Changes
from pypes.core.identity import Completed, Identity, Version
from pypes.errors import BadId
from pypes_basic.fingerprint import fingerprint
from pypes_basic.remembered import Remembered, Verdict, arrived, concluded, part_arrived

#: The order of packets outside of a node.
_NO_VERSION = Version("")

#: Gives the verdict about a document of which that is known.
_Judge = Callable[[Remembered | None], Verdict]


class Unchanged(Filter):
    """Pass only documents that changed since they were last published whole.

    The content of a document, told by its route and id, is remembered when it is complete at every publisher and nothing of it
    failed. It is forgotten when the next version passes, when that fails or is a deletion, and when a filter behind this one has
    other code, parameters or wires. What is held back stays published as it is. Works on whole documents: one with parts, such
    as a mail with attachments behind its adapter, passes always. Put it before whatever makes parts: behind the adapters, or
    before them, behind ``Posted``, where it compares what was posted and saves the reading too.
    """

    icon = "copy-check"
    tags = ("documents", "incremental")
    example = Example(takes=Packet({"id": "1", "title": "Ada"}), gives=Packet({"id": "1", "title": "Ada"}))

    class Params(Parameters):
        fields: Annotated[list[str], Help("Fields of which a change matters; while empty, all of them.")] = []
        omit: Annotated[list[str], Help("Fields of which a change does not matter, such as the time of a crawl.")] = []
        meta: Annotated[list[str], Help("Metadata of which a change matters, beside those that the graph inherits.")] = []
        documents: Annotated[int, Help("Documents that are remembered, those that came last.", ge=1)] = 1_000_000

    def setup(self) -> None:
        self._memory = self.open_store(self.params.documents)
        self._warned: set[str] = set()

    def process_batch(self, packets: list[Packet]) -> list[Packet | None]:
        keys = [self._key_of(packet) for packet in packets]
        if not any(keys):
            return [*packets]
        passes = self.offload(self._judge, packets, keys)
        if None in passes:
            raise Retry(0.0, "a part came of a document that was held back; it runs again, and passes as a whole")
        for packet, is_passed in zip(packets, passes, strict=True):
            if not is_passed:
                self.keep(packet)
        return [packet if is_passed else None for packet, is_passed in zip(packets, passes, strict=True)]

    def conclude(self, documents: list[Completed]) -> None:
        """Remember those that are whole everywhere, unless something newer has passed."""
        judges: list[tuple[str, _Judge]] = []
        for document, version, is_whole, _ in documents:
            if document.id:
                judges.append((_key(document), self._concluded(version, is_whole)))
        self.offload(self._change, judges)

    # -- what is remembered -----------------------------------------------------------------------------------

    def _judge(self, packets: Sequence[Packet], keys: Sequence[str]) -> list[bool | None]:
        """Say which packets pass, ``None`` for a part whose document does not, and remember what that changes. Blocks."""
        meta = {*self.params.meta, *self.inherits}
        judges: list[tuple[str, _Judge]] = []
        for packet, key in zip(packets, keys, strict=True):
            if key:
                version = packet.version or _NO_VERSION
                judges.append(
                    (key, self._part_arrived(version) if packet.part else self._arrived(version, self._content_of(packet, meta)))
                )
        passes = iter(self._change(judges))
        return [next(passes) if key else True for key in keys]

    def _content_of(self, packet: Packet, meta: set[str]) -> bytes:
        """The fingerprint of a document; empty for a deletion, and for what has none, which is never remembered."""
        if packet.is_deletion:
            return b""
        try:
            return fingerprint(packet, self.params.fields, self.params.omit, meta)
        except (TypeError, ValueError, OverflowError, RecursionError):  # such as an object with keys of several types
            return b""

    def _arrived(self, version: Version, content: bytes) -> _Judge:
        return lambda known: arrived(known, version, self.behind, content)

    def _part_arrived(self, version: Version) -> _Judge:
        return lambda known: part_arrived(known, version, self.behind)

    def _concluded(self, version: Version, is_whole: bool) -> _Judge:
        return lambda known: concluded(known, version, self.behind, is_whole=is_whole)

    def _change(self, judges: Sequence[tuple[str, _Judge]]) -> list[bool | None]:
        """Judge documents one after the other, and write what is known from then on; returns which pass. Blocks."""
        passes: list[bool | None] = []

        def decide(found: Mapping[str, bytes]) -> Changes:
            passes.clear()  # it may be called again
            known: dict[str, Remembered | None] = {key: Remembered.decode(data) for key, data in found.items()}
            changed: dict[str, bytes | None] = {}
            must_last = False
            for key, judge in judges:
                before = known.get(key)
                verdict = judge(before)
                passes.append(verdict.passes)
                must_last = must_last or verdict.must_last
                if verdict.now is not None and verdict.now != before:
                    known[key], changed[key] = verdict.now, verdict.now.encode()
            return Changes(changed, must_last)

        self._memory.change([key for key, _ in judges], decide)
        return passes

    # -- which documents --------------------------------------------------------------------------------------

    def _key_of(self, packet: Packet) -> str:
        """The key of the document of a packet; empty for a packet of which nobody can tell that, which passes."""
        try:
            document = packet.document
        except BadId:  # publishers will tell
            document = None
        if document is None:
            self._warn("packets without an id pass: nobody can tell which document they are")
            return ""
        if packet.part:
            self._warn("documents with parts pass: put the filter before whatever makes parts of them")
        return _key(document)

    def _warn(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            self.log.warning(text)


def _key(document: Identity) -> str:
    return f"{len(document.route)}/{document.route}/{document.id}"
