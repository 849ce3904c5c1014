"""Those who change a node by HTTP while its processes are killed, and note what was answered."""

from __future__ import annotations

import json
import random
import threading
from contextlib import suppress
from typing import Any

import urllib3

from pypes.testing.node import Node

#: The token of the node.
OWN = "the-token-of-the-node"
#: The component that makes dead letters.
PARTS = """
from pypes import Packet, Transformer


class Fragile(Transformer):
    def process(self, packet: Packet) -> Packet:
        if packet.get("n") == "many":
            raise ValueError("that is no number")
        return packet
"""


def graph(name: str, value: str = "") -> dict[str, Any]:
    return {
        "pypes": 1,
        "name": name,
        "routes": [name],
        "nodes": {
            "json": {"component": "JSON"},
            "check": {"component": "Fragile"},
            "set": {"component": "SetField", "params": {"field": "value", "value": value}},
            "null": {"component": "Null"},
        },
        "wires": [["json.out", "check.in"], ["check.out", "set.in"], ["set.out", "null.in"]],
    }


class Author(threading.Thread):
    """Changes what it likes until ``stop`` is set, and notes what was answered: kind and name."""

    def __init__(self, node: Node, name: str, rng: random.Random, letters: list[str], stop: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self._node = node
        self._rng = rng
        self._letters = letters
        self._stop_asked = stop
        self._number = 0
        self._drafts: list[str] = []
        self._tokens: list[str] = []
        #: The last save of its draft that was sent, the last that was answered, and the counter that it was answered with.
        self.sent, self.saved, self._counter = 0, 0, 0
        self.answered: list[tuple[str, str]] = []
        self.failure: Exception | None = None

    def run(self) -> None:
        drafts = (self._draft, self._undraft, self._save)
        kinds = (*drafts, self._token, self._revoke, self._pause, self._version, self._edit, self._letter)
        try:
            while not self._stop_asked.is_set():
                with suppress(urllib3.exceptions.HTTPError):
                    self._rng.choice(kinds)()
        except Exception as error:  # one that ends early would make the test easier
            self.failure = error

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer to what was done; ``None`` if it was refused."""
        status, answer = self._answer(method, path, body)
        assert status < 300 or status in (404, 409, 502, 503), answer
        return answer if status < 300 else None

    def _answer(self, method: str, path: str, body: Any, more: dict[str, str] | None = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {OWN}", **(more or {})}
        answer = self._node.http.request(method, self._node.url + path, body=data, headers=headers, timeout=20)
        return answer.status, json.loads(answer.data) if answer.data else {}

    def _note(self, kind: str, name: str, answer: Any) -> None:
        if answer is not None:
            self.answered.append((kind, name))

    def _draft(self) -> None:
        made = self._ask("POST", "/filters", {"component": "Null"})
        if made is not None:
            self._drafts.append(made["id"])
            self._note("filter.create", made["id"], made)

    def _undraft(self) -> None:
        if self._drafts:
            id = self._drafts.pop()
            self._note("filter.delete", id, self._ask("DELETE", f"/filters/{id}"))

    def _save(self) -> None:
        """Save a draft of its own, in the place of the last that it knows of."""
        self.sent += 1
        seen = {"If-Match": f'"{self._counter}"'} if self._counter else {"If-None-Match": "*"}
        body = {"graph": {"description": str(self.sent)}, "base": 0}
        status, answer = self._answer("PUT", f"/graphs/draft-{self.name}/draft", body, seen)
        if status in (200, 201):
            self.saved, self._counter = self.sent, answer["counter"]
        elif status == 412:  # one that was not answered was kept all the same
            assert self.saved < int(answer["draft"]["graph"]["description"]) < self.sent
            self._counter = answer["draft"]["counter"]
        else:
            assert status in (502, 503), answer

    def _token(self) -> None:
        self._number += 1
        name = f"{self.name}-{self._number}"
        self._tokens.append(name)
        self._note("token.create", name, self._ask("POST", "/tokens", {"name": name, "scopes": ["read"]}))

    def _revoke(self) -> None:
        if self._tokens:
            name = self._tokens.pop()
            self._note("token.revoke", name, self._ask("DELETE", f"/tokens/{name}"))

    def _pause(self) -> None:
        self._ask("POST", f"/graphs/paused/{self._rng.choice(('pause', 'resume'))}")

    def _version(self) -> None:
        self._number += 1
        name = self._rng.choice(("base", "other"))
        deployed = self._ask("PUT", f"/graphs/{name}", graph(name, f"{self.name} {self._number}"))
        if deployed is not None:
            self._note("graph.deploy", f"{name} {deployed['version']}", deployed)

    def _edit(self) -> None:
        if self._letters:
            id = self._rng.choice(self._letters)
            self._note("deadletters.edit", id, self._ask("PUT", f"/deadletters/{id}", {"packet": {"fields": {"n": "many"}}}))

    def _letter(self) -> None:
        if not self._letters:
            return
        id = self._letters.pop()
        if self._rng.random() < 0.5:
            self._note("deadletters.delete", id, self._ask("DELETE", f"/deadletters/{id}"))
        else:
            self._note("deadletters.replay", id, self._ask("POST", f"/deadletters/{id}/replay", {"from": "filter"}))
