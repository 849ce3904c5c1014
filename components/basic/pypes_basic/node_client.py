"""Node client: hands documents to another node over HTTP, and asks what became of them there."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import orjson
import urllib3

from pypes import Reject, Retry, Unreachable
from pypes.core.hops import FIELD
from pypes.core.media_types import PACKETS
from pypes.core.retry_after import retry_after_s
from pypes_basic.timing import RETRY_S

#: Statuses that say nothing of the documents: the node cannot take them now, or the address or the token has to be mended.
NOT_NOW: Final = (401, 403, 421, 425, 429, 502, 503, 504, 507)
#: Statuses with which the next node of a fleet is asked.
NEXT: Final = (502, 503, 504)
#: Statuses that may be over with the next try, or be due to the documents.
AGAIN: Final = (408, 500)
#: Of what a node answers, so much is told.
MAX_REASON: Final = 500
MAX_ANSWER_BYTES: Final = 16 << 20
#: Longest time for which one request waits for a receipt, in seconds.
LOOK_S: Final = 10.0
#: Documents of a receipt that one request asks about.
PAGE: Final = 1_000


class Request(NamedTuple):
    """Documents that are handed over together, or the deletion of one (``body`` is empty then).

    The same ``key`` means the very same request; a body is compressed if it says so.
    """

    key: str
    route: str
    #: Of the document that is deleted.
    id: str
    hops: int
    body: bytes


class NodeClient:
    """A client of one node, or of several nodes of one fleet, which are asked in turn while one is away.

    All methods block. They raise ``Unreachable`` or an error of ``urllib3`` while no node answers as it should, and ``Retry`` and
    ``Reject`` for what may be due to the documents.
    """

    def __init__(
        self, urls: Sequence[str], token: str, lane: str, ca: Path | None, timeout_s: float, redact: Callable[[str], str]
    ) -> None:
        self._urls = [url.rstrip("/") for url in urls]
        #: The place of the node that answered last.
        self._at = 0
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._query = "?lane=bulk" if lane == "bulk" else ""
        self._redact = redact
        self._timeout_s = timeout_s
        self._http = urllib3.PoolManager(retries=False, ca_certs=str(ca) if ca is not None else None)

    def close(self) -> None:
        self._http.clear()

    def hand_over(self, request: Request, trace: Mapping[str, str]) -> str:
        """Have the node accept documents, durably; returns the receipt."""
        headers = {**trace, "idempotency-key": request.key, FIELD: str(request.hops)}
        path = f"/docs/{quote(request.route, safe='')}" if request.route else "/docs"
        if not request.body:
            answer = self._asked("DELETE", f"{path}/{quote(request.id, safe='')}{self._query}", headers)
        else:
            headers["content-type"] = PACKETS
            if request.body.startswith(b"\x1f\x8b"):
                headers["content-encoding"] = "gzip"
            answer = self._asked("POST", path + self._query, headers, request.body)
        receipt = answer.get("receipt")
        if not isinstance(receipt, str):
            raise Unreachable(RETRY_S, "what answers at the address gives no receipt, so it is no node")
        return receipt

    def failed(self, receipt: str) -> dict[int, str] | None:
        """The documents that failed there, by their place, with what is said of each; ``None`` if it is not finished yet."""
        ends_s = time.monotonic() + self._timeout_s
        while True:
            left_s = max(0.0, min(LOOK_S, ends_s - time.monotonic()))
            answer = self._asked("GET", f"/receipts/{receipt}?wait={left_s:g}")
            if answer.get("finished"):
                break
            if not left_s:
                return None
        return self._reasons(receipt) if answer.get("failed") else {}

    def _reasons(self, receipt: str) -> dict[int, str]:
        found: dict[int, str] = {}
        after: int | None = -1
        while after is not None:
            more = f"&after={after}" if after >= 0 else ""
            page = self._asked("GET", f"/receipts/{receipt}/documents?limit={PAGE}{more}")
            for document in page.get("documents", []):
                if document["outcome"] == "failed":
                    found[document["index"]] = self._reason(receipt, document)
            after = page.get("next")
        return found

    def _reason(self, receipt: str, document: Mapping[str, Any]) -> str:
        where = f"it failed on the other node in filter {document['filter']!r}, receipt {receipt}"
        letter = document["deadletter"]
        if letter is None:
            return where
        try:
            told = self._asked("GET", f"/deadletters/{letter}")
        except (Reject, Unreachable, Retry):  # a token that may not read them, or it was deleted
            return f"{where}, dead letter {letter}"
        return f"{where}, dead letter {letter}: {told.get('error')} [{told.get('code')}]"

    def _asked(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> dict[str, Any]:
        """The JSON that a node answers to a request; the others are asked if one is away."""
        for place in range(len(self._urls)):
            at = (self._at + place) % len(self._urls)
            is_last = place == len(self._urls) - 1
            try:
                status, said, after = self._sent(method, self._urls[at] + path, {**self._headers, **(headers or {})}, body)
            except urllib3.exceptions.HTTPError:
                if is_last:
                    raise
                continue
            if status not in NEXT or is_last:
                self._at = at
                break
        if 200 <= status < 300:
            try:
                answer = orjson.loads(said)
            except orjson.JSONDecodeError:
                answer = None
            return answer if isinstance(answer, dict) else {}
        shown = said[:MAX_REASON].decode("utf-8", "replace")
        reason = self._redact(f"the other node answered {status} {shown}".strip())
        after_s = retry_after_s(after, time.time()) or RETRY_S
        if status in NOT_NOW or 300 <= status < 400:
            raise Unreachable(after_s, reason)
        if status in AGAIN:
            raise Retry(after_s, reason)
        raise Reject(reason, "node.refused")

    def _sent(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> tuple[int, bytes, str | None]:
        """Status and body of one answer, and its ``Retry-After``."""
        answer = self._http.request(
            method,
            url,
            body=body,
            headers=headers,
            redirect=False,
            preload_content=False,
            timeout=urllib3.Timeout(connect=min(self._timeout_s, 10.0), read=self._timeout_s + LOOK_S),
        )
        try:
            said = answer.read(MAX_ANSWER_BYTES)
            answer.drain_conn()
        finally:
            answer.release_conn()
        return answer.status, said, answer.headers.get("retry-after")
