"""Documents in each form of a body: processor time of the check at the door and of reading in an instance, side by side.

``python -m benchmarks.forms`` measures and writes ``benchmarks/forms.md``. No server runs: the two steps are what differs.
"""

from __future__ import annotations

import gzip
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import orjson

from benchmarks.documents import document
from benchmarks.measure import rounds
from pypes.core.limits import Limits
from pypes.core.media_types import PACKETS
from pypes.ingest.codecs import check, documents
from pypes.ingest.delivery import Header
from pypes.packet import Packet
from pypes.protobuf import body_of

DOCUMENTS = 2000
ROUNDS = rounds(9)
LIMITS = Limits()


def bodies() -> dict[str, tuple[str, bytes]]:
    """Type and body of each form, all of the same documents."""
    found: list[dict[str, Any]] = [json.loads(document(n)) for n in range(DOCUMENTS)]
    packets = [Packet.from_document(dict(fields)) for fields in found]
    return {
        "NDJSON": ("application/x-ndjson", b"\n".join(map(orjson.dumps, found))),
        "JSON array": ("application/json", orjson.dumps(found)),
        "MessagePack": ("application/msgpack", b"".join(map(msgspec.msgpack.encode, found))),
        "packets in JSON": (PACKETS, orjson.dumps([packet.to_json() for packet in packets])),
        "packets in Protocol Buffers": ("application/x-protobuf", body_of(packets)),
        "the same with metadata of a field": ("application/x-protobuf", body_of(map(_described, packets))),
    }


def _described(packet: Packet) -> Packet:
    described = packet.clone()
    described.set_meta("language", "en", "body")
    return described


def processor_s(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def measured() -> dict[str, tuple[float, float, int, int]]:
    """By form, the median microseconds of a document at the door and in the instance; its bytes as they are and under gzip."""
    sides: dict[str, tuple[list[float], list[float]]] = {}
    found = bodies()
    for _ in range(ROUNDS):
        for name, (kind, body) in found.items():
            header = Header("g", content_type=kind, documents=DOCUMENTS, length=len(body))
            door, instance = sides.setdefault(name, ([], []))
            door.append(processor_s(lambda: check(header, body, LIMITS)))  # noqa: B023
            instance.append(processor_s(lambda: [*documents(header, body, "r", 0.0, limits=LIMITS)]))  # noqa: B023
    us = 1e6 / DOCUMENTS
    return {
        name: (
            statistics.median(door) * us,
            statistics.median(instance) * us,
            len(found[name][1]) // DOCUMENTS,
            len(gzip.compress(found[name][1], 6)) // DOCUMENTS,
        )
        for name, (door, instance) in sides.items()
    }


def main() -> None:
    lines = [
        "# Forms of documents",
        "",
        f"{date.today()}, commit {_commit()}, {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f},"
        f" Python {platform.python_version()}. {DOCUMENTS} documents of 1 KB of prose in one body, median of {ROUNDS} rounds in"
        " turns, processor time of one document in µs: the check before the 202, and making packets in the instance.",
        "`python -m benchmarks.forms` writes this page.",
        "",
        "| Form | check | reading | bytes | under gzip |",
        "|---|---|---|---|---|",
    ]
    for name, (door_us, instance_us, size, packed) in measured().items():
        lines.append(f"| {name} | {door_us:.2f} | {instance_us:.2f} | {size} | {packed} |")
    text = "\n".join(lines) + "\n"
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short=8", "HEAD"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
