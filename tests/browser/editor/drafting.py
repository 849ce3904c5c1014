"""Graphs, their versions and drafts, for pages of the editor that show what becomes of them."""

from __future__ import annotations

import json
from typing import Any

from pypes.testing.node import Node
from tests.browser.chromium import Seen
from tests.browser.nodes import graph

#: The browser notes in its console that an answer has a status such as this.
CONFLICT = "409 (Conflict)"


def send(node: Node, method: str, path: str, body: Any, **headers: str) -> Any:
    """The answer to a request with a JSON body, which must succeed."""
    sent = {"Content-Type": "application/json", **node.headers, **headers}
    answer = node.http.request(method, node.url + path, body=json.dumps(body).encode(), headers=sent)
    assert answer.status < 300, answer.data
    return answer.json()


def lower(name: str, *fields: str, **parts: Any) -> dict[str, Any]:
    """A graph that writes fields in small letters before it judges."""
    made = graph(name, **parts)
    made["nodes"]["lower"] = {"component": "NormalizeCase", "params": {"fields": list(fields)}}
    made["wires"] = [["json.out", "lower.in"], ["lower.out", "judge.in"], ["judge.out", "null.in"]]
    return made


def deployed(node: Node, *versions: dict[str, Any], note: str = "") -> str:
    """The name of a graph of which these versions were deployed one after the other."""
    for each in versions:
        send(node, "PUT", f"/graphs/{each['name']}?note={note}", each)
    return str(versions[0]["name"])


def drafted(node: Node, draft: dict[str, Any], base: int) -> None:
    """Begin a draft, or save over the one that there is."""
    path = f"/graphs/{draft['name']}/draft"
    found = node.get(path)
    head = {"If-None-Match": "*"} if found.status == 404 else {"If-Match": found.headers["ETag"]}
    send(node, "PUT", path, {"graph": draft, "base": base}, **head)


def live(node: Node, name: str) -> dict[str, Any]:
    """The graph that is deployed."""
    found: dict[str, Any] = node.get(f"/graphs/{name}").json()
    return found


def draft_of(node: Node, name: str) -> dict[str, Any]:
    """The draft of a graph."""
    found: dict[str, Any] = node.get(f"/graphs/{name}/draft").json()
    return found


def excused(seen: Seen, *statuses: str) -> None:
    """Leaves out what the browser notes of answers that are meant to be no success."""
    noted = {f"error: Failed to load resource: the server responded with a status of {status}" for status in statuses}
    seen.complaints[:] = [each for each in seen.complaints if each not in noted]
