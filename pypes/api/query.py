"""Parameters of the query that several addresses have: pages, times, waits."""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime
from urllib.parse import unquote_to_bytes, urlencode

import orjson
from falcon.asgi import Response

from pypes.api.keys import check_keys
from pypes.api.operation import NAMES, TEXT, Parameter, Schema
from pypes.api.request import Request
from pypes.errors import BadRequest
from pypes.runtime.contracts.control import Page

#: Longest wait that is granted; proxies in between rarely have more patience.
MAX_WAIT_S = 60.0

#: Entries of a page, unless ``limit`` says otherwise, and at most.
PAGE = 100
MAX_PAGE = 1000

#: The year 10000, in seconds since the epoch: RFC 3339 has no later one, nor has the id of a receipt.
END_OF_TIME = 253_402_300_800.0

_OFFSET_WITHOUT_PLUS = re.compile(r" (\d\d:\d\d)$")

#: Part of the answer of a list.
UNANSWERED: dict[str, Schema] = {
    "unanswered": {**NAMES, "description": "Nodes of the fleet that did not answer: what they have is missing here."}
}

WAIT = Parameter(
    "wait", f"Seconds to wait until the receipt is finished, at most {MAX_WAIT_S:g}.", {"type": "number", "minimum": 0}
)
LIMIT = Parameter(
    "limit", f"Entries of a page, {PAGE} unless said otherwise.", {"type": "integer", "minimum": 1, "maximum": MAX_PAGE}
)
SINCE = Parameter(
    "since",
    "Only entries since this time: RFC 3339, or seconds since the epoch.",
    {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "number", "minimum": 0, "exclusiveMaximum": 253402300800}]},
)
UNTIL = Parameter("until", "Only entries before this time, as since.", SINCE.schema)
#: Lists that grow show what came last; the other order is for whoever reads all of it.
ORDER = Parameter("order", "newest first, unless oldest is asked for.", {"type": "string", "enum": ["newest", "oldest"]})
#: Of a list that is a plain array; where to go on stands in its header ``Link``.
LISTED = (
    Parameter(
        "limit", f"Entries of a page, {MAX_PAGE} unless said otherwise.", {"type": "integer", "minimum": 1, "maximum": MAX_PAGE}
    ),
    Parameter("after", "Continue after this entry: follow the Link of the previous page.", TEXT),
)
LINK = {"Link": 'The next page, rel="next", if there is one.'}
AFTER = Parameter("after", "Continue after this id: next of the previous page.", TEXT)


def invalid(name: str, message: str) -> BadRequest:
    """The refusal of a parameter."""
    return BadRequest(f"{name} must be {message}", code="request.invalid", where=name)


def check_names(req: Request, known: Collection[str]) -> None:
    """Refuse parameters that are not ``known``, where a mistyped one would list or delete more than is meant.

    So are those that are no UTF-8: other characters would stand in them. Raises :class:`BadRequest`.
    """
    check_keys(req.params, known, "parameter")
    for pair in req.query_string.split("&"):
        try:
            unquote_to_bytes(pair).decode()
        except UnicodeDecodeError as error:
            name = pair.partition("=")[0]
            raise BadRequest(f"{name} is no UTF-8 ({error.reason})", code="request.invalid", where=name) from error


def criterion_of(req: Request, name: str) -> str | None:
    """A criterion of a search, ``None`` if it was not given. Raises :class:`BadRequest` if it is empty.

    In a script that is a variable which was never set, and would make the search one for everything.
    """
    text: str | None = req.get_param(name)
    if text == "":
        raise invalid_empty(name)
    return text


def invalid_empty(name: str) -> BadRequest:
    """The refusal of a criterion that is empty."""
    return invalid(name, "a text that is not empty; leave the parameter out to match any value")


def choice_of(req: Request, name: str, options: Sequence[str]) -> str | None:
    """A parameter that is one of ``options``, ``None`` if it was not given. Raises :class:`BadRequest`."""
    text: str | None = req.get_param(name)
    if text is not None and text not in options:
        raise invalid(name, f"one of {', '.join(options)}")
    return text


def number_of(req: Request, name: str, default: int, least: int, most: int) -> int:
    """A parameter that is a whole number. Raises :class:`BadRequest`."""
    text: str | None = req.get_param(name)
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,18}", text) or not least <= int(text) <= most:
        raise invalid(name, f"a whole number from {least} to {most}")
    return int(text)


def is_newest_first(req: Request) -> bool:
    """True if the list begins with the newest entry. Raises :class:`BadRequest`."""
    return choice_of(req, "order", ("newest", "oldest")) != "oldest"


def limit_of(req: Request) -> int:
    """Largest number of entries on the page."""
    return number_of(req, "limit", PAGE, 1, MAX_PAGE)


async def answer_page(req: Request, resp: Response, page: Callable[..., Awaitable[Page]], after: str | int | None) -> None:
    """Answer with a page of a list of the supervisor: an array, with the address of the next page in ``Link`` (RFC 8288)."""
    limit = number_of(req, "limit", MAX_PAGE, 1, MAX_PAGE)
    found = await page(limit=limit, after=after)
    if found.next is not None:
        following = urlencode({"limit": limit, "after": found.next})
        resp.set_header("link", f'<{req.path}?{following}>; rel="next"')
    resp.data = orjson.dumps(found.entries)


def wait_of(req: Request) -> float:
    """Seconds to wait, cut to the granted maximum. Raises :class:`BadRequest`."""
    return seconds_of(req, "wait", MAX_WAIT_S)


def seconds_of(req: Request, name: str, most_s: float) -> float:
    """A parameter in seconds, 0 if there is none, cut to ``most_s``. Raises :class:`BadRequest`."""
    text: str | None = req.get_param(name)
    if not text:
        return 0.0
    try:
        given_s = float(text)
    except ValueError:
        given_s = math.nan
    if not given_s >= 0:
        raise invalid(name, "a number of seconds, such as 10")
    return min(given_s, most_s)


def since_of(text: str | None) -> float:
    """A time as seconds since the epoch, 0 if there is none. Raises :class:`BadRequest`."""
    return moment_of("since", text) if text else 0.0


def until_of(text: str | None) -> float:
    """A time as seconds since the epoch, 0 if there is none. Raises :class:`BadRequest`."""
    if not text:
        return 0.0
    moment = moment_of("until", text)
    if not moment:
        # 0 is no bound, and would widen a search
        raise invalid("until", "later than the epoch")
    return moment


def moment_of(name: str, text: str) -> float:
    """A time in a parameter of this name, as seconds since the epoch. Raises :class:`BadRequest`."""
    try:
        seconds = float(text)
    except ValueError:
        # a plus sign that was not escaped has become a blank
        seconds = _timestamp(_OFFSET_WITHOUT_PLUS.sub(r"+\1", text))
    if not 0 <= seconds < END_OF_TIME:
        raise invalid(name, "a time such as 2026-11-21T08:00:00Z, or seconds since the epoch")
    return seconds


def _timestamp(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
        # without an offset nobody knows which moment is meant
        return moment.timestamp() if moment.tzinfo is not None else math.nan
    except (ValueError, OverflowError):
        return math.nan


def missing(unanswered: Sequence[str]) -> dict[str, Sequence[str]]:
    """For an answer: the nodes that did not say what they have, if there are any."""
    return {"unanswered": unanswered} if unanswered else {}
