"""Requests to a server that are tried again as long as it makes sense."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit

import orjson
import urllib3

from pypes.core.clock import wall
from pypes.core.retry_after import retry_after_s
from pypes.core.secrets import without_users
from pypes.core.trust import is_untrusted, trusted, unreached
from pypes.errors import InvalidInput, Unavailable

ATTEMPTS = 8
#: The status of an answer that says that the server failed at the question, not that it is busy or away.
FAILED = 500
#: Codes of answers that any other document would get, too, until somebody has done something about it.
OF_ALL = frozenset({"token.missing", "token.invalid", "host.foreign", "route.unknown", "deadletters.full", "store.full"})
FIRST_BACKOFF_S = 0.2


class Asker:
    """Asks one server over several connections; 429 and 503 are honoured, lost connections tried again. Threads may share it.

    ``path`` is where documents go, ``has_id`` is true if that names one document. ``on_absence`` is told when the server cannot
    be reached, once until it answers again; when that has been tried long enough, nothing more is.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None,
        connections: int,
        ca_file: Path | None = None,
        on_absence: Callable[[str], None] = lambda reason: None,
    ) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not _is_host(parts):
            raise InvalidInput(f"{url!r} is not the address of a server; give one like http://127.0.0.1:8080", code="feed.url")
        if parts.query or parts.fragment:
            raise InvalidInput(f"{url!r} has more than a path, which would be left out; options say the rest", code="feed.url")
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
        self._successes = 0
        self._is_absent = False
        #: The reason why nothing more is tried.
        self._given_up = ""
        self._lock = threading.Lock()
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        timeout = urllib3.Timeout(connect=10, read=120)
        self._http = urllib3.PoolManager(maxsize=connections, retries=False, timeout=timeout, ssl_context=trusted(ca_file))

    def close(self) -> None:
        self._http.clear()

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """The answer to a question."""
        return self.ask("GET", f"{path}?{urlencode(query)}" if query else path, None, {})

    def ask(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> dict[str, Any]:
        """Ask until an answer comes that another attempt would not change.

        Attempts are counted from the last time that anybody's question was answered well: a server that is busy, but goes on,
        is waited for. Raises ``InvalidInput`` for what is refused, ``Unavailable`` where it does not go on (then nothing more
        is tried) or fails at this question again and again (code ``feed.failed``).
        """
        if self._given_up:
            raise Unavailable(f"not tried: {self._given_up}", code="feed.unavailable")
        attempt, is_first, successes = 0, True, self._successes
        while True:
            delay_s = FIRST_BACKOFF_S * 2**attempt
            status = 0
            try:
                if not is_first and hasattr(body, "seek"):
                    body.seek(0)
                # a field with several values stays several
                head = urllib3.HTTPHeaderDict(self._headers)
                head.extend(headers)
                answer = self._http.request(method, self.server + path, body=body, headers=head)
            except urllib3.exceptions.HTTPError as error:
                reason = without_users(f"{self.server}: {unreached(error)}")
                if is_untrusted(error):
                    self._given_up = reason
                    raise Unavailable(reason, code="feed.unavailable") from error
                self._note_absence(reason)
            else:
                status, reason = answer.status, reason_of(answer) if answer.status >= 300 else ""
                if status < 300:
                    self._note_success(answer.headers.get("Pypes-Graph"))
                    content: dict[str, Any] = orjson.loads(answer.data)
                    return content
                if 300 <= status < 400:
                    self._given_up = f"{reason}; give the address that it names: {answer.headers.get('Location', 'none')}"
                    raise Unavailable(self._given_up, code="feed.unavailable")
                if status in (401, 403, 404, 507) and code_of(answer) in OF_ALL:
                    self._given_up = reason
                    raise Unavailable(reason, code="feed.unavailable")
                # the disk of a graph may have room when what waits has run
                if status not in (429, 500, 502, 503, 504) and code_of(answer) != "graph.disk_full":
                    raise InvalidInput(reason, code="feed.refused")
                asked_s = retry_after_s(answer.headers.get("Retry-After"), wall())
                delay_s = delay_s if asked_s is None else asked_s
            attempt += 1
            is_first = False
            if successes != self._successes and status != FAILED:
                attempt, successes = 1, self._successes
            if attempt == ATTEMPTS:
                break
            with self._lock:
                self.retries += 1
            time.sleep(delay_s)
        reason = f"given up after {ATTEMPTS} attempts: {reason}"
        if status == FAILED:
            raise Unavailable(reason, code="feed.failed")
        self._given_up = reason
        raise Unavailable(reason, code="feed.unavailable")

    def _note_absence(self, reason: str) -> None:
        with self._lock:
            is_new, self._is_absent = not self._is_absent, True
        if is_new:
            self.on_absence(reason)

    def _note_success(self, graph: str | None) -> None:
        with self._lock:
            self._successes += 1
            self._is_absent = False
            self._given_up = ""
            if graph is not None:
                self.graphs.add(graph)


def token_of(token_file: Path | None) -> str | None:
    """The bearer token in a file, or in ``PYPES_TOKEN``. Raises :class:`InvalidInput` for what no header field takes."""
    token = (token_file.read_text(encoding="utf-8") if token_file else os.environ.get("PYPES_TOKEN", "")).strip()
    if not (token.isascii() and token.isprintable()):  # whoever sends it would say what it is
        place = str(token_file) if token_file else "PYPES_TOKEN"
        raise InvalidInput(f"{place} holds no token: a token is one line of plain characters", code="client.token")
    return token or None


def reason_of(answer: urllib3.BaseHTTPResponse) -> str:
    """The sentence of a problem document, or else the status."""
    try:
        problem = orjson.loads(answer.data)
        return f"{answer.status} {problem['code']}: {problem.get('detail') or problem['title']}"
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return f"{answer.status} {answer.reason}"


def code_of(answer: urllib3.BaseHTTPResponse) -> str:
    """The code of a problem document; empty for any other answer."""
    try:
        return str(orjson.loads(answer.data)["code"])
    except (orjson.JSONDecodeError, KeyError, TypeError, IndexError):
        return ""


def _is_host(parts: SplitResult) -> bool:
    try:
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, or too large a one
        return False
