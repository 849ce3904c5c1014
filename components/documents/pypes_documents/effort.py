"""Bounds on the parser's effort: markup that takes it minutes on large pages, where it cannot be stopped.

At most tags it looks through the elements that are open, at each attribute through those before it, and at each ``<option>``
through all of its ``<select>``. So long lists are made lists of no ``<select>``, and the open elements of pages that look deep
are followed here before they are parsed, roughly as the HTML standard has them ("tree construction"): what one start tag closes
of those before, and which end tags close nothing.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from typing import Final

#: Smaller pages are not looked at: the worst of them take the parser half a second.
SMALL_CHARS: Final = 64 * 1024
#: Elements and attributes that may be looked through, all in all: about a second. Real pages need a hundredth.
MOST_STEPS: Final = 100_000_000

#: So many options of one page are no work.
FEW_OPTIONS: Final = 500
_SELECT: Final = r"<(/?)select(?=[\t\n\f\r />])"
_SELECT_TEXT: Final = re.compile(_SELECT, re.IGNORECASE | re.ASCII)
_SELECT_BYTES: Final = re.compile(_SELECT.encode(), re.IGNORECASE)

#: Tags that stand alone, or that the next one of their kind ends: there are many on ordinary pages, and they do not nest.
_ALONE: Final = ("<br", "<img", "<input", "<!", "<p>", "<p ", "<li", "<td", "<tr", "<option", "<link", "<meta", "<hr")
_ENDS: Final = ("</p>", "</li", "</td", "</tr", "</option")

_ATTRIBUTE: Final = (
    r"""[\t\n\f\r /]*+(?:=[^\t\n\f\r />=]*+|[^\t\n\f\r />=]++)"""
    r"""(?:[\t\n\f\r ]*+=[\t\n\f\r ]*+(?:"[^"]*+"|'[^']*+'|[^\t\n\f\r >"'][^\t\n\f\r >]*+|))?+"""
)
_TOKEN: Final = re.compile(
    rf"<(?:!--(?:-?>|.*?(?:--!?>|\Z))|(/?)([a-zA-Z][^\t\n\f\r />]*+)((?:{_ATTRIBUTE})*+))", re.DOTALL | re.ASCII
)
_ONE_ATTRIBUTE: Final = re.compile(_ATTRIBUTE)
#: Fewer attributes than fit here are no work.
_LONG_TAG: Final = 8 * 1024

_VOID: Final = frozenset(
    [
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
        "keygen",
        "basefont",
        "bgsound",
        "frame",
    ]
)
_HEADINGS: Final = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_ROWS: Final = frozenset(("tbody", "thead", "tfoot", "caption", "colgroup"))
_ITEMS: Final = frozenset(("li", "dd", "dt"))
#: Elements that end the search for one to close: outside of these, nothing is closed.
_SCOPES: Final = frozenset(
    ["applet", "caption", "html", "table", "td", "th", "marquee", "object", "template", "foreignobject", "svg", "math"]
)
#: Elements that the end tag of an ordinary one does not reach beyond.
_SPECIAL: Final = (
    _SCOPES
    | _HEADINGS
    | _ROWS
    | _ITEMS
    | frozenset(
        [
            "address",
            "article",
            "aside",
            "blockquote",
            "body",
            "button",
            "center",
            "details",
            "dir",
            "div",
            "dl",
            "fieldset",
            "figcaption",
            "figure",
            "footer",
            "form",
            "frameset",
            "head",
            "header",
            "hgroup",
            "iframe",
            "listing",
            "main",
            "menu",
            "nav",
            "noembed",
            "noframes",
            "noscript",
            "ol",
            "p",
            "plaintext",
            "pre",
            "search",
            "section",
            "select",
            "script",
            "style",
            "summary",
            "textarea",
            "title",
            "tr",
            "ul",
            "xmp",
        ]
    )
)
#: Their end tags close them alone: what was opened within stays open.
_FORMATTING: Final = frozenset(
    ["a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u", "form"]
)
_RAW: Final = frozenset(("script", "style"))


