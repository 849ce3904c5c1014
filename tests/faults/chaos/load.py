"""Clients: they post documents in every way there is, do as the answers say, and write down what they were promised."""

from __future__ import annotations

import json
import math
import random
import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import urllib3

from tests.faults.chaos.components import KILLERS, RAISED
from tests.faults.chaos.ledger import DROPPED, FAILED, Document, Ledger

#: Answers that say: not now.
LATER = (429, 503, 507)
CLIENT_S = 15.0
NDJSON = "application/x-ndjson"
#: Ids of one client in the ordered graph: few, so that versions of one document follow each other closely.
ORDERED_IDS = 40
#: Text of a document: a hundred of them are larger than the node's limit ``spool_bytes`` in this test.
TEXT = "All happy families are alike; every unhappy family is unhappy in its own way. " * 4
SPOOLED_DOCUMENTS = 250
#: Kinds of POSTs, each with its weight.
KINDS = {"single": 10, "batch": 4, "spooled": 0.3, "awaited": 1, "key": 3, "key batch": 1}
PLAIN_KINDS = {"lenient batch": 0.3}
ORDERED_KINDS = {"deletion": 1, "named": 2}


@dataclass(frozen=True, slots=True)
class Habits:
    """What clients do. ``poisons`` are those that may be sent, ``poison_s`` the mean time between two of one client."""

    poisons: tuple[str, ...] = (*KILLERS, *RAISED, "list", "generator")
    poison_s: float = 8.0
    #: Mean time between two POSTs of one client.
    pause_s: float = 0.02
    #: Share of POSTs to the bulk lane, and how often a client asks for a receipt it has, per POST.
    bulk: float = 0.15
    asks: float = 0.1


