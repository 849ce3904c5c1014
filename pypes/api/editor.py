"""``/`` and ``/static``: the visual editor, a page that asks this interface for all that it shows.

Its files are built from ``ui/``. Browsers keep them, and ask each time whether they are still the same.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Final

import falcon.asgi

from pypes.access.client import NOBODY
from pypes.api.markup import HEADERS, MEDIA_TYPE
from pypes.api.operation import OPEN, TEXT, Answer, operation
from pypes.api.request import Request
from pypes.api.sessions import Sessions
from pypes.api.signin import HTML, is_turned_away
from pypes.errors import NotFound

_STATIC: Final = files("pypes.web") / "static"
_PAGE: Final = "index.html"
_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "html": MEDIA_TYPE,
    "js": "text/javascript; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "woff2": "font/woff2",
}
#: Compressed in themselves.
_PACKED: Final = frozenset({"woff2"})

#: The editor runs its own script, in its own style, and speaks with its own node. Texts that scripts make HTML of are refused.
_CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_KEPT: Final = {"cache-control": "no-cache", "x-content-type-options": "nosniff", "cross-origin-resource-policy": "same-origin"}


@dataclass(frozen=True)
class _File:
    """A file of the editor."""

    media_type: str
    data: bytes

    @cached_property
    def packed(self) -> bytes:
        return gzip.compress(self.data, mtime=0)

    @cached_property
    def tag(self) -> str:
        return f'"{hashlib.sha256(self.data).hexdigest()[:20]}"'


@cache
def _file(name: str) -> _File | None:
    """A file by its name; there are few, so all that were asked for are kept."""
    media_type = _TYPES.get(name.rpartition(".")[2])
    if media_type is None or name not in _names():
        return None
    return _File(media_type, (_STATIC / name).read_bytes())


@cache
def _names() -> frozenset[str]:
    return frozenset(each.name for each in _STATIC.iterdir())


class Editor:
    """The page, and its files."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    @operation(
        "The visual editor, for browsers",
        {
            200: Answer("The page; it needs a script, and asks this interface for what it shows.", TEXT, media=HTML),
            304: Answer("It is what If-None-Match says."),
            403: Answer("What the token may do instead, to a browser; otherwise a problem.", TEXT, media=HTML),
        },
        scope="read",
        checks_itself=True,
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        # it asks for a token by itself: no server is told what stands behind the # of an address,
        # and browsers send no cookie with links of other sites
        if req.client is not NOBODY and is_turned_away(req, resp, self._sessions):
            return
        page = _file(_PAGE)
        assert page is not None
        _send(req, resp, page)
        resp.set_headers({**HEADERS, "cache-control": "no-cache", "content-security-policy": _CSP})

    on_head = on_get

    @operation(
        "A file of the visual editor; it tells nothing of the node",
        {
            200: Answer("The file.", TEXT, {"ETag": "Changes with the file."}, media="text/javascript"),
            304: Answer("It is what If-None-Match says."),
        },
        errors={404: "No such file."},
        scope=OPEN,
    )
    async def on_get_static(self, req: Request, resp: falcon.asgi.Response, file: str) -> None:
        found = _file(file) if file in _names() else None
        if found is None:
            raise NotFound(f"the editor has no file {file!r}", code="editor.no_file", where=file)
        _send(req, resp, found)
        resp.set_headers(_KEPT)

    on_head_static = on_get_static


def _send(req: Request, resp: falcon.asgi.Response, file: _File) -> None:
    # one tag for both forms would be one for different bytes
    is_packed = file.media_type.rpartition("/")[2] not in _PACKED and b"gzip" in req.header(b"accept-encoding").encode()
    tag = f'{file.tag[:-1]}-gz"' if is_packed else file.tag
    resp.set_header("etag", tag)
    resp.set_header("vary", "accept-encoding")
    if tag in req.header(b"if-none-match"):
        resp.status = 304
        return
    resp.content_type = file.media_type
    if is_packed:
        resp.set_header("content-encoding", "gzip")
    resp.data = file.packed if is_packed else file.data
