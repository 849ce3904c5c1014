"""PPTX: text of each slide, and properties."""

from __future__ import annotations

from typing import ClassVar, Final

from pypes import Example, Packet
from pypes_documents.examples import relations, zipped
from pypes_documents.file_adapter import FileAdapter
from pypes_documents.job import PackageBounds

_OFFICE: Final = "application/vnd.openxmlformats-officedocument.presentationml"
_P: Final = 'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"'
_R: Final = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
_A: Final = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
_SHAPE: Final = "<p:sp><p:txBody><a:p><a:r><a:t>A loom.</a:t></a:r></a:p></p:txBody></p:sp>"


class PPTX(FileAdapter):
    """Read a PPTX: ``text`` slide by slide, with titles as headings, items and tables, the notes of each slide behind it.

    The page of a block is the number of its slide. Fields are those of the vocabulary: ``title`` (or else that of the first
    slide), ``author``, ``created``, ``modified``, ``language``, ``subject``, ``description``, ``keywords``, ``links``, ``pages``.
    Of diagrams the text is read, of charts the titles and names, of pictures nothing.

    Slides that are missing or damaged are named in metadata ``pages_lost`` and counted, the others are there.

    Dead letters: ``document.encrypted``, ``document.malformed``, ``document.too_large`` (a bound is exceeded),
    ``document.no_text``.
    """

    icon = "presentation"
    tags = ("format", "office")
    reader = "pptx_reader"
    example = Example(
        takes=Packet(
            {
                "data": zipped(
                    {
                        "ppt/presentation.xml": f'<p:presentation {_P} {_R}><p:sldId r:id="rId1"/></p:presentation>',
                        "ppt/_rels/presentation.xml.rels": relations(("slide", "slide1.xml")),
                        "ppt/slide1.xml": f"<p:sld {_P} {_A}>{_SHAPE}</p:sld>",
                    }
                )
            }
        ),
        gives=Packet({"text": "A loom.", "pages": 1}),
    )
    accepts: ClassVar[tuple[str, ...]] = (
        f"{_OFFICE}.presentation",
        f"{_OFFICE}.slideshow",
        f"{_OFFICE}.template",
        "application/vnd.ms-powerpoint.presentation.macroenabled.12",
        "application/vnd.ms-powerpoint.slideshow.macroenabled.12",
    )

    class Params(PackageBounds):
        pass
