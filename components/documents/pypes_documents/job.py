"""A job: one document that is being read, with all that is in it, and the bounds that hold for all of that together.

A reader is a function ``read(packet, job)``: it takes the bytes in field ``data`` out of the packet and puts in the fields of
``docs/vocabulary.md``. One of a format with files in it (a mail, an archive) is a generator, which yields these as packets with
bytes of their own, and tells of those that cannot be read. Adapters are thin: they choose readers.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Annotated, Any, Final, NamedTuple, cast

from pypes import Help, Packet, Parameters, Reject
from pypes.structure import TextBuilder
from pypes_basic.charset import decode
from pypes_documents.plain import plain_line, plain_text

if TYPE_CHECKING:
    from _typeshed import SupportsRead

    from pypes_documents.ocr import Recognizer

MIB: Final = 1024 * 1024

ENCRYPTED: Final = "document.encrypted"
MALFORMED: Final = "document.malformed"
NO_TEXT: Final = "document.no_text"
TOO_LARGE: Final = "document.too_large"
UNKNOWN: Final = "document.unknown"

#: Metadata with the numbers of pages that could not be read, and the counter of such pages.
PAGES_LOST: Final = "pages_lost"
#: Metadata with the numbers of pages whose text was recognized in pictures, and the counter of these.
PAGES_OCR: Final = "pages_ocr"
#: Metadata with the numbers of rows of a table that could not be read, and the counter of such rows.
ROWS_LOST: Final = "rows_lost"

#: Blocks of one document: beyond, it is made to fill memory (a book of 1,000 pages has 20,000).
MOST_BLOCKS: Final = 200_000
#: Cells of one table, with the empty ones between them.
MOST_CELLS: Final = 4_000_000
_BLOCK_BYTES: Final = 1 << 18
#: Files that are this small may be packed as much as they like.
FREE_BYTES: Final = 16 * MIB


class Unread(NamedTuple):
    """A file in a document, or an entry of it, that cannot be read: the part that it would be, and why."""

    part: str
    fault: Reject

    @classmethod
    def of(cls, packet: Packet, kind: str, place: str | int, fault: Reject) -> Unread:
        return cls(packet.derive(kind, place).part, fault)


Reader = Callable[[Packet, "Job"], Iterator[Packet | Unread] | None]


class Exhausted(Reject):
    """A bound that holds for all of a document is exceeded: nothing more of it can be read."""


MaxChars = Annotated[int, Help("Longest text of one document, in characters.", ge=1)]
MaxUnpackedBytes = Annotated[int, Help("Bytes that may be unpacked from one document, all in it together.", ge=1)]
MaxParts = Annotated[int, Help("Parts of one document, all that is in these included.", ge=1)]


class Bounds(Parameters):
    max_bytes: Annotated[int, Help("Longer documents, and files in them, are rejected.", ge=1)] = 64 * MIB


class TextBounds(Bounds):
    max_chars: MaxChars = 32 * MIB


class PackageBounds(TextBounds):
    max_unpacked_bytes: MaxUnpackedBytes = 256 * MIB


class NestedBounds(PackageBounds):
    max_parts: MaxParts = 10_000
    max_depth: Annotated[int, Help("How deep files may be nested: a mail in an archive in a mail is 2 deep.", ge=1, le=50)] = 5
    max_ratio: Annotated[
        int, Help("How many times as long as packed a file of more than 16 MiB may be; text is packed to a tenth.", ge=1)
    ] = 200


class Job:
    """Bounds and options of one document that is being read, and the sums that count against the bounds."""

    def __init__(self, bounds: Bounds, pdf: str = "pypdf", recognizer: Recognizer | None = None) -> None:
        """``bounds`` has those that count for the format; for others, there are those by default."""
        #: Recognition of text in pictures, if that is wanted.
        self.recognizer = recognizer
        #: The library that reads PDF, ``pypdf`` or ``pdfium``.
        self.pdf = pdf
        given = {name: getattr(bounds, name) for name in NestedBounds.__struct_fields__ if hasattr(bounds, name)}
        self.bounds = NestedBounds(**given)
        self._unpacked_bytes = self._sent_bytes = self._parts = 0

    def begin_part(self) -> None:
        """Count a part of the document. Raises ``Reject`` if there are too many."""
        self._parts += 1
        if self._parts > self.bounds.max_parts:
            raise Exhausted(
                f"there are more than max_parts ({self.bounds.max_parts}) parts in it; raise it or split it", TOO_LARGE
            )

    def begin_row(self, row: Packet) -> None:
        """Count a row with its fields, together many times as long as the document. Raises ``Reject`` if these are too many."""
        self.begin_part()
        self._sent_bytes += row.size_bytes()
        if self._sent_bytes > self.bounds.max_unpacked_bytes:
            raise Exhausted(
                f"its rows with all their fields are longer than max_unpacked_bytes ({self.bounds.max_unpacked_bytes}); raise it"
                " or split it",
                TOO_LARGE,
            )

    def read(self, stream: SupportsRead[bytes]) -> bytes:
        """The content of a file in the document. Raises ``Reject`` if it is too long."""
        data = bytearray()
        while block := stream.read(_BLOCK_BYTES):
            data += block
            if len(data) > self.bounds.max_bytes:
                raise Reject(f"it is longer than max_bytes ({self.bounds.max_bytes}); raise it", TOO_LARGE)
        return bytes(data)

    def content(self, stream: SupportsRead[bytes]) -> bytes | Reject:
        """The content of a file in the document, or the reason why it cannot be read. Raises ``Exhausted``."""
        try:
            return self.read(stream)
        except Exhausted:
            raise
        except Reject as fault:
            return fault

    def unpack(self, size: int) -> None:
        """Count bytes that were unpacked. Raises ``Reject`` if they are too many."""
        self._unpacked_bytes += size
        if self._unpacked_bytes > self.bounds.max_unpacked_bytes:
            raise Exhausted(
                f"unpacked, it is longer than max_unpacked_bytes ({self.bounds.max_unpacked_bytes}); raise that if the document"
                " is not made to fill memory",
                TOO_LARGE,
            )

    def text(self) -> Text:
        """A builder of the text of one document."""
        return Text(self.bounds.max_chars)

    def take(self, packet: Packet) -> bytes:
        """Take the bytes of a document out of its packet. Raises ``Reject`` if they are too many."""
        with packet.open("data") as body:
            data = body.read(self.bounds.max_bytes + 1)
        self._check(len(data))
        packet.delete("data")
        return data

    def take_text(self, packet: Packet) -> str:
        """Take the text of a document out of its packet, and note its character set. Raises ``Reject`` if it is too long."""
        text, found = decode(self.take(packet), packet.get_meta("charset"))
        for name, value in found.metadata.items():
            packet.set_meta(name, value)
        return text

    def take_file(self, packet: Packet) -> IO[bytes]:
        """Take the bytes of a document out of its packet as a file in which one can move about; close it."""
        body = packet.open("data")
        if body.seekable():
            self._check(body.seek(0, io.SEEK_END))
            body.seek(0)
            packet.delete("data")
            return body
        with body:
            # the caller closes it
            file = cast(IO[bytes], tempfile.SpooledTemporaryFile(8 * MIB))  # noqa: SIM115
            size = 0
            try:
                while block := body.read(_BLOCK_BYTES):
                    size += len(block)
                    self._check(size)
                    file.write(block)
            except BaseException:
                file.close()
                raise
        file.seek(0)
        packet.delete("data")
        return file

    def _check(self, size: int) -> None:
        if size > self.bounds.max_bytes:
            raise Reject(f"the document is longer than max_bytes ({self.bounds.max_bytes}); raise it or split it", TOO_LARGE)


class Unpacked(io.RawIOBase):
    """A stream of unpacked bytes, which count; ``packed`` is their size before, where the ratio is bounded."""

    def __init__(self, stream: SupportsRead[bytes], job: Job, packed: int | None = None) -> None:
        self._stream = stream
        self._job = job
        self._left = None if packed is None else max(FREE_BYTES, packed * job.bounds.max_ratio)

    def read(self, size: int | None = -1) -> bytes:
        data = self._stream.read(-1 if size is None else size)
        self._job.unpack(len(data))
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                ratio = f"max_ratio ({self._job.bounds.max_ratio})"
                raise Reject(f"it is more than {ratio} times as long as packed; raise that if it is yours", TOO_LARGE)
        return data

    def readable(self) -> bool:
        return True


class Text(TextBuilder):
    """A text with structure of bounded size, without characters that are none (controls, halves of pairs)."""

    def __init__(self, max_chars: int) -> None:
        super().__init__()
        self._max_chars = max_chars
        self._chars = self._added = 0

    def add(self, text: str, kind: str = "paragraph", *, level: int = 0, page: int = 0) -> None:
        text = plain_text(text)
        self._count(len(text))
        super().add(text, kind, level=level, page=page)

    def add_table(self, rows: Sequence[Sequence[str]], *, page: int = 0) -> None:
        cells = len(rows) * max(map(len, rows), default=0)
        if cells > MOST_CELLS:
            raise Reject(f"a table has more than {MOST_CELLS} cells, most of them empty; split it", TOO_LARGE)
        cleaned = [[plain_text(cell) for cell in row] for row in rows]
        # short rows are filled up
        self._count(sum(sum(map(len, row)) for row in cleaned) + 3 * cells)
        super().add_table(cleaned, page=page)

    @property
    def title(self) -> str:
        """The text of the first block, if it is a heading and none of the same level follows: it names the document."""
        if not self.blocks or self.blocks[0].kind != "heading":
            return ""
        first = self.blocks[0]
        if any(block.kind == "heading" and block.level <= first.level for block in self.blocks[1:]):
            return ""
        return self._pieces[0]

    def _count(self, chars: int) -> None:
        self._chars += chars
        self._added += 1  # empty ones as well: they take time
        if self._chars > self._max_chars or self._added > MOST_BLOCKS:
            if self._chars <= self._max_chars:
                raise Reject(f"its text has more than {MOST_BLOCKS} paragraphs; split it", TOO_LARGE)
            raise Reject(f"its text is longer than max_chars ({self._max_chars}); split it, or raise max_chars", TOO_LARGE)


def file_in(packet: Packet, kind: str, place: str, data: bytes, meta: dict[str, Any]) -> Packet:
    """A file in a document as a packet, without what its own reader is to find out."""
    part = packet.derive(kind, place, {"data": data}, meta)
    for name in _OF_CONTENT:
        if name not in meta:
            part.delete_meta(name)
    return part


def finish(packet: Packet, text: Text, facts: dict[str, Any], *, empty: str = "there is no text in it") -> None:
    """Put text and facts into a packet; facts are fields of the vocabulary, of which unknown ones are empty.

    Raises ``Reject`` if there is no text; ``empty`` says why, and what to do, or is empty where a document needs none.
    """
    if empty and not text.blocks:
        raise Reject(empty, NO_TEXT)
    put_facts(packet, facts)
    text.put(packet)


def put_facts(packet: Packet, facts: dict[str, Any]) -> None:
    """Set the fields of the vocabulary that are known."""
    for name, value in facts.items():
        if isinstance(value, str):
            value = plain_line(value)
        elif isinstance(value, list):
            value = list(dict.fromkeys(filter(None, map(plain_line, value))))
        if value or value == 0:
            packet.set(name, value, multi=isinstance(value, list) and (name in SEVERAL or len(value) > 1))
            if isinstance(value, list) and name not in SEVERAL and len(value) == 1:
                packet.set(name, value[0])


#: Metadata of a file and its content, which the files in it do not have.
_OF_CONTENT: Final = (
    *("path", "charset", "charset_declared", "charset_guessed", "replaced_characters", "declared_type"),
    *(PAGES_LOST, PAGES_OCR, ROWS_LOST),
)
#: Fields that have several values, also where there is one.
SEVERAL: Final = frozenset(("keywords", "links", "to", "cc", "reply_to", "references", "attachments"))
