"""The base of all adapters that read files: takes a document in, has it read, and sends on what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any, ClassVar

from pypes import Adapter, Packet
from pypes_basic.passing import passes
from pypes_documents.fates import Fates
from pypes_documents.job import PAGES_LOST, PAGES_OCR, ROWS_LOST, Job, Reader, TextBounds, Unread


class FileAdapter(Adapter):
    """Reads files of one format, in a process of its own: hostile files end or stop that alone."""

    isolated = True
    timeout_s = 60.0

    #: The module of this distribution with the reader ``read``.
    reader: ClassVar[str]
    #: The name of the parts that it yields, if it does.
    parts: ClassVar[str] = "files"

    class Params(TextBounds):
        pass

    def setup(self) -> None:
        self._read: Reader = import_module(f"pypes_documents.{self.reader}").read

    def process(self, packet: Packet) -> Any:
        if passes(packet):
            return packet
        parts = self._read(packet, self.job())
        if parts is None:
            self.count_pages(packet)
            return packet
        self.send_parts(parts)
        return None

    def send_parts(self, parts: Iterator[Packet | Unread]) -> None:
        """Send on all parts of a document but those that cannot be read. Raises ``Reject`` that names these."""
        Fates(self.parts).send_all(parts, self.send)

    def count_pages(self, packet: Packet) -> None:
        """Count the pages and rows that a reader has lost, and the pages whose text was recognized."""
        for name in (PAGES_LOST, PAGES_OCR, ROWS_LOST):
            if pages := packet.get_meta(name):
                self.count(name, len(pages))

    def job(self) -> Job:
        return Job(self.params)
