"""Addresses: the postal addresses in a text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Final

from pypes import Example, Help, Packet, Parameters
from pypes_text.extracting import Finder, Source
from pypes_text.finding import Found

#: Between two lines of an address, or its parts in one line.
_NEXT: Final = r"(?:,[ \t]{0,3}\n?|[ \t]{0,3}\n)[ \t]{0,8}"
_WORD: Final = r"[^\W\d_][\w.'’-]{0,30}"  # noqa: RUF001
_US_STREET: Final = (
    "Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Drive|Dr|Lane|Ln|Court|Ct|Place|Pl|Square|Sq|Parkway|Pkwy|Highway|Hwy|Way|"
    "Terrace|Ter|Circle|Cir|Trail|Broadway|Plaza"
)
_US_STATE: Final = (
    "A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|P[AR]|RI|S[CD]|T[NX]|UT|V[AT]|W[AIVY]"
)
_UK_STREET: Final = (
    "Street|Road|Lane|Avenue|Square|Place|Terrace|Gardens|Close|Way|Drive|Crescent|Court|Row|Hill|Grove|Park|Mews|Walk"
)
_FRENCH_STREET: Final = (
    r"[Rr]ue|[Aa]venue|[Aa]v\.|[Bb]oulevard|[Bb]d|[Pp]lace|[Qq]uai|[Cc]hemin|[Aa]llée|[Ii]mpasse|[Cc]ours|[Rr]oute"
)
_US_TOWN: Final = rf"{_NEXT}{_WORD}(?: {_WORD}){{0,3}},? (?:{_US_STATE}) [0-9]{{5}}(?:-[0-9]{{4}})?(?!\w)"
_CAPITAL: Final = r"[A-ZÀ-ÖØ-ÞŁŠŽ][\w'’/-]{0,30}"  # noqa: RUF001
#: Behind the name of a town that would go on into the street of the next address.
_STREET_BEHIND: Final = rf"[\w'’/-]|(?: {_WORD}){{0,2}} [0-9]{{1,4}}[^\n,]{{0,8}}{_NEXT}(?:[A-Z]{{1,2}}-)?[0-9]{{4,5}}"  # noqa: RUF001
_PATTERNS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        # 350 Fifth Avenue, Suite 300, New York, NY 10118
        rf"(?<![\w.,-])[0-9]{{1,6}} (?:[NSEW]\.? )?(?:(?:{_WORD}|[0-9]{{1,3}}(?:st|nd|rd|th)) ){{0,4}}(?:{_US_STREET})\b\.?"
        rf"(?:,? (?:Suite|Ste|Apt|Unit|Floor|#)\.? ?[\w-]{{1,8}})?{_US_TOWN}",
        # P.O. Box 12, Springfield, IL 62701
        rf"(?<!\w)P\.? ?O\.? Box [0-9]{{1,6}}{_US_TOWN}",
        # Unter den Linden 77, 10117 Berlin; Bahnhofstrasse 1, 8001 Zürich; Keizersgracht 126, 1015 CW Amsterdam
        rf"(?<![\w-]){_WORD}(?: {_WORD}){{0,3}} [0-9]{{1,4}}(?: ?[a-zA-Z])?(?:[-/][0-9]{{1,4}})?{_NEXT}"
        rf"(?:[A-Z]{{1,2}}-)?[0-9]{{4,5}}(?: [A-Z]{{2}})? {_CAPITAL}"
        rf"(?:(?:(?: (?:am|an|im|in|bei|ob|vor|der|den|dem)){{0,2}} {_CAPITAL}){{1,2}}(?!{_STREET_BEHIND}))?",
        # 55 Rue du Faubourg Saint-Honoré, 75008 Paris
        rf"(?<![\w.,-])[0-9]{{1,4}}(?: ?(?:bis|ter|[A-D]))?,? (?:{_FRENCH_STREET})(?: {_WORD}){{1,6}}{_NEXT}"
        rf"(?:F-)?[0-9]{{5}} {_CAPITAL}(?: {_CAPITAL}){{0,2}}",
        # 10 Downing Street, London SW1A 2AA
        rf"(?<![\w.,-])[0-9]{{1,4}}[A-Z]? (?:{_WORD} ){{1,4}}(?:{_UK_STREET})(?:{_NEXT}{_WORD}(?: {_WORD}){{0,3}}){{1,3}}"
        rf"(?:,? |{_NEXT})[A-Z]{{1,2}}[0-9][0-9A-Z]? ?[0-9][A-Z]{{2}}(?!\w)",
    )
)


def addresses(text: str) -> Iterator[Found]:
    """Addresses with street, number, town and postal code, in one line or in several; the value is in one line."""
    for pattern in _PATTERNS:
        for found in pattern.finditer(text):
            lines = (" ".join(line.split()).strip(",") for line in found.group().split("\n"))
            yield Found(*found.span(), ", ".join(line for line in lines if line))


class Addresses(Finder):
    """Find postal addresses with street, number, town and postal code in a text, and write each in one line, with its places.

    The forms are those of the USA, the United Kingdom, France, and of Germany, Austria, Switzerland and the Netherlands, in one
    line or in several. An address in another form, or without a postal code, is not found. The places are field metadata
    ``places``.
    """

    icon = "map-pin"
    tags = ("text", "entities")
    example = Example(
        takes=Packet({"text": "Unter den Linden 77, 10117 Berlin, or: 10 Downing Street,\nLondon SW1A 2AA"}),
        gives=Packet(
            {
                "text": "Unter den Linden 77, 10117 Berlin, or: 10 Downing Street,\nLondon SW1A 2AA",
                "addresses": ["Unter den Linden 77, 10117 Berlin", "10 Downing Street, London SW1A 2AA"],
            }
        ),
    )

    class Params(Parameters):
        field: Source = "text"
        target: Annotated[str, Help("Field for the addresses.", min_length=1)] = "addresses"

    def find(self, text: str) -> Iterable[Found]:
        return addresses(text)
