"""Packages: the zip archives that hold a document of Office or a book, read within bounds."""

from __future__ import annotations

import lzma
import posixpath
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, Final, cast
from urllib.parse import unquote

from lxml import etree

from pypes import Packet, Reject
from pypes_documents.dates import date_of_w3c
from pypes_documents.job import ENCRYPTED, MALFORMED, MIB, TOO_LARGE, Job, Unpacked
from pypes_documents.plain import as_list
from pypes_documents.safe_xml import OPTIONS, fault_of

#: Faults of zipfile, and of what unpacks for it, over archives that are damaged.
DAMAGED: Final = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, NotImplementedError, ValueError, IndexError),
    *(OverflowError, struct.error),
)
#: A part that becomes a tree takes ten times as much memory.
MOST_TREE_BYTES: Final = 32 * MIB

_RELATIONS: Final = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_DC: Final = "{http://purl.org/dc/elements/1.1/}"
_TERMS: Final = "{http://purl.org/dc/terms/}"
_CORE: Final = "{http://schemas.openxmlformats.org/package/2006/metadata/core-properties}"

#: The head of Microsoft's older container: what is encrypted by Office, and the formats before 2007.
COMPOUND: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_PART: Final = "EncryptedPackage".encode("utf-16le")


class Relation:
    """A part that another one refers to: the last word of its type, and its name in the package, or an address outside."""

    def __init__(self, source: str, entry: Any) -> None:
        self.kind = (entry.get("Type") or "").rpartition("/")[2]
        self.is_outside = entry.get("TargetMode") == "External"
        target = entry.get("Target") or ""
        self.target = (
            target if self.is_outside else posixpath.normpath(posixpath.join("/", posixpath.dirname(source), target))[1:]
        )


class Package:
    """A zip archive with named parts."""

    def __init__(self, file: IO[bytes], job: Job, what: str) -> None:
        """Read the directory. ``what`` names the format in errors. Raises ``Reject`` for what is no such package."""
        self.what = what
        self._job = job
        try:
            self._archive = zipfile.ZipFile(file)
        except DAMAGED as error:
            file.seek(0)
            if file.read(8) == COMPOUND:
                if _ENCRYPTED_PART in file.read(job.bounds.max_bytes):
                    raise Reject(f"the {what} is encrypted; save it without a password", ENCRYPTED) from error
                raise Reject(f"it is of a version of Office before 2007, and no {what}; save it as one", MALFORMED) from error
            raise Reject(f"the {what} is damaged, or none: {error}", MALFORMED) from error
        self.names = frozenset(self._archive.namelist())

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """A part as a stream. Raises ``Reject`` where it is missing, damaged, encrypted, or too large."""
        try:
            info = self._archive.getinfo(name)
        except KeyError as error:
            raise Reject(f"the {self.what} is damaged: its part {name} is missing", MALFORMED) from error
        if info.flag_bits & 1:
            raise Reject(f"the {self.what} is encrypted; save it without a password", ENCRYPTED)
        try:
            with self._archive.open(info) as stream:
                yield cast(IO[bytes], Unpacked(stream, self._job))
        except etree.XMLSyntaxError as error:
            raise fault_of(error, f"the {self.what} is damaged: {name}") from error
        except DAMAGED as error:
            raise Reject(f"the {self.what} is damaged: {name}: {error}", MALFORMED) from error

    def read(self, name: str, most: int = MOST_TREE_BYTES) -> bytes:
        """A part as a whole."""
        with self.open(name) as stream:
            data = stream.read(most + 1)
        if len(data) > most:
            raise Reject(f"{name} in the {self.what} has more than {most} bytes", TOO_LARGE)
        return data

    def tree(self, name: str) -> Any:
        """The root of a part that is XML; ``None`` if there is no such part."""
        return self.root(name) if name in self.names else None

    def root(self, name: str) -> Any:
        """The root of a part that is XML. Raises ``Reject`` where it is missing, as for all that is damaged."""
        data = self.read(name)
        try:
            return etree.fromstring(data, etree.XMLParser(**OPTIONS))
        except etree.XMLSyntaxError as error:
            raise fault_of(error, f"the {self.what} is damaged: {name}") from error

    def events(self, name: str, *tags: str) -> Iterator[tuple[str, Any]]:
        """Begin and end of each element with one of these tags in a part that is XML, while it is being read."""
        with self.open(name) as stream:
            yield from etree.iterparse(stream, events=("start", "end"), tag=tags, **OPTIONS)

    def relations(self, name: str) -> dict[str, Relation]:
        """The parts that a part refers to, by their ids there."""
        folder, _, last = name.rpartition("/")
        root = self.tree(f"{folder}/_rels/{last}.rels" if folder else f"_rels/{last}.rels")
        found = () if root is None else root.iter(_RELATIONS)
        return {entry.get("Id", ""): Relation(name, entry) for entry in found}

    def main(self, *, default: str) -> str:
        """The name of the part with the document itself (of Office)."""
        for relation in self.relations("").values():
            if relation.kind == "officeDocument" and relation.target in self.names:
                return relation.target
        return default

    def facts(self) -> dict[str, Any]:
        """Fields of the vocabulary from the properties of a document of Office."""
        root = self.tree("docProps/core.xml")
        found = {} if root is None else {child.tag: (child.text or "").strip() for child in root if isinstance(child.tag, str)}
        return {
            "title": found.get(f"{_DC}title", ""),
            "author": [name for name in found.get(f"{_DC}creator", "").split(";") if name.strip()],
            "created": date_of_w3c(found.get(f"{_TERMS}created", "")),
            "modified": date_of_w3c(found.get(f"{_TERMS}modified", "")),
            "language": found.get(f"{_DC}language", ""),
            "subject": found.get(f"{_DC}subject", ""),
            "description": found.get(f"{_DC}description", ""),
            "keywords": as_list(found.get(f"{_CORE}keywords", "")),
        }


@contextmanager
def opened(packet: Packet, job: Job, what: str) -> Iterator[Package]:
    """The package in a packet, whose bytes are taken out."""
    with job.take_file(packet) as file:
        yield Package(file, job, what)


def free(element: Any) -> None:
    """Let go of an element that was read, and of those before it."""
    element.clear()
    parent = element.getparent()
    while parent is not None and (before := element.getprevious()) is not None:
        parent.remove(before)


def resolved(base: str, href: str) -> str:
    """The name of the part that a reference in another part leads to."""
    return posixpath.normpath(posixpath.join("/", posixpath.dirname(base), unquote(href.partition("#")[0])))[1:]
