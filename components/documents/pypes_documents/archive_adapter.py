"""Archive: the members of zip and tar archives as parts."""

from __future__ import annotations

from typing import ClassVar

from pypes import Example, Packet
from pypes_documents.examples import zipped
from pypes_documents.formats import FORMATS, format_of
from pypes_documents.nested_adapter import NestedAdapter


class Archive(NestedAdapter):
    """Read the files in a zip or tar archive (also within gzip, bzip2 or xz), or the one in a compressed file.

    With the extra ``archives`` and the library libarchive of the system (``apt-get install libarchive13``), those in 7z and cpio
    as well.

    Each is read by the reader for it. A file is the part ``member=PATH`` of the archive; a file in that, the part
    ``member=PATH/attachment=NAME``; metadata ``within`` names the files in which it lies. Archives in archives are read as well,
    down to ``max_depth``.

    A member that cannot be read makes the archive a dead letter that names it, while all others have been sent on; those that no
    reader is for, such as pictures, and empty ones are passed over and counted (``parts_skipped``, and by kind,
    such as ``parts_skipped_rtf``), and the log says why.

    Dead letters: ``document.encrypted``, ``document.malformed``, ``document.too_large`` (a bound is exceeded),
    ``document.no_text`` (no files), and those of members.
    """

    icon = "archive"
    tags = ("format", "archive")
    example = Example(
        takes=Packet({"data": zipped({"a/notes.txt": "A loom.", "b.md": "# Warp"})}, {"id": "7"}),
        gives=[
            Packet({"text": "A loom."}, {"id": "7/member=a%2Fnotes.txt", "filename": "notes.txt"}),
            Packet({"title": "Warp", "text": "Warp"}, {"id": "7/member=b.md", "filename": "b.md"}),
        ],
    )
    accepts: ClassVar[tuple[str, ...]] = (*FORMATS["archive"].types, *FORMATS["libarchive"].types)

    def format(self, packet: Packet) -> str:
        return "libarchive" if format_of(packet) == "libarchive" else "archive"
