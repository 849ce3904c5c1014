"""Subtitles: the spoken text of SubRip and WebVTT."""

from __future__ import annotations

from typing import ClassVar

from pypes import Example, Packet
from pypes_documents.file_adapter import FileAdapter


class Subtitles(FileAdapter):
    """Read subtitles (SRT, VTT): ``text`` without times and markup.

    What is spoken without a pause is one paragraph, and the name of a speaker stands before the words. Dead letters:
    ``document.malformed``, ``document.too_large`` (a bound is exceeded), ``document.no_text``.
    """

    icon = "captions"
    tags = ("format", "text")
    reader = "subtitles_reader"
    example = Example(
        takes=Packet(
            {"data": b"1\n00:00:01,000 --> 00:00:02,500\nA loom\n\n2\n00:00:02,500 --> 00:00:04,000\n<i>has a warp.</i>\n"}
        ),
        gives=Packet({"text": "A loom has a warp."}),
    )
    accepts: ClassVar[tuple[str, ...]] = ("text/x-subrip", "text/vtt", "application/x-subrip")
