"""Client of servers that speak the HTTP protocol of OpenAI: OpenAI, vLLM, llama.cpp, Ollama, TEI, LiteLLM and others."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import urllib3

from pypes.core.retry_after import retry_after_s
from pypes.errors import ComponentError, Unreachable

CONNECT_S: Final = 10.0
_MOST_BYTES: Final = 256 * 1024 * 1024
_READ_BYTES: Final = 1 << 16
#: Of what a server says of an error, so much is told.
_SHOWN_CHARS: Final = 500
#: The request itself is at fault: another one may do.
_REFUSED: Final = frozenset([400, 413, 422])
#: The settings are at fault: no document would get through, so none is to be a dead letter.
_MISCONFIGURED: Final = "check url, model and key of this filter; its documents wait"


class Refused(Exception):
    """The server takes none of this request; ``args`` has what it says."""


class TooMany(Exception):
    """The server wants to be left alone for ``wait_s`` seconds."""

    def __init__(self, reason: str, wait_s: float) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class Answer(NamedTuple):
    """A parsed answer; ``tokens`` are those it was charged with, 0 where it does not say."""

    body: dict[str, Any]
    tokens: int


class OpenAIClient:
    """Posts requests to one server. Several threads may use it; its methods block."""

    def __init__(self, url: str, key: str, timeout_s: float) -> None:
        """Raises ``ComponentError`` for an address that is none."""
        try:
            if not urllib3.util.parse_url(url).host:
                raise ValueError("it names no host")
        except ValueError as error:  # without the address, which may hold a password
            raise ComponentError("url is no address of a server", code="url.invalid") from error
        self._url = url.rstrip("/")
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._timeout_s = timeout_s
        self._http = urllib3.PoolManager(maxsize=4, retries=False)

    def post(self, path: str, request: dict[str, Any], trace: Mapping[str, str] | None = None) -> Answer:
        """Post to ``URL/path``; ``trace`` are header fields by which the request belongs to a trace.

        Raises :class:`Refused` if the request is at fault, :class:`TooMany`, and ``Unreachable`` for anything else that keeps
        the server from answering: none of that is the fault of a document.
        """
        ends_s = time.monotonic() + self._timeout_s
        try:
            raw = self._http.request(
                "POST",
                f"{self._url}/{path}",
                body=json.dumps(request).encode(),
                headers={**trace, **self._headers} if trace else self._headers,
                redirect=False,  # the key is for this server alone
                preload_content=False,
                timeout=urllib3.Timeout(connect=min(CONNECT_S, self._timeout_s), read=self._timeout_s),
            )
        except urllib3.exceptions.SSLError as error:
            raise Unreachable(f"{error}; {_MISCONFIGURED}") from error
        try:
            data = self._read(raw, ends_s)
        except BaseException:
            raw.close()
            raise
        raw.release_conn()
        if raw.status == 200:
            return self._answer(data)
        said = f"{path} answered {raw.status}: {_told(data) or raw.reason}"
        if raw.status in _REFUSED:
            raise Refused(said)
        if raw.status in (429, 503):
            after_s = retry_after_s(raw.headers.get("Retry-After"), time.time())
            raise TooMany(said, 1.0 if after_s is None else after_s)
        if raw.status >= 500 or raw.status == 408:
            raise Unreachable(said)
        raise Unreachable(f"{said}; {_MISCONFIGURED}")

    def close(self) -> None:
        self._http.clear()

    def _read(self, raw: urllib3.BaseHTTPResponse, ends_s: float) -> bytes:
        data = bytearray()
        while piece := raw.read(_READ_BYTES):
            data += piece
            if len(data) > _MOST_BYTES:
                raise Refused(f"the answer is larger than {_MOST_BYTES} bytes; make the batches smaller")
            if time.monotonic() > ends_s:
                raise Unreachable(f"no whole answer within {self._timeout_s:g} s")
        return bytes(data)

    def _answer(self, data: bytes) -> Answer:
        try:
            body = json.loads(data)
        except ValueError as error:
            raise Unreachable(f"the answer is no JSON: {data[:80]!r}; {_MISCONFIGURED}") from error
        if not isinstance(body, dict):
            raise Unreachable(f"the answer is no JSON object; {_MISCONFIGURED}")
        usage = body.get("usage")
        tokens = usage.get("total_tokens") if isinstance(usage, dict) else None
        return Answer(body, tokens if isinstance(tokens, int) and tokens > 0 else 0)


def _told(data: bytes) -> str:
    """The message of an error, in the forms that servers have for it."""
    text: object = data[: 4 * _SHOWN_CHARS].decode("utf-8", "replace")
    try:
        found = json.loads(data)
        error = found.get("error", found.get("message", found.get("detail")))
        text = error.get("message") if isinstance(error, dict) else error
    except (ValueError, AttributeError):
        pass
    return " ".join(str(text or "").split())[:_SHOWN_CHARS]
