"""Requests whose answers are held against the description of the interface, and the graph of the nodes that are asked."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs

from pypes.testing.node import Node

GRAPH: dict[str, Any] = {
    "pypes": 1,
    "name": "base",
    "nodes": {
        "json": {"component": "JSON", "params": {}},
        "set": {"component": "SetField", "params": {"field": "seen", "value": "yes"}},
        "null": {"component": "Null", "params": {}},
    },
    "wires": [["json.out", "set.in"], ["set.out", "null.in"]],
}


class Asker:
    """Asks, and holds every answer against the description of the interface."""

    def __init__(self, node: Node, described: dict[str, Any]) -> None:
        self.node = node
        self.described = described

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        template: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        data = json.dumps(body).encode() if body is not None else None
        fields = {"Content-Type": "application/json", **(headers or {})}
        answer = self.node.http.request(method, self.node.url + path, body=data, headers=fields)
        responses = self.described["paths"][template or path.partition("?")[0]][method.lower()]["responses"]
        assert str(answer.status) in responses, f"{method} {path} answered {answer.status}: {answer.data!r}"
        content = responses[str(answer.status)].get("content", {})
        if not content:
            assert answer.data == b""
            return answer.status, None
        ((media, schema),) = content.items()
        assert answer.headers["content-type"] == media
        value = answer.json()
        whole = {"components": self.described["components"], **schema["schema"]}
        jsonschema_rs.validator_for(whole).validate(value)
        return answer.status, value
