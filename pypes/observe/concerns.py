"""Concerns: what needs a look on a node, in sentences that name the graph, the filter, what is wrong with it, and what to do.

Everything here works on the JSON values of ``GET /status`` and touches nothing else. A node that keeps up with its load has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, Final, NamedTuple

from pypes.core.wording import lasting, numbered, sized
from pypes.errors import DiskFull, Draining, LettersFull, NotDeployed, OverBudget, QueueFull, StoreFull, WorkerEnding
from pypes.observe.delays import Delays

#: A disk is short of room with less than both of this, and full with less than a hundredth of it.
LOW_SHARE: Final = 0.05
LOW_BYTES: Final = 2 << 30
FULL_BYTES: Final = 1 << 20
#: Seconds for which an end of an instance, and dead letters, are news.
NEWS_S: Final = 600.0
#: Seconds before the end of a certificate from which on it needs a look.
EXPIRES_S: Final = 14 * 86400.0
#: Memory grows if each of so many looks at a process, one after the other, has found more of it, and it is so much in a minute.
GROWING_LOOKS: Final = 3
GROWING_BYTES: Final = 1 << 20
GROWN_BYTES: Final = 16 << 20
#: Characters of a reason that is not ours.
REASON_CHARS: Final = 160
#: Addresses that are named of POSTs that were refused.
MOST_ROUTES: Final = 5
#: Reasons that are told with the token.
_OF_BUDGETS: Final = (OverBudget.code, "token.connections")
#: Tokens that are named of requests over a budget.
MOST_TOKENS: Final = 3
#: Reasons for which POSTs are refused, by the code of the problem.
_REASONS: Final = {
    NotDeployed.code: "no graph that is deployed takes them",
    QueueFull.code: "a queue, or the share of a graph in it, is full",
    LettersFull.code: "a graph has no room for more dead letters until some are replayed or deleted",
    DiskFull.code: "a graph has reached its disk_bytes",
    Draining.code: "the node was stopping",
    WorkerEnding.code: "an ingest worker was ending",
}


class Concern(NamedTuple):
    """Something that needs a look. ``kind`` is a word of few; graph and filter are empty where there is none."""

    kind: str
    graph: str
    filter: str
    text: str


def concerns(
    status: Mapping[str, Any],
    causes: Sequence[Mapping[str, Any]],
    now: float,
    may_name: Callable[[str], bool] = lambda graph: True,
) -> list[Concern]:
    """All that needs a look, causes before their effects; ``now`` is the time, in seconds since 1970.

    ``causes`` are groups of dead letters: graph, filter, code, count, ``latest``, and the ``error`` and ``receipt`` of one.
    ``may_name`` says whether a concern of a graph may name another one.
    """
    return [
        *_of_node(status),
        *_of_certificate(status, now),
        *_of_fleet(status),
        *_of_files(status),
        *_of_refused(status),
        *_of_budgets(status),
        *_of_graphs(status, now),
        *_of_shards(status),
        *_of_pools(status),
        *_of_endings(status, now),
        *_of_memory(status),
        *_of_letters(status, causes, now),
        *(Concern("behind", *found) for found in Delays(status, may_name).told()),
    ]


def _of_node(status: Mapping[str, Any]) -> Iterator[Concern]:
    if status["state"] != "ready":
        yield Concern("node", "", "", f"The node is {status['state']}.")
    disk = status.get("disk")
    full = sum(each["count"] for each in _refused(status) if each["code"] == StoreFull.code)
    told = f" {numbered(full, 'POST was', 'POSTs were')} refused with 507 (store.full) in the last minute." if full else ""
    if disk is not None and disk["free_bytes"] < min(LOW_BYTES, LOW_SHARE * disk["total_bytes"]):
        is_full = disk["free_bytes"] < FULL_BYTES or full
        room = f"{sized(disk['free_bytes'])} of {sized(disk['total_bytes'])} are free"
        text = f"The disk of the data folder {disk['folder']} is {'full' if is_full else 'nearly full'}: {room}.{told}"
        yield Concern("disk", "", "", f"{text} Make room there; the node goes on by itself.")
    elif full:
        yield Concern("disk", "", "", f"A disk is full.{told} Make room there; the node goes on by itself.")
    for outbox in status["outboxes"]:
        if outbox["reason"]:
            yield Concern("outbox", "", "", f"Outbox {outbox['name']} cannot be read: {outbox['reason']}")


def _of_certificate(status: Mapping[str, Any], now: float) -> Iterator[Concern]:
    certificate = status.get("certificate")
    if certificate is None or (left_s := seconds_of(certificate["expires"]) - now) > EXPIRES_S:
        return
    day = certificate["expires"][:10]
    how = f"expires in {lasting(left_s)}, on {day}" if left_s > 0 else f"has expired on {day}, and clients refuse it"
    what = "Put a new one into the files of tls_cert and tls_key, and send the node SIGHUP."
    yield Concern("certificate", "", "", f"The certificate of the node {how}. {what}")


def _of_fleet(status: Mapping[str, Any]) -> Iterator[Concern]:
    """Nodes that do not answer, and those that are not let in."""
    for member in status.get("fleet", ()):
        if member["state"] == "away":
            what = "Receipts that it has given, keys and graphs with order that it owns wait for it."
            yield Concern("fleet", "", "", f"Node {member['name']} does not answer: {_in_a_line(member['reason'])}. {what}")
        elif member["state"] == "twin":
            yield Concern("fleet", "", "", f"Node {member['name']} is not let into the fleet: {_in_a_line(member['reason'])}.")


def _refused(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """POSTs of documents that were refused in the last minute, by status, code and route."""
    found: list[Mapping[str, Any]] = (status.get("lately") or {}).get("refused", [])
    return found


def _of_files(status: Mapping[str, Any]) -> Iterator[Concern]:
    """Graph files that are not deployed, with the POSTs that find no graph for that."""
    live = {graph["name"]: graph for graph in status["graphs"]}
    for file in status["undeployed"]:
        name = file["graph"]
        how = f"runs without what is new in its file {file['file']}" if name in live else "is not running"
        text = f"Graph {name} {how}: {_in_a_line(file['reason'])}."
        lost = sum(each["count"] for each in _refused(status) if _is_of(file, each)) if name not in live else 0
        if lost:
            text += f" {numbered(lost, 'POST')} for it {'was' if lost == 1 else 'were'} refused with 503 in the last minute."
        what = "Mend what it names" if name in live else f"Its file is {file['file']}: mend it, or what it names"
        yield Concern("failed", name, "", f"{text} {what}, and save the file again, or send the node SIGHUP.")


def _is_of(file: Mapping[str, Any], refused: Mapping[str, Any]) -> bool:
    return refused["code"] == NotDeployed.code and refused["route"] in file["routes"]


def _of_refused(status: Mapping[str, Any]) -> Iterator[Concern]:
    """POSTs that were refused for another reason than a full disk, a budget, or a graph that does not run, by code."""
    live = {graph["name"] for graph in status["graphs"]}
    files = [file for file in status["undeployed"] if file["graph"] not in live]
    alike: dict[tuple[str, str], dict[str, int]] = {}
    for each in _refused(status):
        if each["code"] not in (StoreFull.code, *_OF_BUDGETS) and not any(_is_of(file, each) for file in files):
            counts = alike.setdefault((each["status"], each["code"]), {})
            counts[each["route"]] = counts.get(each["route"], 0) + each["count"]
    for (code, reason), counts in alike.items():
        routes = sorted(counts, key=lambda route: (-counts[route], route))
        where = ", ".join(f"/docs/{route}" if route else "/docs" for route in routes[:MOST_ROUTES])
        more = len(routes) - MOST_ROUTES
        where += f" and {more} more" if more > 0 else ""
        found = numbered(sum(counts.values()), "POST")
        verb = "was" if sum(counts.values()) == 1 else "were"
        why = f": {_REASONS[reason]}" if reason in _REASONS else ""
        yield Concern("refused", "", "", f"{found} to {where} {verb} refused with {code} ({reason}) in the last minute{why}.")


def _of_budgets(status: Mapping[str, Any]) -> Iterator[Concern]:
    """Clients that were refused because they had used as much as they may, the one with most refusals first."""
    found: dict[str, dict[str, int]] = {}
    for each in (status.get("lately") or {}).get("over_budget", []):
        found.setdefault(each["token"], {})[each["budget"]] = each["count"]
    tokens = sorted(found, key=lambda token: (-sum(found[token].values()), token))
    for token in tokens[:MOST_TOKENS]:
        total = sum(found[token].values())
        who = f"Token {token}" if token else "The clients of the node together"
        what = ", ".join(sorted(found[token], key=lambda budget: -found[token][budget]))
        text = f"{who}: {numbered(total, 'request was', 'requests were')} refused with 429 in the last minute, over {what}."
        if token == tokens[0] and len(tokens) > MOST_TOKENS:
            text += f" So were requests of {len(tokens) - 1} others."
        yield Concern("budget", "", "", f"{text} Have its client send less, or give it a larger budget.")


def _in_a_line(reason: str) -> str:
    """A reason with its problems, one behind the other, shortened."""
    first, *problems = [line.strip().rstrip(".") for line in reason.strip().splitlines()] or [""]
    line = "; ".join(problems) or first
    return line if len(line) <= 2 * REASON_CHARS else f"{line[: 2 * REASON_CHARS]}…"


def _of_graphs(status: Mapping[str, Any], now: float) -> Iterator[Concern]:
    for graph in status["graphs"]:
        name = graph["name"]
        if graph.get("error"):
            yield Concern("failed", name, "", f"Graph {name} cannot run: {graph['error']}")
        elif graph["state"] == "paused":
            yield Concern("paused", name, "", f"Graph {name} is paused: its documents wait{_waiting(status, name)}.")
        for filter in graph.get("resting", ()):
            since = f"since {clock_of(filter['since'])} ({lasting(max(0.0, now - seconds_of(filter['since'])))})"
            text = (
                f"Graph {name}: filter {filter['filter']} rests {since}: what it works with does not answer, "
                f"{short(filter['reason'])}. Nothing is lost; its documents wait{_waiting(status, name)}, "
                "and it goes on by itself once that answers."
            )
            yield Concern("resting", name, filter["filter"], text)


def _waiting(status: Mapping[str, Any], graph: str) -> str:
    number = sum(shard["graphs"].get(graph, {}).get("deliveries", 0) for shard in status["shards"])
    return f" ({numbered(number, 'delivery', 'deliveries')})" if number else ""


def _of_shards(status: Mapping[str, Any]) -> Iterator[Concern]:
    for shard in status["shards"]:
        if shard["queue"] is None:
            yield Concern("shard", "", "", f"Shard {shard['shard']} cannot be asked: {shard['reason']}")
        elif shard["queue"]["is_failed"]:
            yield Concern("shard", "", "", f"Shard {shard['shard']} refuses documents: nothing can be written to its disk.")
        elif shard["queue"]["held"]:
            held = numbered(shard["queue"]["held"], "delivery is", "deliveries are")
            text = f"{held} held in shard {shard['shard']}: their graph has too many dead letters. Replay or delete some."
            yield Concern("held", "", "", text)


def _of_pools(status: Mapping[str, Any]) -> Iterator[Concern]:
    for pool in status["pools"]:
        if pool["failure"]:
            yield Concern("pool", "", "", f"A process of pool {pool['name']} cannot be set up: {pool['failure']}")
        elif pool["state"] == "stalled":
            yield Concern("pool", "", "", f"Pool {pool['name']} has lost all of its processes.")


def _of_endings(status: Mapping[str, Any], now: float) -> Iterator[Concern]:
    """Instances that ended of late, by cause."""
    alike: dict[str, list[Mapping[str, Any]]] = {}
    for ending in status.get("endings", ()):
        if now - seconds_of(ending["time"]) <= NEWS_S:
            alike.setdefault(ending["reason"], []).append(ending)
    for reason, found in alike.items():
        last = found[-1]
        # which filter it was, is known only of a delivery that ran alone
        filters = sorted({ending["filter"] for ending in found} - {""})
        graphs = [_graph_of(status, filter, last["graphs"]) for filter in filters]
        names = [
            f"filter {filter}" + (f" of graph {graph}" if graph else "") for filter, graph in zip(filters, graphs, strict=True)
        ]
        is_one = len(found) == 1
        times = "An instance ended" if is_one else f"Instances ended {len(found)} times within 10 min"
        rerun = f"What {'it' if is_one else 'they'} had runs again; a document that ends instances again becomes a dead letter."
        at_work = f" At work was {' or '.join(names)}." if names else ""
        text = f"{times}: {reason}, {'' if is_one else 'the last '}at {clock_of(last['time'])}.{at_work} {rerun}"
        if last["cause"] == "memory":
            text += " Some filter keeps what it has seen, or max_memory_bytes is too small."
        graph, filter = (graphs[0], filters[0]) if len(filters) == 1 else ("", "")
        yield Concern("restarts", graph, filter, text)


def _graph_of(status: Mapping[str, Any], filter: str, graphs: Sequence[str]) -> str:
    """The graph among these that has a filter, if it is only one."""
    found = [graph for graph in graphs if filter in status["work"].get(graph, {}).get("filters", {})]
    return found[0] if len(found) == 1 else ""


def _of_memory(status: Mapping[str, Any]) -> Iterator[Concern]:
    hosted = {f"instance-{each['id']}": each["graphs"] for each in status["instances"]}
    most = status.get("max_memory_bytes", 0)
    for process in status["processes"]:
        looks = [*process.get("memory_before", ()), process["memory_bytes"]]
        rising = [new - old >= GROWING_BYTES for old, new in pairwise(looks[:-1])]
        is_much = looks[-1] - looks[0] >= GROWN_BYTES
        if not is_much or len(rising) < GROWING_LOOKS or not all(rising[-GROWING_LOOKS:]):
            continue
        name = process["name"].replace("-", " ", 1)
        bound = f" of {sized(most)} that it may have" if most and name.startswith("instance") else ""
        graphs = hosted.get(process["name"], [])
        runs = f" It runs {', '.join(graphs)}: one of their filters keeps what it has seen." if graphs else ""
        text = f"The memory of {name} grows: {sized(looks[0])} within the last minute, {sized(looks[-1])} now{bound}.{runs}"
        yield Concern("memory", graphs[0] if len(graphs) == 1 else "", "", text)


def _of_letters(status: Mapping[str, Any], causes: Sequence[Mapping[str, Any]], now: float) -> Iterator[Concern]:
    for cause in causes:
        if now - seconds_of(cause["latest"]) > NEWS_S:
            continue
        where = f" in filter {cause['filter']}" if cause["filter"] else ""
        found = numbered(cause["count"], "dead letter")
        text = f"Graph {cause['graph']}: {found}{where} with {cause['code']}, the last at {clock_of(cause['latest'])}"
        if cause.get("error"):
            text += f": {short(cause['error'])}"
        if cause.get("error", "").startswith("MemoryError"):
            text += f", the memory of its process was used up{_bound(status)}"
        if cause.get("receipt"):
            text += f". One is of receipt {cause['receipt']}"
        yield Concern("dead letters", cause["graph"], cause["filter"], f"{text}.")


def _bound(status: Mapping[str, Any]) -> str:
    most = status.get("max_memory_bytes", 0)
    return f" (max_memory_bytes, {sized(most)})" if most else ""


def seconds_of(time: str) -> float:
    """Seconds since 1970 of a time of RFC 3339."""
    return datetime.fromisoformat(time).timestamp()


def clock_of(time: str) -> str:
    """The time of day of a time of RFC 3339."""
    return f"{time[11:19]} UTC"


def short(reason: str) -> str:
    """The first line of a reason, shortened, without a full stop."""
    line = reason.strip().partition("\n")[0].rstrip(".")
    return line if len(line) <= REASON_CHARS else f"{line[:REASON_CHARS]}…"
