"""Every bound of a node in one table: name, default, what it bounds, HTTP status when it is exceeded.

``python -m pypes.core.limits`` writes ``docs/limits.md`` to standard output.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from pypes.core.graph_limits import table as graph_table

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


class Limit(NamedTuple):
    """One row of the table; ``status`` is the HTTP status when the limit is exceeded, ``None`` where no client sees it."""

    name: str
    default: float
    unit: str
    help: str
    status: int | None


def _limit(default: Any, help: str, *, unit: str, status: int | None = None) -> Any:
    return field(default=default, metadata={"default": default, "help": help, "unit": unit, "status": status})


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a node; the settings of section ``[limits]`` have the same names."""

    body_bytes: int = _limit(2 * GIB, "Body of one POST as received, compressed or not.", unit="bytes", status=413)
    json_bytes: int = _limit(64 * MIB, "JSON object, array or packets that must be parsed whole.", unit="bytes", status=413)
    decompressed_bytes: int = _limit(8 * GIB, "Body of one POST after decompression.", unit="bytes", status=413)
    decompressed_ratio: int = _limit(
        200, "Decompressed size over received size; counts beyond 1 MiB of output.", unit="", status=413
    )
    json_depth: int = _limit(200, "Nesting of objects and arrays in one JSON document.", unit="levels", status=400)
    documents_per_post: int = _limit(1_000_000, "Documents in one POST.", unit="documents", status=413)
    spool_bytes: int = _limit(MIB, "Larger bodies are written to a spool file while they arrive.", unit="bytes")
    line_bytes: int = _limit(
        16 * MIB, "One line of NDJSON, or one document of MessagePack or Protocol Buffers.", unit="bytes", status=413
    )
    queue_max_bytes: int = _limit(
        4 * GIB, "Waiting bodies in one queue shard; half of it for one graph, all for the only graph.", unit="bytes", status=429
    )
    queue_max_deliveries: int = _limit(
        1_000_000,
        "Waiting deliveries in one queue shard; half of it for one graph, all for the only graph.",
        unit="deliveries",
        status=429,
    )
    wire_packets: int = _limit(256, "Packets on one wire before the sender is parked.", unit="packets")
    wire_bytes: int = _limit(64 * MIB, "Bytes up to which the wire of a join may grow for one document.", unit="bytes")
    wave_packets: int = _limit(256, "Packets fed into a graph per wave.", unit="packets")
    packet_bytes: int = _limit(256 * MIB, "Values of one packet in memory; larger bodies must be read as streams.", unit="bytes")
    hold_s: float = _limit(60.0, "Longest time for which a component may hold packets.", unit="seconds")
    unreachable_s: float = _limit(
        86400.0,
        "Longest time for which a filter rests over one packet that cannot reach a service, a publisher over the same packets.",
        unit="seconds",
    )
    window_bytes: int = _limit(8 * MIB, "Bodies of one graph outstanding at one instance, per ingest worker.", unit="bytes")
    window_deliveries: int = _limit(
        512, "Deliveries of one graph outstanding at one instance, per ingest worker.", unit="deliveries"
    )
    cache_bytes: int = _limit(64 * MIB, "Waiting bodies kept in memory per queue shard; others are read again.", unit="bytes")
    grace_s: float = _limit(30.0, "Time to finish accepted deliveries when the node is told to stop.", unit="seconds")
    receipts_s: float = _limit(86400.0, "Time for which receipts of finished deliveries are kept.", unit="seconds")
    receipts_bytes: int = _limit(
        4 * GIB,
        "Receipts of finished deliveries, per queue shard; beyond that the oldest of the graph that has most go first.",
        unit="bytes",
    )
    receipt_ids_bytes: int = _limit(
        MIB, "Ids of documents kept with one receipt; the other documents have only their index.", unit="bytes"
    )
    traces_s: float = _limit(86400.0, "Time for which traces of deliveries are kept.", unit="seconds")
    traces_bytes: int = _limit(
        64 * MIB, "Traces of deliveries, per queue shard, of 256 KiB at most each; beyond that the oldest go first.", unit="bytes"
    )
    dead_letters_kept: int = _limit(
        100_000,
        "Dead letters per queue shard; half of it for one graph, all for the only graph. At the limit, nothing of the graph is "
        "taken or run until some are replayed or deleted.",
        unit="dead letters",
        status=507,
    )
    dead_letters_bytes: int = _limit(
        GIB, "Dead letters with their bodies, per queue shard; shared in the same way.", unit="bytes", status=507
    )
    dead_letter_body_bytes: int = _limit(
        64 * MIB, "Larger bodies are kept only if the dead letter does not hold the whole document.", unit="bytes"
    )
    receiving_bytes: int = _limit(
        256 * MIB,
        "Memory of a node for bodies that are being received, in equal parts for its ingest workers, and half of a part for one "
        "token; a body without room waits a little.",
        unit="bytes",
        status=429,
    )
    connections: int = _limit(
        4096,
        "Connections of one ingest worker, or fewer if descriptors are short; beyond that, those are closed that have waited "
        "longest without a request. Requests of one token under way: half as many, else 429.",
        unit="connections",
        status=503,
    )
    head_s: float = _limit(
        15.0,
        "Time for the head of a request to arrive, of the first one with the handshake of TLS; 0: no limit.",
        unit="seconds",
        status=408,
    )
    stall_s: float = _limit(
        60.0,
        "Time without progress of a body or of an answer; 0: no limit.",
        unit="seconds",
        status=408,
    )
    keep_alive_s: float = _limit(75.0, "Time for which a connection without requests is kept; 0: no limit.", unit="seconds")
    dryruns: int = _limit(4, "Dry runs at a time.", unit="dry runs", status=503)
    dryrun_s: float = _limit(60.0, "Longest time for a dry run, set-up included.", unit="seconds", status=409)
    drafts_kept: int = _limit(
        1000,
        "Drafts of graphs, and of filters that are in none, kept until they are deployed or deleted.",
        unit="drafts",
        status=409,
    )
    drafts_bytes: int = _limit(64 * MIB, "All drafts together.", unit="bytes", status=409)
    idempotency_key_bytes: int = _limit(255, "Length of an Idempotency-Key.", unit="bytes", status=400)
    keys_s: float = _limit(
        3600.0, "Time for which idempotency keys are remembered, and at least until their delivery is done.", unit="seconds"
    )
    keys_kept: int = _limit(
        10_000_000,
        "Idempotency keys per queue shard, of about 60 bytes each; half of it for one graph, all for the only graph.",
        unit="keys",
        status=429,
    )
    audit_s: float = _limit(365 * 86400.0, "Time for which lines of the audit log are kept.", unit="seconds")
    audit_bytes: int = _limit(
        64 * MIB,
        "Lines of the audit log in each of its files, one of the node and one per queue shard; beyond that the oldest go.",
        unit="bytes",
    )
    callback_s: float = _limit(86400.0, "Time for which posting a receipt to its callback is tried.", unit="seconds")
    filter_s: float = _limit(300.0, "Time for one packet (or batch) in a filter without a timeout_s of its own.", unit="seconds")
    isolated_bytes: int = _limit(GIB, "Address space of the process of an isolated component.", unit="bytes")


