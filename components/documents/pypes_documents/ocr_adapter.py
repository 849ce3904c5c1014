"""OCR: the text in pictures."""

from __future__ import annotations

import base64
from typing import ClassVar, Final

from pypes import Example, Packet
from pypes_documents.file_adapter import FileAdapter
from pypes_documents.job import Job, TextBounds
from pypes_documents.ocr import Languages, PageS, Recognizer, check

#: A picture of some words.
_PICTURE: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAANYAAAAwAQAAAABFhbkcAAABc0lEQVR42u2TvW7UQBSFv7meeEcoCqZIvwUPEGj4USRc8xA8BYUjRWSiSBGPkY"
    "egBMkrQGkoUiDqJEuxHXayxawZz6VYa0FIbhBlbnOLT/fnHOkYZax6Ybzu2D+xqxJAPcDiL3Z2AZAAiH8yi56a8Z3P3o+yVE5HWWRnfKeXVfG5"
    "LNSijkIdFsEO+rYXIfbLlEhdv0yd9qraA5nvLV9faffw3jv3c/m0efl6q5s9n3XfS0Vb1fP5x7Y5CNqGq7YNVdyPVTrSKACusOLCFlhxYo1E8d"
    "SDn3uJxk4EydBGgrHHxmy8bgDKdaPm8iysNSispoD99FvYta7nHCwKkCxtmDkavIab+eU3Ej8GUjKtDnTwhS8AbHv6Aef1+p4dXriBAiiS0xUT"
    "LUGgvqZhJwIpQmKTOqP6oHKP80fhrZ+swu0uWA8gsw+ocr8254EKDWYegolEDnnzIgr4YvqEPM8zbA65ZCYzJ8aDUbp8JNPmLu//lf0CAfSa2Z"
    "NrO2IAAAAASUVORK5CYII="
)


class OCR(FileAdapter):
    """Recognize the text in pictures (PNG, JPEG, TIFF, BMP, WebP, GIF), by the program tesseract.

    ``text`` has the paragraphs with their page, and ``pages`` is 1, or the pages of a TIFF; metadata ``pages_ocr`` says that the
    text was recognized, and ``pages_lost`` names the pages of a TIFF that cannot be read.

    Dead letters: ``document.no_text``, ``document.malformed``, ``document.too_large`` (also for a picture that takes longer than
    ``ocr_page_s``).
    """

    icon = "scan-text"
    tags = ("format", "picture")
    reader = "ocr_reader"
    example = Example(
        takes=Packet({"data": base64.b64decode(_PICTURE)}),
        gives=Packet({"text": "Cards choose.", "pages": 1}, {"pages_ocr": [1]}),
    )
    accepts: ClassVar[tuple[str, ...]] = ("image/png", "image/jpeg", "image/tiff", "image/bmp", "image/webp", "image/gif")

    class Params(TextBounds):
        ocr_languages: Languages = "eng"
        ocr_page_s: PageS = 30.0

    def setup(self) -> None:
        check(needs_pdfium=False)
        super().setup()

    def job(self) -> Job:
        return Job(self.params, recognizer=Recognizer(self.params.ocr_languages, self.params.ocr_page_s))
