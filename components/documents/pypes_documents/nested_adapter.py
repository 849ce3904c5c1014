"""The base of adapters for files with files in them: each is read by the reader of its own format, however deep it lies."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated, Any, Literal

from pypes import Help, Packet, Reject
from pypes_basic.passing import passes
from pypes_documents.fates import Fates
from pypes_documents.file_adapter import FileAdapter
from pypes_documents.formats import FORMATS, Unreadable, format_of, reader_of, why_unread
from pypes_documents.job import NO_TEXT, TOO_LARGE, UNKNOWN, Exhausted, Job, NestedBounds, Unread
from pypes_documents.ocr import Languages, PageS, Recognizer, Wanted, check
from pypes_documents.pdf_adapter import Engine, check_engine

#: Libraries that are extras, and the lines that install them, by the reader that needs them.
_EXTRAS = {
    "arrow_reader": ("pyarrow", "pip install 'pypes-documents[parquet]'"),
    "libarchive_reader": ("libarchive", "pip install 'pypes-documents[archives]' and apt-get install libarchive13"),
    "msg_reader": ("olefile", "pip install 'pypes-documents[msg]'"),
    "xls_reader": ("python_calamine", "pip install 'pypes-documents[sheets]'"),
}


class NestedAdapter(FileAdapter):
    """Reads documents and all files in them; a file that cannot be read fails, and all others are sent on."""

    timeout_s = 300.0
    reader = ""

    class Params(NestedBounds):
        pdf: Engine = "pypdf"
        ocr: Wanted = "never"
        ocr_languages: Languages = "eng"
        ocr_page_s: PageS = 30.0
        unknown: Annotated[
            Literal["skip", "fail"],
            Help(
                "Files in a document that no reader is for, such as pictures and programs: passed over and counted, or failing."
            ),
        ] = "skip"

        def __post_init__(self) -> None:
            check_engine(self.pdf)
            if self.ocr != "never":
                check(needs_pdfium=True)

    def setup(self) -> None:
        self._skips = self.params.unknown == "skip"

    def job(self) -> Job:
        params = self.params
        recognizer = Recognizer(params.ocr_languages, params.ocr_page_s) if params.ocr != "never" else None
        return Job(params, params.pdf, recognizer)

    def process(self, packet: Packet) -> Any:
        if passes(packet):
            return packet
        self._fates = Fates()
        name = packet.id or packet.get_meta("filename") or "a document"
        try:
            with self._fates.of_document():
                self._take(packet, self.format(packet), self.job(), 0)
        finally:
            if skipped := self._fates.skipped:
                self.log.info("%s: files in it are passed over: %s", name, skipped)
        if not self._fates.is_sent:
            raise Reject(f"nothing reads any of the {self._fates.count} files in it: {skipped}", NO_TEXT)
        return None

    def format(self, packet: Packet) -> str:
        """The format of a document. Raises ``Reject`` if it is none that is read here."""
        name = self._format_of(packet)
        if not name:
            raise Reject(why_unread(packet).reason, UNKNOWN)
        return name

    def _format_of(self, packet: Packet) -> str:
        name = format_of(packet)
        # a picture has no text, unless that is looked for
        return "" if name == "picture" and self.params.ocr == "never" else name

    def _take(self, packet: Packet, name: str, job: Job, depth: int) -> None:
        """Read a document of a format, send it on, and take all files in it."""
        library, line = _EXTRAS.get(FORMATS[name].reader, ("", ""))
        if library and find_spec(library) is None:
            raise Reject(f"what reads this file is not installed; run {line}", UNKNOWN)
        _label(packet, name)
        parts = reader_of(name)(packet, job)
        part = None if parts is None else next(parts, None)
        self.count_pages(packet)
        if packet.get_attribute_names():
            # files in it are still to be made of it, while filters behind this one change what they got
            self.send("out", packet if part is None else packet.clone())
            self._fates.is_sent = True
        while part is not None and parts is not None:
            self._fates.count += 1
            if isinstance(part, Unread):
                self._fates.fail(part.part, part.fault)
            elif FORMATS[name].holds_files:
                if within := _files_around(packet):
                    part.set_meta("within", within)
                self._try_part(part, job, depth + 1)
            else:
                self.send("out", part)
                self._fates.is_sent = True
            part = next(parts, None)

    def _skip(self, place: str, fault: Unreadable) -> None:
        """Pass a file over: it is counted, by its kind as well, and the log tells why."""
        self.count("parts_skipped")
        self.count(f"parts_skipped_{fault.kind}")
        self._fates.skip(place, fault.reason)

    def _try_part(self, part: Packet, job: Job, depth: int) -> None:
        place = part.part
        try:
            self._take_part(part, job, depth)
        except (Exhausted, MemoryError):
            raise
        except Reject as fault:
            self._fates.fail(place, fault)
        except Exception as error:
            self.log.exception("the reader of %s failed", place)
            self._fates.fail(place, Reject(f"its reader failed: {type(error).__name__}: {error}", "component.raised"))

    def _take_part(self, part: Packet, job: Job, depth: int) -> None:
        name = self._format_of(part)
        if part.get("data") == b"":
            self._skip(part.part, Unreadable("empty", "it is empty"))
            return
        if not name:
            fault = why_unread(part)
            if not self._skips:
                raise Reject(fault.reason, UNKNOWN)
            self._skip(part.part, fault)
            return
        if depth > job.bounds.max_depth:
            raise Reject(f"it lies deeper than max_depth ({job.bounds.max_depth}) files in others", TOO_LARGE)
        self._take(part, name, job, depth)


def _files_around(packet: Packet) -> list[str]:
    """The names of the files in which a file of this document lies, outermost first, as far as they are known."""
    given = packet.get_meta("within")
    outer = [str(name) for name in given] if isinstance(given, list) else []
    name = packet.get_meta("path") or packet.get_meta("filename") or packet.get("title")
    return [*outer, str(name)] if name else outer


def _label(packet: Packet, name: str) -> None:
    """Note the media type of a format, where the label says another."""
    declared = packet.get_meta("mimetype")
    if declared not in FORMATS[name].types and not (name == "text" and str(declared).startswith("text/")):
        if declared and packet.get_meta("declared_type") is None:
            packet.set_meta("declared_type", declared)
        packet.set_meta("mimetype", FORMATS[name].types[0])
