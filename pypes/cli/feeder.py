"""Feeder: posts files to a server as fast as it takes them, and follows their receipts."""

from __future__ import annotations

import gzip
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import orjson
import urllib3

from pypes.core.media_types import OCTETS, media_type_of
from pypes.errors import InvalidInput, PypesError, Unavailable

SNIFFED_BYTES = 4096

#: Why a pipe, a socket, a device or a link that leads nowhere is passed over.
NOT_REGULAR = "it is no regular file"

#: A batch is closed at this size; a larger file is posted alone and streamed.
BATCH_BYTES = 4 * 1024 * 1024
ATTEMPTS = 8
FIRST_BACKOFF_S = 0.2
RECEIPT_WAIT_S = 10


@dataclass(slots=True)
class Report:
    """What became of what was fed; ``failures`` names each file that was not accepted, and why."""

    files: int = 0
    sent_bytes: int = 0
    accepted: int = 0
    retries: int = 0
    published: int = 0
    dropped: int = 0
    failed: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)


class Feeder:
    """Posts files over several connections, in batches; 429 and 503 are honoured, lost connections tried again.

    A POST whose answer was lost is sent again, so a document may arrive twice, unless it is ``idempotent``: then each POST has
    a key. ``lane`` is ``live`` or ``bulk``. A document's file name is its path from the one of ``roots`` that it lies under.
    Blocks; use from one thread.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        batch: int = 16,
        compress: bool = False,
        connections: int = 4,
        lane: str = "live",
        idempotent: bool = False,
        roots: Sequence[Path] = (),
        on_progress: Callable[[Report], None] = lambda report: None,
    ) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise InvalidInput(f"{url!r} is not the address of a server; give one like http://127.0.0.1:8080", code="feed.url")
        self.server = f"{parts.scheme}://{parts.netloc}"
        self.path = parts.path.rstrip("/") or "/docs"
        if lane != "live":
            self.path += f"?lane={lane}"
        self.idempotent = idempotent
        self.batch = batch
        self.compress = compress
        self.connections = connections
        self.roots = roots
        self.on_progress = on_progress
        self.report = Report()
        self.receipts: list[str] = []
        self._lock = threading.Lock()
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = urllib3.PoolManager(maxsize=connections, retries=False, timeout=urllib3.Timeout(connect=10, read=120))

    def feed(self, paths: Iterable[Path]) -> Report:
        """Post all files; returns when each has been answered."""
        with ThreadPoolExecutor(self.connections, thread_name_prefix="pypes-feed") as pool:
            running: set[Future[None]] = set()
            for files in self._batches(paths):
                if len(running) >= 2 * self.connections:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
                running.add(pool.submit(self._post_files, files))
            for future in running:
                future.result()
        return self.report

    def follow(self) -> Report:
        """Wait until everything accepted is published, dropped or failed, and count it."""
        report = self.report
        for receipt in self.receipts:
            while True:
                found = self._get(f"/receipts/{receipt}?wait={RECEIPT_WAIT_S}")
                if found["state"] in ("done", "failed"):
                    break
            report.published += found["published"]
            report.dropped += found["dropped"]
            report.failed += found["failed"]
            self.on_progress(report)
        self.receipts.clear()
        return report

    def close(self) -> None:
        self._http.clear()

    # -- batches ------------------------------------------------------------------------------------------

    def _batches(self, paths: Iterable[Path]) -> Iterator[list[Path]]:
        files: list[Path] = []
        size = 0
        for path in paths:
            try:
                length = path.stat().st_size
            except OSError as error:
                self._failed(path, str(error))
                continue
            if files and (len(files) == self.batch or size + length > BATCH_BYTES):
                yield files
                files, size = [], 0
            files.append(path)
            size += length
        if files:
            yield files

    def _post_files(self, files: Sequence[Path]) -> None:
        """Post a batch; one that is refused is posted file by file, so that only the guilty one stays behind."""
        try:
            if len(files) == 1:
                self._post_one(files[0])
            else:
                self._post_many(files)
        except InvalidInput as error:
            if len(files) == 1:
                self._failed(files[0], str(error))
            else:
                for path in files:
                    self._post_files([path])
            return
        except (PypesError, OSError) as error:
            for path in files:
                self._failed(path, str(error))
            return
        with self._lock:
            self.report.files += len(files)
            self.on_progress(self.report)

    def _post_one(self, path: Path) -> None:
        headers = {
            "Content-Type": media_type(path),
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(self._name(path))}",
        }
        size = path.stat().st_size
        if size <= BATCH_BYTES:
            self._post(path.read_bytes(), headers)
            return
        headers["Content-Length"] = str(size)
        with path.open("rb") as body:
            self._post(body, headers)

    def _post_many(self, files: Sequence[Path]) -> None:
        parts = [("file", (self._name(path), path.read_bytes(), media_type(path))) for path in files]
        body, content_type = urllib3.encode_multipart_formdata(parts)
        self._post(body, {"Content-Type": content_type})

    def _name(self, path: Path) -> str:
        root = next((root for root in self.roots if path != root and path.is_relative_to(root)), path.parent)
        return path.relative_to(root).as_posix()

    # -- requests -----------------------------------------------------------------------------------------

    def _post(self, body: Any, headers: dict[str, str]) -> None:
        if self.compress and isinstance(body, bytes):
            body = gzip.compress(body, 6, mtime=0)
            headers = {**headers, "Content-Encoding": "gzip"}
        if self.idempotent:
            headers = {**headers, "Idempotency-Key": str(uuid.uuid4())}
        answer = self._request("POST", self.path, body, headers)
        with self._lock:
            self.report.accepted += answer["accepted"]
            self.report.sent_bytes += len(body) if isinstance(body, bytes) else int(headers["Content-Length"])
            self.receipts.append(answer["receipt"])

    def _get(self, path: str) -> dict[str, Any]:
        return self._request("GET", path, None, {})

    def _request(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> dict[str, Any]:
        """Ask until there is an answer that trying again would not change. Raises ``InvalidInput`` or ``Unavailable``."""
        reason = ""
        for attempt in range(ATTEMPTS):
            delay_s = FIRST_BACKOFF_S * 2**attempt
            try:
                if attempt and hasattr(body, "seek"):
                    body.seek(0)
                answer = self._http.request(method, self.server + path, body=body, headers={**self._headers, **headers})
            except urllib3.exceptions.HTTPError as error:
                reason = f"{self.server}: {error}"
            else:
                if answer.status < 300:
                    content: dict[str, Any] = orjson.loads(answer.data)
                    return content
                reason = reason_of(answer)
                if answer.status not in (429, 500, 502, 503, 504):
                    raise InvalidInput(reason, code="feed.refused")
                delay_s = _retry_after_s(answer.headers.get("Retry-After"), delay_s)
            if attempt < ATTEMPTS - 1:
                with self._lock:
                    self.report.retries += 1
                time.sleep(delay_s)
        raise Unavailable(f"given up after {ATTEMPTS} attempts: {reason}", code="feed.unavailable")

    def _failed(self, path: Path, reason: str) -> None:
        with self._lock:
            self.report.files += 1
            self.report.failures.append((str(path), reason))
            self.on_progress(self.report)


def media_type(path: Path) -> str:
    """Media type of a file's bytes by its name; where that says nothing, text if the beginning looks like it."""
    known = media_type_of(path.name).outer
    if known:
        return known
    with path.open("rb") as file:
        head = file.read(SNIFFED_BYTES)
    return OCTETS if b"\0" in head else "text/plain"


