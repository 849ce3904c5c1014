"""Tables: CSV files of which some rows fail, and what failed is replayed from the start."""

from __future__ import annotations

import json
import random
import threading
import time
from typing import Any

import urllib3

from tests.faults.chaos.components import RAISED
from tests.faults.chaos.ledger import FAILED, Document, Ledger

#: How long the client follows a delivery before it goes on to the next table; one that waits for its turn is no fault.
FOLLOW_S = 20.0
MOST_ROWS = 40
#: How often one table is replayed, at most.
MOST_REPLAYS = 3


class Table:
    """One CSV file; each of its rows is a document of the ledger, with the receipt of the run that came last."""

    def __init__(self, name: str, rng: random.Random) -> None:
        self.rows = [Document(f"{name}-{row}", f"{name}-{row}", "tables") for row in range(rng.randint(2, MOST_ROWS))]
        for row in self.rows:
            if rng.random() < 0.2:
                row.poison, row.fate = rng.choice(sorted(RAISED)), FAILED
        self.bad = sum(row.fate == FAILED for row in self.rows)

    def body(self) -> bytes:
        lines = ["id,serial,poison", *(f"{row.id},{row.serial},{row.poison}" for row in self.rows)]
        return "\r\n".join(lines).encode()

    def runs_again(self) -> None:
        """A replay was asked for; nobody knows its receipt before it is answered."""
        for row in self.rows:
            row.runs += 1
            row.receipt = ""

    def is_known_as(self, receipt: str) -> None:
        for row in self.rows:
            row.receipt = receipt


class Tables(threading.Thread):
    """Posts one table after the other until ``stop`` is set, and replays what failed, a table as one delivery."""

    def __init__(self, url: str, name: str, rng: random.Random, stop: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self.ledger = Ledger()
        self.replays = 0
        self._url = url
        self._rng = rng
        self._stop_asked = stop
        self._http = urllib3.PoolManager(maxsize=1, retries=False, timeout=urllib3.Timeout(15.0))

    def run(self) -> None:
        number = 0
        try:
            while not self._stop_asked.is_set():
                number += 1
                self._table(Table(f"{self.name}-{number}", self._rng))
                self._stop_asked.wait(self._rng.expovariate(1 / 0.3))
        except Exception as error:  # a client that ends early would make the test easier
            self.ledger.violations.append(f"client {self.name} failed: {type(error).__name__}: {error}")
        self._http.clear()

    def _table(self, table: Table) -> None:
        self.ledger.posted += table.rows
        found = self._ask("POST", "/docs/tables", table.body(), "text/csv")
        if found is None:
            return
        if found["accepted"] != 1:
            self.ledger.violations.append(f"table {table.rows[0].serial} is one document, not {found['accepted']}")
        receipt = found["receipt"]
        self.ledger.acknowledge(table.rows, receipt, "table")
        for _ in range(self._rng.randint(0, MOST_REPLAYS)):
            if not self._is_followed(table, receipt) or not table.bad:
                return
            letters = self._letters(receipt)
            if len(letters) > table.bad:
                self._violation(table, f"{len(letters)} dead letters of receipt {receipt} for {table.bad} rows that failed")
            if len(letters) != table.bad:  # a worker may be away that has some
                return
            path = f"/deadletters/{self._rng.choice(letters)}/replay"
            # a replay that is not answered may have happened
            table.runs_again()
            replayed = self._ask("POST", path, b'{"from": "start"}', "application/json")
            if replayed is None:
                return
            receipt = replayed["receipt"]
            table.is_known_as(receipt)
            self.replays += 1

    def _is_followed(self, table: Table, receipt: str) -> bool:
        """Wait until a run is over, and see that its receipt says so; False if it takes too long."""
        end = time.monotonic() + FOLLOW_S
        while time.monotonic() < end and not self._stop_asked.is_set():
            found = self._ask("GET", f"/receipts/{receipt}?wait=2")
            if found is None or found["state"] not in ("done", "failed"):
                continue
            due = {"state": "failed" if table.bad else "done", "failed": int(table.bad > 0), "published": int(table.bad == 0)}
            if any(found[name] != value for name, value in due.items()):
                self._violation(table, f"its receipt says {found}, with {table.bad} rows that fail")
            return True
        return False

    def _letters(self, receipt: str) -> list[str]:
        found: list[str] = []
        after = ""
        while True:
            page = self._ask("GET", f"/deadletters?graph=tables&limit=500{after}")
            if page is None:
                return []
            found += [letter["id"] for letter in page["deadletters"] if letter["receipt"] == receipt]
            if not page.get("next"):
                return found
            after = f"&after={page['next']}"

    def _ask(self, method: str, path: str, body: bytes = b"", media_type: str = "") -> Any:
        """What is answered; ``None`` if nothing is, or: not now."""
        headers = {"Content-Type": media_type} if media_type else {}
        try:
            answer = self._http.request(method, self._url + path, body=body or None, headers=headers)
        except urllib3.exceptions.HTTPError:
            self._stop_asked.wait(0.1)
            return None
        if answer.status in (200, 202):
            return json.loads(answer.data)
        if answer.status in (429, 503, 507):
            self._stop_asked.wait(min(2.0, float(answer.headers.get("Retry-After", "1"))))
        elif not (answer.status == 404 and "deadletters" in path):
            self.ledger.violations.append(f"{method} {path} was answered with {answer.status}: {answer.data[:300]!r}")
        return None

    def _violation(self, table: Table, what: str) -> None:
        self.ledger.violations.append(f"table of {table.rows[0].serial}: {what}")
