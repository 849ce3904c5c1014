"""Pages of a document that cannot be read: the others are there, and metadata and a counter tell of those."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pypes import Packet, Reject
from pypes_documents.job import ENCRYPTED, MALFORMED, PAGES_LOST, TOO_LARGE, Text


class Pages:
    """The pages, slides, sheets or chapters of one document."""

    def __init__(self, what: str, name: str = "page") -> None:
        """``what`` names the format in reasons, ``name`` what is counted."""
        self.what = what
        self._name = name
        self._lost: dict[int, Reject] = {}

    def lose(self, number: int, reason: str) -> None:
        """Note that a page cannot be read, or not all of it."""
        self._lost.setdefault(number, Reject(reason, MALFORMED))

    @contextmanager
    def reading(self, number: int) -> Iterator[None]:
        """Reads one page, which is lost if it is damaged; bounds and encryption are those of all."""
        try:
            yield
        except Reject as fault:
            if fault.code in (TOO_LARGE, ENCRYPTED):
                raise
            self._lost.setdefault(number, fault)

    def check(self, count: int, text: Text) -> None:
        """Raise ``Reject`` if there is no text, and pages are lost that may have had some."""
        several = f"{self._name}s of the {self.what}"
        if text.blocks or not self._lost:
            return
        number, fault = next(iter(self._lost.items()))
        if len(self._lost) == count:
            raise Reject(f"none of the {count} {several} can be read: {fault}", fault.code)
        told = f"{len(self._lost)} of {count} {several} cannot be read ({self._name} {number}: {fault})"
        raise Reject(f"{told}, and the others have no text", fault.code)

    def put(self, packet: Packet) -> None:
        """Set the metadata that names the pages that are lost."""
        if self._lost:
            packet.set_meta(PAGES_LOST, sorted(self._lost))
