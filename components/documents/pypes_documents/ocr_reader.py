"""The text in a picture, which is recognized."""

from __future__ import annotations

import re
from typing import Final

from pypes import Packet
from pypes_documents.job import PAGES_OCR, Job, finish
from pypes_documents.ocr import Recognizer

_EMPTY_LINES: Final = re.compile(r"\n\s*\n")


def read(packet: Packet, job: Job) -> None:
    """Fill a packet with the text in a picture; one of TIFF may have several pages."""
    recognizer = job.recognizer or Recognizer("eng", 30.0)
    pages = recognizer.texts(job.take(packet))
    text = job.text()
    for number, page in enumerate(pages, 1):
        for paragraph in _EMPTY_LINES.split(page):
            text.add(paragraph, page=number)
    finish(packet, text, {"pages": len(pages)}, empty="no text was recognized in the picture")
    packet.set_meta(PAGES_OCR, list(range(1, len(pages) + 1)))
