"""Each operation that changes something, with what it changes prepared beforehand, on a node with two workers."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from pypes.testing.node import Node, until
from tests.api.callers import ADMIN, FORM, Caller
from tests.api.permissions import Row

PARTS = """
from pypes import Packet, Source, Transformer


class Fragile(Transformer):
    def process(self, packet: Packet) -> Packet:
        if packet.get("n") == "many":
            raise ValueError("that is no number")
        return packet


class Bad(Transformer):
    def setup(self):
        raise RuntimeError("no model")

    def process(self, packet: Packet) -> Packet:
        return packet


class Once(Source):
    def fetch(self, cursor):
        yield [], "over"
"""


def graph(name: str, mark: str = "", **more: Any) -> dict[str, Any]:
    return {
        "pypes": 1,
        "name": name,
        "routes": [name],
        "description": mark,
        "nodes": {
            "json": {"component": "JSON"},
            "changed": {"component": "Unchanged"},
            "check": {"component": "Fragile"},
            "set": {"component": "SetField", "params": {"field": "mark", "value": mark}},
            "out": {"component": "Outbox", "params": {"name": f"results-{name}"}},
            "once": {"component": "Once"},
        },
        "wires": [
            ["json.out", "changed.in"],
            ["changed.out", "check.in"],
            ["check.out", "set.in"],
            ["set.out", "out.in"],
            ["once.out", "set.in"],
        ],
        **more,
    }


class Asked(NamedTuple):
    """A request that changes something, with what its line says of it."""

    path: str
    body: Any = None
    graph: str = ""
    object: str | None = None
    number: int = 1
    headers: dict[str, str] | None = None
    by: str = "changer"


class Stage:
    """A node, asked by a token with the scope ``admin``; ``prepare`` makes what an operation changes, beforehand."""

    def __init__(self, node: Node, callers: list[Caller], secret: str) -> None:
        self.node = node
        self.callers = callers
        self.secret = secret
        self._numbers = iter(range(1_000))

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        status, answer = self.callers[0].ask(method, path, self.secret, body)
        assert status < 300, (method, path, status, answer)
        return answer

    def lines(self, query: str = "limit=1000") -> list[dict[str, Any]]:
        return list(self.ask("GET", f"/audit?{query}")["audit"])

    def letters(self, count: int = 1) -> list[dict[str, Any]]:
        """New dead letters of one receipt."""
        body = [{"id": str(next(self._numbers)), "n": "many"} for _ in range(count)]
        receipt = self.ask("POST", "/docs/base", body)["receipt"]
        assert self.ask("GET", f"/receipts/{receipt}?wait=30")["finished"]
        found = self.ask("GET", f"/deadletters?receipt={receipt}")["deadletters"]
        assert len(found) == count
        return list(found)

    def deployed(self) -> str:
        name = f"graph-{next(self._numbers)}"
        self.ask("PUT", f"/graphs/{name}", graph(name))
        return name

    def drafted(self) -> tuple[str, list[str], dict[str, str]]:
        """A graph of which a valid draft is there: name, ids of its filters, and its last wire."""
        name = f"draft-{next(self._numbers)}"
        ids = [self.ask("POST", "/filters", {"component": component})["id"] for component in ("JSON", "Null")]
        wire = {"source": f"{ids[0]}.out", "target": f"{ids[1]}.in"}
        self.ask("POST", f"/graphs/{name}/wires", wire)
        return name, ids, wire

    def token(self) -> str:
        name = f"token-{next(self._numbers)}"
        self.ask("POST", "/tokens", {"name": name, "scopes": ["read"]})
        return name

    def session(self) -> tuple[str, str]:
        """Cookie and CSRF token of a new session."""
        _, fields, _ = self.callers[0].raw("POST", "/session", None, f"token={ADMIN}".encode(), FORM)
        cookie = fields["set-cookie"].partition(";")[0]
        _, _, content = self.callers[0].raw("GET", "/session", None, None, {"Cookie": cookie})
        return cookie, json.loads(content)["csrf"]

    def prepare(self, row: Row) -> Asked:
        make = getattr(self, f"_{re.sub('[^a-z]+', '_', row.name.lower()).strip('_')}")
        made: Asked = make()
        return made

    # -- each operation -----------------------------------------------------------------------------------

    def _post_session(self) -> Asked:
        return Asked("/session", f"token={ADMIN}".encode(), headers=FORM, by="admin")

    def _post_session_end(self) -> Asked:
        cookie, csrf = self.session()
        return Asked("/session/end", headers={"Cookie": cookie, "X-CSRF-Token": csrf}, by="admin")

    def _delete_deadletters(self) -> Asked:
        first, *_ = found = self.letters(3)
        return Asked(f"/deadletters?receipt={first['receipt']}", None, "base", min(each["id"] for each in found), 3)

    def _post_deadletters_replay(self) -> Asked:
        first, *_ = found = self.letters(3)
        wanted = {"receipt": first["receipt"], "from": "start"}
        return Asked("/deadletters/replay", wanted, "base", min(each["id"] for each in found), 3)

    def _put_deadletters_id(self) -> Asked:
        (letter,) = self.letters()
        return Asked(f"/deadletters/{letter['id']}", {"packet": {"fields": {"n": 1}}}, "base", letter["id"])

    def _delete_deadletters_id(self) -> Asked:
        (letter,) = self.letters()
        return Asked(f"/deadletters/{letter['id']}", None, "base", letter["id"])

    def _post_deadletters_id_replay(self) -> Asked:
        (letter,) = self.letters()
        return Asked(f"/deadletters/{letter['id']}/replay", {"from": "filter"}, "base", letter["id"])

    def _post_filters(self) -> Asked:
        return Asked("/filters", {"component": "Null"})

    def _put_filters_id(self) -> Asked:
        return Asked("/filters/base.set", {"params": {"field": "mark", "value": str(next(self._numbers))}}, "base", "set")

    def _delete_filters_id(self) -> Asked:
        id = self.ask("POST", "/filters", {"component": "Null"})["id"]
        return Asked(f"/filters/{id}", object=id)

    def _post_components_rescan(self) -> Asked:
        return Asked("/components/rescan")

    def _post_graphs(self) -> Asked:
        name = f"graph-{next(self._numbers)}"
        return Asked("/graphs", graph(name), name)

    def composite(self) -> str:
        name = f"part-{next(self._numbers)}"
        self.ask("PUT", f"/composites/{name}", {"nodes": {"null": {"component": "Null"}}})
        return name

    def _put_composites_name(self) -> Asked:
        name = self.composite()
        return Asked(f"/composites/{name}", {"nodes": {"none": {"component": "Null"}}}, object=name)

    def _delete_composites_name(self) -> Asked:
        name = self.composite()
        return Asked(f"/composites/{name}", object=name)

    def _put_graphs_name(self) -> Asked:
        return Asked("/graphs/base", graph("base", str(next(self._numbers))), "base")

    def _delete_graphs_name(self) -> Asked:
        name = self.deployed()
        return Asked(f"/graphs/{name}", None, name)

    def _post_graphs_name_rollback(self) -> Asked:
        return Asked("/graphs/base/rollback", {"version": 1}, "base")

    def _post_graphs_name_wires(self) -> Asked:
        name, ids, wire = self.drafted()
        other = self.ask("POST", "/filters", {"component": "Null"})["id"]
        wire = {"source": f"{ids[0]}.out", "target": f"{other}.in"}
        return Asked(f"/graphs/{name}/wires", wire, name, f"{wire['source']} > {wire['target']}")

    def _delete_graphs_name_wires(self) -> Asked:
        name, _, wire = self.drafted()
        other = self.ask("POST", "/filters", {"component": "Null"})["id"]
        self.ask("POST", f"/graphs/{name}/wires", {**wire, "target": f"{other}.in"})
        return Asked(f"/graphs/{name}/wires", wire, name, f"{wire['source']} > {wire['target']}")

    def _put_graphs_name_draft(self) -> Asked:
        name = f"draft-{next(self._numbers)}"
        body = {"graph": graph(name), "base": 0}
        return Asked(f"/graphs/{name}/draft", body, name, headers={"If-None-Match": "*"})

    def _delete_graphs_name_draft(self) -> Asked:
        name, *_ = self.drafted()
        return Asked(f"/graphs/{name}/draft", None, name)

    def _post_graphs_name_deploy(self) -> Asked:
        name, *_ = self.drafted()
        return Asked(f"/graphs/{name}/deploy", None, name)

    def _post_graphs_name_shadow(self) -> Asked:
        name = self.deployed()
        return Asked(f"/graphs/{name}/shadow", {"graph": graph(name, "candidate")}, name)

    def _delete_graphs_name_shadow_id(self) -> Asked:
        name = self.deployed()
        id = self.ask("POST", f"/graphs/{name}/shadow", {"graph": graph(name, "candidate")})["shadow"]
        return Asked(f"/graphs/{name}/shadow/{id}", None, name, id)

    def _delete_graphs_name_stores_filter(self) -> Asked:
        receipt = self.ask("POST", "/docs/base", {"id": "seen", "n": 1})["receipt"]
        assert self.ask("GET", f"/receipts/{receipt}?wait=30")["finished"]
        return Asked("/graphs/base/stores/changed", None, "base", "changed")

    def _post_graphs_name_trigger(self) -> Asked:
        until(lambda: not self.ask("GET", "/graphs/base/trigger")["running"], 20, "the sources do not run")
        return Asked("/graphs/base/trigger", None, "base")

    def _post_graphs_name_pause(self) -> Asked:
        name = self.deployed()
        return Asked(f"/graphs/{name}/pause", None, name)

    def _post_graphs_name_resume(self) -> Asked:
        name = self.deployed()
        self.ask("POST", f"/graphs/{name}/pause")
        return Asked(f"/graphs/{name}/resume", None, name)

    def _post_tokens(self) -> Asked:
        name = f"token-{next(self._numbers)}"
        return Asked("/tokens", {"name": name, "scopes": ["read"]}, object=name)

    def _patch_tokens_name(self) -> Asked:
        name = self.token()
        return Asked(f"/tokens/{name}", {"graphs": ["base"]}, object=name)

    def _delete_tokens_name(self) -> Asked:
        name = self.token()
        return Asked(f"/tokens/{name}", object=name)
