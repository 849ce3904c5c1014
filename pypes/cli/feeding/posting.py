"""Feeder: posts files to a server as fast as it takes them, and follows their receipts."""

from __future__ import annotations

import gzip
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import orjson
import urllib3
from urllib3.fields import RequestField

from pypes.cli.feeding.asking import Asker
from pypes.cli.feeding.following import follow
from pypes.cli.feeding.loading import WHOLE_BYTES, Loaded, Window, load
from pypes.cli.feeding.report import Report, Sent
from pypes.cli.feeding.walking import File
from pypes.core.file_names import shown
from pypes.core.media_types import PACKETS, media_type_of
from pypes.errors import InvalidInput, PypesError

#: A batch is closed at this size.
BATCH_BYTES = WHOLE_BYTES
DELETIONS = 500


class Recorder(Protocol):
    """Remembers sent files. Called by several threads; an exception from ``sending`` keeps the files from being sent."""

    def sending(self, files: Sequence[Loaded]) -> None: ...

    def accepted(self, files: Sequence[Loaded], receipt: str) -> None: ...

    def refused(self, loaded: Loaded) -> None: ...


class Feeder:
    """Posts files over several connections, in batches; 429 and 503 are honoured, lost connections tried again.

    A POST whose answer was lost is sent again, so a document without an id may arrive twice, unless it is ``idempotent``: then
    each POST has a key. ``lane`` is ``live`` or ``bulk``.
    ``meta`` are metadata of all documents; a name may have several values. Blocks; use from one thread.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        ca_file: Path | None = None,
        batch: int = 16,
        compress: bool = False,
        connections: int = 4,
        lane: str = "live",
        idempotent: bool = False,
        meta: Sequence[tuple[str, str]] = (),
        on_progress: Callable[[Report], None] = lambda report: None,
        on_absence: Callable[[str], None] = lambda reason: None,
        recorder: Recorder | None = None,
    ) -> None:
        self.asker = Asker(url, token=token, ca_file=ca_file, connections=connections, on_absence=on_absence)
        self.path = f"{self.asker.path}?folders=keep" + ("" if lane == "live" else f"&lane={lane}")
        self.idempotent = idempotent
        self.meta = tuple(meta)
        self.batch = batch
        self.compress = compress
        self.connections = connections
        self.on_progress = on_progress
        self.recorder = recorder
        self.report = Report()
        #: The accepted deliveries, in the order of the answers.
        self.sent: list[Sent] = []
        #: The number of them that have ended.
        self.followed = 0
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        """Address of the documents, as a key of the records: one spelling for all names of this machine."""
        parts = urlsplit(self.asker.server)
        host = "127.0.0.1" if parts.hostname in ("localhost", "::1") else str(parts.hostname)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return f"{parts.scheme}://{host}:{port}{self.asker.path}"

    def node(self) -> str:
        """The number of the node that answers; empty if it does not say. A node whose data are thrown away gets another."""
        try:
            return str(self.asker.get("/status")["node"])
        except (PypesError, KeyError):
            return ""

    def feed(self, files: Iterable[File]) -> Report:
        """Post all files; returns when each has been answered."""
        with ThreadPoolExecutor(self.connections, thread_name_prefix="pypes-feed") as pool:
            running: set[Future[None]] = set()
            for batch in self._batches(files):
                if len(running) >= 2 * self.connections:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
                running.add(pool.submit(self._post_files, batch))
            for future in running:
                future.result()
        self.report.retries = self.asker.retries
        return self.report

    def delete(self, ids: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
        """Delete documents, many in one POST: the receipt of each, and its ids. Raises as :meth:`Asker.ask`."""
        for begin in range(0, len(ids), DELETIONS):
            some = ids[begin : begin + DELETIONS]
            packets = [{"fields": {}, "meta": {"id": id, "requestmethod": "DELETE"}} for id in some]
            answer = self._post(orjson.dumps(packets), {"Content-Type": PACKETS})
            self.report.deleted += len(some)
            yield answer["receipt"], some

    def follow(self) -> Report:
        """Wait until everything accepted is published, dropped or failed, and count it.

        Where that cannot be known, since the server has gone or forgotten it, that is a failure, and the rest is not asked for.
        """
        for sent in self.sent[self.followed :]:
            try:
                follow(self.asker, sent, self.report)
            except PypesError as error:
                self.report.failures.append((f"the outcome of receipt {sent.receipt} and of later ones is unknown", str(error)))
                break
            self.followed += 1
            self.on_progress(self.report)
        return self.report

    def close(self) -> None:
        self.asker.close()

    # -- batches ------------------------------------------------------------------------------------------

    def _batches(self, files: Iterable[File]) -> Iterator[list[File]]:
        batch: list[File] = []
        size = 0
        for file in files:
            if batch and (len(batch) == self.batch or size + file.size > BATCH_BYTES):
                yield batch
                batch, size = [], 0
            batch.append(file)
            size += file.size
        if batch:
            yield batch

    def _post_files(self, files: Sequence[File]) -> None:
        """Post a batch; files that may be several documents go alone, so that one's documents can be told from another's."""
        together: list[Loaded] = []
        for file in files:
            try:
                loaded = load(file)
            except (PypesError, OSError) as error:
                self.refuse(file, str(error))
                continue
            if loaded.is_one and loaded.content is not None:
                together.append(loaded)
            else:
                self._post_loaded([loaded])
        if together:
            self._post_loaded(together)

    def _post_loaded(self, files: Sequence[Loaded]) -> None:
        """Post files in one body; one that is refused is posted file by file, so that only the guilty one stays behind."""
        try:
            if self.recorder is not None:
                self.recorder.sending(files)
            answer = self._post_one(files[0]) if len(files) == 1 else self._post_many(files)
        except InvalidInput as error:
            if len(files) == 1:
                if self.recorder is not None:
                    self.recorder.refused(files[0])
                self.refuse(files[0].file, str(error), files[0].media_type)
            else:
                for loaded in files:
                    self._post_loaded([loaded])
            return
        except (PypesError, OSError) as error:
            if len(files) > 1 and isinstance(error, PypesError) and error.code == "feed.failed":
                for loaded in files:
                    self._post_loaded([loaded])
                return
            for loaded in files:
                self.refuse(loaded.file, str(error), loaded.media_type)
            return
        accepted = int(answer["accepted"])
        with self._lock:
            self.sent.append(Sent(answer["receipt"], accepted, loaded=tuple(files)))
            self.report.accepted += accepted
            self.report.files += len(files)
            self.report.sent_bytes += sum(loaded.size for loaded in files)
            for loaded in files:
                kind = self.report.kind(loaded.media_type)
                kind.files += 1
                kind.accepted += accepted if len(files) == 1 else 1
            self.on_progress(self.report)
        if self.recorder is not None:
            self.recorder.accepted(files, answer["receipt"])

    def _post_one(self, loaded: Loaded) -> dict[str, Any]:
        headers = {"Content-Type": loaded.media_type, **_identity(loaded)}
        if loaded.file.name:
            headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(shown(loaded.file.name))}"
        if loaded.content is not None:
            return self._post(loaded.content, headers)
        headers["Content-Length"] = str(loaded.size)
        with loaded.file.path.open("rb") as body:
            return self._post(Window(body, loaded.size, None if loaded.is_lines else loaded.stamp), headers)

    def _post_many(self, files: Sequence[Loaded]) -> dict[str, Any]:
        parts = []
        for loaded in files:
            part = RequestField("file", loaded.content or b"", shown(loaded.file.name), _identity(loaded))
            part.make_multipart(content_type=loaded.media_type)
            parts.append(part)
        body, content_type = urllib3.encode_multipart_formdata(parts)
        return self._post(body, {"Content-Type": content_type})

    def _post(self, body: Any, headers: dict[str, str]) -> dict[str, Any]:
        if self.compress and isinstance(body, bytes):
            body = gzip.compress(body, 6, mtime=0)
            headers = {**headers, "Content-Encoding": "gzip"}
        if self.idempotent:
            headers = {**headers, "Idempotency-Key": str(uuid.uuid4())}
        head = urllib3.HTTPHeaderDict(headers)
        for name, value in self.meta:
            head.add(f"Pypes-Meta-{name.replace('_', '-')}", quote(value))
        return self.asker.ask("POST", self.path, body, head)

    def refuse(self, file: File, reason: str, media_type: str = "") -> None:
        """Count a file that is not accepted."""
        media_type = media_type or file.media_type or media_type_of(file.name).outer or "unknown"
        with self._lock:
            self.report.files += 1
            self.report.refused += 1
            kind = self.report.kind(media_type)
            kind.files += 1
            kind.refused += 1
            self.report.failures.append((str(file), reason))
            self.on_progress(self.report)


def _identity(loaded: Loaded) -> dict[str, str]:
    """The head field that names the document, unless it does so itself."""
    return {"Pypes-Id": quote(loaded.id)} if loaded.id is not None and not loaded.is_own else {}
