"""Clients of a fleet: they know one address, that of the balancer.

A client does what any should: it comes again after ``Retry-After`` when it is told 503 or 429, and sends again under its own
``Idempotency-Key`` what was not answered. While all is well (``is_strict``), neither may be needed, but for what one node owns.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import urllib3

from pypes.testing.node import Node, until
from tests.servers.balanced.ledger import Ledger, Post

CLIENTS = 4
#: Longest pause of a client that was told to come again.
AGAIN_S = 0.25
#: Longest wait for an answer: more than the balancers have.
ANSWER_S = 90.0
#: Refusals by which nobody knows whether the request was carried out.
UNKNOWN = {"owner.lost", "worker.ending"}
#: Refusals that tell of a node that is away: what belongs to it waits. Large bodies are not sent again by HAProxy.
AWAY = {"fleet.member_away", "fleet.joining", "fleet.changing", "node.draining"} | UNKNOWN
LARGE = "x" * 60_000


class Client(threading.Thread):
    """Posts, deletes, repeats and follows, one request after the other, until it is told to stop."""

    def __init__(self, address: str, name: str, seed: int, load: Load) -> None:
        super().__init__(name=name, daemon=True)
        self.address = address
        self.random = random.Random(seed)
        self.load = load
        self.ledger = Ledger()
        self.http = urllib3.PoolManager(maxsize=1, retries=False, timeout=urllib3.Timeout(ANSWER_S))
        self.sent = 0

    def run(self) -> None:
        while not self.load.stopping.is_set():
            post, body, headers = self.next()
            self.send(post, body, headers)
            if post.receipt and self.random.random() < 0.3:
                self.follow(post)
            if post.receipt and post.key and self.random.random() < 0.5:
                first, post.receipt = post.receipt, ""
                self.send(post, body, headers, is_repeated=True)
                if post.receipt not in ("", first):
                    self.ledger.violations.append(f"a second receipt under one key: {first}, {post.receipt}")
                post.receipt = first
        self.http.clear()

    def next(self) -> tuple[Post, bytes, dict[str, str]]:
        """A request: a document, a batch, a large one, one under a key, a version of one in the ordered graph, a deletion."""
        self.sent += 1
        kind = self.random.choice(("single", "single", "batch", "large", "key", "key", "ordered", "deletion"))
        own = f"{self.name}-{self.sent}"
        self.ledger.counts[kind] += 1
        headers = {"Content-Type": "application/json"}
        if kind == "batch":
            ids = [f"{own}.{n}" for n in range(10)]
            body = b"\n".join(json.dumps({"id": each, "text": "b" * 200}).encode() for each in ids)
            return Post(ids), body, {"Content-Type": "application/x-ndjson"}
        if kind == "ordered":
            id = f"{self.name}-o{self.random.randrange(5)}"
            post = Post([id], "/ordered", version=self.sent)
            return post, json.dumps({"id": id, "version": self.sent}).encode(), headers
        if kind == "deletion":
            return Post([own], f"/plain/{own}", is_deletion=True), b"", {}
        post = Post([own], is_large=kind == "large")
        if kind == "key":
            post.key = headers["Idempotency-Key"] = f"key-{own}"
        return post, json.dumps({"id": own, "text": LARGE if kind == "large" else "s" * 200}).encode(), headers

    def send(self, post: Post, body: bytes, headers: dict[str, str], *, is_repeated: bool = False) -> None:
        """Send it until it is acknowledged; what has no key of the client's is not sent again without an answer."""
        method = "DELETE" if post.is_deletion else "POST"
        while True:
            is_strict = self.load.is_strict.is_set()
            try:
                answer = self.http.request(method, self.address + "/docs" + post.route, body=body or None, headers=headers)
            except urllib3.exceptions.HTTPError as error:
                self.trouble(is_strict, f"{post}: {error!r}", "no answer")
                answer = None
            if answer is not None and answer.status in (200, 202):
                post.receipt = json.loads(answer.data)["receipt"]
                if not is_repeated:
                    self.ledger.acknowledged.append(post)
                return
            if answer is not None and answer.status in (429, 503) and "Retry-After" in answer.headers:
                code = json.loads(answer.data).get("code", "")
                self.ledger.counts[f"told to come again: {code}"] += 1
                if code not in AWAY or not (post.key or post.version or post.is_large):
                    self.trouble(is_strict, f"{post}: {answer.status} {code}, {answer.data!r}", "refused")
                if code in UNKNOWN and not post.key:
                    self.ledger.unknown.append(post)
                    return
                self.load.stopping.wait(AGAIN_S)
            elif answer is not None:
                self.trouble(
                    is_strict,
                    f"{post}: {answer.status} {answer.data[:300]!r}",
                    f"{answer.status}",
                    is_always=answer.status not in (502, 503, 504),
                )
            if answer is None or answer.status in (502, 504) or (answer.status == 503 and "Retry-After" not in answer.headers):
                if not post.key and not is_repeated:
                    self.ledger.unknown.append(post)
                    return
                self.load.stopping.wait(AGAIN_S)
            elif answer.status not in (429, 503):
                return
            if self.load.stopping.is_set():
                if not is_repeated:
                    self.ledger.unknown.append(post)
                return

    def trouble(self, is_violation: bool, told: str, kind: str, *, is_always: bool = False) -> None:
        """Count what went wrong; what was under way when a node was about to die is no violation."""
        self.ledger.counts[kind] += 1
        if is_always or (is_violation and self.load.is_strict.is_set()):
            self.ledger.violations.append(told)

    def follow(self, post: Post) -> None:
        """Ask for the receipt until it is done, whichever node answers."""
        is_strict = self.load.is_strict.is_set()
        try:
            answer = self.http.request("GET", f"{self.address}/receipts/{post.receipt}?wait=20")
        except urllib3.exceptions.HTTPError as error:
            self.trouble(is_strict, f"receipt {post.receipt}: {error!r}", "receipt: no answer")
            return
        if answer.status == 200:
            self.ledger.counts["followed"] += 1
            return
        code = json.loads(answer.data).get("code", "") if answer.data[:1] == b"{" else ""
        self.trouble(
            is_strict and code not in AWAY,
            f"receipt {post.receipt}: {answer.status} {answer.data[:300]!r}",
            f"receipt: {answer.status} {code}",
            is_always=answer.status not in (502, 503, 504),
        )


