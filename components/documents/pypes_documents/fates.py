"""The fates of the files in a document, or of its entries: each is sent on or fails alone; one reason names all failures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from pypes import Packet, Reject
from pypes_documents.job import Unread

#: Parts that failed or were passed over of which a reason tells, and those that it names beyond.
_TOLD: Final = 5
_NAMED: Final = 100


class Fates:
    """The fates of the parts of one document."""

    def __init__(self, parts: str = "files") -> None:
        """``parts`` names them in reasons."""
        #: Parts that were seen.
        self.count = 0
        #: True once something was sent on.
        self.is_sent = False
        self._parts = parts
        self._failures: list[tuple[str, Reject]] = []
        self._skipped: list[tuple[str, str]] = []
        self._own: Reject | None = None

    def fail(self, place: str, fault: Reject) -> None:
        """Note that a part cannot be read."""
        self._failures.append((place, fault))

    def skip(self, place: str, reason: str) -> None:
        """Note that a part is passed over."""
        self._skipped.append((place, reason))

    @property
    def skipped(self) -> str:
        """The parts that were passed over, with their reasons; empty if there are none."""
        return "; ".join(_told(self._skipped))

    @contextmanager
    def of_document(self) -> Iterator[None]:
        """Reads a document with all its parts; where anything failed, raises one ``Reject`` that tells of all."""
        try:
            yield
        except Reject as fault:
            if not self.is_sent and not self._failures:
                raise
            self._own = fault
        if self._failures or self._own:
            raise self._fault()

    def send_all(self, parts: Iterable[Packet | Unread], send: Callable[[str, Packet], object]) -> None:
        """Send on all parts of a document but those that cannot be read. Raises ``Reject`` that names these."""
        with self.of_document():
            for part in parts:
                self.count += 1
                if isinstance(part, Unread):
                    self.fail(part.part, part.fault)
                else:
                    send("out", part)
                    self.is_sent = True

    def _fault(self) -> Reject:
        told = _told(self._failures)
        if self._own:
            told.append(f"the document itself: {self._own}" if told else str(self._own))
        failed = f"{len(self._failures)} of {self.count} {self._parts} in it" if self._failures else "the document itself"
        read = "; what could be read was sent on" if self.is_sent else ""
        code = self._failures[0][1].code if self._failures else self._own.code if self._own else ""
        return Reject(f"{failed} cannot be read{read}: {'; '.join(told)}", code)


def _told(parts: Sequence[tuple[str, object]]) -> list[str]:
    """Parts with their reasons, as many as one wants to read; of the others the names, and of more how many."""
    told = [f"{place}: {reason}" for place, reason in parts[:_TOLD]]
    if more := ", ".join(place for place, _ in parts[_TOLD:_NAMED]):
        left = len(parts) - _NAMED
        told.append(f"also {more}" + (f" and {left} more" if left > 0 else ""))
    return told
