"""Requests to a server that are tried again as long as it makes sense."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson
import urllib3

from pypes.errors import InvalidInput, Unavailable

ATTEMPTS = 8
FIRST_BACKOFF_S = 0.2


class Asker:
    """Asks one server over several connections; 429 and 503 are honoured, lost connections tried again. Threads may share it.

    ``path`` is where documents go, ``has_id`` is true if that names one document. ``on_absence`` is told, once, that a server
    which has not answered yet cannot be reached; when that has been tried long enough, nothing more is.
    """

    def __init__(
        self, url: str, *, token: str | None, connections: int, on_absence: Callable[[str], None] = lambda reason: None
    ) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise InvalidInput(f"{url!r} is not the address of a server; give one like http://127.0.0.1:8080", code="feed.url")
        self.server = f"{parts.scheme}://{parts.netloc}"
        self.path = parts.path.rstrip("/") or "/docs"
        if "docs" not in self.path.split("/"):
            raise InvalidInput(
                f"{self.path} takes no documents; give {self.server}, or {self.server}/docs/ROUTE with a route of the graph",
                code="feed.url",
            )
        self.has_id = self.path.count("/") > 2
        self.retries = 0
        #: Graphs that took documents.
        self.graphs: set[str] = set()
        self.on_absence = on_absence
        self._has_answered = False
        self._absence = ""
        self._is_given_up = False
        self._lock = threading.Lock()
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = urllib3.PoolManager(maxsize=connections, retries=False, timeout=urllib3.Timeout(connect=10, read=120))

    def close(self) -> None:
        self._http.clear()

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """The answer to a question."""
        return self.ask("GET", f"{path}?{urlencode(query)}" if query else path, None, {})

    def ask(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> dict[str, Any]:
        """Ask until there is an answer that trying again would not change. Raises ``InvalidInput`` or ``Unavailable``."""
        reason = ""
        if self._is_given_up:
            raise Unavailable(f"not tried: {self._absence}", code="feed.unavailable")
        for attempt in range(ATTEMPTS):
            delay_s = FIRST_BACKOFF_S * 2**attempt
            try:
                if attempt and hasattr(body, "seek"):
                    body.seek(0)
                answer = self._http.request(method, self.server + path, body=body, headers={**self._headers, **headers})
            except urllib3.exceptions.HTTPError as error:
                reason = f"{self.server}: {error}"
                self._note_absence(reason)
            else:
                self._has_answered = True
                if answer.status < 300:
                    if "Pypes-Graph" in answer.headers:
                        self.graphs.add(answer.headers["Pypes-Graph"])
                    content: dict[str, Any] = orjson.loads(answer.data)
                    return content
                reason = reason_of(answer)
                if answer.status not in (429, 500, 502, 503, 504):
                    raise InvalidInput(reason, code="feed.refused")
                delay_s = _retry_after_s(answer.headers.get("Retry-After"), delay_s)
            if attempt < ATTEMPTS - 1:
                with self._lock:
                    self.retries += 1
                time.sleep(delay_s)
        self._is_given_up = not self._has_answered
        raise Unavailable(f"given up after {ATTEMPTS} attempts: {reason}", code="feed.unavailable")

    def _note_absence(self, reason: str) -> None:
        with self._lock:
            is_new = not (self._has_answered or self._absence)
            if is_new:
                self._absence = reason
        if is_new:
            self.on_absence(reason)


def reason_of(answer: urllib3.BaseHTTPResponse) -> str:
    """The sentence of a problem document, or else the status."""
    try:
        problem = orjson.loads(answer.data)
        return f"{answer.status} {problem['code']}: {problem.get('detail') or problem['title']}"
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return f"{answer.status} {answer.reason}"


def _retry_after_s(given: str | None, otherwise_s: float) -> float:
    try:
        return float(given) if given else otherwise_s
    except ValueError:  # a date: rare enough not to be worth a clock comparison
        return otherwise_s
