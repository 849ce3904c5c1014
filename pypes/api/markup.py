"""HTML of the page at ``/``: text made harmless, tables, and whole documents with the headers that keep them so.

Nothing in a document is run or fetched: no script, no image but the icon in it, one style sheet that is known by its hash.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from string import Template
from typing import Final

import falcon.asgi

from pypes.observe.picture import BAD, GOOD, Table

_FILES = files("pypes.api") / "html"
_PAGE: Final = Template((_FILES / "page.html").read_text(encoding="utf-8"))
_STYLE: Final = (_FILES / "page.css").read_text(encoding="utf-8")
_STYLE_HASH: Final = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

#: Columns whose text is long: on a narrow screen they take the room of two.
_WIDE: Final = frozenset({"Code", "Latest", "Graphs", "Filters"})

#: Columns of words that are broken only where they would not fit into the page.
_WHOLE: Final = frozenset({"Graph", "Filter", "State", "Level"})

#: Meanings of headings that do not say it themselves.
_MEANINGS: Final[Mapping[str, str]] = {
    "Busy": "The share of the time of the instances that run the graph, or of the pool; of a pool, those at work",
    "Calls": "The share of a second for which calls beside the graph are waited for; calls at once add up",
    "Parked": "The share of a second for which the filter rests, or waits for the next one",
    "Leased": "Handed to an instance, and not done: at work there, or waiting there for a filter",
    "Later": "To be tried again after a pause",
    "Lost": "Processes that ended unasked",
}

MEDIA_TYPE: Final = "text/html; charset=utf-8"

HEADERS: Final[Mapping[str, str]] = {
    "cache-control": "no-store",
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    # with no-referrer a browser sends the origin null with forms, as pages do that have no right to
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


def text(value: str) -> str:
    """Text from anywhere, as it stands in HTML; what is not printable becomes a blank."""
    return escape("".join(c if c.isprintable() else " " for c in value))


def answer(resp: falcon.asgi.Response, page: bytes, status: int | None = None) -> None:
    """Answer with a page."""
    if status is not None:
        resp.status = status
    if status == 401:
        resp.set_header("www-authenticate", 'Bearer realm="pypes"')
    resp.set_headers(dict(HEADERS))
    resp.content_type = MEDIA_TYPE
    resp.data = page


def document(title: str, body: str, refresh_s: int = 0, again: str = "") -> bytes:
    """A whole page with ``body`` in it, which is HTML already.

    After ``refresh_s`` seconds a browser fetches it again, from ``again`` if that is given; 0: never.
    """
    address = f"; url={text(again)}" if again else ""
    refresh = f'<meta http-equiv="refresh" content="{refresh_s}{address}">' if refresh_s else ""
    return _PAGE.substitute(title=text(title), refresh=refresh, style=_STYLE, body=body).encode()


def state(value: str) -> str:
    """A state, with a colour beside the word."""
    return f'<span class="state {_kind(value)}">{text(value)}</span>'


def table(shown: Table) -> str:
    """A table; on a narrow screen each row is a card, whose roles are then still those of a table."""
    if not shown.rows:
        return f"<section><h2>{text(shown.title)}</h2><p>{text(shown.empty)}</p></section>" if shown.empty else ""
    heads = "".join(
        f'<th scope="col" role="columnheader"{_classes(heading, shown)}{_title(heading)}>{text(heading)}</th>'
        for heading in shown.headings
    )
    rows = "".join(_row(shown, row) for row in shown.rows)
    return (
        f'<section><table role="table"><caption>{text(shown.title)}</caption>'
        f'<thead role="rowgroup"><tr role="row">{heads}</tr></thead><tbody role="rowgroup">{rows}</tbody></table></section>'
    )


def _row(shown: Table, row: tuple[str, ...]) -> str:
    cells = []
    for position, (heading, value) in enumerate(zip(shown.headings, row, strict=True)):
        attributes = f'{_classes(heading, shown)} data-heading="{text(heading)}"'
        inner = state(value) if heading == "State" else text(value)
        cells.append(
            f'<td role="cell"{attributes}>{inner}</td>'
            if position
            else f'<th scope="row" role="rowheader"{attributes}>{inner}</th>'
        )
    return f'<tr role="row">{"".join(cells)}</tr>'


def _title(heading: str) -> str:
    return f' title="{text(_MEANINGS[heading])}"' if heading in _MEANINGS else ""


def _classes(heading: str, shown: Table) -> str:
    kind = "number" if heading in shown.numbers else "wide" if heading in _WIDE else "whole" if heading in _WHOLE else ""
    return f' class="{kind}"' if kind else ""


def _kind(value: str) -> str:
    return "good" if value in GOOD else "bad" if value in BAD else "pass"
