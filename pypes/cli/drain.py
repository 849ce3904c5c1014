"""``pypes drain``: have a running node hand over what it has to another node of its fleet, and end."""

from __future__ import annotations

import click

from pypes.cli.client import Client, node_options, print_json
from pypes.core.wording import counted


@click.command()
@click.option("--to", required=True, metavar="NODE", help="Node that takes over, by its name or URL in GET /fleet.")
@click.option("--yes", is_flag=True, help="Leave behind the files that graphs have written into the data directory.")
@node_options
def drain(client: Client, as_json: bool, to: str, yes: bool) -> None:
    """Have a node hand its queue, receipts, dead letters and keys over to another node of its fleet, and end.

    Returns when that has begun; the log of the node tells the rest. If it cannot be finished, the node goes on as before.
    """
    begun = client.ask("POST", "/drain", body={"to": to, "leave_files": yes})
    if as_json:
        print_json(begun)
        return
    graphs = f"; documents wait for {', '.join(begun['graphs'])}" if begun["graphs"] else ""
    click.echo(f"{counted(begun['bytes'], 'byte')} go to {begun['to']}, then the node ends{graphs}")
