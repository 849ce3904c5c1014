"""Plain text, whose paragraphs are what stands between empty lines."""

from __future__ import annotations

from pypes import Packet, Reject
from pypes_documents.job import NO_TEXT, TOO_LARGE, Job
from pypes_documents.plain import plain_text


def read(packet: Packet, job: Job) -> None:
    """Fill a packet with the text."""
    text = plain_text(job.take_text(packet))
    if not text.strip():
        raise Reject("the file has no text", NO_TEXT)
    if len(text) > job.bounds.max_chars:
        raise Reject(f"its text is longer than max_chars ({job.bounds.max_chars}); split it, or raise max_chars", TOO_LARGE)
    packet.set("text", text)
