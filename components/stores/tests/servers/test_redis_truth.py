"""Index truth of RedisStream: see ``tests/servers/truth.py``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pypes_basic.log_lines import fold
from pypes_stores.redis_stream import RedisStream
from tests.needed import library
from tests.servers.truth import TIMEOUT_S, check_truth, made

redis = library("redis", "pypes-stores[redis]")

pytestmark = [pytest.mark.servers, pytest.mark.timeout(TIMEOUT_S)]


def test_a_stream(tmp_path: Path, redis_url: str) -> None:
    lines: list[bytes] = []
    keys: set[str] = set()
    last = b"0"
    with redis.Redis.from_url(redis_url, protocol=2) as client:

        def seen() -> set[tuple[str, str, str]]:
            nonlocal last
            for entry, fields in client.xrange("truth", b"(" + last if last != b"0" else "-"):
                last = entry
                message = json.loads(fields[b"message"])
                assert message["key"] not in keys
                keys.add(message["key"])
                of = {"document": message["id"], "route": message["route"], "version": message["version"]}
                said = [{**of, **part} for part in message["parts"]] + [{**of, "complete": True}] * message["whole"]
                lines.extend(json.dumps(each).encode() + b"\n" for each in said)
            return {(line["document"], line["part"], line["fields"]["said"]) for line in fold(lines)}

        check_truth(made(RedisStream, tmp_path, url=redis_url, stream="truth"), seen)
