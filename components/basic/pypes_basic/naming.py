"""Naming: ids of documents that are fetched again and again, made by ``pypes.core.file_names``, and deletions by them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypes import Help, Packet
from pypes.core.file_names import template_pattern

if TYPE_CHECKING:
    from msgspec import Meta


def id_help(made: str, *names: str) -> Meta:
    """Help for the parameter that is a template of ids; ``made`` says of what, ``names`` are those it may hold in braces."""
    return Help(f"{made}; empty: none, and nothing is replaced.", pattern=template_pattern(*names))


def deletion(id: str, **meta: str) -> Packet:
    """A packet that asks publishers to delete the document of an id; ``meta`` says where it was, and of which media type.

    The type is that of the document: the adapters that took it take the deletion as well.
    """
    return Packet.from_document({}, {"requestmethod": "DELETE", "id": id, **meta})
