"""The running text of a page: where its words end.

Markup within a line does not end a word (``<b>W</b>elcome``, ``super<wbr>market``); blocks, cells, list items and ``<br>`` do.
The parser puts together the text of a page, but does not know of lines. So a gap is set behind each word that a tag ends, before
the page is parsed: white space there changes nothing about the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from selectolax.lexbor import LexborNode

from pypes_basic.line_breaks import unbroken

#: White space in HTML as in Python, and in no attribute that is meant to be read.
SPACE: Final = "\f"

#: Elements that a reader does not see.
_INVISIBLE: Final = ("script", "style", "noscript", "template", "svg")
#: Selects that, and what is not read in one line.
OUT_OF_LINE: Final = ", ".join((*_INVISIBLE, "ruby"))

#: Elements that stand within a line. All others part words: also those that HTML does not know, which are mostly boxes.
#: PERF: names that begin alike are told apart behind what they share.
_IN_LINE: Final = (
    "a(?:bbr|cronym)?|b(?:d[io]|ig)?|c(?:ode|ite)|d(?:ata|el|fn)|em|font|i(?:ns)?|kbd|label|mark|nobr|output|q|r(?:[btp]|tc|uby)"
    "|s(?:amp|mall|pan|trike|trong|u[bp])?|t(?:ime|t)|u|var|wbr"
)
# PERF: to ignore case in all names would take twice as long, so it is ignored in those that begin with a capital.
_NAME: Final = rf"(?:{_IN_LINE}|(?=[A-Z])(?i:{_IN_LINE}))"
_ATTRIBUTES: Final = r"""[^<>=]*+(?:=\s*+(?:"[^"]*+"|'[^']*+')?+[^<>=]*+)*+"""
#: Longer ones end a word: those that programs set within words are short, and a page may be nothing but their beginnings.
_COMMENT: Final = r"!(?>--[\s\S]{0,100}?--|[^<>]{0,100})>|\?[^<>]{0,100}>"
#: Markup that may stand within a word, from behind its bracket.
_JOINING: Final = rf"(?:/?+{_NAME}(?:>|[\s/]{_ATTRIBUTES}>)|{_COMMENT})"
# A bracket that a word stands in front of; unless an element ends here and white space follows, as mostly, or all tags up to the
# next text are joining ones. PERF: what stands in front is looked for behind the bracket: a pattern that begins with the bracket
# finds it fastest. Nothing once matched is given back (``+`` behind a quantifier, ``?>`` for a group): one pass over the page.
_PARTING: Final = rf"<(?<=[^\s>]<)(?!/\w++>\s|[^a-zA-Z/!?]|{_JOINING}(?:<{_JOINING})*+(?!<[a-zA-Z/]))"
_JOINING_TAG: Final = re.compile(f"<{_JOINING}", re.ASCII)
_PARTING_TEXT: Final = re.compile(_PARTING, re.ASCII)
_PARTING_BYTES: Final = re.compile(_PARTING.encode())


def is_joining(markup: str) -> bool:
    """True for a tag, or a comment, that does not end a word."""
    return _JOINING_TAG.fullmatch(markup) is not None


def spaced(source: str | bytes) -> str | bytes:
    """The source of a page with a gap behind each word that the tags behind it end.

    One gap will do for all tags between two words, and none is set where white space stands already. GAP: nor is one behind a
    ``>`` that is no tag's but written as itself (``&lt;x></td>``), which parts words anyhow; and white space between texts in a
    table but in none of its cells stands elsewhere, once it is parsed.
    """
    if isinstance(source, str):
        return f"{SPACE}<".join(_PARTING_TEXT.split(source))
    return b"\f<".join(_PARTING_BYTES.split(source))


def plain(text: str) -> str:
    """Text with single spaces, and without marks of where a line may break."""
    return " ".join(unbroken(text).split())


def take_out(nodes: Iterable[LexborNode]) -> None:
    """Take what is not seen out of the tree of a page whose source was spaced; ``nodes`` has all that is :data:`OUT_OF_LINE`."""
    for node in nodes:
        if node.tag == "ruby":
            _set_beside(node)
        elif node.tag in _INVISIBLE:
            node.decompose(recursive=False)


def _set_beside(ruby: LexborNode) -> None:
    """Move the readings above a line of characters to their end: a word below several readings is still one."""
    above = ruby.css("rt, rp")
    readings = "".join(node.text() for node in above if node.tag == "rt")
    for node in above:
        node.decompose(recursive=False)
    ruby.insert_after(f" {readings} ")
