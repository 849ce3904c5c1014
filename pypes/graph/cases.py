"""Tests that a graph carries: what is posted, and what must come of it.

A test is one JSON object::

    {"name": "titles are lower case",
     "post": {"content_type": "application/json", "body": {"title": "HELLO"}},
     "expect": [{"node": "out", "packets": 1, "fields": {"title": "hello"}}],
     "dropped": 0, "failed": [{"filter": "html", "code": "rejected"}]}

``post`` is one POST or a list of them: ``body`` is text, ``{"base64": …}`` or any other JSON value, which is sent as JSON;
``route``, ``id``, ``filename`` and ``encoding`` are as in a request; ``at`` is a filter, or ``filter.port``, at which it enters
instead of at the adapters, and ``packet`` a whole packet (``{"fields": …, "meta": …}``) in the place of a body.
``expect`` says what arrives at filters, usually publishers: ``packets`` how many, ``fields`` and ``meta`` what one of them has at
least, ``exact`` that its fields are no others, ``patterns`` what regular expressions are found in a field's text. Expectations
about one filter are met by different packets. ``dropped`` is the number of documents that are neither published nor failed;
``failed`` the dead letters, as far as each entry says. Both are checked where they are given, and without ``failed`` nothing may
fail.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pypes.core.media_types import PACKETS
from pypes.core.wording import counted
from pypes.errors import Problem

_POST_KEYS = frozenset({"content_type", "body", "route", "id", "filename", "encoding", "method", "at", "packet"})
_EXPECT_KEYS = frozenset({"node", "packets", "fields", "meta", "exact", "patterns"})
_CASE_KEYS = frozenset({"name", "post", "expect", "dropped", "failed", "description"})


@dataclass(frozen=True, slots=True)
class Post:
    """One POST of a test; ``body`` as bytes."""

    content_type: str
    body: bytes
    route: str | None = None
    id: str | None = None
    filename: str | None = None
    encoding: str = ""
    method: str = "POST"
    #: The input at which it enters, a filter or ``filter.port``; empty: at the adapters.
    at: str = ""


@dataclass(frozen=True, slots=True)
class Expectation:
    """The packets that must arrive at one filter."""

    node: str
    packets: int | None = None
    fields: Mapping[str, Any] | None = None
    meta: Mapping[str, Any] | None = None
    exact: bool = False
    patterns: Mapping[str, str] = field(default_factory=dict)

    def is_met_by(self, packet: Mapping[str, Any]) -> bool:
        """True if a packet (its JSON form) is as expected."""
        fields = packet.get("fields", {})
        if self.fields is not None:
            if self.exact and dict(self.fields) != fields:
                return False
            if any(name not in fields or fields[name] != value for name, value in self.fields.items()):
                return False
        if self.meta is not None and any(packet.get("meta", {}).get(name) != value for name, value in self.meta.items()):
            return False
        return all(name in fields and re.search(pattern, _text(fields[name])) for name, pattern in self.patterns.items())


@dataclass(frozen=True, slots=True)
class Case:
    """One test of a graph."""

    name: str
    posts: tuple[Post, ...]
    expectations: tuple[Expectation, ...]
    dropped: int | None = None
    failed: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference between the expected and the actual result: ``expected`` and ``found`` are JSON values.

    ``filter`` is the one that it is about, empty if it is about none.
    """

    what: str
    expected: Any
    found: Any
    filter: str = ""

    @property
    def text(self) -> str:
        """The difference in a sentence."""
        filter, expected, found = self.filter, self.expected, self.found
        match self.what:
            case "documents dropped":
                return f"{counted(found, 'document is', 'documents are')} dropped, where {expected} should be"
            case "a dead letter":
                return f"nothing fails as it should: {_text(expected)}"
            case "dead letters":
                return f"{filter or 'the body'} fails, and should not: {found['error']} [{found['code']}]"
            case _ if type(expected) is int:
                return f"{counted(found, 'packet arrives', 'packets arrive')} at {filter}, where {expected} should"
        like = f"the one that is most like it has {_text(found)}" if found is not None else "none is left that could"
        return f"no packet at {filter} has {_text(expected)}; {like}"


def read_cases(tests: Sequence[Mapping[str, Any]], nodes: Sequence[str]) -> tuple[list[Case], list[Problem]]:
    """The tests of a graph with filters ``nodes``, and everything that is wrong with their form."""
    reader = _Reader(nodes)
    cases = [reader.case(index, test) for index, test in enumerate(tests)]
    return [case for case in cases if case is not None], reader.problems


