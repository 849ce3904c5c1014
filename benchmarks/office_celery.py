"""The other side of ``office_mix``: a task of Celery that reads the files of a POST, and has done with them."""

from __future__ import annotations

import io
import os
from typing import Any

import pypdf

from benchmarks.celery_app import front, tasks
from benchmarks.corpus import second
from benchmarks.files import read
from pypes import Packet
from pypes_documents.formats import format_of

_done: list[int] = []


def _read(name: str, media_type: str, data: bytes) -> None:
    """By the readers that Pypes has."""
    packet = Packet.from_document({"data": data}, {"mimetype": media_type, "filename": name})
    for found in read(format_of(packet), packet):
        assert found["text"]


def _read_by_libraries(name: str, media_type: str, data: bytes) -> None:
    """By pypdf, python-docx, python-pptx and openpyxl."""
    kind = name.rpartition(".")[2]
    if kind == "pdf":
        assert "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(data)).pages)
    else:
        assert second.READERS[kind](data)


def read_all(documents: list[tuple[str, str, bytes]]) -> None:
    """Read the files, and write a byte for each into the file that tells what is done."""
    if not _done:
        _done.append(os.open(os.environ["BENCH_DONE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT))
    reader = _read if os.environ["BENCH_READS"] == "readers" else _read_by_libraries
    for document in documents:
        reader(*document)
    os.write(_done[0], bytes(len(documents)))


queued: Any = tasks.task(read_all)
web = front(queued)
