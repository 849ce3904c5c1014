"""Deduplicate: of documents with the same content, the first."""

from __future__ import annotations

import importlib.util
import uuid
from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal

from pypes import Example, Filter, Help, Packet, Parameters, Reject
from pypes.core.identity import Completed, Identity
from pypes.errors import BadId
from pypes_basic.duplicates import Exact, Judge
from pypes_basic.fingerprint import fingerprint

NEEDS_RENSA: Final = 'match: near needs rensa, not installed here; run pip install "pypes-basic[near]"'


class Deduplicate(Filter):
    """Pass the first of all documents with one content, on this node, over restarts; others are duplicates.

    Duplicates go to ``duplicate``, or are dropped where that has no wire. A duplicate has the id of the first as metadata
    ``duplicate_of``, where that has one. The content is that of ``fields`` (``exact``: the same to the last character, all fields
    if none are named), or the words of the texts in them (``near``, an extra: at least ``similarity`` of the runs of three words
    are the same, as MinHash estimates it).

    A document that is posted again under its id is no duplicate of itself, whatever it holds now. Its former content is
    forgotten, and so is that of a document that is deleted, or that failed further on; what was held back as its duplicate comes
    in when it is posted again. A document without an id is itself only in its own delivery, so a second post of it is a
    duplicate. Parts count as documents of their own. Deletions pass. ``duplicates`` are counted. Of more than ``documents``, the
    ones that came first are forgotten.
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
            self._store = self.open_store(params.documents * ENTRIES)
        else:
            self._judge = Exact()
            self._store = self.open_store(params.documents * 2)

    def process_batch(self, packets: list[Packet]) -> list[Packet | None]:
        owners = [self._owner_of(packet) for packet in packets]
        contents = [b"" if packet.is_deletion else self._content_of(packet) for packet in packets]
        firsts = self.offload(self._judge.first, self._store, [*zip(owners, contents, strict=True)])
        found: list[Packet | None] = []
        for packet, owner, first in zip(packets, owners, firsts, strict=True):
            is_new = first in ("", owner)
            found.append(packet if is_new else None)
            if not is_new:
                self.count("duplicates")
                if id := _id_of(first):
                    packet.set_meta("duplicate_of", id)
                self.send("duplicate", packet)
        return found

    def conclude(self, documents: list[Completed]) -> None:
        """Forget what failed: a duplicate of it must come through."""
        failed = [(_owner(each.document, ""), b"") for each in documents if not each.is_whole]
        if failed:
            self.offload(self._judge.first, self._store, failed)

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

    def _owner_of(self, packet: Packet) -> str:
        """The name of a document among those that are remembered; that of one without an id holds in its delivery only."""
        try:
            document = packet.document
        except BadId:  # publishers will tell
            document = None
        if document is not None:
            return _owner(document, packet.part)
        version = packet.version
        return f"-/{version.receipt}/{version.index}/{packet.part}" if version is not None else f"-/{uuid.uuid4().hex}"


def _owner(document: Identity, part: str) -> str:
    return f"{len(document.route)}/{len(document.id)}/{document.route}/{document.id}/{part}"


def _id_of(owner: str) -> str:
    """The id that an owner has; empty if it has none."""
    route, _, rest = owner.partition("/")
    if route == "-":
        return ""
    id, _, rest = rest.partition("/")
    start = int(route) + 1
    name = rest[start : start + int(id)]
    part = rest[start + int(id) + 1 :]
    return f"{name}/{part}" if part else name


def _texts(packet: Packet, name: str) -> list[str]:
    if not packet.has(name):
        return []
    found = packet.get(name)
    return [value for value in (found if packet.is_multivalued(name) else [found]) if isinstance(value, str)]
