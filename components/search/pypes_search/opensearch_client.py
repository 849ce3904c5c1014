"""Requests to a server with the protocol of OpenSearch and Elasticsearch, and the meaning of its answers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote

import orjson
import urllib3
from urllib3.util import make_headers, parse_url

from pypes import Unreachable
from pypes.core.retry_after import retry_after_s
from pypes.errors import ComponentError
from pypes_basic.timing import RETRY_S

#: Statuses of a server, or a proxy before it, that cannot do it now.
NOT_NOW: Final = (408, 429, 502, 503, 504)
#: Most bytes of one bulk request: servers take 100 MB, and best some.
MAX_BULK_BYTES: Final = 8 * 1024 * 1024
#: Longest reason that is passed on.
MAX_REASON: Final = 1_000


#: Nobody answered, or not to the end.
UNANSWERED: Final = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.TimeoutError,
    urllib3.exceptions.ProtocolError,
    urllib3.exceptions.ProxyError,
)


class Answered(Exception):
    """An answer that is an error of the request: its status, the type of the error and its reason."""

    def __init__(self, status: int, kind: str, reason: str) -> None:
        super().__init__(f"{status} {kind}: {reason}"[:MAX_REASON])
        self.status = status
        self.kind = kind


class Client:
    """Connections to one address, which may hold user and password. May be used from any thread."""

    def __init__(self, url: str, *, api_key: str = "", ca: str = "", timeout_s: float = 60.0) -> None:
        parsed = parse_url(url if "://" in url else f"http://{url}")
        headers = {"accept": "application/json"}
        if parsed.auth:
            headers |= make_headers(basic_auth=unquote(parsed.auth))
        if api_key:
            headers["authorization"] = f"ApiKey {api_key}"
        self._base = parsed._replace(auth=None, path=(parsed.path or "").rstrip("/"), query=None, fragment=None).url
        self._pool = urllib3.PoolManager(
            headers=headers,
            retries=False,
            timeout=urllib3.Timeout(connect=min(timeout_s, 10.0), read=timeout_s),
            ca_certs=ca or None,
        )
        self._headers = headers
        #: Fields that requests have besides, by which they belong to a trace; whoever writes sets them.
        self.trace_fields: Mapping[str, str] = {}

    def ask(self, method: str, path: str, body: Any = None, *, missing: Any = None) -> Any:
        """The answer to a request as JSON; ``missing`` where it is 404. Blocks.

        Raises what urllib3 raises if nobody answers, ``Unreachable`` if the server cannot do it now, ``ComponentError`` if it
        refuses who asks, :class:`Answered` for all other errors.
        """
        data = None if body is None else orjson.dumps(body)
        return self._send(method, path, data, "application/json", missing)

    def bulk(self, lines: Iterable[Sequence[Mapping[str, Any]]], refresh: str = "false") -> list[dict[str, Any]]:
        """Perform actions, each with its document behind it, in as many requests as their size needs; the result of each."""
        found: list[dict[str, Any]] = []
        waiting = bytearray()
        for action in lines:
            waiting += b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in action)
            if len(waiting) >= MAX_BULK_BYTES:
                found += self._bulk(bytes(waiting), refresh)
                waiting.clear()
        return found + (self._bulk(bytes(waiting), refresh) if waiting else [])

    def close(self) -> None:
        """Close all connections."""
        self._pool.clear()

    def _bulk(self, data: bytes, refresh: str) -> list[dict[str, Any]]:
        answer = self._send("POST", f"/_bulk?refresh={refresh}", data, "application/x-ndjson", None)
        return [next(iter(item.values())) for item in answer["items"]]

    def _send(self, method: str, path: str, data: bytes | None, kind: str, missing: Any) -> Any:
        headers = {**self._headers, **self.trace_fields}
        if data is not None:
            headers["content-type"] = kind
        answer = self._pool.request(method, self._base + path, body=data, headers=headers)
        if answer.status < 300:
            return orjson.loads(answer.data) if answer.data else {}
        what, reason = _error_of(answer.data)
        said = f"{answer.status} {what} {reason}".strip()[:MAX_REASON]
        if answer.status in NOT_NOW:
            raise Unreachable(retry_after_s(answer.headers.get("retry-after"), time.time()) or RETRY_S, said)
        if answer.status in (401, 403) and "cluster_block" not in what:
            raise ComponentError(
                f"the server refuses: {said}. Mend the user, password or api_key, or its rights", code="opensearch.refused"
            )
        if answer.status == 403:
            raise Unreachable(RETRY_S, said)
        if answer.status == 404 and missing is not None:
            return missing
        raise Answered(answer.status, what, reason)


def reason_of(error: Any) -> str:
    """The reason of an error with that of its cause, for a person."""
    if not isinstance(error, Mapping):
        return str(error)[:MAX_REASON]
    cause = error.get("caused_by")
    own = str(error.get("reason", ""))
    return f"{own} ({reason_of(cause)})"[:MAX_REASON] if cause else own[:MAX_REASON]


def _error_of(data: bytes) -> tuple[str, str]:
    try:
        error = orjson.loads(data)["error"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "", data[:MAX_REASON].decode("utf-8", "replace")
    return (str(error.get("type", "")), reason_of(error)) if isinstance(error, Mapping) else ("", str(error))
