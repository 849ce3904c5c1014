"""Bodies in which documents of a binary form follow each other: what MessagePack and Protocol Buffers share.

They are read as lines of NDJSON are: as they arrive, keeping no more than a document. A compiled module, where there is one,
steps over those that are plain; whatever it leaves is read by the form's own careful way, which knows what is wrong and where.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from pypes.core.limits import Limits
from pypes.errors import BadRequest, TooLarge
from pypes.ingest.codecs.json import too_deep
from pypes.ingest.codecs.survey import Survey, Unreadable

#: Bytes of documents that are read by one call.
BLOCK_BYTES: Final = 256 << 10


class Cut(Exception):
    """A document goes on behind the bytes that are there; the text says in the middle of what they end."""


class Head(NamedTuple):
    """The beginning of a body: so many bytes before its documents, of which so many are announced, if any."""

    size: int = 0
    documents: int | None = None


class Form(ABC):
    """A form of documents that follow each other in a body."""

    #: Name of the form in errors.
    name: str

    def head(self, body: bytes) -> Head:
        """The head of a body, of which at least one byte is there. Raises :class:`Cut`."""
        return Head()

    @abstractmethod
    def count(self, body: bytes, start: int, stop: int, limits: Limits) -> tuple[int, int, bool]:
        """Plain documents that begin between two places, where they end, and whether the next one ends behind the body."""

    @abstractmethod
    def decode(self, body: bytes, start: int, end: int, count: int) -> list[Any]:
        """The plain documents between two places."""

    @abstractmethod
    def read(self, body: bytes, at: int, limits: Limits, place: Place) -> tuple[Any, int]:
        """The document at a place, read with all care, and where it ends. Raises :class:`Cut`, and :class:`BadRequest`."""

    def survey(self, value: Any, seen: Survey, where: str) -> None:
        """Show a document to ``seen``; raises as that does."""
        seen.document(value, where)

    @abstractmethod
    def skip(self, body: bytes, at: int) -> int:
        """The end of the document at a place, whatever is in it. Raises :class:`Cut`, and ``ValueError`` if nobody can tell."""


class Place(NamedTuple):
    """Place of some bytes of a body: those of document ``document``, from 1, after ``before`` bytes that are not kept."""

    document: int
    before: int

    def at(self, at: int, path: Sequence[str | int] = ()) -> str:
        """The place in words; ``path`` leads to the value in its document."""
        where = f"document {self.document}, byte {self.before + at}"
        steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}"[:64] for step in path[:8])
        return f"{where} ({steps.lstrip('.')})" if steps else where


class Run(NamedTuple):
    """Documents of a body that follow each other: plain ones between two places, or one that was read already."""

    body: bytes
    start: int
    end: int
    documents: int
    place: Place
    read: Any = None


class Records:
    """Takes a body in pieces, and gives its documents as soon as they are there."""

    def __init__(self, form: Form, limits: Limits, *, is_lenient: bool = False) -> None:
        self._form = form
        self._limits = limits
        self._is_lenient = is_lenient
        self._head: Head | None = None
        self._pieces: list[bytes] = []
        #: Bytes of the pieces, and how many it takes to look at them again: twice as many as ended in the middle of a document.
        self.held_bytes = 0
        self._wanted_bytes = 1
        self._before = 0
        self._documents = 0

    def feed(self, piece: bytes, *, is_last: bool = False) -> Iterator[Run]:
        """Take the next piece; gives the documents that end in it, to be gone through before the next.

        Raises :class:`BadRequest` and :class:`TooLarge`. With ``is_last``, what is cut off is an error.
        """
        self._pieces.append(piece)
        self.held_bytes += len(piece)
        if self.held_bytes < min(self._wanted_bytes, self._limits.line_bytes) and not is_last:
            return
        body = piece if len(self._pieces) == 1 else b"".join(self._pieces)
        at = 0
        try:
            if self._head is None and body:
                self._head = self._form.head(body)
                at = self._head.size
            for run in self._runs(body, at, is_last):
                yield run
                at = run.end
        except Cut as cut:
            if is_last and len(body) - at > self._limits.line_bytes:
                raise too_long(self._documents + 1, self._limits) from None
            if is_last:
                where = Place(self._documents + 1, self._before).at(len(body))
                reason = f"it ends in the middle of {cut}; send all of it"
                raise malformed(self._form.name, where, reason) from None
        if is_last and self._head is not None and self._head.documents is not None:
            self._check_announced(self._head.documents)
        self._before += at
        self._pieces = [body[at:]] if at < len(body) else []
        self.held_bytes = len(body) - at
        if self.held_bytes > self._limits.line_bytes:
            raise too_long(self._documents + 1, self._limits)
        self._wanted_bytes = 2 * self.held_bytes if self.held_bytes else 1

    def _runs(self, body: bytes, at: int, is_last: bool) -> Iterator[Run]:
        form, limits, size = self._form, self._limits, len(body)
        while at < size:
            place = Place(self._documents + 1, self._before)
            count, end, is_cut = form.count(body, at, at + BLOCK_BYTES, limits)
            if count:
                self._count(count)
                yield Run(body, at, end, count, place)
                at = end
            elif is_cut and not is_last:
                return
            else:
                read, end = self._carefully(body, at, place)
                if end - at > limits.line_bytes:
                    raise too_long(self._documents + 1, self._limits)
                self._count(1)
                yield Run(body, at, end, 1, place, read)
                at = end

    def _carefully(self, body: bytes, at: int, place: Place) -> tuple[Any, int]:
        try:
            try:
                return self._form.read(body, at, self._limits, place)
            except RecursionError as error:
                raise too_deep(self._limits, place.at(at), self._form.name) from error
        except BadRequest as error:
            if not self._is_lenient:
                raise
            try:
                end = self._form.skip(body, at)
            except ValueError:
                raise error from None
            return Unreadable(error.message, body[at:end], error.where, error.code), end

    def _count(self, documents: int) -> None:
        self._documents += documents
        if self._head is not None and self._head.documents is not None and self._documents > self._head.documents:
            reason = f"the array announces {self._head.documents} documents, and more bytes follow them; send one array"
            raise malformed(self._form.name, f"document {self._head.documents + 1}", reason)

    def _check_announced(self, announced: int) -> None:
        if self._documents < announced:
            reason = f"the array announces {announced} documents, and ends after {self._documents}; send all of it"
            raise malformed(self._form.name, f"document {self._documents + 1}", reason)


def too_long(document: int, limits: Limits) -> TooLarge:
    """The refusal of a document, counted from 1, that has more bytes than it may have."""
    where = f"document {document}"
    message = f"{where} is longer than {limits.line_bytes} bytes; send what is large in it as files"
    return TooLarge(message, code="ingest.line_too_long", where=where)


def malformed(name: str, where: str, reason: str, code: str = "ingest.malformed") -> BadRequest:
    """The refusal of a body of a form; ``where`` is the place."""
    return BadRequest(f"malformed {name} at {where}: {reason}", code=code, where=where)


def check(form: Form, body: bytes, limits: Limits) -> int:
    """Count the documents of a body in memory; raises :class:`BadRequest` naming the place."""
    return sum(run.documents for run in Records(form, limits).feed(body, is_last=True))


def elements(form: Form, pieces: Iterable[bytes], limits: Limits) -> Iterator[Any]:
    """The documents of a body that comes in pieces, one by one; what is none is given as :class:`Unreadable` in its place."""
    for run in _runs(form, pieces, limits, is_lenient=True):
        yield from _values(form, run)


def documents(form: Form, pieces: Iterable[bytes], limits: Limits) -> Iterator[list[Any]]:
    """The documents of a body that comes in pieces, at most ``wave_packets`` at a time."""
    size = limits.wave_packets
    for run in _runs(form, pieces, limits, is_lenient=False):
        found = _values(form, run)
        for start in range(0, len(found), size):
            yield found[start : start + size]


def _runs(form: Form, pieces: Iterable[bytes], limits: Limits, *, is_lenient: bool) -> Iterator[Run]:
    records = Records(form, limits, is_lenient=is_lenient)
    for piece in pieces:
        yield from records.feed(piece)
    yield from records.feed(b"", is_last=True)


def _values(form: Form, run: Run) -> list[Any]:
    return form.decode(run.body, run.start, run.end, run.documents) if run.read is None else [run.read]


class Checker:
    """Checks a body that arrives in pieces, keeping no more than a document."""

    def __init__(self, form: Form, limits: Limits, seen: Survey | None = None) -> None:
        self._form = form
        self._limits = limits
        self._seen = seen
        self._records = Records(form, limits, is_lenient=seen is not None and seen.is_lenient)
        self._documents = 0

    @property
    def held_bytes(self) -> int:
        """Bytes kept of the body."""
        return self._records.held_bytes

    @property
    def most_bytes(self) -> int:
        """Most bytes kept of any body."""
        return self._limits.line_bytes

    def feed(self, piece: bytes) -> None:
        self._take(self._records.feed(piece))

    def finish(self) -> int:
        self._take(self._records.feed(b"", is_last=True))
        return self._documents

    def _take(self, runs: Iterator[Run]) -> None:
        for run in runs:
            self._documents += run.documents
            if self._seen is not None:
                for number, found in enumerate(_values(self._form, run), run.place.document):
                    if isinstance(found, Unreadable):
                        self._seen.rejected += 1
                    else:
                        self._form.survey(found, self._seen, f"document {number}")
