"""Survey of a body beyond the number of its documents: those that cannot be read, and the order keys of the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pypes.core.identity import Identity, id_of
from pypes.errors import BadId, InvalidInput
from pypes.ingest.delivery import Header
from pypes.ingest.ordering import EVERY, MAX_ID_CHARS, MAX_KEYS, key_of, pack_keys
from pypes.packet import Packet


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands in for an unreadable document, in a body that was accepted all the same.

    ``raw`` is its bytes after decompression, ``where`` the line or index; ``reason`` and ``code`` are those of the error.
    """

    reason: str
    raw: bytes
    where: str
    code: str = "ingest.malformed"


class MissingId(InvalidInput):
    """A document whose place in the order cannot be known."""

    code = "order.id_missing"


class Survey:
    """Looks at the documents of one body while they are checked. Costs a dict look-up each; made only where it is asked for.

    ``is_ordered``: the graph has ``order_by``, so every document needs an id: the one in the URL, or else its own.
    """

    def __init__(self, header: Header, is_ordered: bool) -> None:
        self.is_lenient = header.is_lenient
        #: Documents that cannot be read; they count as documents.
        self.rejected = 0
        self._given = header.id
        self._route = header.route or ""
        self._is_ordered = is_ordered
        self._is_bulk = header.is_bulk
        self._keys: set[int] = set()
        self._identities: dict[Identity, None] = {}
        self._id_chars = 0
        self._is_every = False

    @property
    def keys(self) -> bytes:
        """The order keys for the header; empty without order."""
        if not self._is_ordered:
            return b""
        if self._is_every:
            return EVERY
        self._note_given()
        return pack_keys(self._keys)

    @property
    def identities(self) -> tuple[Identity, ...]:
        """The identities for the header; none in the bulk lane, where nothing asks for them."""
        self._note_given()
        return tuple(self._identities)

    def part(self, id: str | None, *, has_own: bool = False) -> None:
        """Begin a part of a multipart body, which has this id; ``has_own``: its documents may say otherwise of themselves."""
        self._given = id
        if self._is_ordered and id is not None and not has_own and not self._is_every:
            self._note(Identity(self._route, id))

    def document(self, fields: dict[str, Any], where: str) -> None:
        """Take a JSON document; raises :class:`MissingId` if it has no id and needs one."""
        if self._is_ordered and self._given is None:
            self._take(fields.get("id"), where)

    def packet(self, packet: Packet, where: str) -> None:
        """Take a packet, whose id may also stand in its metadata; raises as :meth:`document`."""
        if self._is_ordered:
            own = packet.get_meta("id", default=self._given)
            route = packet.get_meta("route", default=self._route)
            self._take(packet.get("id") if own is None else own, where, route if type(route) is str else "")

    def opaque(self, where: str) -> None:
        """Take a document that is only bytes; raises as :meth:`document`."""
        if self._is_ordered and self._given is None:
            raise MissingId(
                (
                    "the graph keeps order by id, and a body that is not JSON has no id of its own; put the document to "
                    "/docs/{route}/{id}, or send a Pypes-Id"
                ),
                where=where,
            )

    def _take(self, value: Any, where: str, route: str | None = None) -> None:
        try:
            id = id_of(value)
        except BadId as error:
            raise MissingId(f"{where}: {error.message}", code=error.code, where=where) from error
        if id is None:
            raise MissingId(
                (
                    f"the graph keeps order by id, and {where} has no id that is text or a whole number; put one into the "
                    "document or the URL"
                ),
                where=where,
            )
        if not self._is_every:
            self._note(Identity(self._route if route is None else route, id))

    def _note_given(self) -> None:
        """The id in the URL is that of the document, unless a packet says otherwise of itself."""
        if self._is_ordered and self._given is not None and not self._keys and not self._is_every:
            self._note(Identity(self._route, self._given))

    def _note(self, identity: Identity) -> None:
        self._keys.add(key_of(identity.id))
        if not self._is_bulk and identity not in self._identities:
            self._identities[identity] = None
            self._id_chars += len(identity.id) + len(identity.route)
        if len(self._keys) > MAX_KEYS or len(self._identities) > MAX_KEYS or self._id_chars > MAX_ID_CHARS:
            self._is_every = True
            self._keys.clear()
            self._identities.clear()
