"""A node as a picture: the answer of ``GET /status`` as a few tables and warnings, for the page and for the terminal.

Everything here works on JSON values and touches nothing else. The rates of graphs are differences of two samples of the totals
that the shards keep.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from pypes.core.wording import counted, lasting, sized

Status = Mapping[str, Any]

#: Shown where nothing is known.
UNKNOWN: Final = "-"

#: Rates of a graph that are shown, with their headings.
_RATES: Final[Mapping[str, str]] = MappingProxyType({"accepted": "In/s", "published": "Out/s", "failed": "Failed/s"})

#: Characters of a line of the log that are shown.
LINE_CHARS: Final = 200

#: States in which a thing works, and in which it does not; all others pass.
GOOD: Final = frozenset({"live", "ready"})
BAD: Final = frozenset({"failed", "stalled"})


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under headings. ``numbers`` are the headings of columns that hold numbers, ``empty`` stands for no rows."""

    title: str
    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    numbers: frozenset[str] = frozenset()
    empty: str = ""


class Totals(NamedTuple):
    """Documents of a graph since its shards were made."""

    accepted: int
    published: int
    dropped: int
    failed: int


class Rate(NamedTuple):
    """Documents per second, as :class:`Totals`."""

    accepted: float
    published: float
    dropped: float
    failed: float


@dataclass(frozen=True, slots=True)
class Sample:
    """Totals by shard and graph at a time, in seconds of any clock that does not go back."""

    at: float
    totals: Mapping[tuple[int, str], Totals]

    @classmethod
    def of(cls, status: Status, at: float) -> Sample:
        """Those of the shards that can be asked."""
        return cls(
            at,
            {
                (shard["shard"], graph): Totals(*(use.get(name, 0) for name in Totals._fields))
                for shard in status["shards"]
                for graph, use in shard["graphs"].items()
            },
        )

    def rates(self, now: Sample) -> dict[str, Rate]:
        """The rates of graphs between this sample and a later one, as far as both know a shard. None if no time has passed."""
        seconds = now.at - self.at
        if seconds <= 0:
            return {}
        sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        for place, totals in now.totals.items():
            if (before := self.totals.get(place)) is not None:
                parts = sums[place[1]]
                for number, (old, new) in enumerate(zip(before, totals, strict=True)):
                    # a graph that was taken down and came back counts anew
                    parts[number] += max(0, new - old)
        return {graph: Rate(*(part / seconds for part in parts)) for graph, parts in sums.items()}


def whole(number: float) -> str:
    """A number with its thousands apart."""
    return f"{number:,.0f}"


def moment(time: str) -> str:
    """A time of RFC 3339 without what is less than a second."""
    return f"{time[:10]} {time[11:19]} UTC"


def rate(per_s: float | None) -> str:
    """A number per second."""
    if per_s is None:
        return UNKNOWN
    return f"{per_s:,.0f}" if per_s >= 100 or per_s == 0 else f"{per_s:.1f}" if per_s >= 0.1 else f"{per_s:.2f}"


def headline(status: Status) -> str:
    """The node in a line: number, version, time since its start, processes."""
    return " · ".join(
        (
            f"node {status['node']}",
            f"version {status['version']}",
            f"up {lasting(status['uptime_s'])}",
            counted(len(status["workers"]), "ingest worker"),
            counted(len(status["instances"]), "instance"),
        )
    )


def waiting(status: Status) -> str:
    """The queues of all shards in a line, and how often instances had to be set up again."""
    queues = [shard["queue"] for shard in status["shards"] if shard["queue"] is not None]
    deliveries = sum(queue["deliveries"] for queue in queues)
    letters = sum(queue["dead_letters"] for queue in queues)
    found = f"{counted(deliveries, 'delivery waits', 'deliveries wait')} ({sized(sum(queue['bytes'] for queue in queues))})"
    if deliveries:
        found += f", the oldest for {lasting(max(queue['oldest_s'] for queue in queues))}"
    restarts = sum(status["restarts"].values())
    return f"{found} · {counted(letters, 'dead letter')}" + (
        f" · {counted(restarts, 'restart')} of instances" if restarts else ""
    )


