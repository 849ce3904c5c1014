"""The text in a picture, which is recognized."""

from __future__ import annotations

from pypes import Packet, Reject
from pypes_documents.job import PAGES_LOST, PAGES_OCR, UNKNOWN, Job, finish
from pypes_documents.plain import paragraphs_of
from pypes_documents.tiff import pages_of


def read(packet: Packet, job: Job) -> None:
    """Fill a packet with the text in a picture; one of TIFF may have several pages."""
    if job.recognizer is None:
        raise Reject("set ocr to auto to have the text in pictures recognized", UNKNOWN)
    data = job.take(packet)
    pages = job.recognizer.texts(data)
    text = job.text()
    for number, page in enumerate(pages, 1):
        for paragraph in paragraphs_of(page):
            text.add(paragraph, page=number)
    # tesseract ends without a word at a page that it cannot read
    there = max(len(pages), pages_of(data))
    finish(packet, text, {"pages": there}, empty="no text was recognized in the picture")
    packet.set_meta(PAGES_OCR, list(range(1, len(pages) + 1)))
    if len(pages) < there:
        packet.set_meta(PAGES_LOST, list(range(len(pages) + 1, there + 1)))
