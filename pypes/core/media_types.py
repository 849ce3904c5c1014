"""Media types of files by their names, from a table of our own: the same on every machine.

The table of the standard library reads files of the operating system, so that a document of one name has one type here and
another there, or none: `.docx` and `.md` are unknown to a small container. Sources: the registry of IANA, and for what is not
registered the type that is sent most. Of two types of one format, that under ``text/`` is taken (XML, YAML): an adapter of text
reads it where there is none of that format.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

OCTETS = "application/octet-stream"
#: Media type of a body that carries packets with their metadata.
PACKETS = "application/vnd.pypes.packets+json"
#: Media types of MessagePack: the usual one, the registered one, and a former one.
MSGPACK = frozenset({"application/msgpack", "application/vnd.msgpack", "application/x-msgpack"})
#: Media types of Protocol Buffers: the usual one, the one that is being registered, and one of Google's.
PROTOBUF = frozenset({"application/x-protobuf", "application/protobuf", "application/vnd.google.protobuf"})

_OFFICE = "application/vnd.openxmlformats-officedocument"
_ODF = "application/vnd.oasis.opendocument"

_TYPES: Mapping[str, str] = MappingProxyType(
    {
        # text
        "adoc": "text/asciidoc",
        "asciidoc": "text/asciidoc",
        "c": "text/x-c",
        "cc": "text/x-c++",
        "cfg": "text/plain",
        "conf": "text/plain",
        "cpp": "text/x-c++",
        "css": "text/css",
        "csv": "text/csv",
        "go": "text/x-go",
        "h": "text/x-c",
        "htm": "text/html",
        "html": "text/html",
        "ics": "text/calendar",
        "ini": "text/plain",
        "java": "text/x-java",
        "js": "text/javascript",
        "log": "text/plain",
        "markdown": "text/markdown",
        "md": "text/markdown",
        "mjs": "text/javascript",
        "mdown": "text/markdown",
        "php": "text/x-php",
        "py": "text/x-python",
        "rb": "text/x-ruby",
        "rs": "text/x-rust",
        "rst": "text/x-rst",
        "sh": "text/x-sh",
        "srt": "text/x-subrip",
        "sql": "text/x-sql",
        "tab": "text/tab-separated-values",
        "tex": "text/x-tex",
        "text": "text/plain",
        "toml": "text/x-toml",
        "tsv": "text/tab-separated-values",
        "txt": "text/plain",
        "vcf": "text/vcard",
        "vtt": "text/vtt",
        "yaml": "text/yaml",
        "yml": "text/yaml",
        # structured
        "arrow": "application/vnd.apache.arrow.file",
        "arrows": "application/vnd.apache.arrow.stream",
        "atom": "application/atom+xml",
        "avro": "application/vnd.apache.avro",
        "binpb": "application/x-protobuf",
        "feather": "application/vnd.apache.arrow.file",
        "geojson": "application/geo+json",
        "json": "application/json",
        "jsonl": "application/x-ndjson",
        "jsonld": "application/ld+json",
        "ndjson": "application/x-ndjson",
        "mpk": "application/msgpack",
        "msgpack": "application/msgpack",
        "parquet": "application/vnd.apache.parquet",
        "pb": "application/x-protobuf",
        "rdf": "application/rdf+xml",
        "rss": "application/rss+xml",
        "sqlite": "application/vnd.sqlite3",
        "wasm": "application/wasm",
        "xht": "application/xhtml+xml",
        "xhtml": "application/xhtml+xml",
        "xml": "text/xml",
        "xsd": "text/xml",
        "xsl": "application/xslt+xml",
        "xslt": "application/xslt+xml",
        # office, books, mail
        "doc": "application/msword",
        "docm": "application/vnd.ms-word.document.macroenabled.12",
        "docx": f"{_OFFICE}.wordprocessingml.document",
        "dotx": f"{_OFFICE}.wordprocessingml.template",
        "eml": "message/rfc822",
        "epub": "application/epub+zip",
        "mbox": "application/mbox",
        "mht": "message/rfc822",
        "mhtml": "message/rfc822",
        "mobi": "application/x-mobipocket-ebook",
        "msg": "application/vnd.ms-outlook",
        "odg": f"{_ODF}.graphics",
        "odp": f"{_ODF}.presentation",
        "ods": f"{_ODF}.spreadsheet",
        "odt": f"{_ODF}.text",
        "pdf": "application/pdf",
        "pot": "application/vnd.ms-powerpoint",
        "potx": f"{_OFFICE}.presentationml.template",
        "ppsx": f"{_OFFICE}.presentationml.slideshow",
        "ppt": "application/vnd.ms-powerpoint",
        "pptm": "application/vnd.ms-powerpoint.presentation.macroenabled.12",
        "pptx": f"{_OFFICE}.presentationml.presentation",
        "ps": "application/postscript",
        "rtf": "application/rtf",
        "xls": "application/vnd.ms-excel",
        "xlsb": "application/vnd.ms-excel.sheet.binary.macroenabled.12",
        "xlsm": "application/vnd.ms-excel.sheet.macroenabled.12",
        "xlsx": f"{_OFFICE}.spreadsheetml.sheet",
        "xltx": f"{_OFFICE}.spreadsheetml.template",
        # images, sound, film, fonts
        "aac": "audio/aac",
        "avi": "video/x-msvideo",
        "avif": "image/avif",
        "bmp": "image/bmp",
        "flac": "audio/flac",
        "gif": "image/gif",
        "heic": "image/heic",
        "ico": "image/vnd.microsoft.icon",
        "jpeg": "image/jpeg",
        "jpg": "image/jpeg",
        "m4a": "audio/mp4",
        "mkv": "video/matroska",
        "mov": "video/quicktime",
        "mp3": "audio/mpeg",
        "mp4": "video/mp4",
        "mpeg": "video/mpeg",
        "mpg": "video/mpeg",
        "oga": "audio/ogg",
        "ogg": "audio/ogg",
        "ogv": "video/ogg",
        "opus": "audio/ogg",
        "otf": "font/otf",
        "png": "image/png",
        "psd": "image/vnd.adobe.photoshop",
        "svg": "image/svg+xml",
        "tif": "image/tiff",
        "tiff": "image/tiff",
        "ttf": "font/ttf",
        "wav": "audio/wav",
        "webm": "video/webm",
        "webp": "image/webp",
        "woff": "font/woff",
        "woff2": "font/woff2",
        # archives and programs
        "7z": "application/x-7z-compressed",
        "bin": OCTETS,
        "deb": "application/vnd.debian.binary-package",
        "dll": OCTETS,
        "exe": "application/vnd.microsoft.portable-executable",
        "iso": "application/vnd.efi.iso",
        "jar": "application/java-archive",
        "rar": "application/vnd.rar",
        "rpm": "application/x-rpm",
        "so": OCTETS,
        "tar": "application/x-tar",
        "warc": "application/warc",
        "whl": "application/zip",
        "zip": "application/zip",
    }
)

#: Suffixes that say how a file is compressed, which has a type by what stands before them. The names of compressions that are
#: content encodings of HTTP are those of HTTP.
_COMPRESSIONS: Mapping[str, str] = MappingProxyType(
    {"br": "br", "bz2": "bzip2", "gz": "gzip", "lz4": "lz4", "lzma": "lzma", "xz": "xz", "z": "compress", "zst": "zstd"}
)
_SHORT: Mapping[str, str] = MappingProxyType(
    {"svgz": "svg.gz", "tbz": "tar.bz2", "tbz2": "tar.bz2", "tgz": "tar.gz", "txz": "tar.xz", "tzst": "tar.zst"}
)
_PACKED_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "br": "application/x-brotli",
        "bzip2": "application/x-bzip2",
        "compress": "application/x-compress",
        "gzip": "application/gzip",
        "lz4": "application/x-lz4",
        "lzma": "application/x-lzma",
        "xz": "application/x-xz",
        "zstd": "application/zstd",
    }
)


class FileType(NamedTuple):
    """Type and compression of a file, from its name.

    ``type`` is the media type of its content, ``""`` if the name says nothing; ``compression`` is how that is compressed:
    ``""``, ``gzip``, ``zstd``, ``bzip2``, ``xz``, ``br``, ``compress``, ``lzma`` or ``lz4``.
    """

    type: str
    compression: str = ""

    @property
    def outer(self) -> str:
        """The media type of the file's bytes as they lie there: ``application/gzip`` of ``people.csv.gz``; may be ``""``."""
        return _PACKED_TYPES[self.compression] if self.compression else self.type


_PLAIN: Mapping[str, FileType] = MappingProxyType({suffix: FileType(kind) for suffix, kind in _TYPES.items()})


def media_type_of(name: str) -> FileType:
    """Look up the type of a file by its name, or by a path or URL path that ends with it; upper and lower case alike."""
    stem, suffix = _split(name.replace("\\", "/").rpartition("/")[2].lower())
    if suffix in _PLAIN:  # PERF: as most are; the tables do not overlap
        return _PLAIN[suffix]
    compression = ""
    if suffix in _SHORT:
        stem, suffix = _split(f"{stem}.{_SHORT[suffix]}")
    if suffix in _COMPRESSIONS:
        compression = _COMPRESSIONS[suffix]
        suffix = _split(stem)[1]
    return FileType(_TYPES.get(suffix, ""), compression)


def _split(name: str) -> tuple[str, str]:
    """Stem and suffix around the last dot; a name that begins with its only dot is hidden and has no suffix."""
    stem, _, suffix = name.rpartition(".")
    return (stem, suffix) if stem else (name, "")
