"""Errors as problem documents (RFC 9457), and the one mapping from errors to HTTP statuses."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import falcon
import falcon.asgi
import orjson

from pypes import errors
from pypes.api import former
from pypes.api.counting import REASON
from pypes.api.request import Disconnected, Request
from pypes.core.secrets import masked
from pypes.errors import Problem, PypesError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

#: Status of every class of errors; a subclass that is not listed has the status of its nearest ancestor.
STATUSES: Mapping[type[Exception], int] = {
    errors.InvalidInput: 422,
    errors.BadRequest: 400,
    errors.UnsupportedMedia: 415,
    errors.TooLarge: 413,
    errors.NotFound: 404,
    errors.Gone: 410,
    errors.Conflict: 409,
    errors.Changed: 412,
    errors.Unconditional: 428,
    errors.Forbidden: 403,
    errors.Unauthorized: 401,
    errors.Unavailable: 503,
    errors.QueueFull: 429,
    errors.OverBudget: 429,
    errors.LettersFull: 507,
    errors.DiskFull: 507,
    # the graph was understood, but cannot be put to work as it is
    errors.ComponentError: 409,
    errors.StoreError: 503,
    errors.StoreFull: 507,
    PypesError: 500,
}

#: Codes of what the HTTP layer itself refuses.
_HTTP_CODES = {
    400: "http.bad_request",
    401: "token.invalid",
    404: "http.not_found",
    405: "http.method_not_allowed",
    413: "ingest.too_large",
    415: "http.unsupported_media",
}

#: A hint to what may be called in place of a method that an address (its template) does not take.
Hints = Callable[[str, str], str]

#: After this many seconds a client may try again what failed for lack of a working disk.
_STORE_RETRY_S = 5


def status_of(error: type[PypesError]) -> int:
    """HTTP status of a class of errors."""
    return next(STATUSES[cls] for cls in error.__mro__ if cls in STATUSES)


def document(
    status: int, code: str, detail: str, where: str = "", problems: tuple[Problem, ...] = (), limit: str = ""
) -> dict[str, Any]:
    """A problem document as plain JSON values; its fields are documented in ``openapi.PROBLEM``."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    if where:
        body["where"] = where
    if limit:
        body["limit"] = limit
    if problems:
        body["errors"] = [problem.to_obj() for problem in problems]
    # whatever an error repeats of what was sent
    return masked(body)  # type: ignore[no-any-return]


def document_of(error: PypesError, status: int) -> dict[str, Any]:
    """The problem document of an error."""
    limit = error.limit if isinstance(error, (errors.QueueFull, errors.OverBudget)) else ""
    return document(status, error.code, error.message, error.where, error.problems, limit)


def headers_of(error: PypesError) -> dict[str, str]:
    """Header fields beside the problem document: the time to retry after, the end of the connection, how to be let in."""
    headers = {}
    if isinstance(error, errors.Unavailable):
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after_s)))
    elif isinstance(error, errors.StoreError):
        headers["retry-after"] = str(_STORE_RETRY_S)
    if isinstance(error, errors.Draining):
        headers["connection"] = "close"
    if isinstance(error, errors.Unauthorized):
        headers["www-authenticate"] = 'Bearer realm="pypes"'
    return headers


def raw(
    error: PypesError, status: int | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, header fields and body of the answer to a request that failed."""
    status = status or status_of(type(error))
    body = orjson.dumps(document_of(error, status))
    fields = {"content-type": MEDIA_TYPE, "content-length": str(len(body)), **headers_of(error), **(headers or {})}
    return status, [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()], body


def last(status: int, code: str, detail: str, headers: Mapping[str, str]) -> bytes:
    """An answer in HTTP/1.1, with a problem document, behind which the connection ends."""
    found = document(status, code, detail)
    body = orjson.dumps(found)
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status} {found['title']}\r\nconnection: close\r\ncontent-type: {MEDIA_TYPE}\r\n{more}"
    return b"%bcontent-length: %d\r\n\r\n%b" % (head.encode(), len(body), body)


async def send(send: Any, error: PypesError, status: int | None = None, headers: Mapping[str, str] | None = None) -> None:
    """Answer a request with a problem document without the help of Falcon."""
    status, fields, body = raw(error, status, headers)
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


def bug(error: BaseException) -> errors.InternalError:
    """The answer to a request in which something failed that must not."""
    return errors.InternalError(f"{type(error).__name__}: this is a bug of the server; the log of the server has the traceback")


async def _on_pypes_error(req: Request, resp: falcon.asgi.Response, error: PypesError, params: Any) -> None:
    status = status_of(type(error))
    if status >= 500 and not isinstance(error, errors.Unavailable):
        log.error("request failed", extra={"path": req.path, "code": error.code, "error": str(error)}, exc_info=error)
    req.scope[REASON] = error
    answer(resp, document_of(error, status), headers_of(error))
    # what is over a budget is not read either
    if isinstance(error, errors.OverBudget) and not req.is_read:
        resp.set_header("connection", "close")
    else:
        await _clear(req, resp)


async def _on_http_error(
    hints: Hints | None, req: Request, resp: falcon.asgi.Response, error: falcon.HTTPError, params: Any
) -> None:
    status = error.status_code
    if status == 404:
        today = former.today(req.path)
        detail = f"no resource has the address {req.path}; {today or '/openapi.json lists what there is'}"
    elif status == 405:
        allowed = error.headers.get("Allow", "") if isinstance(error.headers, dict) else ""
        hint = hints(req.uri_template, req.method) if hints is not None and req.uri_template else ""
        detail = f"{req.method} is not possible at this address, which takes {allowed}{f': {hint}' if hint else ''}"
    else:
        detail = error.description or error.title or HTTPStatus(status).phrase
    headers = dict(error.headers or {})
    answer(resp, document(status, _HTTP_CODES.get(status, f"http.{status}"), detail), headers)
    await _clear(req, resp)


async def _on_bug(req: Request, resp: falcon.asgi.Response, error: Exception, params: Any) -> None:
    log.error("request failed", extra={"method": req.method, "path": req.path}, exc_info=error)
    answer(resp, document_of(bug(error), 500), {})
    await _clear(req, resp)


async def _on_disconnected(req: Request, resp: falcon.asgi.Response, error: Disconnected, params: Any) -> None:
    # nobody is left to answer to, but a response ends the exchange
    answer(resp, document(400, "http.disconnected", "the client went away before the body was complete"), {"connection": "close"})


def answer(resp: falcon.asgi.Response, body: Mapping[str, Any], headers: Mapping[str, str]) -> None:
    """Answer with a problem document."""
    resp.status = body["status"]
    resp.content_type = MEDIA_TYPE
    resp.data = orjson.dumps(body)
    resp.set_headers(dict(headers))


async def _clear(req: Request, resp: falcon.asgi.Response) -> None:
    """Read the rest of the body, so that the client gets to read the answer; give up on a rest that is too long."""
    if not await req.discard():
        resp.set_header("connection", "close")


def install(app: falcon.asgi.App[Any, Any], hints: Hints | None = None) -> None:
    """Answer every error with a problem document; ``hints`` are for methods that an address does not take."""

    async def on_http_error(req: Request, resp: falcon.asgi.Response, error: falcon.HTTPError, params: Any) -> None:
        await _on_http_error(hints, req, resp, error, params)

    handlers: list[tuple[type[Exception], Any]] = [
        (Exception, _on_bug),
        (falcon.HTTPError, on_http_error),
        (PypesError, _on_pypes_error),
        (Disconnected, _on_disconnected),
    ]
    for error, handler in handlers:
        app.add_error_handler(error, handler)
