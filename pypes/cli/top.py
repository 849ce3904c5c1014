"""``pypes top``: a node live in the terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from pypes.cli.client import Client, node_options, print_json
from pypes.cli.drawing import concern_lines, cut, fitted
from pypes.cli.screen import Screen
from pypes.core.clock import wall
from pypes.core.wording import lasting
from pypes.errors import Unavailable
from pypes.ingest.receipt import rfc3339
from pypes.observe import picture
from pypes.observe.picture import Rate, Sample
from pypes.observe.work import FilterRate, filter_rates

#: Size of a picture that nobody sees while it is made.
ONCE = (120, 1000)
#: Causes of dead letters that are listed.
CAUSES = 50


@dataclass(frozen=True, slots=True)
class Look:
    """A node at a time, in seconds of a clock that does not go back."""

    at: float
    status: Mapping[str, Any]
    groups: Sequence[Mapping[str, Any]]

    @classmethod
    def at_node(cls, client: Client) -> Look:
        """Raises :class:`Unavailable` if the node cannot be reached."""
        status = client.ask("GET", "/status")
        at = time.monotonic()
        groups = client.ask("GET", "/deadletters", {"group": "code"})["groups"]
        return cls(at, status, groups)


@click.command()
@click.option(
    "--interval", "interval_s", default=2.0, show_default=True, type=click.FloatRange(0.1), help="Seconds between looks."
)
@click.option("--once", is_flag=True, help="Print one picture, of two looks, and end.")
@node_options
def top(client: Client, as_json: bool, interval_s: float, once: bool) -> None:
    """Show a node as it works: what needs a look, rates of graphs, queue, the busiest filters, dead letters, instances.

    Ends with q or Ctrl-C; the space bar looks at once. --json prints what --once would, as JSON.
    """
    if once or as_json:
        first = Look.at_node(client)
        time.sleep(interval_s)
        second = Look.at_node(client)
        if as_json:
            print_json(as_values(first, second))
        else:
            click.echo("\n".join(picture_of(first, second, *ONCE, interval_s)))
        return
    client.hurry(max(2.0, interval_s))
    try:
        with Screen() as screen:
            watch(client, screen, interval_s)
    except KeyboardInterrupt:
        return


def watch(client: Client, screen: Screen, interval_s: float) -> None:
    """Draw the node every ``interval_s`` until a key ends it. A node that is away is asked again, beside its last picture."""
    before = last = None
    screen.draw(["pypes top: asking the node …"])
    while True:
        trouble = ""
        try:
            look = Look.at_node(client)
            # rates are those since the look before, if the node is the same
            before, last = last, look
        except Unavailable as error:
            trouble = error.message
        due = time.monotonic() + interval_s
        while True:
            width, height = screen.size
            lines = [] if last is None else picture_of(before or last, last, width, height, interval_s)
            if trouble:
                lines = [click.style(cut(f"! {trouble}; trying again", width), fg="red"), *lines]
            screen.draw(lines[:height])
            key = screen.wait(due - time.monotonic())
            if key is not None and "q" in key.lower():
                return
            # a new size is drawn at once, any other key is left alone
            if key is None or " " in key:
                break


def as_values(before: Look, last: Look) -> dict[str, Any]:
    """The figures of a picture as JSON values."""
    rates = Sample.of(before.status, before.at).rates(Sample.of(last.status, last.at))
    filters = filter_rates(before.status, last.status, last.at - before.at)
    return {
        "seconds": round(last.at - before.at, 3),
        "graphs": {name: each._asdict() for name, each in sorted(rates.items())},
        "filters": [
            {
                "graph": each.graph,
                "filter": each.filter,
                "packets": each.packets,
                "failures": each.failures,
                "busy": each.busy,
                "waiting": each.waiting,
                "parked": each.parked,
            }
            for each in filters
        ],
        "concerns": last.status["concerns"],
    }


def picture_of(before: Look, last: Look, width: int, height: int, interval_s: float) -> list[str]:
    """The node in at most ``height`` lines, each of ``width`` columns; rates are those between two looks."""
    status = last.status
    told = picture.state_of(status)
    state = click.style(told, fg="green" if told in picture.GOOD else "red", bold=True)
    clock = f"{picture.moment(rfc3339(wall()))[11:]} · every {lasting(interval_s)} · q ends"
    lines = [f"{click.style('Pypes', bold=True)} {state}  {cut(clock, max(0, width - 20))}"]
    lines += [cut(picture.headline(status), width), cut(picture.waiting(status), width)]
    lines += concern_lines([each["text"] for each in status["concerns"]], width, max(1, height // 3))
    rates = Sample.of(before.status, before.at).rates(Sample.of(status, last.at))
    filters = filter_rates(before.status, last.status, last.at - before.at)
    tables = [
        picture.graphs(status, rates, most_work_first(status, rates)),
        picture.filters(status, named_first(status, filters), is_measuring=last.at <= before.at),
        picture.letters(status, last.groups, CAUSES),
        picture.instances(status),
        picture.pools(status),
        picture.outboxes(status),
    ]
    return lines + fitted(tables, width, height - len(lines))


def most_work_first(status: Mapping[str, Any], rates: Mapping[str, Rate]) -> list[Mapping[str, Any]]:
    """Graphs for a terminal in which not all have room: those that a sentence names or that are in trouble, then by rates."""
    named = {concern["graph"] for concern in status["concerns"]}

    def rank(graph: Mapping[str, Any]) -> tuple[bool, float, str]:
        is_well = graph["state"] == "live" and not graph.get("resting") and graph["name"] not in named
        return is_well, -sum(rates.get(graph["name"], ())), graph["name"]

    return sorted(picture.shown_graphs(status), key=rank)


def named_first(status: Mapping[str, Any], rates: Sequence[FilterRate]) -> list[FilterRate]:
    """Filters, those first that a sentence names, and otherwise as they are."""
    named = {(concern["graph"], concern["filter"]) for concern in status["concerns"]}
    return sorted(rates, key=lambda rate: (rate.graph, rate.filter) not in named)
