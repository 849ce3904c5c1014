"""FetchURL: fetch one address when it has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from email.message import Message
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

import urllib3

from pypes.component import Source
from pypes.core.parameters import Help, Parameters
from pypes.errors import ComponentError
from pypes.packet import Packet

#: What an answer without Content-Type is (RFC 9110, 8.3).
UNKNOWN = "application/octet-stream"


class FetchURL(Source):
    """Fetch a URL if it has changed since: bytes in ``data``, and ``url``, ``filename``, ``mimetype``, ``charset`` as metadata.

    It asks with what ``ETag`` and ``Last-Modified`` said last. Where a server knows neither, the content is compared.
    """

    class Params(Parameters):
        url: Annotated[str, Help("What to fetch, http or https.", pattern="^https?://")]
        headers: Annotated[dict[str, str], Help("Headers of the request, such as Authorization.")] = {}
        timeout_s: Annotated[float, Help("Longest wait for the connection, and for each part of the answer.", gt=0)] = 30.0
        max_bytes: Annotated[int, Help("A longer answer is an error.", ge=1)] = 32 * 1024 * 1024

    def setup(self) -> None:
        self._http = urllib3.PoolManager(timeout=urllib3.Timeout(self.params.timeout_s), retries=urllib3.Retry(3, redirect=5))

    def teardown(self) -> None:
        if hasattr(self, "_http"):
            self._http.clear()

    def fetch(self, cursor: Any) -> Iterator[tuple[list[Packet], Any]]:
        url = self.params.url
        known = cursor if cursor and cursor["url"] == url else {}
        headers = dict(self.params.headers)
        if known.get("etag"):
            headers["If-None-Match"] = known["etag"]
        if known.get("modified"):
            headers["If-Modified-Since"] = known["modified"]
        answer = self._http.request("GET", url, headers=headers, preload_content=False)
        try:
            if answer.status == 304 and known:
                return
            if answer.status != 200:
                raise ComponentError(f"{url} answered {answer.status} {answer.reason}", code="url.status")
            data = answer.read(self.params.max_bytes + 1)
            if len(data) > self.params.max_bytes:
                raise ComponentError(f"{url} has more than max_bytes, {self.params.max_bytes}", code="url.too_large")
        finally:
            answer.close()
        behind = {
            "url": url,
            "etag": answer.headers.get("ETag"),
            "modified": answer.headers.get("Last-Modified"),
            "digest": hashlib.sha256(data).hexdigest(),
        }
        if behind == known:
            return
        is_new = behind["digest"] != known.get("digest")
        yield ([_packet(url, data, answer.headers.get("Content-Type"))] if is_new else []), behind


def _packet(url: str, data: bytes, content_type: str | None) -> Packet:
    message = Message()
    message["Content-Type"] = content_type or UNKNOWN
    meta: dict[str, Any] = {
        "url": url,
        "filename": unquote(urlsplit(url).path.rpartition("/")[2]) or urlsplit(url).hostname,
        "mimetype": message.get_content_type() if content_type else UNKNOWN,
        "contentlength": len(data),
    }
    charset = message.get_content_charset()
    if charset:
        meta["charset"] = charset
    return Packet.from_document({"data": data}, meta)