def compare(
    case: Case, arrived: Mapping[str, Sequence[Mapping[str, Any]]], dropped: int, failed: Sequence[Mapping[str, Any]]
) -> list[Difference]:
    """Hold what happened against a case: packets (JSON form) that arrived by filter, documents dropped, dead letters."""
    differences = []
    left = {node: list(packets) for node, packets in arrived.items()}
    for expected in case.expectations:
        node, packets = expected.node, arrived.get(expected.node, ())
        if expected.packets is not None and len(packets) != expected.packets:
            differences.append(Difference(f"packets at {node}", expected.packets, len(packets), node))
        if expected.fields is None and expected.meta is None and not expected.patterns:
            continue
        candidates = left.get(node, [])
        met = next((packet for packet in candidates if expected.is_met_by(packet)), None)
        if met is None:
            differences.append(Difference(f"a packet at {node}", _wanted(expected), _nearest(expected, candidates), node))
        else:
            candidates.remove(met)
    if case.dropped is not None and case.dropped != dropped:
        differences.append(Difference("documents dropped", case.dropped, dropped))
    unmatched = list(failed)
    for wanted in case.failed:
        found = next((f for f in unmatched if all(f.get(key) == value for key, value in wanted.items())), None)
        if found is None:
            filter = wanted.get("filter")
            filter = filter if isinstance(filter, str) else ""
            differences.append(Difference("a dead letter", dict(wanted), [_brief(f) for f in unmatched], filter))
        else:
            unmatched.remove(found)
    differences += [Difference("dead letters", "none more", _brief(f), f.get("filter") or "") for f in unmatched]
    return differences


def _wanted(expected: Expectation) -> dict[str, Any]:
    parts = {"fields": expected.fields, "meta": expected.meta, "patterns": expected.patterns or None}
    return {key: dict(value) for key, value in parts.items() if value is not None}


def _nearest(expected: Expectation, packets: Sequence[Mapping[str, Any]]) -> Any:
    """Of the packets that were there, what the most similar one has where something was expected."""
    if not packets:
        return None
    fields = expected.fields or {}

    def likeness(packet: Mapping[str, Any]) -> int:
        return sum(packet.get("fields", {}).get(name) == value for name, value in fields.items())

    best = max(packets, key=likeness)
    found = best.get("fields", {})
    shown: dict[str, Any] = {}
    if expected.fields is not None or expected.patterns:
        wanted = {*fields, *expected.patterns}
        shown["fields"] = dict(found) if expected.exact else {name: found.get(name) for name in sorted(wanted)}
    if expected.meta is not None:
        shown["meta"] = {name: best.get("meta", {}).get(name) for name in sorted(expected.meta)}
    return shown


def _brief(failure: Mapping[str, Any]) -> dict[str, Any]:
    return {key: failure.get(key) for key in ("filter", "code", "error")}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def read_post(post: Any, nodes: Sequence[str]) -> tuple[Post | None, list[Problem]]:
    """One POST in the form of a test, of a graph with filters ``nodes``, and everything that is wrong with its form."""
    reader = _Reader(nodes)
    return reader.post("", post), reader.problems