class Load:
    """The clients, and whether all has to be well for them now."""

    def __init__(self, address: str, seed: int) -> None:
        self.stopping = threading.Event()
        self.is_strict = threading.Event()
        self.is_strict.set()
        self.clients = [Client(address, f"c{number}", seed + number, self) for number in range(CLIENTS)]

    @property
    def ledger(self) -> Ledger:
        return Ledger.of(client.ledger for client in self.clients)

    def goes_on(self, requests: int = 150) -> None:
        """Return when so many more requests were acknowledged."""
        before = self._acknowledged()
        until(lambda: self._acknowledged() >= before + requests or self._violations(), 120, "requests acknowledged")
        assert not self._violations(), self.ledger.violations[:5]

    def _acknowledged(self) -> int:
        return sum(len(client.ledger.acknowledged) for client in self.clients)

    def _violations(self) -> bool:
        return any(client.ledger.violations for client in self.clients)

    def end(self) -> None:
        self.stopping.set()
        for client in self.clients:
            client.join(ANSWER_S)
            assert not client.is_alive()


@contextmanager
def loaded(address: str, seed: int) -> Iterator[Load]:
    """The clients at work until the end of the block."""
    load = Load(address, seed)
    for client in load.clients:
        client.start()
    try:
        yield load
    finally:
        load.end()


@contextmanager
def troubled(load: Load) -> Iterator[None]:
    """A time in which a node dies or hangs: what was under way there may fail."""
    load.is_strict.clear()
    yield
    load.is_strict.set()


def answer_of(node: Node, path: str) -> tuple[int, Any]:
    """Status and content of what a node says itself."""
    answer = node.get(path)
    return answer.status, json.loads(answer.data)
