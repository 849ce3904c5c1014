"""TitleLength: a component straight from a file. `load =` in pypes.ini registers it, SIGHUP reads it again."""

from pypes import component


@component
def TitleLength(packet, field: str = "title"):
    """Note how long the title is."""
    packet.set("title_length", len(str(packet.get(field, ""))))
    return packet
