"""``pypes tap``: the packets that go over a wire of a running node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
import orjson

from pypes.cli.client import Client, node_options, printable
from pypes.cli.streams import EventStream, clock_of
from pypes.errors import InvalidInput, PypesError


def _complete_graph(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return [name for name in _names(ctx, "/graphs") if name.startswith(incomplete)]


def _complete_wire(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    graph = ctx.params.get("graph")
    return [name for name in _names(ctx, f"/graphs/{graph}/taps") if name.startswith(incomplete)] if graph else []


def _names(ctx: click.Context, path: str) -> list[str]:
    """Names of graphs or wires for a shell; none if the node does not say."""
    token_file, ca_file = ctx.params.get("token_file"), ctx.params.get("ca_file")
    try:
        found = Client(ctx.params.get("url") or "http://127.0.0.1:8080", token_file, ca_file).ask("GET", path)
    except (PypesError, OSError):
        return []
    return found["wires"] if isinstance(found, dict) else [each["name"] for each in found]


@click.command()
@click.argument("graph", shell_complete=_complete_graph)
@click.argument("wire", required=False, shell_complete=_complete_wire)
@click.option("-n", "most", default=20, show_default=True, type=click.IntRange(1, 1000), help="End after so many packets.")
@click.option("--follow", "is_endless", is_flag=True, help="Do not end before Ctrl-C.")
@node_options
def tap(client: Client, as_json: bool, graph: str, wire: str | None, most: int, is_endless: bool) -> None:
    """Show the next packets that go over WIRE of GRAPH; without WIRE, the names of the wires.

    A part of a name is enough if no other wire has it. Long values are cut, and hidden ones are not shown.
    """
    names: list[str] = client.ask("GET", f"/graphs/{graph}/taps")["wires"]
    if wire is None:
        for name in names:
            click.echo(name)
        return
    found = [wire] if wire in names else [name for name in names if wire in name]
    if len(found) != 1:
        those = "there are" if not found else "several are meant by it:"
        raise InvalidInput(f"graph {graph!r} has no wire {wire!r}; {those} {', '.join(found or names)}", code="wire.not_found")
    if found[0] != wire:
        click.echo(found[0], err=True)
    stream = EventStream(client, f"/graphs/{graph}/taps", {"wire": found[0]})
    for count, told in enumerate(stream.follow(), 1):
        if told.kind == "end":
            raise InvalidInput(told.data["reason"], code="tap.ended")
        click.echo(orjson.dumps(told.data) if as_json else "\n".join(lines_of(told.data)))
        if count == most and not is_endless:
            return


def lines_of(data: dict[str, Any]) -> Iterator[str]:
    """A packet for people: where it was seen, and a line for each value."""
    missed = f", {data['missed']} more unseen" if data["missed"] else ""
    yield click.style(f"{clock_of(data)} instance {data['instance']}{missed}", bold=True)
    packet = data["packet"]
    if "fields" not in packet:
        yield f"  {_shown(packet.get('value'))}"
        return
    for name, value in packet["fields"].items():
        yield f"  {printable(name)}: {_shown(value)}"
    for name, value in packet.get("meta", {}).items():
        yield f"  [{printable(name)}]: {_shown(value)}"
    for name, metas in packet.get("field_meta", {}).items():
        yield f"  {printable(name)} [{_shown(metas)}]"


def _shown(value: Any) -> str:
    return printable(value if isinstance(value, str) else orjson.dumps(value).decode())
