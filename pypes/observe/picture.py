"""A node as a picture: the answer of ``GET /status`` as a few tables, for the page and for the terminal.

Everything here works on JSON values and touches nothing else. The rates of graphs are differences of two samples of the totals
that the shards keep.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from pypes.core.wording import counted, lasting, numbered, sized
from pypes.observe.work import FilterRate, filter_rates_lately, places

Status = Mapping[str, Any]

#: Shown where nothing is known.
UNKNOWN: Final = "-"

#: Shown of a node without concerns.
NO_CONCERN: Final = "Nothing needs a look."

#: Filters that are shown beside all else.
BUSIEST: Final = 10

#: Rates of a graph that are shown, with their headings.
_RATES: Final[Mapping[str, str]] = MappingProxyType({"accepted": "In/s", "published": "Out/s", "failed": "Failed/s"})

#: Characters of a line of the log that are shown.
LINE_CHARS: Final = 200

#: States in which a thing works, and in which it does not; all others pass.
GOOD: Final = frozenset({"live", "ready"})
BAD: Final = frozenset({"failed", "refusing", "stalled"})

#: Looks at the memory of a process, one in ten seconds, of which the first is a minute old.
LOOKS_A_MINUTE: Final = 6


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


def state_of(status: Status) -> str:
    """The state of the node; ``refusing`` if no shard takes documents, as nothing can be written to its disk."""
    queues = [shard["queue"] for shard in status["shards"] if shard["queue"] is not None]
    is_refusing = bool(queues) and all(queue.get("is_failed") for queue in queues)
    return "refusing" if is_refusing and status["state"] == "ready" else str(status["state"])


def waiting(status: Status) -> str:
    """The queues of all shards in a line, and how often instances had to be set up again."""
    queues = [queue for shard in status["shards"] for queue in _queues_of(shard)]
    deliveries = sum(queue["deliveries"] for queue in queues)
    letters = sum(queue["dead_letters"] for queue in queues)
    size = sized(sum(queue["bytes"] for queue in queues))
    found = f"{numbered(deliveries, 'delivery waits', 'deliveries wait')} ({size})"
    if deliveries:
        found += f", the oldest for {lasting(max(queue['oldest_s'] for queue in queues))}"
    restarts = sum(status["restarts"].values())
    told = f"{found} · {numbered(letters, 'dead letter')}"
    return told + (f" · {numbered(restarts, 'restart')} of instances" if restarts else "")


def _queues_of(shard: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The queue of a shard. Where only some graphs are shown it is the sum of theirs; where it cannot be asked, empty."""
    if shard["queue"] is not None:
        return [shard["queue"]]
    uses = shard.get("graphs", {}).values()
    sums = {name: sum(use[name] for use in uses) for name in ("deliveries", "bytes", "dead_letters")}
    return [{**sums, "oldest_s": max((_oldest_s(use) for use in uses), default=0.0)}]


def _oldest_s(use: Mapping[str, Any]) -> float:
    """The age of the oldest delivery of a graph in a shard."""
    return max((lane["oldest_s"] for lane in use["lanes"].values()), default=0.0)


def rates_lately(status: Status) -> dict[str, Rate]:
    """The rates of graphs within the last minute, as far as their shards know them."""
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0] * len(Rate._fields))
    for shard in status["shards"]:
        for graph, use in shard["graphs"].items():
            lately = use.get("lately")
            if lately:
                for number, name in enumerate(Rate._fields):
                    sums[graph][number] += lately[name] / lately["seconds"]
    return {graph: Rate(*rates) for graph, rates in sums.items()}


