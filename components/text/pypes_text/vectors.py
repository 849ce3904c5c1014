"""Vectors of packets: the text that is embedded, and the field that holds what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pypes import Help, Packet, Reject

#: Parameters that all embedders have.
Fields = Annotated[list[str], Help("Fields whose text is embedded, one below the other.", min_length=1)]
Target = Annotated[str, Help("Field for the vector.", min_length=1)]


def text_of(packet: Packet, fields: Sequence[str], longest: int) -> str:
    """The text of some fields; raises ``Reject`` where there is none, and for more than ``longest`` characters."""
    said: list[str] = []
    for name in fields:
        value = packet.get(name)
        said += [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str) and each.strip()]
    text = "\n".join(said)
    if not text:
        raise Reject(f"there is no text in {' or '.join(fields)} to embed", "document.no_text")
    if len(text) > longest:
        raise Reject(
            f"the text has {len(text)} characters, more than {longest}, too many for one vector; put Chunk before this filter",
            "embed.too_long",
        )
    return text


def put_vector(packet: Packet, field: str, vector: list[float], model: str) -> None:
    """Set a field to a vector, a list as one value, with the name of the model and the number of dimensions."""
    packet.set(field, vector)
    packet.set_meta("model", model, field)
    packet.set_meta("dims", len(vector), field)
