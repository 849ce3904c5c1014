"""Components that give their parameters away in every way there is, graphs of them, and a server that repeats all it is told."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.faults.markers import LITERAL, MADE

COMPONENTS = (
    '''
import base64
import logging
import os
import sys
import threading
import time
import warnings

from pypes import Component, Packet, Parameters, Publisher, Reject, Retry, Source, Transformer, Unreachable


class Leaks(Transformer):
    """Says its parameters in every way there is."""

    class Params(Parameters):
        key: str
        odd: str = ""
        short: str = ""
        url: str = ""
        dsn: str = ""
        site: str = ""
        lines: str = ""
        several: list[str] = []
        nested: dict[str, list[dict[str, str]]] = {}
        number: int = 0
        fails: str = ""

    def setup(self):
        given = self.params
        self.log.warning("connecting with %s", given.key, extra={"url": given.url, "all": [given.key], given.odd: given.nested})
        logging.getLogger("urllib3.connectionpool").warning("Retrying (%r): /x?key=%s %s", 1, given.key, given.dsn)
        logging.getLogger(f"client.{given.key}").warning("connected")
        self.say()
        if given.fails == "raise":
            raise RuntimeError(f"cannot connect to {given.url} with {self.all()}")
        if given.fails == "exit":
            sys.exit(f"no {given.key}")

    def all(self):
        return f"{self.params!r} {vars(self.params) if hasattr(self.params, '__dict__') else ''} {self.params.lines}"

    def say(self):
        for stream in (sys.stdout, sys.stderr):
            print("printed", self.params.key, self.all(), file=stream, flush=True)
        warnings.warn(f"deprecated: {self.params.url} {self.params.key}")
        Unraisable(self.params.key)

    def process(self, packet):
        how, key = packet.get("how"), self.params.key
        # what goes out is the component's own business
        packet.set_meta("source", self.secrets.redact(f"{self.params.url}?key={key}"))
        packet.set("made_token", "'''
    + MADE
    + '''")
        if how == "fine":
            self.log.warning("took %s of %s", packet, {"password": packet.get("password")}, extra={"packet": packet})
            self.log.warning("has", extra={"fields": packet.get_attributes(), "api_token": packet.get("password")})
            self.say()
            thread = threading.Thread(target=self.fail)
            thread.start()
            thread.join()
            return packet
        packet.set_meta("source", f"{self.params.url}?key={key}")
        if how == "raise":
            raise ValueError(f"the key {key} is not taken by {self.params.url} {self.params.short} {self.all()}")
        if how == "quoted":
            raise ValueError(repr([self.params.odd, self.params.odd.encode(), self.params.dsn, self.params.lines]))
        if how == "coded":
            pair = base64.b64encode(f"me:{key}".encode()).decode()
            raise ValueError(f"Authorization: Basic {pair} {base64.urlsafe_b64encode(self.params.odd.encode()).decode()}")
        if how == "case":
            raise ValueError(f"no such host: {self.params.site.lower()} {key.upper()} {key.encode().hex()}")
        if how == "long":
            raise ValueError(key * 5000)  # cut, and in the middle of one
        if how == "reject":
            raise Reject(key, "leaks.rejected")
        if how == "code":
            raise Reject("a code that tells", key)
        if how == "retry":
            raise Retry(0, key)
        if how == "field":
            # a document is kept as it is, to be replayed
            packet.set("text", f"made with {self.params.several[1]}")
            packet.set(self.params.several[1], "a name that tells")
            raise ValueError("the field tells")
        if how == "chain":
            try:
                raise KeyError(key)
            except KeyError as error:
                raise OSError("later") from error
        if how == "exit":
            sys.exit(f"gone with {key}")
        if how == "crash":
            print("crashing with", self.all(), file=sys.stderr)
            os.abort()
        if how == "hang":
            print("hanging with", key)
            time.sleep(60)
        return packet

    def fail(self):
        raise RuntimeError(self.params.key)


class Unraisable:
    """Raises where nobody can catch it."""

    def __init__(self, key):
        self.key = key

    def __del__(self):
        raise RuntimeError(f"closing {self.key}")


class Apart(Leaks):
    """The same in a process of its own."""

    isolated = True
    timeout_s = 1.0


class Down(Publisher):
    """Cannot reach its destination."""

    class Params(Parameters):
        key: str

    def process(self, packet):
        raise Unreachable(0, f"no route to {self.params.key}")


class Index(Publisher):
    """Is searched, and fails with its address."""

    class Params(Parameters):
        dsn: str

    def process(self, packet):
        pass

    def search(self, query):
        print("asked with", self.params.dsn)
        self.log.warning("asked with %s", self.params.dsn)
        raise ConnectionError(f"connection to {self.params.dsn} refused")


class Fetches(Source):
    """Puts its parameter into the metadata, and fails with it."""

    class Params(Parameters):
        key: str

    def fetch(self, cursor):
        if cursor is None:
            yield [Packet({"how": "raise"}, {"from": self.params.key})], 1
        raise OSError(f"no answer for {self.params.key}")
'''
)

#: The ways of a document through ``Leaks`` that fail, with the code of the dead letter.
HOWS = {
    "raise": "component.raised",
    "quoted": "component.raised",
    "coded": "component.raised",
    "case": "component.raised",
    "long": "component.raised",
    "reject": "leaks.rejected",
    "code": "rejected",
    "retry": "retry.exhausted",
    "field": "component.raised",
    "chain": "component.raised",
    "exit": "component.raised",
}


class Origin(ThreadingHTTPServer):
    """A server that answers with all that it was asked with."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Echo)
        self.asked: list[str] = []
        self.lock = threading.Lock()
        self.address = f"127.0.0.1:{self.server_address[1]}"


