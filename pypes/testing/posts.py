"""Posts of documents for tests of publishers, and the filters that make packets of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from pypes.component import Operator
from pypes.core.identity import Version
from pypes.errors import Reject
from pypes.packet import Packet

#: Metadata of the packets in which a post is to fail.
_FAILS = "test_fails"


class Seen(NamedTuple):
    """A packet as a reader of the destination finds it; a document without an id may be named in any way."""

    route: str
    document: str | None
    part: str
    text: str


@dataclass(frozen=True)
class Post:
    """A version of a document as it is posted and run: the parts that are made of it, and those of them that fail.

    ``parts`` are names such as ``row=1``; the empty one is the document itself. Without parts the document is empty. A later
    ``run`` of the same receipt is a replay. ``of`` a part, it is the replay of that one packet from a filter.
    """

    receipt: int
    parts: tuple[str, ...] = ("row=1", "row=2")
    id: str | None = "x"
    route: str = "docs"
    run: int = 1
    index: int = 0
    fails: tuple[str, ...] = ()
    is_deletion: bool = False
    of: str = ""

    def __str__(self) -> str:
        if self.is_deletion:
            what = "the deletion"
        elif self.of:
            what = f"the replay of {self.of}"
        else:
            what = f"{', '.join(part or 'all' for part in self.parts) or 'nothing'}"
            what += f" (but {', '.join(self.fails)} failed)" if self.fails else ""
        return f"version {self.receipt}, run {self.run} of {self.id!r} in {self.route!r}: {what}"

    @property
    def version(self) -> Version:
        return Version(f"{self.receipt:05}", self.index, self.run)

    @property
    def is_whole(self) -> bool:
        return not (self.fails or self.of)

    def text(self, part: str) -> str:
        """The content of a part: unique, and the same in every run."""
        return f"{part or 'all'} of {self.id!a} in {self.route!a}: version {self.receipt}, place {self.index}"

    def made(self) -> frozenset[Seen]:
        """All that comes to the publisher."""
        if self.is_deletion:
            return frozenset()
        names = [self.of] if self.of else [name for name in self.parts if name not in self.fails]
        return frozenset(Seen(self.route, self.id, name, self.text(name)) for name in names)

    def packet(self, fields: Callable[[str], Mapping[str, Any]]) -> Packet:
        """The packet that is posted."""
        meta: dict[str, Any] = {"receipt": self.version.receipt, "run": self.run, "route": self.route}
        if self.index or self.id is None:
            meta["index"] = self.index
        if self.id is not None:
            meta["id"] = self.id
        if self.is_deletion:
            return Packet(meta={**meta, "requestmethod": "DELETE"})
        if self.of:
            return derived(Packet(meta=meta), self.of, dict(fields(self.text(self.of))))
        given = {name: dict(fields(self.text(name))) for name in self.parts}
        return Packet({"given": given, "fails": dict.fromkeys(self.fails, True)}, meta)


def derived(packet: Packet, part: str, fields: Mapping[str, Any]) -> Packet:
    """The part of that name (``attachment=2/chunk=4``) of a packet, with these fields; the empty name is the packet itself."""
    if part:
        for step in part.split("/"):
            kind, _, place = step.partition("=")
            packet = packet.derive(kind, int(place) if place.isdecimal() else place)
    else:
        packet = packet.clone()
        for name in packet.get_attribute_names():
            packet.delete(name)
    for name, value in fields.items():
        packet.set(name, value)
    return packet


class Splitting(Operator):
    """Makes the packets of posts."""

    outputs: ClassVar[Mapping[str, str]] = {"out": "Packets of the posts", "open": "Packets that keep the documents open"}

    def process(self, packet: Packet) -> None:
        if not packet.has("given"):
            self.send("out", packet)
        else:
            given, fails = packet["given"], packet["fails"]
            for part, fields in given.items():
                made = derived(packet, part, fields)
                if part in fails:
                    made.set_meta(_FAILS, True)
                self.send("out", made)
        self.send("open", packet)


class Waiting(Operator):
    """Keeps documents open until ``pause`` returns, which is called in a thread."""

    pause: Callable[[], None]

    def process(self, packet: Packet) -> None:
        self.offload(self.pause)


class Failing(Operator):
    """Fails over the packets that are to fail."""

    def process(self, packet: Packet) -> Packet:
        if packet.get_meta(_FAILS):
            raise Reject("this part is to fail", "test.fails")
        return packet
