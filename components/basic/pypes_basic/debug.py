"""Debug: publish to the log."""

from __future__ import annotations

from typing import Annotated

import orjson

from pypes import Example, Help, Packet, Parameters, Publisher


class Debug(Publisher):
    """Write every packet, metadata included, to the log as one line of JSON."""

    icon = "bug"
    tags = ("testing", "log")
    example = Example(takes=Packet({"title": "Ada"}), params={"max_chars": 200})

    class Params(Parameters):
        max_chars: Annotated[int, Help("Longer packets are cut here.", ge=1)] = 2000

    def process(self, packet: Packet) -> None:
        text = orjson.dumps(packet.to_json(), option=orjson.OPT_NON_STR_KEYS, default=str).decode()
        cut = self.params.max_chars
        self.log.info("packet %s", text if len(text) <= cut else f"{text[:cut]}… ({len(text)} characters)")
