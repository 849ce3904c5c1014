"""Dead letters as they are asked for: queries, groups, and one with all that is kept of it."""

from __future__ import annotations

import msgspec

from pypes.access.client import is_among
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import DeadLetter


class LetterQuery(msgspec.Struct, frozen=True, gc=False):
    """Criteria for dead letters: empty text matches every one, ``since`` and ``until`` are seconds since the epoch.

    ``until`` itself is too late; 0 is no bound.
    ``document`` is the id of a document, ``index`` its ordinal in its delivery; a letter for a whole delivery matches each.
    """

    graph: str = ""
    filter: str = ""
    code: str = ""
    since: float = 0.0
    until: float = 0.0
    receipt: str = ""
    document: str = ""
    file: str = ""
    route: str = ""
    index: int | None = None
    #: Only those of graphs with these names or patterns; empty: of all.
    among: tuple[str, ...] = ()

    def matches(self, letter: DeadLetter) -> bool:
        return (
            (not self.graph or letter.graph == self.graph)
            and (not self.among or is_among(letter.graph, self.among))
            and (not self.filter or letter.filter == self.filter)
            and (not self.code or letter.code == self.code)
            and letter.time >= self.since
            and (not self.until or letter.time < self.until)
            and (not self.receipt or letter.receipt == self.receipt)
            and (not self.document or letter.named.id == self.document)
            and (not self.file or letter.named.file == self.file)
            and (not self.route or letter.named.route == self.route)
            and (self.index is None or letter.index is None or self.index in letter.ordinals)
        )


class LetterGroup(msgspec.Struct, frozen=True, gc=False):
    """Count of dead letters that failed alike; ``latest`` is the time of the last one, seconds since the epoch.

    ``failures`` is how many packets they stand for. ``history`` are the letters of each of :data:`STEPS` steps of a time, the
    oldest first, if they were asked for.
    """

    graph: str
    filter: str
    code: str
    count: int
    latest: float
    failures: int = 0
    history: tuple[int, ...] = ()


class History(msgspec.Struct, frozen=True, gc=False):
    """The time of which a history is told: :data:`STEPS` steps of ``step_s`` from ``since``, seconds since the epoch."""

    since: float
    step_s: float


class Replayed(msgspec.Struct, frozen=True, gc=False):
    """Result of a replay: the new ``receipt`` (empty if no letter was replayed) and the number of ``letters`` in it.

    ``left`` are the ids of those that go on from their filters, each by itself. ``edits`` is how many of those that went had been
    edited: from the start a document runs as it was received.
    """

    receipt: str
    letters: int
    left: tuple[str, ...] = ()
    edits: int = 0


class KeptLetter(msgspec.Struct, frozen=True, gc=False):
    """A dead letter and the kept part of the body of its delivery.

    ``has_body``: it can be replayed from the start. ``body`` is the body as received, ``None`` if it is not kept, is in a spool
    file, or larger than :data:`SHOWN_BYTES`; ``content_type``, ``encoding`` and ``size`` (bytes) are those of the body kept.
    ``is_edited``: its packet is not the one that failed any more.
    """

    letter: DeadLetter
    is_edited: bool = False
    has_body: bool = False
    body: bytes | None = None
    content_type: str = ""
    encoding: str = ""
    size: int = 0


class Origin(msgspec.Struct, frozen=True, gc=False):
    """A dead letter without its packet, and the delivery that it is of: its header, its body, and when it was accepted.

    ``received`` is in seconds since the epoch. Of a body in a spool file, ``spool`` is the path; ``body`` is ``None`` then, or if
    none is kept.
    """

    letter: DeadLetter
    received: float
    header: Header | None
    body: bytes | None
    spool: str = ""


#: Steps of a history.
STEPS = 60
#: A larger body is not shown with a dead letter.
SHOWN_BYTES = 1 << 20
