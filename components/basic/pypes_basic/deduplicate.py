"""Deduplicate: of documents with the same content, the first."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from itertools import chain
from typing import Annotated, ClassVar, Final, Literal

from pypes import Example, Filter, Help, Packet, Parameters, Reject
from pypes.core.identity import Completed, Version
from pypes.errors import BadId
from pypes_basic.duplicates import Document, Draft, Exact, Judge, decide, id_of, name_of, nameless, void_by
from pypes_basic.fingerprint import fingerprint

NEEDS_RENSA: Final = 'match: near needs rensa, not installed here; run pip install "pypes-basic[near]"'


class Deduplicate(Filter):
    """Pass the first of all documents with one content, on this node, over restarts; others are duplicates.

    Duplicates go to ``duplicate``, or are dropped where that has no wire. A duplicate has the id of the first as metadata
    ``duplicate_of``, where that has one. The content is that of ``fields`` (``exact``: the same to the last character, all fields
    if none are named), or the words of the texts in them (``near``, an extra: at least ``similarity`` of the runs of three words
    are the same, as MinHash estimates it).

    A document that is posted again under its id is no duplicate of itself, whatever it holds now. Its former content is
    forgotten, with all of its parts, and so is that of a document that is deleted, or that failed anywhere in the graph; what was
    held back as its duplicate comes in when it is posted again. A document without an id is itself only in its own delivery, so
    a second post of it is a duplicate, unless the first failed. Parts count as documents of their own. Deletions pass.
    ``duplicates`` are counted. Of more than ``documents``, the ones that came first are forgotten.
    """

    icon = "copy-minus"
    tags = ("documents", "incremental")
    example = Example(
        takes=[Packet({"text": "one"}, {"id": "a", "route": "r"}), Packet({"text": "one"}, {"id": "b", "route": "r"})],
        gives={
            "out": Packet({"text": "one"}, {"id": "a"}),
            "duplicate": Packet({"text": "one"}, {"id": "b", "duplicate_of": "a"}),
        },
        params={"fields": ["text"]},
    )

    outputs: ClassVar[Mapping[str, str]] = {
        "out": "Documents that are new",
        "duplicate": "Duplicates; without a wire they are dropped",
    }

    class Params(Parameters):
        fields: Annotated[list[str], Help("Fields whose content counts; empty: all.")] = []
        match: Annotated[Literal["exact", "near"], Help("The same content, or nearly the same words (needs rensa).")] = "exact"
        similarity: Annotated[
            float, Help("Share of the runs of three words that near duplicates have in common.", ge=0.5, le=1)
        ] = 0.85
        documents: Annotated[int, Help("Documents that are remembered.", ge=1)] = 1_000_000

        def __post_init__(self) -> None:
            if self.match == "near":
                if importlib.util.find_spec("rensa") is None:
                    raise ValueError(NEEDS_RENSA)
                if not self.fields:
                    raise ValueError("match: near looks at texts; name their fields")

    def setup(self) -> None:
        params = self.params
        self._judge: Judge
        if params.match == "near":
            from pypes_basic.near import ENTRIES, Near

            self._judge = Near(params.similarity)
            entries = ENTRIES
        else:
            self._judge = Exact()
            entries = 2
        self._store = self.open_store(params.documents * (entries + 1))  # and a mark for each
        self._arrived = 0

    def process_batch(self, packets: list[Packet]) -> list[Packet | None]:
        named = [self._named(packet) for packet in packets]
        contents = [b"" if packet.is_deletion else self._content_of(packet) for packet in packets]
        firsts = self.offload(self._firsts, named, contents)
        found: list[Packet | None] = []
        for packet, (name, _), first in zip(packets, named, firsts, strict=True):
            is_new = first in ("", name)
            found.append(packet if is_new else None)
            if not is_new:
                self.count("duplicates")
                if id := id_of(first):
                    packet.set_meta("duplicate_of", id)
                self.send("duplicate", packet)
        return found

    def conclude(self, documents: list[Completed]) -> None:
        """Forget what failed, was deleted or is replaced: a duplicate of it must come through."""
        marks: list[tuple[str, str]] = []
        for document, version, is_whole, is_deleted in documents:
            if version.receipt:
                marks += void_by(document, version, is_whole=is_whole, is_deleted=is_deleted)
            elif document.id and (is_deleted or not is_whole):
                marks += void_by(document, Version("", 0, self._arrived), is_whole=True, is_deleted=True)
        if marks:
            self.offload(self._void, marks)

    # -- what is remembered -----------------------------------------------------------------------------------

    def _firsts(self, named: list[tuple[str, str]], contents: list[bytes]) -> list[str]:
        """For each document the name of the one that had its content first. Blocks."""
        judge = self._judge
        documents = [Document(*name, judge.prepared(content)) for name, content in zip(named, contents, strict=True)]
        found: list[str] = []

        def decision(draft: Draft) -> None:
            found[:] = [judge.first(draft, document) for document in documents]

        decide(self._store, decision, chain.from_iterable(map(judge.keys, documents)))
        return found

    def _void(self, marks: list[tuple[str, str]]) -> None:
        """Write down what is void from now on. Blocks."""

        def decision(draft: Draft) -> None:
            for mark, below in marks:
                draft.void(mark, below)

        decide(self._store, decision, (mark for mark, _ in marks))

    def _content_of(self, packet: Packet) -> bytes:
        fields = self.params.fields
        if self.params.match == "near":
            texts = [value for name in fields for value in _texts(packet, name)]
            return " ".join(texts).encode("utf-8", "surrogatepass")
        if fields and not any(packet.has(name) for name in fields):
            return b""  # nothing to compare
        try:
            return fingerprint(packet, fields)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise Reject(f"the content cannot be compared: {error}", "deduplicate.content") from error

    def _named(self, packet: Packet) -> tuple[str, str]:
        """The name of a document among those that are remembered, and the text of its version."""
        version = packet.version
        if version is None:  # outside of a node they have the order in which they come
            self._arrived += 1
            version = Version("", 0, self._arrived)
        try:
            document = packet.document
        except BadId:  # publishers will tell
            document = None
        name = name_of(document, packet.part) if document is not None else nameless(version, packet.part)
        return name, version.text


def _texts(packet: Packet, name: str) -> list[str]:
    if not packet.has(name):
        return []
    found = packet.get(name)
    return [value for value in (found if packet.is_multivalued(name) else [found]) if isinstance(value, str)]
