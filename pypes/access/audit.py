"""Lines of the audit log: who has changed what of the node, when, and from where."""

from __future__ import annotations

import hashlib
from typing import Any, Final, NamedTuple

import msgspec

#: The name of the node itself, for changes that nobody has asked for just now: a graph file, a schedule.
NODE_NAME: Final = "node"

#: The size of a row besides its text, roughly.
ROW_BYTES: Final = 64

#: The hash before that of the first line of a file.
FIRST_HASH: Final = bytes(32)


#: All that lines are about. ``node.restore`` and ``token.forget`` are done by the node itself.
OPERATIONS: Final = (
    *("components.rescan", "composite.delete", "composite.save", "deadletters.delete", "deadletters.edit"),
    *("deadletters.replay", "draft.delete", "draft.deploy", "draft.save", "filter.change", "filter.create", "filter.delete"),
    *("graph.delete", "graph.deploy", "graph.pause", "graph.resume", "graph.rollback", "node.drain", "node.restore"),
    *("session.begin", "session.end", "shadow.end", "shadow.start", "sources.run", "store.clear", "token.change"),
    *("token.create", "token.forget", "token.revoke", "wire.delete", "wire.draw"),
)


class Cause(msgspec.Struct, frozen=True):
    """The request that a change is made for.

    ``operation`` is what it asks for, such as ``graph.rollback``; empty: as the change is called where it is made. ``by`` is the
    name of the client's token, ``admin`` for the node's own, empty without one. ``trace`` is the id of the trace that the request
    belongs to (W3C Trace Context), if it says so. ``object`` is what it names, where the change itself does not know.
    """

    operation: str = ""
    by: str = NODE_NAME
    address: str = ""
    trace: str = ""
    object: str = ""


#: The node does something of itself.
ITSELF: Final = Cause()


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One change. ``time`` is in RFC 3339, given when the line is written; ``graph`` is empty for what belongs to none.

    ``object`` is what was changed of the graph, or of the node: a filter, a dead letter, a token; of ``count`` of them the first
    by its id. ``before`` and ``after`` are versions of the graph. ``outcome`` is ``failed`` for a version that could not be set
    up, and is kept as such. ``receipt`` is that of the delivery that came of it.
    """

    time: str = ""
    operation: str
    by: str
    address: str = ""
    graph: str = ""
    object: str = ""
    before: int | None = None
    after: int | None = None
    count: int = 1
    outcome: str = "done"
    receipt: str = ""
    trace: str = ""
    detail: dict[str, Any] = {}


def line_of(cause: Cause, operation: str, **more: Any) -> Line:
    """The line of a change, which is called ``operation`` unless its cause calls it otherwise."""
    told = {"operation": cause.operation or operation, "by": cause.by, "address": cause.address, "trace": cause.trace}
    return Line(**{**told, "object": cause.object, **more})


class Place(NamedTuple):
    """The place of a line among all of a node: in the order of time, those of one time by file and number.

    ``at`` is in milliseconds of the node's time, ``source`` the number of the file.
    """

    at: int
    source: int
    number: int

    @classmethod
    def parse(cls, id: str) -> Place:
        """The place with this id. Raises ``ValueError``."""
        at, source, number = id.split("-")
        return cls(int(at, 16), int(source), int(number))

    def __str__(self) -> str:
        return f"{self.at:x}-{self.source}-{self.number}"


class Entry(msgspec.Struct, frozen=True):
    """A line in the log. ``hash`` is that of the line and of all lines before it in its file, in hexadecimal."""

    id: str
    line: Line
    hash: str

    @property
    def place(self) -> Place:
        return Place.parse(self.id)


class Kept(msgspec.Struct, frozen=True):
    """The lines that one file should have: those behind number ``gone``, up to ``last``, of so many ``bytes``.

    ``source`` is the number of the file, ``hash`` that of the last line that has gone, in hexadecimal. Hashes are made with
    places whose source is ``written_as``: another one if the file came from another node.
    """

    source: int
    gone: int
    hash: str
    last: int
    bytes: int
    written_as: int


class AuditQuery(msgspec.Struct, frozen=True):
    """Criteria for lines; empty text matches every one. ``operation`` may be a pattern, such as ``graph.*``.

    ``since`` and ``until`` are in seconds since the epoch, the latter exclusive and 0 for none; ``after`` is the id of the last
    line of the page before.
    """

    operation: str = ""
    by: str = ""
    graph: str = ""
    since: float = 0.0
    until: float = 0.0
    is_newest_first: bool = True
    after: str = ""


def hash_of(before: bytes, id: str, text: bytes) -> bytes:
    """The hash of a line, its JSON text, with the hash of the one before it: what is changed in the middle shows."""
    return hashlib.sha256(before + f"{id}\n".encode() + text).digest()
