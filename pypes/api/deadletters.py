"""``/deadletters``: documents that could not be processed, to be looked at, mended, replayed and deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import falcon.asgi
import orjson

from pypes.api.change import cause_of
from pypes.api.keys import check_keys
from pypes.api.letters import GROUP, LETTER, PACKET, POSTED, WHOLE_LETTER, counted, document, edited, listed, whole
from pypes.api.operation import COUNT, TEXT, TIME, Answer, Parameter, Schema, obj, operation
from pypes.api.options import TRACED, is_traced
from pypes.api.query import (
    AFTER,
    LIMIT,
    ORDER,
    SINCE,
    UNANSWERED,
    UNTIL,
    check_names,
    choice_of,
    criterion_of,
    invalid,
    invalid_empty,
    is_newest_first,
    limit_of,
    missing,
    number_of,
    since_of,
    until_of,
)
from pypes.api.receipts import BUSY, GRAPH, MAX_INDEX, MAYBE_TEXT, SOUGHT
from pypes.api.request import Request
from pypes.core.clock import wall
from pypes.core.limits import MIB
from pypes.errors import BadRequest, InvalidInput
from pypes.ingest.deadletter import STEPS, History, KeptLetter, LetterQuery
from pypes.ingest.receipt import rfc3339
from pypes.packet import Packet
from pypes.runtime.worker.records import no_letter

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

#: Longest body of a request here: an edited packet.
MAX_PACKET_BYTES = 64 * MIB

#: Dead letters that one request replays, unless it says otherwise, and at most.
REPLAYED = 1000
MAX_REPLAYED = 10_000

#: Seconds of a history, at least and at most.
MIN_HISTORY_S = STEPS
MAX_HISTORY_S = 90 * 86_400

FROM: Schema = {"type": "string", "enum": ["filter", "start"]}
#: Only there where a replay from the start left edits behind.
EDITS: dict[str, Schema] = {"edits_forgotten": COUNT}
ACCEPTED = Answer(
    "It is a delivery again. edits_forgotten: so many of the dead letters that went had been edited, and a document runs from "
    "the start as it was received.",
    obj(EDITS, receipt=TEXT),
    {"Location": "Address of the receipt of the new delivery."},
)
CRITERIA = (
    GRAPH,
    Parameter("filter", "Only dead letters that failed in this filter.", SOUGHT),
    Parameter("code", "Only dead letters with this error code.", SOUGHT),
    Parameter("receipt", "Only dead letters of the delivery with this receipt.", SOUGHT),
    Parameter("id", "Only dead letters of the document with this id.", SOUGHT),
    Parameter("file", "Only dead letters of the file with this name.", SOUGHT),
    Parameter("route", "Only dead letters of documents with this route.", SOUGHT),
    Parameter("index", "Only those of the document with this ordinal in its delivery; use it with receipt.", COUNT),
    SINCE,
    UNTIL,
)
#: Criteria that are texts, as they are asked for, and their names in a :class:`LetterQuery`.
TEXTS = {
    "graph": "graph",
    "filter": "filter",
    "code": "code",
    "receipt": "receipt",
    "id": "document",
    "file": "file",
    "route": "route",
}
UNKNOWN = "No such dead letter; it may have been replayed or deleted."
NOT_KEPT = "The body or packet to replay is not kept: the body was too large, or the packet is gone."
FULL = "The queue is full."
NO_ROOM = "The disk is full."


class DeadLetters:
    """``/deadletters``, ``/deadletters/replay``, ``/deadletters/{id}``, and ``posted`` and ``replay`` of one."""

    def __init__(self, worker: IngestWorker) -> None:
        self._worker = worker

    @operation(
        "Dead letters, newest deliveries first, or counts of those that failed alike",
        {
            200: Answer(
                "A page of them; next is null on the last one. With group=code, counts by graph, filter and code, most first.",
                {
                    "oneOf": [
                        obj(deadletters={"type": "array", "items": LETTER}, next=MAYBE_TEXT),
                        obj(
                            {"history": obj(since=TIME, until=TIME, step_s={"type": "number"})},
                            groups={"type": "array", "items": GROUP},
                        ),
                    ]
                },
            )
        },
        errors={503: BUSY},
        parameters=(
            *CRITERIA,
            ORDER,
            LIMIT,
            AFTER,
            Parameter("group", "code: count instead of listing.", {"type": "string", "enum": ["code"]}),
            Parameter(
                "history",
                f"With group=code: seconds up to now, in {STEPS} steps of which letters are counted. What has gone is not.",
                {"type": "integer", "minimum": MIN_HISTORY_S, "maximum": MAX_HISTORY_S},
            ),
        ),
        scope="read",
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        query = _query(req, "order", "limit", "after", "group", "history")
        if choice_of(req, "group", ("code",)):
            resp.data = orjson.dumps(await self._groups(req, query))
            return
        if req.get_param("history") is not None:
            raise invalid("history", "left out, or sent with group=code")
        limit = limit_of(req)
        after, newest = req.get_param("after") or "", is_newest_first(req)
        found, unanswered = await self._worker.records.letters(query, limit, after, newest=newest)
        more = found[-1].id if len(found) == limit else None
        resp.data = orjson.dumps({"deadletters": [listed(letter) for letter in found], "next": more, **missing(unanswered)})

    async def _groups(self, req: Request, query: LetterQuery) -> dict[str, Any]:
        seconds = number_of(req, "history", 0, MIN_HISTORY_S, MAX_HISTORY_S)
        until = wall()
        history = History(until - seconds, seconds / STEPS) if seconds else None
        groups, unanswered = await self._worker.records.letter_groups(query, history)
        counts = [counted(group, has_history=history is not None) for group in groups]
        found: dict[str, Any] = {"groups": counts, **missing(unanswered)}
        if history is not None:
            found["history"] = {"since": rfc3339(history.since), "until": rfc3339(until), "step_s": history.step_s}
        return found

    @operation(
        "Delete the dead letters that match; at least one criterion is needed",
        {200: Answer("Number of dead letters that were deleted.", obj(UNANSWERED, count=COUNT))},
        errors={400: "No criterion, an unknown one, or one whose value is empty or invalid.", 503: BUSY, 507: NO_ROOM},
        parameters=CRITERIA,
        scope="edit",
        audit="deadletters.delete",
    )
    async def on_delete(self, req: Request, resp: falcon.asgi.Response) -> None:
        query = _query(req)
        if query == LetterQuery(among=query.among) and not req.get_param("since"):
            raise BadRequest(
                f"no criterion selects the dead letters; give {', '.join(TEXTS)}, index, until or since (since=0 selects all)",
                code="request.invalid",
                where="query",
            )
        count, unanswered = await self._worker.records.delete_letters(query, cause_of(req))
        resp.data = orjson.dumps({"count": count, **missing(unanswered)})

    @operation(
        "Replay the dead letters that match, the oldest first",
        {
            202: Answer(
                "count is how many are deliveries again, receipts are those of the deliveries: one for all dead letters of a "
                "receipt that go from the start. Without from, letters go from their filters, but parts of documents with "
                "versions from the start. refused names those that could not be replayed, and why. edits_forgotten: so many of "
                "those that went had been edited, and their documents run from the start as they were received.",
                obj(
                    {**EDITS, **UNANSWERED, "refused": {"type": "array", "items": obj(id=TEXT, code=TEXT, detail=TEXT)}},
                    count=COUNT,
                    receipts={"type": "array", "items": TEXT},
                ),
            )
        },
        errors={400: "Unknown keys or invalid values.", 409: NOT_KEPT, 429: FULL, 503: BUSY, 507: NO_ROOM},
        body={
            "application/json": obj(
                {
                    **dict.fromkeys(TEXTS, SOUGHT),
                    "index": COUNT,
                    "since": {"type": ["string", "number"]},
                    "until": {"type": ["string", "number"]},
                    "from": FROM,
                    "limit": {"type": "integer", "minimum": 1, "maximum": MAX_REPLAYED},
                }
            )
        },
        scope="edit",
        audit="deadletters.replay",
    )
    async def on_post_replay(self, req: Request, resp: falcon.asgi.Response) -> None:
        wanted = await _object(req, {*TEXTS, "index", "since", "until", "from", "limit"})
        since, until, index = wanted.get("since"), wanted.get("until"), wanted.get("index")
        if index is not None and (type(index) is not int or not 0 <= index <= MAX_INDEX):
            raise BadRequest(f"index must be a whole number from 0 to {MAX_INDEX}", code="request.invalid", where="index")
        query = LetterQuery(
            **{own: _text(wanted, name) for name, own in TEXTS.items()},
            since=since_of(None if since is None else str(since)),
            until=until_of(None if until is None else str(until)),
            index=index,
            among=req.client.graphs,
        )
        limit = wanted.get("limit", REPLAYED)
        if type(limit) is not int or not 1 <= limit <= MAX_REPLAYED:
            raise BadRequest(f"limit must be from 1 to {MAX_REPLAYED}", code="request.invalid", where="limit")
        done = await self._worker.records.replay_all(query, _from_start(wanted), limit, cause_of(req))
        refused = [{"id": letter.id, "code": error.code, "detail": error.message} for letter, error in done.refused]
        if refused and not done.receipts and len({one["code"] for one in refused}) == 1:
            raise done.refused[0][1]
        answer: dict[str, Any] = {"count": done.count, "receipts": done.receipts, **missing(sorted(done.unanswered))}
        if done.edits:
            answer["edits_forgotten"] = done.edits
        if refused:
            answer["refused"] = refused
        resp.status = 202
        resp.data = orjson.dumps(answer)

    @operation(
        "One dead letter, with its packet or the body of its delivery",
        {
            200: Answer(
                "packet is null where there never was one, for what failed before the first filter: delivery is then its body, "
                "as far as it is kept and small, decompressed (base64 if it is not text). Values whose names match redact in "
                "[observe] are (hidden), in the JSON of a body, too.",
                WHOLE_LETTER,
            )
        },
        errors={404: UNKNOWN, 503: BUSY},
        scope="read",
    )
    async def on_get_one(self, req: Request, resp: falcon.asgi.Response, id: str) -> None:
        resp.data = await whole(await self._letter(req, id), self._worker.hiding)

    @operation(
        "The document of a dead letter as it was accepted, to compare with the packet that failed",
        {
            200: Answer(
                "packet is the document as it entered the graph: with its fields if it is JSON, else with its text, or bytes in "
                "base64, as data. It is null if it cannot be told, for the reason: its body is not kept, or it is larger than a "
                "mebibyte. start: of a replay that began at this filter, packet is the one with which it did. Values whose names "
                "match redact in [observe] are (hidden).",
                POSTED,
            )
        },
        errors={404: UNKNOWN, 503: BUSY},
        scope="read",
    )
    async def on_get_posted(self, req: Request, resp: falcon.asgi.Response, id: str) -> None:
        await self._letter(req, id)
        worker = self._worker
        resp.data = await document(await worker.records.origin(id), worker.config.limits, worker.hiding)

    @operation(
        "Replace the packet of a dead letter, for a later replay",
        {
            200: Answer(
                "The dead letter as it is now. Metadata that the body does not name, or without meta all of it, stays as it was, "
                "so that it remains the same document with the same access list; fields and field_meta are those of the body. "
                "What is (hidden) stays as it was.",
                WHOLE_LETTER,
            )
        },
        errors={
            400: "The body is not JSON, or has no packet.",
            404: UNKNOWN,
            422: "The packet is malformed; its path is named.",
            503: BUSY,
            507: NO_ROOM,
        },
        body={"application/json": obj(packet=PACKET)},
        scope="edit",
        audit="deadletters.edit",
    )
    async def on_put_one(self, req: Request, resp: falcon.asgi.Response, id: str) -> None:
        wanted = await _object(req, {"packet"})
        if "packet" not in wanted:
            raise BadRequest('send {"packet": {"fields": {…}, "meta": {…}}}', code="request.invalid", where="packet")
        records = self._worker.records
        kept = await self._letter(req, id)
        try:
            form = edited(wanted["packet"], kept.letter, self._worker.hiding)
            packet = orjson.dumps(form)
            # reading takes its object apart
            Packet.from_json(form)
        except InvalidInput as error:
            where = f"packet.{error.where}" if error.where else "packet"
            raise InvalidInput(error.message, code=error.code, where=where, problems=error.problems) from error
        await records.edit_letter(id, packet, cause_of(req))
        resp.data = await whole(await records.letter(id), self._worker.hiding)

    @operation(
        "Delete a dead letter",
        {204: Answer("It is gone.")},
        errors={404: UNKNOWN, 503: BUSY, 507: NO_ROOM},
        scope="edit",
        audit="deadletters.delete",
    )
    async def on_delete_one(self, req: Request, resp: falcon.asgi.Response, id: str) -> None:
        await self._letter(req, id)
        await self._worker.records.delete_letter(id, cause_of(req))
        resp.status = 204

    @operation(
        "Replay a dead letter: from the filter in which it failed, with its packet, or from the start, with the body as received",
        {202: ACCEPTED},
        errors={404: UNKNOWN, 409: NOT_KEPT, 429: FULL, 503: BUSY, 507: NO_ROOM},
        body={"application/json": obj({"from": FROM})},
        parameters=(TRACED,),
        scope="edit",
        audit="deadletters.replay",
    )
    async def on_post_one_replay(self, req: Request, resp: falcon.asgi.Response, id: str) -> None:
        await self._letter(req, id)
        from_start, records = bool(_from_start(await _object(req, {"from"}))), self._worker.records
        replayed = await records.replay(id, from_start, is_traced=is_traced(req), cause=cause_of(req))
        resp.status = 202
        resp.set_header("location", f"/receipts/{replayed.receipt}")
        answer: dict[str, Any] = {"receipt": replayed.receipt}
        if replayed.edits:
            answer["edits_forgotten"] = replayed.edits
        resp.data = orjson.dumps(answer)

    async def _letter(self, req: Request, id: str) -> KeptLetter:
        """A dead letter; one of a graph that is not one of the client's is none. Raises :class:`NotFound`."""
        found = await self._worker.records.letter(id)
        if not req.client.has(found.letter.graph):
            raise no_letter()
        return found


