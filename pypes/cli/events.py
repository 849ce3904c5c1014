"""``pypes events``: what happens on a running node, line by line."""

from __future__ import annotations

from typing import Any

import click
import orjson

from pypes.cli.client import Client, node_options, printable
from pypes.cli.streams import EventStream, Told, clock_of
from pypes.observe.events import KINDS


@click.command()
@click.option("--graph", help="Only what is about these graphs, separated by commas.")
@click.option("--kind", help=f"Only these kinds, separated by commas: {', '.join(KINDS)}.")
@click.option("--recent", type=click.IntRange(0, 1000), help="Show so many of the last events first.")
@click.option("-n", "most", type=click.IntRange(1), help="End after so many events.")
@node_options
def events(client: Client, as_json: bool, graph: str | None, kind: str | None, recent: int | None, most: int | None) -> None:
    """Show what happens on a node, until Ctrl-C: deployments, drafts, instances, filters that rest, dead letters.

    When the node is restarted, it goes on with what happened since.
    """
    stream = EventStream(client, "/events", {"graph": graph, "kind": kind, "recent": recent})
    for count, told in enumerate(stream.follow(), 1):
        click.echo(orjson.dumps({"kind": told.kind, **told.data}) if as_json else line_of(told))
        if count == most:
            return


def line_of(told: Told) -> str:
    """An event as a line for people: its time, its kind, and what else there is to say."""
    rest = {key: value for key, value in told.data.items() if key not in ("time", "kind") and value not in (None, "", [])}
    words = " ".join(f"{key}={_shown(value)}" for key, value in rest.items())
    return f"{clock_of(told.data)} {told.kind:<11} {words}"


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    text = printable(text)
    return orjson.dumps(text).decode() if " " in text and not text.startswith(("{", "[")) else text
