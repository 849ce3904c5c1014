"""Authors: clients that post versions of their documents, follow what fails in part, mend it and replay it."""

from __future__ import annotations

import json
import math
import random
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import urllib3
from urllib3.fields import RequestField
from urllib3.filepost import encode_multipart_formdata

from tests.faults.operations.model import DELETION, LOG_POISON, POISON, RECORD, TABLE, TEXT, Document, Version, untrue

#: The graph in which texts are held back that have not changed. It keeps order: tables and deletions do not come past the
#: filter, which hears of these when they are done.
UNCHANGED: Final = "ordered"
#: Answers that say: not now.
LATER: Final = (429, 503, 507)
CLIENT_S: Final = 20.0
#: Longest time for which a delivery is followed; one that waits for its turn is no fault.
FOLLOW_S: Final = 20.0
DOCUMENTS: Final = 24
HOT: Final = 4
MOST_ITEMS: Final = 40
#: Share of tables that are far larger: more than a wave, and than what is removed at once.
LARGE: Final = 0.002
LARGE_ITEMS: Final = (300, 3_000)
PACKETS: Final = "application/vnd.pypes.packets+json"
TYPES: Final[Mapping[str, str]] = {TABLE: "text/csv", TEXT: "text/plain", RECORD: "application/json"}
FILES: Final[Mapping[str, str]] = {TABLE: "csv", TEXT: "txt", RECORD: "json"}

#: Kinds of operations, each with its weight.
OPERATIONS: Final[Mapping[str, float]] = {
    "replace": 30,
    "shrink": 15,
    "grow": 10,
    "empty": 3,
    "repeat": 10,
    "delete": 9,
    "fail": 8,
    "fail in the log": 6,
}
#: What becomes of documents that failed in part.
MENDINGS: Final[Mapping[str, float]] = {
    "nothing": 5,
    "start, mended": 4,
    "start": 1,
    "filter, mended": 2,
    "filter": 1,
}


@dataclass(slots=True)
class Notes:
    """What one author did, and what no server may do."""

    operations: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    #: Parts of older versions that were removed, by publisher, as receipts said.
    removed: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        return sum(self.operations.values())


