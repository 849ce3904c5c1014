"""Sample: a share of the documents."""

from __future__ import annotations

import random
from collections.abc import Mapping
from hashlib import blake2b
from typing import Annotated, ClassVar, Literal

from pypes import Example, Filter, Help, Packet, Parameters
from pypes.errors import BadId


class Sample(Filter):
    """Let a share of the documents pass; the others go to ``rest``, or are dropped.

    By ``id`` (the route and id of a document, or without one its place in its delivery) the choice is the same in every run, on
    every node and for all parts of a document; a larger share takes the same documents and more, another ``salt`` takes others.
    At ``random``, each packet is a choice of its own, another one in each run. Packets go on unchanged. Deletions always pass, to
    both outputs.
    """

    icon = "pie-chart"
    tags = ("documents", "rules")
    example = Example(
        takes=[Packet({"n": n}, {"id": f"{n}", "route": "r"}) for n in range(4)],
        gives={
            "out": [Packet({"n": n}, {"id": f"{n}", "route": "r"}) for n in (0, 2, 3)],
            "rest": [Packet({"n": n}, {"id": f"{n}", "route": "r"}) for n in (1,)],
        },
        params={"share": 0.5},
    )

    outputs: ClassVar[Mapping[str, str]] = {"out": "The sample", "rest": "All others; without a wire they are dropped"}

    class Params(Parameters):
        share: Annotated[float, Help("Share of the documents that pass, from 0 to 1.", ge=0, le=1)]
        by: Annotated[Literal["id", "random"], Help("The same documents in each run, or others.")] = "id"
        salt: Annotated[str, Help("Any text; another one makes another choice.")] = ""

    def setup(self) -> None:
        self.reconfigure(self.params)
        self._random = random.Random()

    def reconfigure(self, params: Params) -> None:
        self._share, self._is_random = params.share, params.by == "random"
        self._key = blake2b(params.salt.encode("utf-8", "surrogatepass")).digest()

    def process(self, packet: Packet) -> Packet | None:
        if packet.is_deletion:
            self.send("rest", packet.clone())
            return packet
        chance = self._random.random() if self._is_random else self._chance(packet)
        if chance < self._share:
            return packet
        self.send("rest", packet)
        return None

    def _chance(self, packet: Packet) -> float:
        """A number from 0 to 1, without 1, that follows from the document."""
        try:
            document = packet.document
        except BadId:  # publishers will tell
            document = None
        if document is not None:
            name = f"{len(document.route)}/{document.route}/{document.id}"
        else:
            version = packet.version
            name = f"{version.receipt}/{version.index}" if version is not None else f"{packet.get_meta('index', default=0)}"
        digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=6, key=self._key).digest()
        return int.from_bytes(digest, "big") / (1 << 48)
