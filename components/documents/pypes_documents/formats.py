"""The formats that are read here, and how a file is known to be of one: by its content first, then by its name and label.

A label alone is never believed: error pages are called PDF, and attachments ``application/octet-stream``.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import IO, Final, NamedTuple

from pypes import Packet
from pypes.core.media_types import OCTETS, media_type_of
from pypes_documents.job import Reader
from pypes_documents.libarchive_reader import format_of_mark
from pypes_documents.mbox_reader import is_mailbox
from pypes_documents.members import compression_of, is_tar
from pypes_documents.ocr import is_picture
from pypes_documents.packages import COMPOUND, DAMAGED

_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
_MS: Final = "application/vnd.ms"
_OUTLOOK: Final = "application/vnd.ms-outlook"
_MAILBOX: Final = "application/mbox"


class Format(NamedTuple):
    """A format: the module with its reader, and its media types, the usual one first."""

    reader: str
    types: tuple[str, ...]
    #: True if its reader yields files that are still to be read, False if these are documents that are done.
    holds_files: bool = False


FORMATS: Final[Mapping[str, Format]] = MappingProxyType(
    {
        "pdf": Format("pdf_reader", ("application/pdf", "application/x-pdf")),
        "docx": Format(
            "docx_reader",
            (
                *(f"{_OFFICE}.wordprocessingml.document", f"{_OFFICE}.wordprocessingml.template"),
                *(f"{_MS}-word.document.macroenabled.12", f"{_MS}-word.template.macroenabled.12"),
            ),
        ),
        "pptx": Format(
            "pptx_reader",
            (
                *(f"{_OFFICE}.presentationml.{kind}" for kind in ("presentation", "slideshow", "template")),
                *(f"{_MS}-powerpoint.{kind}.macroenabled.12" for kind in ("presentation", "slideshow")),
            ),
        ),
        "xlsx": Format(
            "xlsx_reader",
            (
                *(f"{_OFFICE}.spreadsheetml.sheet", f"{_OFFICE}.spreadsheetml.template"),
                *(f"{_MS}-excel.sheet.macroenabled.12", f"{_MS}-excel.template.macroenabled.12"),
            ),
        ),
        "xls": Format(
            "xls_reader",
            (
                *(f"{_MS}-excel", f"{_MS}-excel.sheet.binary.macroenabled.12"),
                "application/vnd.oasis.opendocument.spreadsheet",
            ),
        ),
        "eml": Format("eml_reader", ("message/rfc822",), holds_files=True),
        "msg": Format("msg_reader", (_OUTLOOK,), holds_files=True),
        "mbox": Format("mbox_reader", (_MAILBOX,), holds_files=True),
        "epub": Format("epub_reader", ("application/epub+zip",)),
        "html": Format("html_reader", ("text/html", "application/xhtml+xml")),
        "markdown": Format("markdown_reader", ("text/markdown", "text/x-markdown")),
        "feed": Format("feed_reader", ("application/rss+xml", "application/atom+xml", "application/rdf+xml")),
        "solr": Format("solr_reader", ("application/vnd.solr+xml",)),
        "subtitles": Format("subtitles_reader", ("text/x-subrip", "text/vtt", "application/x-subrip")),
        "xml": Format("xml_reader", ("text/xml", "application/xml")),
        "parquet": Format("arrow_reader", ("application/vnd.apache.parquet",)),
        "arrow": Format("arrow_reader", ("application/vnd.apache.arrow.file",)),
        "arrow_stream": Format("arrow_reader", ("application/vnd.apache.arrow.stream",)),
        "archive": Format(
            "members",
            (
                *(
                    "application/zip",
                    "application/x-zip-compressed",
                    "application/x-tar",
                    "application/gzip",
                    "application/x-gzip",
                ),
                *("application/x-bzip2", "application/x-xz"),
            ),
            holds_files=True,
        ),
        "libarchive": Format(
            "libarchive_reader",
            ("application/x-7z-compressed", "application/x-cpio"),
            holds_files=True,
        ),
        "picture": Format("ocr_reader", ("image/png", "image/jpeg", "image/tiff", "image/bmp", "image/webp", "image/gif")),
        "table": Format("table_reader", ("text/csv", "text/tab-separated-values", "application/csv")),
        "text": Format("text_reader", ("text/plain",)),
    }
)
_BY_TYPE: Final = {media_type: name for name, format in FORMATS.items() for media_type in format.types}
#: Formats that any text could be: here, name and label decide.
_TEXTS: Final = frozenset(("eml", "feed", "html", "markdown", "solr", "subtitles", "table"))
#: Labels that say no more than that it is text, or nothing.
_VAGUE: Final = ("", "application/octet-stream", "binary/octet-stream", "text/plain", "application/x-unknown")

_HEAD_BYTES: Final = 4096
_RTF: Final = b"{\\rtf"
_PARQUET: Final = b"PAR1"
_ARROW: Final = b"ARROW1\0\0"
#: The mark of an Arrow stream, before the length of its first message.
_ARROW_STREAM: Final = b"\xff\xff\xff\xff"
_FEATHER_1: Final = b"FEA1"
_RAR: Final = b"Rar!\x1a\x07"
#: Bytes that may come before the mark of a PDF without being anything themselves.
_BLANK: Final = b"\xef\xbb\xbf \t\r\n\0"
_PDF_BEHIND: Final = re.compile(rb"%PDF-\d\.\d")
_FIRST_OBJECT: Final = re.compile(rb"\s*(?:%[^\r\n]*[\r\n]\s*)*\d+ \d+ obj")
# nothing once matched is given back: comments without end would be parted in all ways there are
_HTML: Final = re.compile(
    rb"\s*+(?:<\?xml[^>]*>\s*+)?(?><!--.*?-->\s*+)*+(?:<!doctype\s+html|<html[\s>]|<head[\s>])", re.IGNORECASE | re.DOTALL
)
_NAME_IN_ZIP: Final = re.compile(rb"PK\x03\x04.{26}([\w./\[\]-]{3,60}?)(?=<|PK|[^\w./\[\]-])", re.DOTALL)
#: The beginnings of feeds, and of updates of Solr, up to where no other XML begins so.
_ROOT: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*+(?><\?.*?\?>\s*+|<!--.*?-->\s*+|<!doctype[^>]*>\s*+)*+"
    rb"<(?:(rss\b|rdf:RDF\b(?=[^>]*(?:purl\.org/rss|netscape)))|(feed)\b(?=[^>]*xmlns=[\"'][^\"']*[Aa]tom)"
    rb"|(?:add|update)\b[^>]*>\s*<doc\b|delete>\s*<id>)",
    re.IGNORECASE | re.DOTALL,
)
_XML: Final = re.compile(rb"\s*<\?xml\s")
_HEADER: Final = re.compile(
    rb"(?:return-path|received|delivered-to|from|to|cc|date|subject|message-id|mime-version|reply-to|sender|x-[\w-]+|dkim-signature"
    rb"|content-type|list-[\w-]+|in-reply-to|references|authentication-results|arc-[\w-]+|envelope-to|content-transfer-encoding):",
    re.IGNORECASE,
)
_FROM_LINE: Final = re.compile(rb"(?:>?From [^\n]*\n)?")
_MARKS: Final = (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")
_NO_TEXT: Final = bytes(set(range(32)) - {7, 8, 9, 10, 12, 13, 27})
_MAIL_OF_OUTLOOK: Final = "__nameid_version1.0".encode("utf-16le")
_WORKBOOK: Final = ("Workbook".encode("utf-16le"), "Book".encode("utf-16le"))


def reader_of(name: str) -> Reader:
    """The reader of a format."""
    made: Reader = import_module(f"pypes_documents.{FORMATS[name].reader}").read
    return made


def format_of(packet: Packet) -> str:
    """The name of the format of the bytes in a packet; ``""`` if it is none of those that are read here."""
    with packet.open("data") as body:
        head = body.read(_HEAD_BYTES)
        name = _by_mark(head, body)
    label = str(packet.get_meta("mimetype") or "").lower()
    named = _named(packet)
    if name == "" and head.startswith(COMPOUND) and _OUTLOOK in (label, named):
        return "msg"  # cut off, or with what tells of it far behind
    if name is not None:
        return name
    if is_mailbox(packet, head, is_called_so=_MAILBOX in (label, named)):
        return "mbox"
    is_text = _is_text(head)
    if is_text and _HTML.match(head):
        return "html"
    if not is_text or b"%PDF-" in head:
        if "message/rfc822" in (label, named) or (label in _VAGUE and _is_mail(head)):
            return "eml"
        if _is_pdf_behind(head, label, named):
            return "pdf"
    if not is_text:
        return ""
    if dialect := _dialect(head):
        return dialect
    for media_type in (label, named):
        found = _BY_TYPE.get(media_type, "")
        if found in _TEXTS:
            return found
        if found == "xml" or media_type.endswith("+xml"):
            return "xml"
    if label in _VAGUE and _is_mail(head):
        return "eml"
    return "xml" if _XML.match(head) else "text"


class Unreadable(NamedTuple):
    """A file that no reader is for: its kind, a word for counters, and the reason with what to do."""

    kind: str
    reason: str


def why_unread(packet: Packet) -> Unreadable:
    """The reason why no reader is for the bytes in a packet (:func:`format_of` knows none)."""
    with packet.open("data") as body:
        head = body.read(_HEAD_BYTES)
    if head.startswith(_RTF):
        return Unreadable("rtf", "it is RTF, which no reader is for; convert it, to DOCX or PDF for example")
    if head.startswith(_FEATHER_1):
        return Unreadable("feather", "it is Feather of version 1, which no reader is for; write it as version 2")
    if head.startswith(_RAR):
        return Unreadable("rar", "it is RAR, which no reader is for; pack it as zip or 7z")
    declared = packet.get_meta("mimetype") or "of an unknown type"
    told = f"no reader is for {packet.get_meta('filename') or 'this file'} ({declared})"
    if is_picture(head):
        return Unreadable("picture", f"{told}; set ocr to auto to have its text recognized")
    if head.startswith(COMPOUND):
        return Unreadable("office", f"{told}; convert it, to PDF for example")
    at = next((at for at, byte in enumerate(head) if byte in _NO_TEXT), None)
    if at is not None and any(media_type.startswith("text/") for media_type in (str(declared).lower(), _named(packet))):
        told = f"it is called text ({declared}), and has bytes that no text has: byte {at} (from 0) is 0x{head[at]:02x}"
        return Unreadable("text", f"{told}; save it as UTF-8, or as UTF-16 with a byte order mark")
    return Unreadable("other", f"{told}; convert it, to PDF for example")


def _named(packet: Packet) -> str:
    """The media type that the name of a file tells of."""
    return media_type_of(str(packet.get_meta("filename") or packet.get_meta("path") or "")).type


def _dialect(head: bytes) -> str:
    """The format of XML whose root tells of one; and of subtitles, which begin with a mark of their own."""
    root = _ROOT.match(head)
    if root:
        return "feed" if root[1] or root[2] else "solr"
    return "subtitles" if head.removeprefix(b"\xef\xbb\xbf").startswith(b"WEBVTT") else ""


def _by_mark(head: bytes, body: IO[bytes]) -> str | None:
    """The format that the first bytes tell of, ``""`` for one that is not read here; ``None`` if they tell of none."""
    if head.lstrip(_BLANK).startswith(b"%PDF-"):
        return "pdf"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _in_zip(head, body)
    if head.startswith(COMPOUND):
        return _in_compound(head, body)
    if compression_of(head) or is_tar(head):
        return "archive"
    if format_of_mark(head):
        return "libarchive"
    if is_picture(head):
        return "picture"
    if head.startswith(_RTF):
        return ""
    return _table_by_mark(head)


def _table_by_mark(head: bytes) -> str | None:
    """The format of a file with columns of binary values; the first message of a stream is as long as a multiple of eight."""
    if head.startswith(_PARQUET):
        return "parquet"
    if head.startswith(_ARROW):
        return "arrow"
    length = int.from_bytes(head[4:8], "little")
    return "arrow_stream" if head.startswith(_ARROW_STREAM) and 0 < length < 1 << 24 and length % 8 == 0 else None


def _is_pdf_behind(head: bytes, label: str, named: str) -> bool:
    """True for a PDF behind up to 1 KiB of something else, as readers take it; texts may well show the beginning of one."""
    found = _PDF_BEHIND.search(head, 0, 1024 + len("%PDF-1.7"))
    if found is None or {label, named} & {*FORMATS["pdf"].types}:
        return found is not None
    return {label, named} <= {"", OCTETS} and _FIRST_OBJECT.match(head, found.end()) is not None


def _in_zip(head: bytes, body: IO[bytes]) -> str:
    """The format of a zip archive by its members."""
    if head[30:38] == b"mimetype":
        told = head[38:200]
        if told.startswith(b"application/epub+zip"):
            return "epub"
        if told.startswith(b"application/vnd.oasis.opendocument.spreadsheet"):
            return "xls"
        if told.startswith(b"application/vnd.oasis.opendocument"):
            return ""
    names: set[str] = set()
    if body.seekable():
        try:
            body.seek(0)
            with zipfile.ZipFile(body) as archive:
                names = set(archive.namelist())
        except DAMAGED:
            return "archive"  # whose reader says what is wrong
    else:  # PERF: the members that come first are mostly those that tell
        names = {found.decode("latin-1") for found in _NAME_IN_ZIP.findall(head)}
    for name, sign in (("docx", "word/"), ("pptx", "ppt/"), ("xlsx", "xl/")):
        if any(each.startswith(sign) for each in names) and ("[Content_Types].xml" in names or "_rels/.rels" in names):
            return "xls" if name == "xlsx" and "xl/workbook.bin" in names else name
    return "epub" if "META-INF/container.xml" in names else "archive"


def _in_compound(head: bytes, body: IO[bytes]) -> str:
    """The format of a file in Microsoft's older container: a mail, sheets, or encrypted, which the reader of packages says."""
    data = head + body.read(1 << 24)
    if _MAIL_OF_OUTLOOK in data:  # before others, which may be attached to it
        return "msg"
    if "EncryptedPackage".encode("utf-16le") in data:
        return "docx"
    return "xls" if any(name in data for name in _WORKBOOK) else ""


def _is_text(head: bytes) -> bool:
    if head.startswith(_MARKS):
        return True
    return b"\0" not in head and len(head.translate(None, _NO_TEXT)) >= len(head) * 0.99


def _is_mail(head: bytes) -> bool:
    """True for text that begins as a mail: three lines of a head that mails have."""
    lines = head[_FROM_LINE.match(head).end() :].split(b"\n")[:40]  # type: ignore[union-attr]
    if not lines or not _HEADER.match(lines[0]):
        return False
    count = 0
    for line in lines:
        if not line.strip():
            break
        count += bool(_HEADER.match(line))
    return count >= 3