def warnings(status: Status) -> list[str]:
    """Sentences about all that does not work, or will not for long."""
    found = []
    if status["state"] != "ready":
        found.append(f"The node is {status['state']}.")
    for graph in status["graphs"]:
        if graph.get("error"):
            found.append(f"Graph {graph['name']} cannot run: {graph['error']}")
        elif graph["state"] == "paused":
            found.append(f"Graph {graph['name']} is paused: its documents wait.")
        for filter in graph.get("resting", ()):
            where = f"in {counted(filter['instances'], 'instance')} since {moment(filter['since'])}"
            found.append(f"Filter {filter['filter']} of graph {graph['name']} rests {where}: {filter['reason']}")
    for shard in status["shards"]:
        if shard["queue"] is None:
            found.append(f"Shard {shard['shard']} cannot be asked: {shard['reason']}")
        elif shard["queue"]["is_failed"]:
            found.append(f"Shard {shard['shard']} refuses documents: its disk failed.")
        elif shard["queue"]["held"]:
            held = counted(shard["queue"]["held"], "delivery is", "deliveries are")
            found.append(f"{held} held in shard {shard['shard']}: their graph has too many dead letters.")
    for pool in status["pools"]:
        if pool["failure"]:
            found.append(f"A process of pool {pool['name']} cannot be set up: {pool['failure']}")
        elif pool["state"] == "stalled":
            found.append(f"Pool {pool['name']} has lost all of its processes.")
    for outbox in status["outboxes"]:
        if outbox["reason"]:
            found.append(f"Outbox {outbox['name']} cannot be read: {outbox['reason']}")
    return found


def graphs(status: Status, rates: Mapping[str, Rate] | None) -> Table:
    """Graphs with their state, their rates if these are asked for, and the documents in each."""
    sums: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    oldest: dict[str, float] = defaultdict(float)
    for shard in status["shards"]:
        for graph, use in shard["graphs"].items():
            for name, number in use.items():
                if isinstance(number, int):
                    sums[graph][name] += number
            oldest[graph] = max(oldest[graph], *(lane["oldest_s"] for lane in use["lanes"].values()), 0.0)
    rows = []
    for graph in status["graphs"]:
        name = graph["name"]
        use, of_late = sums[name], (rates or {}).get(name)
        state = "resting" if graph.get("resting") and graph["state"] == "live" else graph["state"]
        rows.append(
            (
                name,
                state,
                *([] if rates is None else (rate(of_late and getattr(of_late, name)) for name in _RATES)),
                whole(use["deliveries"]),
                lasting(oldest[name]) if use["deliveries"] else UNKNOWN,
                sized(use["bytes"]),
                whole(use["accepted"]),
                whole(use["published"]),
                whole(use["dropped"]),
                whole(use["failed"]),
                whole(use["dead_letters"]),
            )
        )
    counts = ("Accepted", "Published", "Dropped", "Failed", "Dead letters")
    numbers = (*(() if rates is None else _RATES.values()), "Waiting", "Oldest", "Size", *counts)
    return Table("Graphs", ("Graph", "State", *numbers), rows, frozenset(numbers), "No graph is deployed.")


def letters(groups: Iterable[Mapping[str, Any]], most: int) -> Table:
    """Dead letters by cause, ``most`` of the causes: the answer of ``GET /deadletters?group=code``."""
    found = [*groups]
    rows = [
        (each["graph"], each["filter"] or UNKNOWN, each["code"], whole(each["count"]), moment(each["latest"]))
        for each in found[:most]
    ]
    if len(found) > most:
        left = counted(len(found) - most, "more cause")
        rows.append((f"… and {left}", "", "", whole(sum(each["count"] for each in found[most:])), ""))
    headings = ("Graph", "Filter", "Code", "Dead letters", "Latest")
    return Table("Dead letters by cause", headings, rows, frozenset({"Dead letters"}), "There are no dead letters.")