def graphs(status: Status, rates: Mapping[str, Rate], shown: Sequence[Mapping[str, Any]] | None = None) -> Table:
    """Graphs with their state, their rates, and the documents in each; ``shown`` are all of them in another order."""
    sums: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    oldest: dict[str, float] = defaultdict(float)
    for shard in status["shards"]:
        for graph, use in shard["graphs"].items():
            for name, number in use.items():
                if isinstance(number, int):
                    sums[graph][name] += number
            oldest[graph] = max(oldest[graph], _oldest_s(use))
    rows = []
    for graph in shown_graphs(status) if shown is None else shown:
        name = graph["name"]
        use, of_late = sums[name], rates.get(name)
        state = "resting" if graph.get("resting") and graph["state"] == "live" else graph["state"]
        rows.append(
            (
                name,
                state,
                *(rate(of_late and getattr(of_late, name)) for name in _RATES),
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
    numbers = (*_RATES.values(), "Waiting", "Oldest", "Size", *counts)
    return Table("Graphs", ("Graph", "State", *numbers), rows, frozenset(numbers), "No graph is deployed.")


def shown_graphs(status: Status) -> list[Mapping[str, Any]]:
    """The graphs that are deployed, and those of files that are not: these have failed."""
    names = {graph["name"] for graph in status["graphs"]}
    lost = {each["graph"]: each["reason"] for each in status["undeployed"] if each["graph"] not in names}
    files = [{"name": name, "state": "failed", "error": reason} for name, reason in lost.items()]
    return sorted([*status["graphs"], *files], key=lambda graph: str(graph["name"])) if files else status["graphs"]


def filters(status: Status, rates: Sequence[FilterRate], *, is_measuring: bool = False) -> Table:
    """Filters, the busiest first, without those that did nothing.

    ``Busy`` is the share of the time of all instances that run the graph, or of the processes of the pool.
    """
    pooled = {filter for pool in status["pools"] for filter in pool["filters"]}
    resting = {(graph["name"], each["filter"]) for graph in status["graphs"] for each in graph.get("resting", ())}
    rows = [
        (
            each.graph,
            each.filter,
            "resting" if (each.graph, each.filter) in resting else "",
            f"{each.busy / places(status, each.graph, each.filter):.0%}",
            rate(each.packets),
            _milliseconds(each.done_s if f"{each.graph}.{each.filter}" in pooled else each.packet_s),
            rate(each.failures),
            f"{each.waiting:.0%}",
            f"{each.parked:.0%}",
        )
        for each in rates
        if not each.is_idle
    ]
    numbers = ("Busy", "Packets/s", "ms/packet", "Failed/s", "Calls", "Parked")
    headings = ("Graph", "Filter", "State", *numbers)
    nothing = "Measuring: rates come with the second look." if is_measuring else "No filter was at work."
    return Table("Busiest filters", headings, rows, frozenset(numbers), nothing)


def _milliseconds(seconds: float | None) -> str:
    return UNKNOWN if seconds is None else f"{seconds * 1000:,.2f}"


def letters(status: Status, groups: Iterable[Mapping[str, Any]], most: int) -> Table:
    """Dead letters by cause, ``most`` of the causes: the answer of ``GET /deadletters?group=code``.

    Those that are not on the disk yet, as it is full, are in the counts of graphs but in no cause.
    """
    found = [*groups]
    rows = [
        (each["graph"], each["filter"] or UNKNOWN, each["code"], whole(each["count"]), moment(each["latest"]))
        for each in found[:most]
    ]
    if len(found) > most:
        left = counted(len(found) - most, "more cause")
        rows.append((f"… and {left}", "", "", whole(sum(each["count"] for each in found[most:])), ""))
    stored: dict[str, int] = defaultdict(int)
    for each in found:
        stored[each["graph"]] += each["count"]
    counted_so_far: dict[str, int] = defaultdict(int)
    for shard in status["shards"]:
        if shard["queue"] is not None and shard["queue"].get("is_failed"):
            for graph, use in shard["graphs"].items():
                counted_so_far[graph] += use["dead_letters"]
    rows += [
        (graph, UNKNOWN, "not written yet: they wait for room on the disk", whole(number - stored[graph]), UNKNOWN)
        for graph, number in sorted(counted_so_far.items())
        if number > stored[graph]
    ]
    headings = ("Graph", "Filter", "Code", "Dead letters", "Latest")
    return Table("Dead letters by cause", headings, rows, frozenset({"Dead letters"}), "There are no dead letters.")


def shards(status: Status) -> Table:
    """The queue of each shard; no rows where some graphs only are shown."""
    numbers = ("Deliveries", "Size", "Ready", "Leased", "Later", "Oldest")
    rows = []
    for shard in status["shards"]:
        queue = shard["queue"]
        if queue is None:
            if shard["reason"]:
                rows.append((str(shard["shard"]), "away", *[UNKNOWN] * len(numbers)))
            continue
        oldest = lasting(queue["oldest_s"]) if queue["deliveries"] else UNKNOWN
        counts = [whole(queue[name]) for name in ("ready", "leased", "delayed")]
        state = "refusing" if queue.get("is_failed") else "ready"
        rows.append((str(shard["shard"]), state, whole(queue["deliveries"]), sized(queue["bytes"]), *counts, oldest))
    return Table("Queue", ("Shard", "State", *numbers), rows, frozenset(numbers))


def instances(status: Status) -> Table:
    """The processes that run graphs."""
    memory = {process["pid"]: process for process in status["processes"]}
    rows = [
        (
            str(each["id"]),
            each["state"] if has_memory(memory.get(each["pid"])) else "ended",
            str(each["generation"]),
            str(each["pid"]),
            *_memory(memory.get(each["pid"])),
            ", ".join(each["graphs"]),
        )
        for each in status["instances"]
    ]
    numbers = ("Generation", "Pid", "Memory", "Memory a minute ago")
    return Table("Instances", ("Instance", "State", *numbers, "Graphs"), rows, frozenset(numbers), "No instance runs.")


def has_memory(process: Mapping[str, Any] | None) -> bool:
    """False of a process that has ended, and of which only its number is left."""
    return process is not None and process["memory_bytes"] > 0


def _memory(process: Mapping[str, Any] | None) -> tuple[str, str]:
    if process is None or not has_memory(process):
        return UNKNOWN, UNKNOWN
    before = process.get("memory_before", ())
    return sized(process["memory_bytes"]), sized(before[0]) if len(before) >= LOOKS_A_MINUTE else UNKNOWN


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
        told = told if len(told) <= LINE_CHARS else f"{told[:LINE_CHARS]}…"
        kind = (told, str(line["level"]), _names(line, "graph"), _names(line, "filter"))
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


def tables(status: Status, groups: Sequence[Mapping[str, Any]], most_causes: int) -> list[Table]:
    """All tables of a node, with rates of the last minute; those of which nothing is to be said are left out."""
    shown = [
        graphs(status, rates_lately(status)),
        filters(status, filter_rates_lately(status)[:BUSIEST]),
        letters(status, groups, most_causes),
        shards(status),
        instances(status),
        pools(status),
        outboxes(status),
    ]
    return [table for table in shown if table.rows or table.empty]
