"""Null: publish nowhere."""

from __future__ import annotations

from pypes import Example, Packet, Publisher


class Null(Publisher):
    """Take every packet and do nothing with it: for measuring, and while a graph is being built."""

    icon = "ban"
    tags = ("testing",)
    example = Example(takes=Packet({"title": "Ada"}))

    def process_batch(self, packets: list[Packet]) -> None:
        return None
