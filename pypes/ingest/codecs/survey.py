"""What is learnt of a body beyond the number of its documents: which cannot be read, and the order keys of the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pypes.errors import InvalidInput
from pypes.ingest.delivery import Header
from pypes.ingest.ordering import EVERY, MAX_KEYS, key_of, pack_keys
from pypes.packet import Packet


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What stands in the place of a document that cannot be read, in a body that was taken all the same.

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
        self._is_ordered = is_ordered
        self._keys: set[int] = set()
        self._is_every = False

    @property
    def keys(self) -> bytes:
        """The order keys for the header; empty without order."""
        if not self._is_ordered:
            return b""
        if self._is_every:
            return EVERY
        return pack_keys([key_of(self._given)] if self._given is not None and not self._keys else self._keys)

    def document(self, fields: dict[str, Any], where: str) -> None:
        """Take a JSON document; raises :class:`MissingId` if it has no id and needs one."""
        if self._is_ordered and self._given is None:
            self._take(fields.get("id"), where)

    def packet(self, packet: Packet, where: str) -> None:
        """Take a packet, whose id may also stand in its metadata; raises as :meth:`document`."""
        if self._is_ordered:
            own = packet.get_meta("id", default=self._given)
            self._take(packet.get("id") if own is None else own, where)

    def opaque(self, where: str) -> None:
        """Take a document that is only bytes; raises as :meth:`document`."""
        if self._is_ordered and self._given is None:
            raise MissingId(
                "the graph keeps order by id, and what is not JSON has no id of its own; put it to /docs/{route}/{id}",
                where=where,
            )

    def _take(self, id: Any, where: str) -> None:
        if type(id) is int:
            id = str(id)
        elif type(id) is not str or not id:
            raise MissingId(
                f"the graph keeps order by id, and {where} has none that is text or a whole number; put one into the document "
                "or the URL",
                where=where,
            )
        if not self._is_every:
            self._keys.add(key_of(id))
            if len(self._keys) > MAX_KEYS:
                self._is_every = True
                self._keys.clear()