def shards(status: Status) -> Table:
    """The queue of each shard."""
    numbers = ("Deliveries", "Size", "Ready", "Leased", "Later", "Oldest")
    rows = []
    for shard in status["shards"]:
        queue = shard["queue"]
        if queue is None:
            rows.append((str(shard["shard"]), *[UNKNOWN] * len(numbers)))
            continue
        oldest = lasting(queue["oldest_s"]) if queue["deliveries"] else UNKNOWN
        counts = [whole(queue[name]) for name in ("ready", "leased", "delayed")]
        rows.append((str(shard["shard"]), whole(queue["deliveries"]), sized(queue["bytes"]), *counts, oldest))
    return Table("Queue", ("Shard", *numbers), rows, frozenset(numbers))


def instances(status: Status) -> Table:
    """The processes that run graphs."""
    memory = {process["pid"]: process["memory_bytes"] for process in status["processes"]}
    rows = [
        (
            str(each["id"]),
            each["state"],
            str(each["generation"]),
            str(each["pid"]),
            sized(memory[each["pid"]]) if each["pid"] in memory else UNKNOWN,
            ", ".join(each["graphs"]),
        )
        for each in status["instances"]
    ]
    numbers = ("Generation", "Pid", "Memory")
    return Table("Instances", ("Instance", "State", *numbers, "Graphs"), rows, frozenset(numbers), "No instance runs.")


def pools(status: Status) -> Table:
    """Pools of filters with their processes."""
    rows = [
        (
            pool["name"],
            pool["state"],
            f"{sum(worker['is_busy'] for worker in pool['workers'])} of {len(pool['workers'])}",
            whole(pool["deaths"]),
            ", ".join(pool["filters"]),
        )
        for pool in status["pools"]
    ]
    return Table("Pools", ("Pool", "State", "Busy", "Lost", "Filters"), rows, frozenset({"Busy", "Lost"}))


def outboxes(status: Status) -> Table:
    """Results that wait to be fetched."""
    headings = ("Outbox", "Waiting", "Size", "Oldest")
    rows = [
        (
            each["name"],
            whole(each["waiting"]),
            sized(each["bytes"]),
            UNKNOWN if each["oldest_s"] is None else lasting(each["oldest_s"]),
        )
        for each in status["outboxes"]
    ]
    return Table("Outboxes", headings, rows, frozenset(headings[1:]))


def logged(lines: Sequence[Mapping[str, Any]], most: int) -> Table:
    """Warnings and errors of the log, those that are alike in one row, the latest first: ``logs`` of ``GET /logs``."""
    latest: dict[tuple[str, str, str, str], str] = {}
    counts: dict[tuple[str, str, str, str], int] = defaultdict(int)
    for line in lines:
        cause = next((str(line[name]) for name in ("error", "reason", "code") if line.get(name)), "")
        told = f"{line['event']}: {cause}" if cause else str(line["event"])
        kind = (_shortened(told), str(line["level"]), _names(line, "graph"), _names(line, "filter"))
        latest.pop(kind, None)  # the latest stands last
        latest[kind] = line["time"]
        counts[kind] += line["count"] if isinstance(line.get("count"), int) else 1
    rows = [(*kind, whole(counts[kind]), moment(time)) for kind, time in [*reversed(latest.items())][:most]]
    headings = ("Line", "Level", "Graph", "Filter", "Times", "Latest")
    return Table("Last warnings of the log", headings, rows, frozenset({"Times"}))


def _names(line: Mapping[str, Any], name: str) -> str:
    """The names that a line of the log has under ``graph`` or ``graphs``."""
    found = line.get(name) or line.get(f"{name}s")
    return ", ".join(map(str, found)) if isinstance(found, list) else str(found or UNKNOWN)


def _shortened(text: str) -> str:
    return text if len(text) <= LINE_CHARS else f"{text[:LINE_CHARS]}…"


def tables(
    status: Status, rates: Mapping[str, Rate] | None, groups: Sequence[Mapping[str, Any]], most_causes: int
) -> list[Table]:
    """All tables of a node; pools and outboxes only where there are any."""
    shown = [graphs(status, rates), letters(groups, most_causes), shards(status), instances(status)]
    return shown + [table for table in (pools(status), outboxes(status)) if table.rows]
