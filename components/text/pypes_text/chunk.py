"""Chunk: cut a text into parts that are found, embedded and cited one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pypes import Example, Help, Operator, Packet, Parameters, Reject
from pypes.structure import BLOCKS, blocks_of
from pypes_text.chunking import Stretch, chunks_of
from pypes_text.lengths import Characters, EstimatedTokens, Length, Tokens

#: Fields that say where a chunk stands: never those of the document.
_OWN = frozenset(["text", "heading", "page", "page_end", "start", "end"])


class Chunk(Operator):
    """Cut a text by its structure, and send each chunk as a part of the document.

    No chunk crosses a heading up to ``level``, but a heading with nothing below it, and a title in a line before the first one,
    are in the chunk with what follows. Inside such a section the cuts are before deeper headings, or else between
    blocks (paragraphs, items, tables, code), or else between sentences, lines and rows, or else between words. A table and code
    that fit into a chunk are whole. Where they are not, each chunk of a table begins with its head (the first row).

    A chunk has ``text``; ``heading``, the headings that it stands under; ``page`` and ``page_end``, where there are pages;
    ``start`` and ``end``, its place in the text of the document: ``text[start:end]`` is what it says, but for the repeated
    head of a table. It has the fields of the document named in ``keep``, and all of its metadata.

    Cuts follow from what the text around them says, not from counting: a changed paragraph changes the chunk that it is in, and
    at times one or two beside it. (Of a thousand changes in texts of a hundred paragraphs, two changed four.) So chunks are of
    various lengths, most of them between a quarter and the whole of ``size``, half of it on average. With ``overlap`` a change
    reaches one chunk further.

    A document that has a title alone, such as an entry of a feed, is one chunk that says it, without a place. One that has
    neither is a dead letter, ``document.no_text``, and so is one beyond ``max_kept_bytes`` (``document.too_large``; chunks before
    that were sent). Deletions pass.
    """

    icon = "scissors"
    tags = ("text", "parts", "embedding")
    example = Example(
        takes=Packet({"title": "Looms", "text": "Cards choose the threads.\n\nA pirn holds the weft."}, {"id": "7"}),
        gives=[
            Packet({"title": "Looms", "text": "Cards choose the threads.", "start": 0, "end": 25}, {"id": "7/chunk=1"}),
            Packet({"title": "Looms", "text": "A pirn holds the weft.", "start": 27, "end": 49}, {"id": "7/chunk=2"}),
        ],
        params={"size": 40},
    )

    class Params(Parameters):
        field: Annotated[str, Help("Field with the text.")] = "text"
        size: Annotated[int, Help("Longest chunk, the overlap included.", ge=16)] = 2000
        unit: Annotated[
            Literal["characters", "tokens"],
            Help("In which size and overlap are; tokens are estimated as a quarter of the bytes, unless a tokenizer is given."),
        ] = "characters"
        tokenizer: Annotated[
            str, Help("Path of a tokenizer.json, to count tokens; needs pip install 'pypes-text[tokens]'.", path=True)
        ] = ""
        overlap: Annotated[int, Help("Length of the end of the chunk before, repeated within a section.", ge=0)] = 0
        level: Annotated[
            int, Help("No chunk crosses a heading of this level or above; with 0, chunks cross all of them.", ge=0)
        ] = 2
        keep: Annotated[list[str], Help("Fields of the document that each chunk has, too.")] = [
            *("title", "author", "created", "modified", "language", "subject"),
        ]
        max_kept_bytes: Annotated[int, Help("Bytes of kept fields that all parts of a document may have together.", ge=1)] = (
            256 * 1024 * 1024
        )

        def __post_init__(self) -> None:
            if self.overlap > self.size // 2:
                raise ValueError(f"overlap is more than half of size, {self.size}; make it smaller")
            if self.tokenizer and self.unit != "tokens":
                raise ValueError('a tokenizer counts tokens: add "unit": "tokens"')

    def setup(self) -> None:
        self._length = self._length_of()

    def process(self, packet: Packet) -> Packet | None:
        if packet.is_deletion:
            return packet
        params = self.params
        text = packet.get(params.field)
        if text is None or (isinstance(text, str) and not text.strip()):
            return self._titled(packet)
        if not isinstance(text, str):
            raise Reject(f"field {params.field!r} holds {type(text).__name__}, not one text")
        # a text without structure is read paragraph by paragraph, however many there are
        blocks = blocks_of(packet, params.field) if packet.has_meta(BLOCKS, params.field) else []
        plain, others = self._kept(packet)
        kept_bytes = Packet.from_document({name: packet.get(name) for name in (*plain, *others)}).size_bytes()
        found = chunks_of(text, blocks, size=params.size, overlap=params.overlap, level=params.level, length=self._length)
        for number, chunk in enumerate(found, 1):
            if number * kept_bytes > params.max_kept_bytes:
                raise Reject(
                    f"the fields in keep have {kept_bytes} bytes in each chunk, in {number} more than max_kept_bytes "
                    f"({params.max_kept_bytes}) together; keep less, or raise it",
                    "document.too_large",
                )
            part = packet.derive("chunk", number, {**plain, **_fields(text, chunk)})
            for name in others:
                part.set(name, packet.get(name), multi=packet.is_multivalued(name))
            self.send("out", part)
        return None

    def _titled(self, packet: Packet) -> Packet:
        """The only chunk of a document that has no text."""
        title = packet.get("title")
        if not isinstance(title, str) or not title.strip():
            raise Reject(f"field {self.params.field!r} has no text to cut, and there is no title", "document.no_text")
        plain, others = self._kept(packet)
        part = packet.derive("chunk", 1, {**plain, "text": title})
        for name in others:
            part.set(name, packet.get(name), multi=packet.is_multivalued(name))
        return part

    def _length_of(self) -> Length:
        if self.params.unit == "characters":
            return Characters()
        if self.params.tokenizer:
            return self.shared(Tokens, str(Path(self.data_dir, self.params.tokenizer)))
        return EstimatedTokens()

    def _kept(self, packet: Packet) -> tuple[dict[str, Any], list[str]]:
        """The kept fields that hold one plain value, and the names of the others."""
        names = [name for name in self.params.keep if name in packet and name not in _OWN]
        plain = {name: value for name in names if isinstance(value := packet.get(name), str | int | float)}
        return plain, [name for name in names if name not in plain]


def _fields(text: str, chunk: Stretch) -> dict[str, Any]:
    fields: dict[str, Any] = {"text": chunk.head + text[chunk.start : chunk.end]}
    if chunk.headings:
        fields["heading"] = [*chunk.headings]
    if chunk.page:
        fields |= {"page": chunk.page, "page_end": chunk.page_end}
    return fields | {"start": chunk.start, "end": chunk.end}
