"""Delays: graphs that take more documents than they finish, and the filter that is the cause, theirs or another graph's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pypes.core.wording import lasting, numbered
from pypes.observe.work import FilterRate, filter_rates_lately

#: A graph is behind if its oldest live delivery has waited for so long, with so many others, while more came than was done.
OLDEST_S: Final = 10.0
DELIVERIES: Final = 3
KEEPS_UP: Final = 0.95
#: A pool, or the instances of a graph, are taken up if filters are at work there for so much of the time.
TAKEN_UP: Final = 0.7
#: The busiest filter of all is the cause if it is at work, or waits for answers, for so much of the time.
AT_WORK: Final = 0.3


class Delays:
    """Looks at what a node has done of late: ``status`` is the answer of ``GET /status``; ``may_name`` as for all concerns."""

    def __init__(self, status: Mapping[str, Any], may_name: Callable[[str], bool] = lambda graph: True) -> None:
        self._status = status
        self._may_name = may_name
        self._rates = filter_rates_lately(status)

    def told(self) -> Iterator[tuple[str, str, str]]:
        """Graph, filter and sentence for each graph that is behind."""
        for graph in self._status["graphs"]:
            # one that stands still for a reason that is told elsewhere is not behind
            if graph["state"] == "live" and not graph.get("resting") and not graph.get("error"):
                behind = self._behind(graph["name"])
                if behind:
                    filter, cause = self._cause(graph["name"])
                    yield graph["name"], filter, f"Graph {graph['name']} {behind} {cause}"

    def _behind(self, graph: str) -> str:
        """A sentence that says how far a graph is behind, or nothing."""
        uses = [shard["graphs"][graph] for shard in self._status["shards"] if graph in shard["graphs"]]
        lately = [use["lately"] for use in uses if use.get("lately")]
        deliveries = sum(use["deliveries"] for use in uses)
        oldest_s = max((use["lanes"].get("live", {}).get("oldest_s", 0.0) for use in uses), default=0.0)
        if not lately or oldest_s < OLDEST_S or deliveries < DELIVERIES:
            return ""
        accepted = sum(each["accepted"] / each["seconds"] for each in lately)
        done = sum((each["published"] + each["dropped"] + each["failed"]) / each["seconds"] for each in lately)
        if done and done >= KEEPS_UP * accepted:
            return ""
        what = f"{deliveries:,} deliveries wait, the oldest for {lasting(oldest_s)}"
        if not done:
            return f"stands still: {what}, and nothing was done in the last minute."
        return f"is behind: {what}; {accepted:,.1f} documents/s come in and {done:,.1f} are done."

    def _cause(self, graph: str) -> tuple[str, str]:
        """The filter of a graph at which it waits, if there is one, and a sentence that says why."""
        for pool in self._status["pools"]:
            own = sorted(each.partition(".")[2] for each in pool["filters"] if each.partition(".")[0] == graph)
            users = [rate for rate in self._rates if f"{rate.graph}.{rate.filter}" in pool["filters"]]
            size = len(pool["workers"])
            # a stride of slow packets is told of when it is done, so that the time in filters comes late
            if own and users and size and max(pool["busy_lately"], sum(rate.busy for rate in users) / size) >= TAKEN_UP:
                most = max(users, key=lambda rate: rate.busy)
                where = f"pool {pool['name']}, which has {numbered(size, 'process', 'processes')}"
                if most.graph == graph:
                    return most.filter, f"Its filter {most.filter} fills {where}: {_done_in(most)}."
                return own[0], (
                    f"Its filter {own[0]} waits for {where} and is taken up by {self._other(most, _done_in(most))}. "
                    f"Give filter {own[0]} of graph {graph} a pool of its own, or the pool more processes."
                )
        count = sum(graph in each["graphs"] for each in self._status["instances"] if each["state"] == "ready") or 1
        mine = next((rate for rate in self._rates if rate.graph == graph), None)
        first = self._rates[0] if self._rates else None
        if mine is not None and (mine.busy >= TAKEN_UP * count or (mine is first and mine.busy + mine.waiting >= AT_WORK)):
            return mine.filter, f"Most of its time goes to its filter {mine.filter}: {_slow(mine, count)}."
        if first is not None and first.busy >= TAKEN_UP * count:
            return "", f"Its instances are taken up by {self._other(first, _slow(first, count))}."
        return "", f"None of its filters is busy: see pypes logs --graph {graph}."

    def _other(self, rate: FilterRate, what: str) -> str:
        """A filter of another graph with what it does, as far as it may be named."""
        return f"filter {rate.filter} of graph {rate.graph}: {what}" if self._may_name(rate.graph) else "another graph"


def _slow(rate: FilterRate, places: int) -> str:
    """The time that a packet takes in a filter, and the share of the time of so many instances or processes."""
    share = f"at work for {rate.busy / places:.0%} of the time" + (f" of {places} instances" if places > 1 else "")
    if rate.packet_s is None:
        return f"{share}, with packets that are not done yet"
    text = f"{milliseconds(rate.packet_s)} a packet"
    return f"{text}, most of it in calls beside the graph" if rate.waiting > rate.busy else f"{text}, {share}"


def _done_in(rate: FilterRate) -> str:
    """The time that a packet takes in a filter of a pool, of those that are done."""
    return f"{milliseconds(rate.done_s)} a packet" if rate.done_s is not None else "with packets that are not done yet"


def milliseconds(seconds: float) -> str:
    """A time in milliseconds, with as many places as one can tell apart."""
    found = seconds * 1000
    return f"{found:,.0f} ms" if found >= 10 else f"{found:.1f} ms" if found >= 0.1 else f"{found:.2f} ms"
