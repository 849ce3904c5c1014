"""Recognition of text in pictures, by the program tesseract of the system."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from typing import Annotated, Final, Literal

from pypes import Help, Reject
from pypes_documents.job import MALFORMED, TOO_LARGE

INSTALL: Final = "apt-get install tesseract-ocr"
#: Parameters that adapters have in common.
Wanted = Annotated[
    Literal["never", "auto"],
    Help("auto: the text of pages and files that are pictures is recognized, by the program tesseract; a second for a page."),
]
PageS = Annotated[float, Help("Longest recognition of one picture, in seconds.", gt=0, le=3600)]
Languages = Annotated[
    str,
    Help(
        "Languages of texts in pictures, as tesseract calls them, with a + between; each is a package (tesseract-ocr-deu).",
        pattern=r"^[A-Za-z_]+(\+[A-Za-z_]+)*$",
    ),
]
_ENDS: Final = re.compile(r"[^\S\n]+$", re.MULTILINE)


#: The beginnings of pictures, as complete as leptonica compares them: what it does not know, tesseract takes for a list of the
#: names of files, which it opens.
_MARKS: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"GIF87a", b"GIF89a")
#: The beginning of a page that was drawn here.
_GREY: Final = b"P5 "


def is_picture(head: bytes) -> bool:
    """True for what begins as a PNG, JPEG, TIFF, BMP, WebP or GIF."""
    if head.startswith(b"BM"):
        return head[6:10] == bytes(4)
    return head.startswith(_MARKS) or (head.startswith(b"RIFF") and head[8:12] == b"WEBP")


class Recognizer:
    """Tesseract with its settings."""

    def __init__(self, languages: str, page_s: float) -> None:
        self._languages = languages
        self._page_s = page_s

    def texts(self, picture: bytes) -> list[str]:
        """The text of each page of a picture in any format that leptonica reads. Raises ``Reject`` where it cannot be read."""
        if not is_picture(picture) and not picture.startswith(_GREY):
            raise Reject("it is no PNG, JPEG, TIFF, BMP, WebP or GIF", MALFORMED)
        # the time limit is another program's: it also holds when this process is killed meanwhile
        command = ["timeout", "-k", "1", f"{self._page_s:.3f}", "tesseract", "-", "-", "-l", self._languages]
        environ = {**os.environ, "OMP_THREAD_LIMIT": "1"}
        done = subprocess.run(command, input=picture, capture_output=True, env=environ, check=False)
        if done.returncode in (124, 137):
            raise Reject(f"text in a picture was not recognized within ocr_page_s ({self._page_s:g} s)", TOO_LARGE)
        if done.returncode:
            said = " ".join(done.stderr.decode("utf-8", "replace").split())
            raise Reject(f"tesseract cannot read the picture: {said[-400:]}", MALFORMED)
        found = _ENDS.sub("", done.stdout.decode("utf-8", "replace")).split("\f")
        return found[:-1] if not found[-1].strip() else found


def check(*, needs_pdfium: bool) -> None:
    """Raise ``ValueError`` if what recognition needs is not installed."""
    if shutil.which("tesseract") is None:
        raise ValueError(f"ocr needs the program tesseract, not installed here; run {INSTALL}")
    if needs_pdfium and find_spec("pypdfium2") is None:
        raise ValueError("ocr of PDF needs pypdfium2, not installed here; run pip install 'pypes-documents[ocr]'")


#: Gives the picture of a page, ``None`` for a page without pictures.
Draw = Callable[[int], bytes | None]