def _query(req: Request, *known: str) -> LetterQuery:
    """The criteria in the query; other parameters than they and those ``known`` are refused."""
    check_names(req, {*TEXTS, "index", "since", "until", *known})
    return LetterQuery(
        **{own: criterion_of(req, name) or "" for name, own in TEXTS.items()},
        since=since_of(criterion_of(req, "since")),
        until=until_of(criterion_of(req, "until")),
        index=None if criterion_of(req, "index") is None else number_of(req, "index", 0, 0, MAX_INDEX),
        among=req.client.graphs,
    )


async def _object(req: Request, known: set[str]) -> dict[str, Any]:
    """The body as an object with no other keys than ``known``; empty if there is no body. Raises :class:`BadRequest`."""
    if not req.content_length and not req.has_header(b"transfer-encoding"):
        return {}
    wanted = await req.json(MAX_PACKET_BYTES)
    if not isinstance(wanted, dict):
        raise BadRequest("the body must be a JSON object", code="request.invalid")
    check_keys(wanted, known)
    return wanted


def _text(wanted: dict[str, Any], name: str) -> str:
    value = wanted.get(name)
    if value is not None and not isinstance(value, str):
        raise BadRequest(f"{name} must be text", code="request.invalid", where=name)
    if value == "":
        raise invalid_empty(name)
    return value or ""


def _from_start(wanted: dict[str, Any]) -> bool | None:
    if "from" not in wanted:
        return None
    value = wanted["from"]
    if value not in ("filter", "start"):
        raise BadRequest('from must be "filter" or "start"', code="request.invalid", where="from")
    return bool(value == "start")