def table() -> list[Limit]:
    """All limits in the order in which they are declared."""
    return [
        Limit(f.name, f.metadata["default"], f.metadata["unit"], f.metadata["help"], f.metadata["status"]) for f in fields(Limits)
    ]


def markdown() -> str:
    """The tables as ``docs/limits.md`` has them, before the limits of components."""
    lines = [
        "# Limits",
        "",
        "Every limit can be set in section `[limits]` of `pypes.ini` or by an environment variable (`PYPES_LIMITS_BODY_BYTES`).",
        "`python -m pypes.core.limits` prints these; `python -m tests.catalogue` writes this page.",
        "",
        "| Name | Default | What it bounds | Status when exceeded |",
        "|---|---|---|---|",
    ]
    lines += [f"| `{x.name}` | {quantity(x.default, x.unit)} | {x.help} | {x.status or '–'} |" for x in table()]  # noqa: RUF001
    lines += ["", *_FIXED, *_OF_A_GRAPH, "", "| Name | What it bounds | Status when reached |", "|---|---|---|"]
    lines += [f"| `{x.name}` | {x.help} | {x.status or '–'} |" for x in graph_table()]  # noqa: RUF001
    return "\n".join(lines) + "\n"


#: Bounds that cannot be set, since they are the same everywhere on a document's way.
_FIXED = (
    "Some limits are fixed. A route or an id of a document has at most 2,048 bytes of UTF-8 (400 in a URL or in `Pypes-Id`, 422",
    "in a graph with order, else a dead letter). The head of a request or part has at most 32 `Pypes-Meta-NAME` of 8 KiB",
    "together (400). An integer has at most 64 bits (400). A number with a fraction or an exponent is an IEEE double.",
    "The `batch_size` of a filter is at most 10,000 packets. The store of a filter keeps as many entries as its component says:",
    "`Unchanged` 1,000,000 `documents`, unless its parameter says otherwise; those that were written first go first.",
)


#: The introduction to the limits that a graph may have.
_OF_A_GRAPH = (
    "",
    "## Limits of a graph",
    "",
    "A graph may have [limits of its own](graphs.md#limits), in place of its share of those above. They are for the whole node:",
    "each shard that takes deliveries enforces its part, and the one shard of a graph with `order_by` all.",
)


def quantity(value: float, unit: str) -> str:
    """A number of a unit, as people read it."""
    if unit == "bytes" and value:
        for size, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
            if value >= size and value % size == 0:
                return f"{int(value) // size} {name}"
    if unit == "seconds" and value >= 86400:
        days = value / 86400
        return f"{days:g} {'day' if days == 1 else 'days'}"
    return (f"{value:,g} {unit}" if value < 1e6 else f"{int(value):,} {unit}").rstrip()


if __name__ == "__main__":
    sys.stdout.write(markdown())