def eased(source: str | bytes) -> str | bytes:
    """The source of a page; where it has many options, with lists of another name around them, which changes no text."""
    if len(source) < SMALL_CHARS // 8:
        return source
    if isinstance(source, str):
        many = source.count("<option") + source.count("<OPTION") > FEW_OPTIONS
        return _SELECT_TEXT.sub(r"<\1x-select", source) if many else source
    many = source.count(b"<option") + source.count(b"<OPTION") > FEW_OPTIONS
    return _SELECT_BYTES.sub(rb"<\1x-select", source) if many else source


def _looks_deep(page: str, alone: Sequence[str] = (), ends: Sequence[str] = ()) -> bool:
    """True unless start tags without end tags, those in ``alone`` left out, are too few to be work, and no tag is long.

    ``ends`` are the end tags of what is left out.
    """
    depth = steps = 0
    for at in range(0, len(page), SMALL_CHARS):
        end = at + SMALL_CHARS
        tags = page.count("<", at, end)
        depth += tags - 2 * page.count("</", at, end) - sum(page.count(tag, at, end) for tag in alone)
        depth = max(0, depth + sum(page.count(tag, at, end) for tag in ends))
        steps += tags * depth
        if steps > MOST_STEPS or page.find(">", at, end) < 0:
            return True
    return False


def is_too_nested(source: str | bytes) -> bool:
    """True if the parser would take more than :data:`MOST_STEPS` over a page.

    GAP: pages made to look flat (end tags that end nothing, within comments) are not looked at.
    """
    if len(source) < SMALL_CHARS:
        return False
    page = source if isinstance(source, str) else source.decode("latin-1")
    # PERF: counting takes a hundredth of the parser's time, and is enough for nearly all pages
    if not (_looks_deep(page) and _looks_deep(page, _ALONE, _ENDS)):
        return False
    open_elements = _Open()
    raw = ""
    for token in _TOKEN.finditer(page):
        slash, name, attributes = token.groups()
        if not name:
            continue
        name = name.lower()
        if raw:
            raw = raw if name != raw or not slash else ""
            continue
        if slash:
            open_elements.end(name)
        else:
            open_elements.start(name)
            if len(attributes) > _LONG_TAG:
                open_elements.steps += sum(1 for _ in _ONE_ATTRIBUTE.finditer(attributes)) ** 2 // 2
            if name in _RAW and not open_elements.is_foreign:
                raw = name
        if open_elements.steps > MOST_STEPS:
            return True
    return False


class _Open:
    """The elements that are open, and the steps that it took the parser to look through them."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.steps = 0

    @property
    def is_foreign(self) -> bool:
        return "svg" in self.names or "math" in self.names

    def start(self, name: str) -> None:
        names = self.names
        self.steps += len(names)
        if name in _ITEMS:
            self._close(("li",) if name == "li" else ("dd", "dt"), _SPECIAL - {"address", "div", "p"})
        elif name == "tr" or name in _ROWS:
            self._close(("tr",) if name == "tr" else _ROWS, ("table", "template"))
        elif name in ("td", "th"):
            self._close(("td", "th"), ("tr", "table", "template"))
        elif name in ("a", "nobr"):
            self._close((name,), _SCOPES, alone=True)
        elif names and ((name in _HEADINGS and names[-1] in _HEADINGS) or (name in ("option", "rt", "rp") and names[-1] == name)):
            names.pop()
        elif name == "button":
            self._close(("button",), _SCOPES)
        if name in _SPECIAL and name not in _SCOPES:
            self._close(("p",), _SPECIAL)
        if name not in _VOID:
            names.append(name)

    def end(self, name: str) -> None:
        if name in _FORMATTING:
            self._close((name,), _SCOPES, alone=True)
        elif name in ("td", "th", "tr", "table", "svg", "math") or name in _ROWS:
            self._close((name,), ("table", "template"))
        else:
            self._close((name,), _SCOPES if name in _SPECIAL else _SPECIAL)

    def _close(self, wanted: Container[str], until: Container[str], *, alone: bool = False) -> None:
        """Close the innermost of these elements with all in it, unless one of ``until`` lies between."""
        names = self.names
        for place in range(len(names) - 1, -1, -1):
            if names[place] in wanted:
                if alone:
                    del names[place]
                else:
                    del names[place:]
                return
            if names[place] in until:
                return
            self.steps += 10  # they are more to us than to the parser
