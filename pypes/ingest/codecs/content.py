"""Type of a file's content: by its label, by its name, and by its first bytes if the label cannot be right.

Only bytes that no text begins with are believed, and only against ``text/*``, ``application/octet-stream`` and no label at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from pypes.core.media_types import OCTETS, media_type_of
from pypes.ingest.codecs.media import MediaType, parse

#: So many bytes tell what a content is: enough for the names of the first files of an office document.
HEAD_BYTES = 4096

#: Formats by their first bytes. What is printable alone (``GIF89a``) could begin a text: something unprintable must follow.
_MAGIC = re.compile(
    rb"(?P<gzip>\x1f\x8b\x08[\x00-\x1f])"
    rb"|(?P<zstd>\x28\xb5\x2f\xfd)"
    rb"|(?P<pdf>%PDF-[12]\.[0-9][\r\n])"
    rb"|(?P<zip>PK\x03\x04)"
    rb"|(?P<png>\x89PNG\r\n\x1a\n)"
    rb"|(?P<jpeg>\xff\xd8\xff)"
    rb"|(?P<gif>GIF8[79]a(?=.{0,7}\x00))"
    rb"|(?P<ole>\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1)"
    rb"|(?P<bzip2>BZh[1-9](?:1AY&SY|\x17rE8P\x90))"
    rb"|(?P<xz>\xfd7zXZ\x00)"
    rb"|(?P<seven>7z\xbc\xaf\x27\x1c)"
    rb"|(?P<rar>Rar!\x1a\x07)"
    rb"|(?P<sqlite>SQLite format 3\x00)"
    rb"|(?P<tiff>II\*\x00|MM\x00\*)"
    rb"|(?P<webp>RIFF.{4}WEBPVP8)"
    rb"|(?P<elf>\x7fELF)",
    re.DOTALL,
)
#: The beginnings of these formats; few texts have them.
_BEGINNINGS = frozenset(
    {
        *(b"\x1f\x8b", b"\x28\xb5", b"%P", b"PK", b"\x89P", b"\xff\xd8", b"GI", b"\xd0\xcf"),
        *(b"BZ", b"\xfd7", b"7z", b"Ra", b"SQ", b"II", b"MM", b"RI", b"\x7fE"),
    }
)
_TYPES: Mapping[str, str] = {
    "gzip": "application/gzip",
    "zstd": "application/zstd",
    "pdf": "application/pdf",
    "zip": "application/zip",
    "png": "image/png",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "ole": "application/x-ole-storage",
    "bzip2": "application/x-bzip2",
    "xz": "application/x-xz",
    "seven": "application/x-7z-compressed",
    "rar": "application/vnd.rar",
    "sqlite": "application/vnd.sqlite3",
    "tiff": "image/tiff",
    "webp": "image/webp",
    "elf": "application/x-executable",
}
#: Formats that are kept in others: which of them it is says the name, or for zip the content.
_OUTER = frozenset({"zip", "ole"})
_OFFICE = "application/vnd.openxmlformats-officedocument"
_IN_ZIP = (
    (b"word/", f"{_OFFICE}.wordprocessingml.document"),
    (b"xl/", f"{_OFFICE}.spreadsheetml.sheet"),
    (b"ppt/", f"{_OFFICE}.presentationml.presentation"),
)
#: The first file of an EPUB and of an OpenDocument is stored as it is, and says the type.
_MIMETYPE = re.compile(rb"PK\x03\x04.{26}mimetype(application/[a-z0-9.+-]+?)(?:PK|\Z)", re.DOTALL)
#: Compressions of files that are undone here.
_INFLATED = ("gzip", "zstd")
#: Labels for compressed files, which say nothing of what is in them.
_PACKED = frozenset({"application/gzip", "application/x-gzip", "application/x-gunzip", "application/zstd"})


class Content(msgspec.Struct, frozen=True, gc=False):
    """Description of a content: its type, and its compression (``""``, ``gzip`` or ``zstd``) if the file name shows one.

    ``declared`` is the bare type it was declared as, where that cannot be right; otherwise ``""``.
    """

    media: MediaType
    compression: str = ""
    declared: str = ""


def needs_head(media: MediaType, filename: str) -> bool:
    """True if the first bytes have a say: a text, something unknown, or a file whose name says that it is compressed."""
    return media.is_vague or (bool(filename) and media_type_of(filename).compression in _INFLATED)


def is_plainly(media: MediaType, head: bytes) -> bool:
    """True if a content is what it was declared as, by its first two bytes. PERF: as most texts are."""
    return head[:2] not in _BEGINNINGS and media.type != OCTETS


def content_of(media: MediaType, filename: str, head: bytes) -> Content:
    """Identify a content declared as ``media`` that begins with ``head`` (its first ``HEAD_BYTES``, or all of it).

    A compressed file is taken for what is in it only if its name says what that is and its first bytes say that it is compressed
    so: ``people.csv.gz`` is CSV. Otherwise it is what it is, ``application/gzip``.
    """
    if is_plainly(media, head):
        return Content(media)
    bare = media.type
    is_unknown = bare == OCTETS
    found = _MAGIC.match(head)
    if found is None and not is_unknown:
        return Content(media)
    magic = "" if found is None or found.lastgroup is None else found.lastgroup
    named = media_type_of(filename) if filename else None
    if named is not None and named.compression == magic and magic in _INFLATED:
        if not is_unknown and bare not in _PACKED:
            return Content(media, magic)
        if named.type:
            return Content(parse(named.type), magic)
    if is_unknown and named is not None and named.outer and (not magic or not named.outer.startswith("text/")):
        return Content(parse(named.outer))
    if not magic or not media.is_vague:
        return Content(media)
    return Content(parse(_type_of(magic, head, filename)), "", "" if is_unknown else bare)


def _type_of(magic: str, head: bytes, filename: str) -> str:
    if magic not in _OUTER:
        return _TYPES[magic]
    if magic == "zip":
        declared = _MIMETYPE.match(head)
        if declared is not None:
            return declared[1].decode()
        for name, kind in _IN_ZIP:
            if name in head:
                return kind
    named = media_type_of(filename).outer if filename else ""
    return named if named and not named.startswith("text/") else _TYPES[magic]