def walk(
    paths: Iterable[Path], suffixes: Iterable[str] = (), on_passed: Callable[[Path, str], None] = lambda path, reason: None
) -> Iterator[Path]:
    """All regular files under ``paths`` in a stable order, hidden ones left out.

    ``suffixes`` (with or without dot, one or several by commas) choose among them.
    A file that is named itself is taken whatever its suffix. ``on_passed`` is told of what is no regular file (a pipe, a
    socket, a link that leads nowhere) and of folders that cannot be read, each with the reason.
    """

    def unreadable(error: OSError) -> None:
        on_passed(Path(error.filename), error.strerror or str(error))

    wanted = {"." + one.strip().lower().lstrip(".") for suffix in suffixes for one in suffix.split(",")}
    for path in paths:
        if path.is_file():
            yield path
            continue
        if not path.is_dir():
            on_passed(path, NOT_REGULAR)
            continue
        for directory, names, files in os.walk(path, onerror=unreadable):
            names[:] = sorted(name for name in names if not name.startswith("."))
            for name in sorted(files):
                if not name.startswith(".") and (not wanted or Path(name).suffix.lower() in wanted):
                    found = Path(directory, name)
                    if found.is_file():
                        yield found
                    else:
                        on_passed(found, NOT_REGULAR)


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