class Client(threading.Thread):
    """Posts to one graph until ``stop`` is set; nobody else posts its ids.

    A connection that breaks leaves what was posted unanswered: it may be published or not. With an Idempotency-Key it is
    repeated until it is answered. After 429, 503 and 507 it waits as Retry-After says.
    """

    def __init__(self, url: str, graph: str, name: str, rng: random.Random, habits: Habits, stop: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self.ledger = Ledger()
        self._root = url
        self._url = url + ("/docs" if graph == "plain" else f"/docs/{graph}")
        self._graph = graph
        self._rng = rng
        self._habits = habits
        self._stop_asked = stop
        self._serial = 0
        self._http = urllib3.PoolManager(maxsize=1, retries=False, timeout=urllib3.Timeout(CLIENT_S))
        self._next_poison_s = rng.expovariate(1 / habits.poison_s)
        self._spent_s = 0.0

    def run(self) -> None:
        kinds = KINDS | (ORDERED_KINDS if self._graph == "ordered" else PLAIN_KINDS)
        names, weights = list(kinds), list(kinds.values())
        try:
            while not self._stop_asked.is_set():
                self._post(self._rng.choices(names, weights)[0])
                if self._rng.random() < self._habits.asks:
                    self._ask()
                pause_s = self._rng.expovariate(1 / self._habits.pause_s)
                self._spent_s += pause_s
                self._stop_asked.wait(pause_s)
        except Exception as error:  # a client that ends early would make the test easier
            self.ledger.violations.append(f"client {self.name} failed: {type(error).__name__}: {error}")
        self._http.clear()

    # -- documents --------------------------------------------------------------------------------------

    def _documents(self, count: int, *, is_bulk: bool) -> list[Document]:
        documents = []
        for _ in range(count):
            self._serial += 1
            serial = f"{self.name}-{self._serial}"
            id = f"{self.name}/{self._rng.randrange(ORDERED_IDS)}" if self._graph == "ordered" else serial
            fate = DROPPED if self._rng.random() < 0.02 else "published"
            documents.append(Document(serial, id, self._graph, fate, is_bulk=is_bulk))
        if self._habits.poisons and self._spent_s >= self._next_poison_s:
            self._next_poison_s = self._spent_s + self._rng.expovariate(1 / self._habits.poison_s)
            victim = self._rng.choice(documents)
            kinds = self._habits.poisons
            # every second one ends or hangs its process, however many others there are
            killers = [each for each in kinds if each in KILLERS]
            victim.poison = self._rng.choice(killers if killers and self._rng.random() < 0.5 else kinds)
            victim.fate = FAILED
        return documents

    def _body(self, document: Document) -> bytes:
        fields: dict[str, Any] = {"id": document.id, "serial": document.serial, "text": TEXT}
        if document.fate == DROPPED:
            fields["unwanted"] = True
        if document.poison:
            fields["poison"] = document.poison
        return json.dumps(fields).encode()

    def _post(self, kind: str) -> None:
        rng = self._rng
        count = rng.randint(2, 30) if kind.endswith("batch") else SPOOLED_DOCUMENTS if kind == "spooled" else 1
        is_bulk = rng.random() < self._habits.bulk and kind != "deletion"
        documents = self._documents(count, is_bulk=is_bulk)
        url, method, headers = self._url, "POST", {"Content-Type": "application/json"}
        if kind == "deletion":
            (document,) = documents
            document.is_deletion, document.fate, document.poison = True, "published", ""
            method, headers = "DELETE", {}
        if kind in ("deletion", "named"):
            url += "/" + quote(documents[0].id, safe="")
        if count > 1:
            headers["Content-Type"] = NDJSON
        body = b"" if kind == "deletion" else b"\n".join(map(self._body, documents))
        query = ["lane=bulk"] if is_bulk else []
        if kind == "lenient batch":
            # a line cut short in the middle
            bad = rng.choice(documents)
            bad.fate, bad.poison = FAILED, "unreadable"
            body = b"\n".join(self._body(each)[: -1 if each is bad else None] for each in documents)
            query.append("on_error=deadletter")
        if query:
            url += "?" + "&".join(query)
        if kind == "awaited":
            headers["Prefer"] = "wait=1"
        if kind.startswith("key"):
            headers["Idempotency-Key"] = documents[0].serial
        posted_s = time.monotonic()
        for document in documents:
            document.posted_s = posted_s
        self.ledger.posted += documents
        receipt = self._send(method, url, headers, body, documents)
        if receipt is None:
            return
        self.ledger.acknowledge(documents, receipt, kind)
        if kind.startswith("key") and rng.random() < 0.3:
            again = self._send(method, url, headers, body, documents)
            self.ledger.kinds["key repeated"] += again is not None
            if again not in (receipt, None):
                self._violation(documents, f"the same key gave receipts {receipt} and {again}")

    def _ask(self) -> None:
        """Whatever goes on, a receipt that was given out is known; only the worker that has it may be away for a while."""
        if not self.ledger.acknowledged:
            return
        document = self._rng.choice(self.ledger.acknowledged[-1000:])
        try:
            answer = self._http.request("GET", f"{self._root}/receipts/{document.receipt}")
        except urllib3.exceptions.HTTPError:
            return
        if answer.status not in (200, *LATER):
            self._violation([document], f"its receipt {document.receipt} is answered with {answer.status}: {answer.data[:300]!r}")

    # -- answers ----------------------------------------------------------------------------------------

    def _send(self, method: str, url: str, headers: dict[str, str], body: bytes, documents: list[Document]) -> str | None:
        """Post; with a key, again and again until it is answered. Returns the receipt, ``None`` if there is none."""
        has_key = "Idempotency-Key" in headers
        while True:
            try:
                answer = self._http.request(method, url, body=body, headers=headers)
                data = answer.data
            except urllib3.exceptions.HTTPError:
                # something was killed: nothing was promised for these
                self.ledger.statuses["none"] += 1
                self._stop_asked.wait(0.02)
            else:
                self.ledger.statuses[str(answer.status)] += 1
                if answer.status in (200, 202):
                    found = json.loads(data)
                    if found["accepted"] != len(documents):
                        self._violation(documents, f"{len(documents)} documents posted, {found['accepted']} accepted")
                    return str(found["receipt"])
                if answer.status not in LATER:
                    self._violation(documents, f"answered with {answer.status}: {data[:300]!r}")
                    return None
                retry_after_s = float(answer.headers.get("Retry-After", "nan"))
                if math.isnan(retry_after_s):
                    self._violation(documents, f"answered with {answer.status} without Retry-After")
                else:
                    self._stop_asked.wait(retry_after_s)
            if not has_key or self._stop_asked.is_set():
                return None

    def _violation(self, documents: list[Document], what: str) -> None:
        self.ledger.violations.append(f"document {documents[0].serial} (id {documents[0].id}): {what}")
