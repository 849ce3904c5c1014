"""A delivery: what one POST brought, the unit of durability, lease and acknowledgement."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from pypes.core.identity import Identity, Named
from pypes.core.trace_context import TraceContext

#: Names of metadata that a head gives, and the value of each, or the values.
GivenMeta = tuple[tuple[str, str | tuple[str, ...]], ...]


class Header(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Properties of a delivery besides its body; written before the body in the store and on the wire.

    ``content_type`` is the raw header value (``""`` if none was sent), ``encoding`` the content encoding of the
    stored body (``""``, ``gzip``, ``deflate`` or ``zstd``), ``documents`` how many documents it counts for, ``length`` the stored
    bytes. A deletion has method ``DELETE``, an empty body and one document.

    ``is_lenient``: what cannot be read in the body becomes dead letters, each counted as a document. ``is_bulk``: the lane.
    ``keys`` are the order keys of its documents (see :mod:`pypes.ingest.ordering`; empty in a graph without order).
    ``callback`` is the URL to which the finished receipt is posted. A replay has ``replays``, the id of the dead letter it stands
    for; it starts at filter ``start`` (packets; empty: at the adapters), or consists of those documents of the body whose
    ordinals are in ``only`` (empty: all). ``origin`` is the receipt under which its documents ran first, and the ordinal there of
    the first document of the body, so that what they are published as stays the same; ``None`` where this is their first run.
    ``keeps_folders``: names of files in a multipart body keep their folders.
    ``meta`` are names and values of metadata that the request gives its documents, several values as a tuple.
    ``identities`` are those of the documents of a live delivery in a graph with order, unless it is in order with everything.
    ``poster`` names who handed the documents in: a token, or ``source:FILTER`` for what a source fetched; ``""`` if no token was
    asked for. A replay has that of the first run. ``is_traced``: what its filters do is kept with its receipt. ``context`` is the
    trace to which the request said that it belongs; a replay belongs to it, too.

    Fields are only ever added, at the end and with a default: that is how rows written by an earlier release are read.
    """

    graph: str
    method: str = "POST"
    content_type: str = ""
    encoding: str = ""
    route: str | None = None
    id: str | None = None
    filename: str | None = None
    documents: int = 1
    length: int = 0
    is_lenient: bool = False
    is_bulk: bool = False
    keys: bytes = b""
    callback: str | None = None
    replays: str = ""
    start: str = ""
    only: tuple[int, ...] = ()
    origin: tuple[str, int] | None = None
    identities: tuple[Identity, ...] = ()
    meta: GivenMeta = ()
    keeps_folders: bool = False
    poster: str = ""
    is_traced: bool = False
    context: TraceContext | None = None

    @property
    def named(self) -> Named:
        """Identity of the documents, as far as the request gave it; an id belongs to the only document."""
        return Named(self.id, self.filename, self.route)

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self)

    @classmethod
    def decode(cls, data: bytes | memoryview) -> Header:
        """Inverse of :meth:`encode`; raises ``ValueError`` (of msgspec, or of the text in it)."""
        return msgspec.msgpack.decode(data, type=cls)


@dataclass(frozen=True, slots=True)
class Spooled:
    """A body that lives in a spool file, already synced; the queue that takes it owns the file from then on."""

    path: str
    size: int

    def __len__(self) -> int:
        return self.size

    @property
    def name(self) -> str:
        return Path(self.path).name

    def open(self) -> BinaryIO:
        """Open for reading; raises ``FileNotFoundError`` once the delivery was acknowledged."""
        return Path(self.path).open("rb")
