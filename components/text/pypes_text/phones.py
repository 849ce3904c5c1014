"""Phones: the phone numbers in a text, by the plans of all countries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from pypes import Example, Help, Packet, Parameters
from pypes.errors import ComponentError
from pypes_text.extracting import Finder, Source
from pypes_text.finding import Found


class Phones(Finder):
    """Find phone numbers in a text that there can be by the numbering plan of their country, in the form ``+4930901820`` (E.164).

    Numbers without a country code are those of ``region``. Each is written once, with its places (field metadata ``places``).
    """

    icon = "phone"
    tags = ("text", "entities")
    needs = {"phonenumbers": "pip install 'pypes-text[phones]'"}
    example = Example(
        takes=Packet({"text": "Call 030 901820 or +44 20 7946 0958."}),
        gives=Packet({"text": "Call 030 901820 or +44 20 7946 0958.", "phones": ["+4930901820", "+442079460958"]}),
        params={"region": "DE"},
    )

    class Params(Parameters):
        field: Source = "text"
        target: Annotated[str, Help("Field for the numbers.", min_length=1)] = "phones"
        region: Annotated[
            str,
            Help("Country of numbers without a country code, such as DE; empty: they are passed over.", pattern="^([A-Z]{2})?$"),
        ] = ""

    def setup(self) -> None:
        import phonenumbers

        if self.params.region and self.params.region not in phonenumbers.SUPPORTED_REGIONS:
            raise ComponentError(
                f"region {self.params.region!r} has no phone numbers; take a code of ISO 3166", code="phones.region"
            )
        self._library: Any = phonenumbers

    def find(self, text: str) -> Iterable[Found]:
        return self._find(text)

    def _find(self, text: str) -> Iterator[Found]:
        library = self._library
        for match in library.PhoneNumberMatcher(text, self.params.region or None):
            yield Found(match.start, match.end, library.format_number(match.number, library.PhoneNumberFormat.E164))
