"""Multipart bodies (RFC 2046, RFC 7578): every part with a file name is read by the codec of its own type."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from pypes.core.media_types import OCTETS
from pypes.errors import BadRequest, UnsupportedMedia
from pypes.ingest.codecs.encodings import normalize
from pypes.ingest.codecs.file_names import disposition_of, name_in
from pypes.ingest.codecs.given import NOTHING, PREFIX, Given, given_of
from pypes.ingest.codecs.media import MediaType
from pypes.ingest.codecs.transfer import normalize_transfer

_HEAD_BYTES = 16 << 10
#: So much of what is wrong is shown.
_SHOWN_CHARS = 80


# PERF: structs are made in a quarter of the time of named tuples
class Part(msgspec.Struct, frozen=True, gc=False):
    """The head of a part. ``transfer`` is ``""``, ``base64`` or ``quoted-printable``, ``encoding`` a content encoding."""

    content_type: str
    filename: str
    name: str
    given: Given = NOTHING
    transfer: str = ""
    encoding: str = ""


class Start(msgspec.Struct, frozen=True, gc=False):
    """A part begins."""

    part: Part


class Data(msgspec.Struct, frozen=True, gc=False):
    """Content of the part, at ``offset`` within the multipart body."""

    offset: int
    piece: bytes


class End(msgspec.Struct, frozen=True, gc=False):
    """The part has ended; its content took ``size`` bytes from ``offset``."""

    offset: int
    size: int


Event = Start | Data | End


def boundary_of(media: MediaType) -> bytes:
    """The boundary of a multipart type; raises :class:`BadRequest` if there is none."""
    boundary = media.parameters.get("boundary", "")
    if not 0 < len(boundary) <= 70:
        raise BadRequest("multipart needs a boundary of at most 70 characters in its Content-Type", code="ingest.multipart")
    return boundary.encode("latin-1", "replace")


class Parser:
    """Takes a multipart body in pieces and tells of its parts; keeps no more than a boundary's length of content back.

    Lines end with CRLF. A body whose first boundary ends with LF alone is one that was written by hand: all its lines do.
    """

    def __init__(self, boundary: bytes, *, is_form: bool = False, keeps_folders: bool = False) -> None:
        """``is_form``: parts without a file name are fields; otherwise they are refused."""
        self._is_form = is_form
        self._keeps_folders = keeps_folders
        self._boundary = boundary
        self._line_end = b"\r\n"
        # the first boundary may stand at the very start, without a line break before it; which ends lines is not yet known
        self._delimiter = b"\n--" + boundary
        #: Bytes that are looked at, from ``_at`` on, and their offset within the body. Between two pieces, what was kept back.
        self._data = b"\n"
        self._at = 0
        self._offset = -1
        self._state = "preamble"
        self._content_at = 0
        self._part: Part | None = None

    def feed(self, piece: bytes) -> Iterator[Event]:
        if self._state in ("preamble", "content") and len(piece) >= len(self._delimiter):
            yield from self._pass_seam(piece)
        else:
            self._data += piece
        data = self._data
        while True:
            if self._state in ("preamble", "content"):
                at = data.find(self._delimiter, self._at)
                end = at if at >= 0 else max(self._at, len(data) - len(self._delimiter) + 1)
                if self._state == "content" and end > self._at:
                    yield self._content(data[self._at : end], self._at)
                if at < 0:
                    self._at = end
                    break
                if self._part is not None:
                    yield self._end(at)
                self._pass_delimiter(at)
            if self._state.endswith("delimiter"):
                if len(data) < self._at + 2:
                    break
                if self._state == "delimiter" and data.startswith(self._line_end, self._at):  # PERF: as all but first and last
                    self._state = "head"
                elif data.startswith(b"--", self._at):
                    self._state = "epilogue"
                elif not self._end_delimiter():
                    break
            if self._state == "head":
                # an empty head is two line breaks, the first of which ends the boundary
                blank = self._line_end * 2
                at = data.find(blank, self._at)
                if at < 0:
                    if len(data) - self._at > _HEAD_BYTES:
                        raise _broken(f"the head of a part is longer than {_HEAD_BYTES} bytes")
                    break
                head = data[self._at + len(self._line_end) : at + len(self._line_end)].decode("latin-1")
                part = _part(_fields(head, self._line_end.decode()), self._is_form, self._keeps_folders)
                self._at = at + len(blank)
                self._content_at = self._offset + self._at
                self._state = "content"
                self._part = part
                if part is not None:
                    yield Start(part)
                continue
            if self._state == "epilogue":
                self._at = len(data)
                break
        self._data = data[self._at :]
        self._offset += self._at
        self._at = 0

    def _pass_seam(self, piece: bytes) -> Iterator[Event]:
        """Go on to the piece, past what was kept back of the one before and a delimiter that begins in that.

        PERF: so a large piece is not copied. Only where a head goes on in it, it has to be.
        """
        kept, delimiter = self._data, self._delimiter
        at = (kept + piece[: len(delimiter) - 1]).find(delimiter)
        content = kept if at < 0 else kept[:at]
        if self._state == "content" and content:
            yield self._content(content, 0)
        if at >= 0:
            if self._part is not None:
                yield self._end(at)
            self._pass_delimiter(at)
        self._data = piece
        self._offset += len(kept)
        self._at = max(0, self._at - len(kept))

    def _content(self, piece: bytes, at: int) -> Data:
        if self._part is None:
            raise _broken("a part has content and an empty file name; give the file a name")
        return Data(self._offset + at, piece)

    def _end(self, at: int) -> End:
        return End(self._content_at, self._offset + at - self._content_at)

    def _pass_delimiter(self, at: int) -> None:
        self._at = at + len(self._delimiter)
        self._part = None
        self._state = "first delimiter" if self._state == "preamble" else "delimiter"

    def finish(self) -> None:
        """Raises :class:`BadRequest` unless the closing boundary was seen."""
        if self._state == "head":
            raise _broken("the body ends within the head of a part")
        if self._state == "preamble":
            raise _broken("the boundary of the Content-Type does not occur in the body; send the boundary that the body uses")
        if self._state != "epilogue":
            raise _broken(
                f"the body ends before the closing boundary{f', in file {self._part.filename!r}' if self._part else ''}"
            )

    def _end_delimiter(self) -> bool:
        """Go on behind the line of a boundary, but for the break at its end; false if that has not arrived."""
        at = self._data.find(b"\n", self._at)
        if at < 0:
            if len(self._data) - self._at > _HEAD_BYTES:
                raise _broken("a boundary is not followed by a line break")
            return False
        line = self._data[self._at : at]
        if self._state == "first delimiter" and not line.endswith(b"\r"):
            self._line_end = b"\n"
        if self._line_end == b"\r\n":
            if line.strip(b" \t\r") or not line.endswith(b"\r"):
                raise _broken("a boundary is followed by other text")
            at -= 1
        elif line.strip(b" \t"):
            raise _broken("a boundary is followed by other text")
        self._delimiter = self._line_end + b"--" + self._boundary
        self._at = at
        self._state = "head"
        return True


def events(pieces: Iterable[bytes], boundary: bytes, *, keeps_folders: bool = False) -> Iterator[Event]:
    """The events of a whole body; raises :class:`BadRequest` if it is broken."""
    parser = Parser(boundary, keeps_folders=keeps_folders)
    for piece in pieces:
        yield from parser.feed(piece)
    parser.finish()


def _fields(head: str, line_end: str) -> list[tuple[str, str]]:
    """The fields of a head, names in lower case, each character one byte; a line that begins with a blank continues one."""
    lines = head.split(line_end)
    if head.count("\n") != len(lines) - 1:
        raise _broken("a line in the head of a part ends with LF alone; lines end with CRLF")
    if "\n " in head or "\n\t" in head:
        lines = _unfolded(lines)
    fields: list[tuple[str, str]] = []
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            fields.append((name.strip().lower(), value.strip()))
        elif line:
            raise _broken(f"{line[:_SHOWN_CHARS]!r} in the head of a part is no field; a field has a name, a colon and a value")
    return fields


def _unfolded(lines: list[str]) -> list[str]:
    found: list[list[str]] = []
    for line in lines:
        if line[:1] in (" ", "\t") and found:
            found[-1].append(line.strip())
        elif line:
            found.append([line])
    return [" ".join(parts) for parts in found]


def _part(all_fields: list[tuple[str, str]], is_form: bool, keeps_folders: bool) -> Part | None:
    """Parse a head; ``None`` for a form input without a chosen file."""
    fields = dict(reversed(all_fields))
    own = [(name, value) for name, value in all_fields if name.startswith(PREFIX)]
    parameters = disposition_of(fields.get("content-disposition", ""))
    filename = name_in(parameters, keeps_folders=keeps_folders) or ""
    name = parameters.get("name", "")
    if not filename and not is_form:
        shown = parameters.get("filename*") or parameters.get("filename")
        if shown:
            raise BadRequest(f"part {name!r} names the folder {shown!r}; send the files in it", code="ingest.multipart")
        if shown == "":
            return None
        raise BadRequest(
            f"part {name!r} is not a file; send only files in multipart bodies (metadata goes into packets, see the user guide)",
            code="ingest.multipart",
        )
    try:
        transfer = normalize_transfer(fields["content-transfer-encoding"]) if "content-transfer-encoding" in fields else ""
        encoding = normalize(fields["content-encoding"]) if "content-encoding" in fields else ""
        given = given_of(own) if own else NOTHING
    except (BadRequest, UnsupportedMedia) as error:
        raise type(error)(f"file {filename!r}: {error.message}", code=error.code, where=error.where) from error
    return Part(fields.get("content-type") or OCTETS, filename, name, given, transfer, encoding)


def _broken(reason: str) -> BadRequest:
    return BadRequest(f"the multipart body is broken: {reason}", code="ingest.multipart")