class _Reader:
    """Reads tests, gathering what is wrong instead of stopping at it."""

    def __init__(self, nodes: Sequence[str]) -> None:
        self.problems: list[Problem] = []
        self._nodes = nodes

    def _add(self, path: str, message: str) -> None:
        self.problems.append(Problem(path, message, "test.form"))

    def case(self, index: int, test: Mapping[str, Any]) -> Case | None:
        path = f"tests.{index}"
        before = len(self.problems)
        self._known(test, _CASE_KEYS, path)
        name = test.get("name", f"test {index + 1}")
        if not isinstance(name, str):
            self._add(f"{path}.name", "must be text")
        posts = test.get("post")
        many = posts if isinstance(posts, list) else [posts]
        read = [self.post(f"{path}.post.{n}" if isinstance(posts, list) else f"{path}.post", post) for n, post in enumerate(many)]
        expect = test.get("expect", [])
        if not isinstance(expect, list):
            self._add(f"{path}.expect", "must be an array")
            expect = []
        expectations = [self._expectation(f"{path}.expect.{n}", each) for n, each in enumerate(expect)]
        dropped, failed = test.get("dropped"), test.get("failed", [])
        if dropped is not None and (type(dropped) is not int or dropped < 0):
            self._add(f"{path}.dropped", "must be a number of documents")
        if not isinstance(failed, list) or not all(isinstance(each, dict) for each in failed):
            self._add(f"{path}.failed", 'must be an array of objects such as {"filter": NAME, "code": CODE}')
            failed = []
        if len(self.problems) > before:
            return None
        return Case(
            name,
            tuple(post for post in read if post is not None),
            tuple(each for each in expectations if each is not None),
            dropped,
            tuple(failed),
        )

    def _known(self, obj: Mapping[str, Any], keys: frozenset[str], path: str) -> None:
        for key in obj:
            if key not in keys:
                self._add(_within(path, key), f"unknown key; there are {', '.join(sorted(keys))}")

    def post(self, path: str, post: Any) -> Post | None:
        if not isinstance(post, dict):
            self._add(path, 'must be the posted document: {"content_type": TYPE, "body": …}')
            return None
        self._known(post, _POST_KEYS, path)
        if "packet" in post:
            return self._packet(path, post)
        content_type = post.get("content_type", "application/json")
        texts = {"content_type": content_type, "encoding": post.get("encoding", ""), "method": post.get("method", "POST")}
        texts |= {key: post[key] for key in ("route", "id", "filename", "at") if post.get(key) is not None}
        for key, value in texts.items():
            if not isinstance(value, str):
                self._add(_within(path, key), "must be text")
                return None
        if not self._is_filter(path, texts.get("at", "")):
            return None
        body = self._body(_within(path, "body"), post.get("body", ""), content_type)
        return None if body is None else Post(body=body, **texts)

    def _packet(self, path: str, post: Mapping[str, Any]) -> Post | None:
        packet, at = post["packet"], post.get("at")
        if not isinstance(packet, dict):
            self._add(_within(path, "packet"), 'must be a packet: {"fields": {…}, "meta": {…}}')
        elif not isinstance(at, str) or not at:
            self._add(_within(path, "at"), "must name the filter at which the packet enters")
        elif others := post.keys() - {"packet", "at"}:
            self._add(_within(path, min(others)), "does not go with a packet, which has all of it in its metadata")
        elif self._is_filter(path, at):
            return Post(PACKETS, json.dumps(packet, ensure_ascii=False).encode(), at=at)
        return None

    def _is_filter(self, path: str, at: str) -> bool:
        filter = at.partition(".")[0]
        if at and filter not in self._nodes:
            self._add(_within(path, "at"), f"there is no filter {filter!r}; there are {', '.join(self._nodes)}")
            return False
        return True

    def _body(self, path: str, body: Any, content_type: str) -> bytes | None:
        if isinstance(body, dict) and set(body) == {"base64"}:
            try:
                return base64.b64decode(body["base64"], validate=True)
            except (ValueError, TypeError):
                self._add(path, "is no base64 text")
                return None
        if isinstance(body, str):
            return body.encode()
        if isinstance(body, list) and "ndjson" in content_type:
            return b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in body)
        return json.dumps(body, ensure_ascii=False).encode()

    def _expectation(self, path: str, obj: Any) -> Expectation | None:
        if not isinstance(obj, dict) or not isinstance(obj.get("node"), str):
            self._add(path, 'must name a filter and the packets that arrive there: {"node": FILTER, "packets": 1, "fields": {…}}')
            return None
        self._known(obj, _EXPECT_KEYS, path)
        if obj["node"] not in self._nodes:
            self._add(f"{path}.node", f"there is no filter {obj['node']!r}; there are {', '.join(self._nodes)}")
        packets = obj.get("packets")
        if packets is not None and (type(packets) is not int or packets < 0):
            self._add(f"{path}.packets", "must be a number of packets")
        for key in ("fields", "meta", "patterns"):
            if obj.get(key) is not None and not isinstance(obj[key], dict):
                self._add(f"{path}.{key}", "must be an object")
                return None
        for name, pattern in (obj.get("patterns") or {}).items():
            try:
                re.compile(pattern)
            except (re.error, TypeError) as error:
                self._add(f"{path}.patterns.{name}", f"is no regular expression: {error}")
        return Expectation(
            obj["node"], packets, obj.get("fields"), obj.get("meta"), obj.get("exact") is True, obj.get("patterns") or {}
        )


def _within(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
