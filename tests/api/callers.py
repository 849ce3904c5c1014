"""Clients with tokens, and browsers that have signed in, that keep their connections: one for each ingest worker of a node."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import psutil

from pypes.testing.node import Node, until


class Caller:
    """A connection to one process."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self._connection.connect()

    @property
    def port(self) -> int:
        """Port of its own end."""
        return int(self._connection.sock.getsockname()[1])

    def raw(
        self, method: str, path: str, secret: str | None = None, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, fields (names in lower case) and body of an answer; ``body`` is sent as JSON."""
        fields = {**(headers or {}), **({"Authorization": f"Bearer {secret}"} if secret is not None else {})}
        if body is not None:
            fields.setdefault("Content-Type", "application/json")
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        self._connection.request(method, path, body=data, headers=fields)
        answer = self._connection.getresponse()
        content = answer.read()
        return answer.status, {name.lower(): value for name, value in answer.headers.items()}, content

    def ask(self, method: str, path: str, secret: str | None = None, body: Any = None) -> tuple[int, Any]:
        """Status and JSON value of an answer."""
        status, _, content = self.raw(method, path, secret, body)
        return status, json.loads(content) if content else None

    def close(self) -> None:
        self._connection.close()


#: The token of the node itself.
ADMIN = "the-token-of-the-node"

#: Within a second all workers know of a change, as the issue has it; a machine that is busy with other tests is given longer.
SEEN_S = 20.0

#: The type of forms.
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass
class SignedIn:
    """A browser that has signed in: the field ``Cookie`` that it sends, and the CSRF token of its session."""

    cookie: str
    csrf: str = field(repr=False)

    def raw(
        self, caller: Caller, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """An answer as :meth:`Caller.raw` has it, to a request that shows the CSRF token if it changes something."""
        shown = {} if method == "GET" else {"X-CSRF-Token": self.csrf}
        return caller.raw(method, path, None, body, {"Cookie": self.cookie, **shown, **(headers or {})})

    def ask(self, caller: Caller, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and JSON value of an answer."""
        status, _, content = self.raw(caller, method, path, body)
        return status, json.loads(content) if content else None


def make(caller: Caller, name: str, *scopes: str, by: str = ADMIN, **more: Any) -> str:
    """A new token; returns its secret."""
    status, created = caller.ask("POST", "/tokens", by, {"name": name, "scopes": scopes, **more})
    assert status == 201, created
    return str(created["secret"])


def hand_in(caller: Caller, secret: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """The answer to the form in which somebody has written a token."""
    return caller.raw("POST", "/session", None, urlencode({"token": secret}).encode(), {**FORM, **headers})


def sign_in(caller: Caller, secret: str) -> SignedIn:
    """Sign in with a token."""
    status, fields, content = hand_in(caller, secret)
    assert (status, fields.get("location")) == (303, "./"), content
    cookie = fields["set-cookie"].partition(";")[0]
    return SignedIn(cookie, SignedIn(cookie, "").ask(caller, "GET", "/session")[1]["csrf"])


@contextmanager
def calling(node: Node) -> Iterator[list[Caller]]:
    """A caller for each worker that the node should have."""
    with ExitStack() as stack:

        def found() -> list[Caller] | None:
            served = {}
            for worker in node.roles()["worker"]:
                with suppress(psutil.NoSuchProcess):  # one that has just been killed
                    for other in worker.net_connections("tcp"):
                        if other.raddr and other.status == psutil.CONN_ESTABLISHED:
                            served[int(other.raddr.port)] = worker.pid
            callers = {served[caller.port]: caller for caller in made if caller.port in served}
            if len(callers) == node.workers:
                return [*callers.values()]
            made.append(Caller(node.port))
            stack.callback(made[-1].close)
            made[-1].ask("GET", "/healthz")
            return None

        made: list[Caller] = []
        yield until(found, 20, "every worker has taken a connection")
