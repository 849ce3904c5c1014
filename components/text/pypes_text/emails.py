"""Emails: the addresses of mail in a text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pypes import Example, Help, Packet, Parameters
from pypes_text.extracting import Finder, Source
from pypes_text.finding import Found, emails


class Emails(Finder):
    """Find the addresses of mail in a text: each once, the domain in lower case, with its places (field metadata ``places``)."""

    icon = "at-sign"
    tags = ("text", "entities")
    example = Example(
        takes=Packet({"text": "Ask ada@Example.org or <grace@example.org>."}),
        gives=Packet({"text": "Ask ada@Example.org or <grace@example.org>.", "emails": ["ada@example.org", "grace@example.org"]}),
    )

    class Params(Parameters):
        field: Source = "text"
        target: Annotated[str, Help("Field for the addresses.", min_length=1)] = "emails"

    def find(self, text: str) -> Iterable[Found]:
        return emails(text)
