"""A bucket as a reader sees it over HTTP, without the library that is under test: it starts threads, which no fork survives."""

from __future__ import annotations

import hashlib
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import orjson
import urllib3

_NS = "{http://s3.amazonaws.com/doc/2006-03-01/}"
KEYS = {"access_key_id": "key", "secret_access_key": "word", "region": "us-east-1"}


class Object(NamedTuple):
    """An object: its key, metadata (with the content type) and content."""

    key: str
    meta: Mapping[str, str]
    data: bytes


class Bucket:
    """A bucket of a test on a server with the protocol of S3."""

    def __init__(self, server: str, name: str) -> None:
        self.name = "b" + hashlib.sha256(name.encode()).hexdigest()[:20]
        self.url = f"s3://{self.name}/out"
        self.options = {**KEYS, "endpoint": server}
        self._server = server
        self._known: dict[str, tuple[str, Object | None]] = {}
        # moto wants to be asked by somebody, and does not look by whom
        asks = "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=none"
        self._http = urllib3.PoolManager(headers={"authorization": asks})
        self._http.request("PUT", f"{server}/{self.name}")

    def keys(self) -> list[str]:
        """The keys of all objects below the address, but for the one that is looked at in set-up."""
        return list(self._listed())

    def objects(self) -> dict[str, Object]:
        """All objects by their keys."""
        listed = self._listed()
        for key, tag in listed.items():
            if key not in self._known or self._known[key][0] != tag:
                self._known[key] = tag, self.get(key)
        return {key: found for key in listed if (found := self._known[key][1]) is not None}

    def _listed(self) -> dict[str, str]:
        """The ``ETag`` of each object: no two versions of an object in JSON have one."""
        found: dict[str, str] = {}
        after = ""
        while True:
            given = {"list-type": "2", "prefix": "out/", **({"continuation-token": after} if after else {})}
            page = ET.fromstring(self._http.request("GET", f"{self._server}/{self.name}", fields=given).data)
            for each in page.iter(f"{_NS}Contents"):
                found[str(each.findtext(f"{_NS}Key")).removeprefix("out/")] = str(each.findtext(f"{_NS}ETag"))
            after = page.findtext(f"{_NS}NextContinuationToken") or ""
            if not after:
                return {key: tag for key, tag in found.items() if not key.startswith(".pypes.parts/")}

    def get(self, key: str) -> Object | None:
        answer = self._http.request("GET", f"{self._server}/{self.name}/{quote(f'out/{key}')}")
        if answer.status != 200:
            return None
        meta = {name.lower().removeprefix("x-amz-meta-"): value for name, value in answer.headers.items()}
        return Object(key, meta, answer.data)

    def put(self, key: str, data: bytes) -> None:
        self._http.request("PUT", f"{self._server}/{self.name}/{quote(f'out/{key}')}", body=data)

    def ask(self, method: str, path: str, **given: Any) -> urllib3.BaseHTTPResponse:
        return self._http.request(method, f"{self._server}/{self.name}{path}", **given)

    def packets(self) -> Iterator[Object]:
        """The objects that a reader takes for packets, by the rules of ``docs/destinations.md``."""
        found = self.objects()
        parts: dict[str, list[str]] = {}
        for key in found:
            if ".parts/" in key:
                parts.setdefault(key.partition(".parts/")[0], []).append(key)
        for key, head in found.items():
            if ".parts/" in key:
                continue
            if head.meta["packet"] == "yes":
                yield head
            newest: dict[str, tuple[str, str]] = {}
            for part in parts.get(key, []):
                version, _, place = part.removeprefix(f"{key}.parts/").partition("/")
                version, stands, state = version.replace(".", "/"), head.meta["version"], head.meta["state"]
                if (version >= stands if state == "open" else version == stands and state == "whole") and (
                    place != "!" or head.meta["packet"] == "no"
                ):
                    newest[place] = max(newest.get(place, ("", "")), (version, part))
            yield from (found[part] for _, part in newest.values())

    def seen(self) -> list[tuple[str, str | None, str, str]]:
        """Route, id, part and field ``text`` of all packets in JSON."""
        found = [orjson.loads(each.data) for each in self.packets()]
        return [
            (each["route"], each["id"] and each["id"].replace("\\u0000", "\x00"), each["part"], each["fields"]["text"])
            for each in found
        ]


def described(meta: Mapping[str, str], *names: str) -> dict[str, str]:
    """Metadata without escapes."""
    return {name: unquote(meta[name]) for name in names if name in meta}