class Echo(BaseHTTPRequestHandler):
    server: Origin

    def do_GET(self) -> None:
        asked = f"{self.path} {dict(self.headers)}"
        with self.server.lock:
            self.server.asked.append(asked)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fails = self.path.startswith("/fails")
        body = asked.encode() if fails else b'{"how": "raise"}'
        self.send_response(400 if fails else 200, f"no luck with {self.path} {self.headers.get('X-Api-Key')}")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        pass


def graph(name: str, nodes: dict[str, Any], *wires: str, **more: Any) -> dict[str, Any]:
    return {"pypes": 1, "name": name, "routes": [name], "nodes": nodes, "wires": [wire.split() for wire in wires], **more}


def leaks(name: str, component: str = "Leaks", *, filter: dict[str, Any] | None = None, **params: Any) -> dict[str, Any]:
    """Documents through ``Leaks``, which has a marker in each kind of parameter."""
    given = {
        "key": "${PARAMETER}",
        "odd": "${ODD}",
        "short": "${SHORT}",
        "url": f"http://me:{LITERAL}@host/?q=${{QUERY}}",
        "dsn": "${DSN}",
        "site": "http://${LOGIN}.invalid/",
        "lines": "${LINES}",
        "several": ["first", "within ${LIST} more"],
        "nested": {"some": [{"deep": "${DEEP}"}]},
        **params,
    }
    nodes = {
        "json": {"component": "JSON"},
        "leaks": {"component": component, "params": given, "max_attempts": 1, **(filter or {})},
        "out": {"component": "JSONLines", "params": {"path": f"{name}.jsonl", "form": "packet"}},
    }
    return graph(name, nodes, "json.out leaks.in", "leaks.out out.in")


def fetches(name: str, address: str) -> dict[str, Any]:
    """A page that is fetched with a password, a header and a query."""
    params = {
        "url": f"http://me:${{PASSWORD}}@{address}?key=${{QUERY}}",
        "headers": {"X-Api-Key": "${HEADER}", "X-Literal": f"http://u:{LITERAL}@x/"},
    }
    nodes = {
        "url": {"component": "FetchURL", "params": params},
        "out": {"component": "JSONLines", "params": {"path": f"{name}.jsonl", "form": "packet"}},
    }
    return graph(name, nodes, "url.out out.in")


def calls(name: str, address: str) -> dict[str, Any]:
    """A service that is asked with a key, and repeats it in its error."""
    params = {"url": f"http://{address}/fails", "headers": {"X-Api-Key": "${HEADER}", "Authorization": "Bearer ${PARAMETER}"}}
    nodes = {
        "json": {"component": "JSON"},
        "ask": {"component": "HTTPCall", "params": {**params, "body": "{}", "take": {"a": "answer"}}},
        "out": {"component": "Null"},
    }
    return graph(name, nodes, "json.out ask.in", "ask.out out.in")


def single(name: str, component: str, **params: Any) -> dict[str, Any]:
    """Documents to one publisher."""
    return graph(name, {"json": {"component": "JSON"}, "end": {"component": component, "params": params}}, "json.out end.in")


def own(name: str) -> dict[str, Any]:
    """What a source fetches with a marker in the metadata fails."""
    key = {"key": "${PARAMETER}"}
    nodes = {
        "source": {"component": "Fetches", "params": key},
        "leaks": {"component": "Leaks", "params": key},
        "out": {"component": "Null"},
    }
    return graph(name, nodes, "source.out leaks.in", "leaks.out out.in")
