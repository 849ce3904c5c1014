"""URLs: the addresses of the web in a text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pypes import Example, Help, Packet, Parameters
from pypes_text.extracting import Finder, Source
from pypes_text.finding import Found, urls


class URLs(Finder):
    """Find addresses that begin with http, https, ftp or ``www.`` in a text: each once, with its places (metadata ``places``).

    Punctuation of the sentence behind an address does not belong to it, nor does a bracket that was opened before it.
    """

    icon = "link"
    tags = ("text", "entities", "web")
    example = Example(
        takes=Packet({"text": "See (https://example.org/looms), or www.example.org."}),
        gives=Packet(
            {
                "text": "See (https://example.org/looms), or www.example.org.",
                "links": ["https://example.org/looms", "http://www.example.org"],
            }
        ),
    )

    class Params(Parameters):
        field: Source = "text"
        target: Annotated[str, Help("Field for the addresses.", min_length=1)] = "links"

    def find(self, text: str) -> Iterable[Found]:
        return urls(text)
