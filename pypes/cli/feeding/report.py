"""Outcome of a run of ``pypes feed``: file by file, and in numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

from pypes.cli.feeding.loading import Loaded

#: Failures of one kind that are told with their reason; of the rest only the number is told.
SHOWN_FAILURES = 20


@dataclass(slots=True)
class Count:
    """Documents (and the files they came in) of one kind."""

    files: int = 0
    refused: int = 0
    accepted: int = 0
    published: int = 0
    dropped: int = 0
    failed: int = 0


@dataclass(slots=True)
class Report(Count):
    """``failures`` names each file that was not accepted, and why; ``dead`` each that failed later, and its dead letter.

    ``kinds`` has the numbers by media type. ``deleted`` counts deletions that were accepted; they are in no other number.
    """

    sent_bytes: int = 0
    retries: int = 0
    deleted: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    dead: list[tuple[str, str]] = field(default_factory=list)
    kinds: dict[str, Count] = field(default_factory=dict)

    def kind(self, media_type: str) -> Count:
        """The numbers of a media type."""
        return self.kinds.setdefault(media_type, Count())


@dataclass(frozen=True, slots=True)
class Sent:
    """A POST that was accepted: files in the order of its documents, several only if each of them is one document."""

    receipt: str
    accepted: int
    loaded: tuple[Loaded, ...]
