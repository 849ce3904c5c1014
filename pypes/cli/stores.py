"""``pypes stores``: what filters of a graph remember on a running node."""

from __future__ import annotations

import click

from pypes.cli.client import Client, node_options, print_json, print_table
from pypes.core.wording import counted


@click.group()
def stores() -> None:
    """List what the filters of a graph remember on a running node, or have them forget it."""


@stores.command("list")
@click.argument("graph")
@node_options
def listing(client: Client, as_json: bool, graph: str) -> None:
    """List the stores of GRAPH: one for each filter that remembers something."""
    found = client.ask("GET", f"/graphs/{graph}/stores")
    if as_json:
        print_json(found)
        return
    names = ("filter", "component", "entries", "most", "bytes", "error")
    print_table({name: lambda row, name=name: row.get(name) for name in names}, found)  # type: ignore[misc]


@stores.command()
@click.argument("graph")
@click.argument("filter")
@node_options
def clear(client: Client, as_json: bool, graph: str, filter: str) -> None:
    """Have FILTER of GRAPH forget everything. Unchanged then works on every document once more."""
    cleared = client.ask("DELETE", f"/graphs/{graph}/stores/{filter}")
    if as_json:
        print_json(cleared)
        return
    click.echo(f"{counted(cleared['cleared'], 'entry', 'entries')} cleared")
