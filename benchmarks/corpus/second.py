"""Second readers: other libraries that read the same files, to find out which words Pypes has missed."""

from __future__ import annotations

import email
import html.parser
import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Callable
from email import policy
from pathlib import Path
from typing import Any, Final, NamedTuple

#: Words are compared, since readers differ in white space, order and signs.
_WORD: Final = re.compile(r"\w+")
#: A word of running text: letters alone, three of them at least. Others are mostly of formulas, figures and numbers, whose signs
#: each reader puts together in another way.
_RUNNING: Final = re.compile(r"[^\W\d_]{3,}")


class Recall(NamedTuple):
    """The share of the words of a second reader that Pypes has as well: of all, and of those of running text, if it has any."""

    words: float
    running: float | None


def recall(path: Path, kind: str, text: str) -> Recall | None:
    """The share of the words that a second reader finds in a file which ``text`` has as well; ``None`` if it finds none."""
    read = READERS.get(kind, _plain)
    wanted = Counter(_WORD.findall(read(path.read_bytes()).lower()))
    found = Counter(_WORD.findall(text.lower()))
    words = _share(wanted, found)
    running = Counter({word: count for word, count in wanted.items() if _RUNNING.fullmatch(word)})
    return None if words is None else Recall(words, _share(running, found))


def _share(wanted: Counter[str], found: Counter[str]) -> float | None:
    total = sum(wanted.values())
    return sum((wanted & found).values()) / total if total else None


class _Page(html.parser.HTMLParser):
    """The text of a page, but for what no reader shows."""

    HIDDEN = frozenset({"script", "style", "noscript", "template", "head"})

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self._hidden += tag in self.HIDDEN
        # markup within a line does not end a word
        if tag not in ("a", "b", "i", "em", "strong", "code", "span", "tt", "sub", "sup", "font", "u", "wbr"):
            self.said.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in self.HIDDEN and self._hidden > 0
        if tag in ("p", "div", "td", "th", "li", "tr", "pre", "h1", "h2", "h3", "h4", "dt", "dd"):
            self.said.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.said.append(data)


def _html(data: bytes) -> str:
    page = _Page()
    page.feed(data.decode("utf-8", "replace"))
    page.close()
    return "".join(page.said)


def _pdf(data: bytes) -> str:
    import pypdfium2

    document = pypdfium2.PdfDocument(data)
    try:
        text = "\n".join(page.get_textpage().get_text_bounded() for page in document)
        # it marks the hyphen of a word that goes on in the next line, and leaves out the line end
        return text.replace("\x02", "")
    finally:
        document.close()


def _docx(data: bytes) -> str:
    import docx

    return "\n".join(paragraph.text for paragraph in docx.Document(io.BytesIO(data)).paragraphs)


def _pptx(data: bytes) -> str:
    import pptx

    slides = pptx.Presentation(io.BytesIO(data)).slides
    return "\n".join(shape.text_frame.text for slide in slides for shape in slide.shapes if shape.has_text_frame)


def _xlsx(data: bytes) -> str:
    import openpyxl

    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True)
    cells = (cell for sheet in book for row in sheet.iter_rows(values_only=True) for cell in row)
    return "\n".join(str(cell) for cell in cells if cell is not None)


def _epub(data: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        return "\n".join(
            _html(book.read(name)) for name in book.namelist() if name.endswith((".xhtml", ".html")) and "nav" not in name
        )


def _mail(data: bytes) -> str:
    message = email.message_from_bytes(data, policy=policy.default)
    body = message.get_body(("plain", "html"))
    if body is None:
        return ""
    try:
        content = body.get_content()
    except (LookupError, UnicodeError, KeyError):  # a character set that Python does not know
        return ""
    return _html(content.encode()) if body.get_content_type() == "text/html" else str(content)


def _json(data: bytes) -> str:
    said: list[str] = []

    def walk(value: Any) -> None:
        for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            walk(one)
        if isinstance(value, str):
            said.append(value)

    walk(json.loads(data))
    return "\n".join(said)


def _markdown(data: bytes) -> str:
    """The source without the addresses of links, comments and tags, which no reader sees."""
    return re.sub(r"\]\([^)]*\)|<!--.*?-->|<[^>\n]*>|^\[[^\]]*\]:.*$", " ", _plain(data), flags=re.M | re.S)


def _plain(data: bytes) -> str:
    return data.decode("utf-8", "replace")


READERS: Final[dict[str, Callable[[bytes], str]]] = {
    "html": _html,
    "pdf": _pdf,
    "docx": _docx,
    "pptx": _pptx,
    "xlsx": _xlsx,
    "epub": _epub,
    "mail": _mail,
    "markdown": _markdown,
    "json": _json,
}