class Author(threading.Thread):
    """Posts versions of its own documents to one graph until ``stop`` is set."""

    def __init__(
        self, url: str, graph: str, name: str, mended: Path, rng: random.Random, stop: threading.Event, *, most_in_post: int = 12
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.graph = graph
        self.notes = Notes()
        self.documents = [Document(f"{name}/{number}") for number in range(DOCUMENTS)]
        self._root = url
        self._url = f"{url}/docs/{graph}"
        self._mended = mended
        self._rng = rng
        self._stop_asked = stop
        self._most_in_post = most_in_post
        self._serial = 0
        self._http = urllib3.PoolManager(maxsize=1, retries=False, timeout=urllib3.Timeout(CLIENT_S))

    def run(self) -> None:
        try:
            while not self._stop_asked.is_set():
                self._post()
        except Exception as error:  # an author that ends early would make the test easier
            self.notes.violations.append(f"author {self.name} failed: {type(error).__name__}: {error}")
        self._http.clear()

    # -- versions -------------------------------------------------------------------------------------------

    def _version(self, document: Document, operation: str) -> Version:
        rng = self._rng
        self._serial += 1
        serial = f"{self.name}v{self._serial}"
        number = len(document.versions) + 1
        last = document.versions[-1] if document.versions else None
        if operation == "delete":
            return Version(document.id, number, serial, DELETION)
        # as the last one, or as one before that, which has been replaced
        again = rng.choice(document.versions[-3:]) if operation == "repeat" and last is not None else None
        if again is not None and again.kind != DELETION and not again.poison:
            return Version(document.id, number, again.serial, again.kind, again.items)
        kind = rng.choice((TABLE, TABLE, TEXT, RECORD))
        size = rng.randint(0, MOST_ITEMS)
        if last is not None and last.items and operation in ("shrink", "grow"):
            kind, size = last.kind, len(last.items)
            size = rng.randint(0, size - 1) if operation == "shrink" else rng.randint(size, size + 10)
        elif operation == "empty":
            size = 0
        poison = {"fail": POISON, "fail in the log": LOG_POISON}.get(operation, "")
        if poison:
            size = max(2, size)
        elif kind == TABLE and rng.random() < LARGE:
            size = rng.randint(*LARGE_ITEMS)
        if kind == RECORD:
            kind, size = (RECORD, 1) if size else (TABLE, 0)
        items = [f"{serial}.{number}" for number in range(size)]
        # texts get one: which words share a chunk is decided later
        bad = (rng.randint(1, 3) if kind == TABLE else 1) if poison else 0
        bad = min(bad, size if kind == RECORD else max(0, size - 1))
        for place in rng.sample(range(size), bad) if poison else ():
            items[place] = f"{poison}-{serial}"
        if kind == TABLE:
            items = [f"row {number} of {item}" for number, item in enumerate(items)]
        return Version(document.id, number, serial, kind, tuple(items), poison, bad)

    def _post(self) -> None:
        rng = self._rng
        names, weights = list(OPERATIONS), list(OPERATIONS.values())
        count = 1 if rng.random() < 0.4 else rng.randint(2, self._most_in_post)
        is_bulk = rng.random() < 0.15
        is_deletion = rng.random() < 0.08
        versions: list[Version] = []
        is_followed = rng.random() < 0.1
        # a few of them are posted again and again, so that versions are in flight together
        among = self.documents[:HOT] if count <= HOT and rng.random() < 0.5 else self.documents
        for document in rng.sample(among, count):
            operation = "delete" if is_deletion else rng.choices(names, weights)[0]
            if operation == "delete" and not is_deletion and count > 1:
                operation = "replace"
            version = self._version(document, operation)
            version.is_bulk = is_bulk
            version.may_be_held = version.kind == TEXT and self.graph == UNCHANGED
            version.index = len(versions)
            versions.append(version)
            self.notes.operations[operation] += 1
            is_followed |= (operation == "repeat" or version.bad > 0) and rng.random() < 0.3
            # noted before it is sent: a reader may see it before it is answered
            document.versions.append(version)
        receipt = self._send(versions, is_bulk=is_bulk)
        if receipt is None:
            return
        for version in versions:
            version.receipt = receipt
        if is_followed:
            self._follow(receipt, versions)

    def _send(self, versions: list[Version], *, is_bulk: bool) -> str | None:
        method, url, body, headers = self._request(versions)
        if is_bulk:
            url += "?lane=bulk"
        if self._rng.random() < 0.5:
            headers["Idempotency-Key"] = f"{versions[0].serial}-{versions[0].number}"
        found = self._ask(method, url, body, headers, is_repeated="Idempotency-Key" in headers)
        if found is None:
            return None
        if found["accepted"] != len(versions):
            self._violation(f"{len(versions)} documents posted, {found['accepted']} accepted ({versions[0].serial})")
        return str(found["receipt"])

    def _request(self, versions: list[Version]) -> tuple[str, str, bytes, dict[str, str]]:
        first = versions[0]
        if all(version.kind == DELETION for version in versions) and len(versions) > 1:
            packets = [{"fields": {}, "meta": {"id": version.id, "requestmethod": "DELETE"}} for version in versions]
            return "POST", self._url, json.dumps(packets).encode(), {"Content-Type": PACKETS}
        if len(versions) == 1:
            url = f"{self._url}/{quote(first.id, safe='')}"
            if first.kind == DELETION:
                return "DELETE", url, b"", {}
            return "PUT", url, body_of(first), {"Content-Type": TYPES[first.kind]}
        fields = []
        for version in versions:
            part = RequestField("file", body_of(version), filename=f"{version.index}.{FILES[version.kind]}")
            part.headers = {"Pypes-Id": quote(version.id, safe="")}
            part.make_multipart(content_type=TYPES[version.kind])
            fields.append(part)
        body, content_type = encode_multipart_formdata(fields)
        return "POST", self._url, body, {"Content-Type": content_type}

    # -- what becomes of them -------------------------------------------------------------------------------

    def _follow(self, receipt: str, versions: list[Version]) -> None:
        """Wait until a delivery is finished, see that its receipt and its dead letters are right, and mend what failed."""
        if (found := self._finished(receipt)) is None:
            return
        may_be_left_out = self.graph == "ordered" and versions[0].is_bulk
        if not may_be_left_out:
            self.notes.violations.extend(untrue(versions, found))
            for version in versions:
                version.is_done = True
        for version in versions:
            if not version.bad:
                continue
            letters = self._letters(receipt, version.index)
            if letters is None:
                return
            if len(letters) > version.bad:
                self._violation(f"{len(letters)} dead letters of {version.serial}, receipt {receipt}, for {version.bad} marks")
            if len(letters) == version.bad:  # else a worker is away that has some, or a newer version came before
                self._mend(version, letters)

    def _mend(self, version: Version, letters: list[str]) -> None:
        """Do with documents that failed in part as :data:`MENDINGS` says."""
        names, weights = list(MENDINGS), list(MENDINGS.values())
        mending = self._rng.choices(names, weights)[0]
        if mending == "nothing":
            return
        version.is_replayed = True
        start, _, how = mending.partition(", ")
        is_mended = how == "mended"
        if is_mended:
            (self._mended / version.serial).touch()
            if start == "start":
                version.may_be_mended = True
        for letter in letters[:1] if start == "start" else letters:
            self.notes.operations[f"replay from the {mending}"] += 1
            url = f"{self._root}/deadletters/{letter}/replay"
            body = json.dumps({"from": start}).encode()
            answer = self._ask("POST", url, body, {"Content-Type": "application/json"}, absent=True)
            if answer is None:  # it may have been replayed
                return
            receipt = answer["receipt"]
            found = self._finished(receipt)
            if found is None:
                return
            if found["dropped"]:
                return  # a newer one was there
            wanted = "done" if is_mended else "failed"
            if found["state"] != wanted:
                self._violation(f"the replay {receipt} of {version.serial} ({mending}) is {found['state']}: {found}")
            elif is_mended and start == "start":
                version.is_mended = True

    def _finished(self, receipt: str) -> dict[str, Any] | None:
        for _ in range(math.ceil(FOLLOW_S / 2)):
            found: dict[str, Any] | None = self._ask("GET", f"{self._root}/receipts/{receipt}?wait=2")
            if found is not None and found["state"] in ("done", "failed"):
                self.notes.removed.update(found.get("removed") or {})
                return found
            if self._stop_asked.is_set():
                break
        return None

    def _letters(self, receipt: str, index: int) -> list[str] | None:
        """The dead letters of a document, by what can be asked now; ``None`` if that is nothing."""
        page = self._ask("GET", f"{self._root}/deadletters?receipt={receipt}&index={index}&limit=500")
        return None if page is None else [letter["id"] for letter in page["deadletters"]]

    # -- answers --------------------------------------------------------------------------------------------

    def _ask(
        self,
        method: str,
        url: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        is_repeated: bool = False,
        absent: bool = False,
    ) -> Any:
        """The answer, if it is one; ``None`` if nobody answers. Repeated until it is, or until there was one.

        ``absent``: 404 and 409 may be answered.
        """
        while True:
            try:
                answer = self._http.request(method, url, body=body or None, headers=headers)
                data = answer.data
            except urllib3.exceptions.HTTPError:
                # something was killed: it may have been taken or not
                self.notes.statuses["none"] += 1
                self._stop_asked.wait(0.05)
                if not is_repeated:
                    return None
                continue
            self.notes.statuses[str(answer.status)] += 1
            if answer.status in (200, 202):
                return json.loads(data)
            if answer.status in LATER:
                retry_after_s = float(answer.headers.get("Retry-After", "1"))
                self._stop_asked.wait(min(2.0, retry_after_s))
                if method == "GET" and self._stop_asked.is_set():
                    return None
                continue
            if not (absent and answer.status in (404, 409)):
                self._violation(f"{method} {url} was answered with {answer.status}: {data[:300]!r}")
            return None

    def _violation(self, what: str) -> None:
        self.notes.violations.append(what)


def body_of(version: Version) -> bytes:
    """The body that is posted."""
    if version.kind == TABLE:
        lines = ["number,text", *(f"{number},{item}" for number, item in enumerate(version.items))]
        return "".join(f"{line}\r\n" for line in lines).encode()
    if version.kind == RECORD:
        return json.dumps({"text": version.items[0]}).encode()
    return " ".join(version.items).encode() or b" "
