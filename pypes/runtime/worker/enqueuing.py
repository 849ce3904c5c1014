"""Enqueuing: the delivery that what a source fetched becomes."""

from __future__ import annotations

import msgspec

from pypes.core.limits import Limits
from pypes.core.media_types import PACKETS
from pypes.ingest.codecs import Survey
from pypes.ingest.codecs.packets import documents
from pypes.ingest.delivery import Header
from pypes.ingest.protocol import Fetched


def header_of(graph: str, source: str, said: Fetched, limits: Limits, *, is_ordered: bool) -> Header:
    """The header of the delivery; raises :class:`PypesError` if packets of an ordered graph have no id."""
    header = Header(
        graph,
        content_type=PACKETS,
        documents=said.documents,
        length=len(said.body),
        start=source,
        poster=f"source:{source}",
    )
    if not is_ordered:
        return header
    survey = Survey(header, True)
    for number, packet in enumerate(documents(said.body, limits), 1):
        survey.packet(packet, f"packet {number}")
    return msgspec.structs.replace(header, keys=survey.keys, identities=survey.identities)
