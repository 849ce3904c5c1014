"""``pypes outbox``: results that wait on a running node until they are fetched and acknowledged."""

from __future__ import annotations

import sys

import click
import orjson

from pypes.cli.client import Client, node_options, print_json, print_table
from pypes.core.wording import counted


@click.group()
def outbox() -> None:
    """Fetch the results that wait in the outboxes of a running node, and acknowledge them."""


@outbox.command("list")
@node_options
def listing(client: Client, as_json: bool) -> None:
    """List the outboxes of the node: how many results wait, and for how long the oldest does."""
    found = client.ask("GET", "/outbox")
    if as_json:
        print_json(found)
        return
    names = ("name", "waiting", "leased", "bytes", "oldest_s", "reason")
    print_table({name: lambda row, name=name: row[name] for name in names}, found)  # type: ignore[misc]


@outbox.command()
@click.argument("name")
@node_options
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 1000), help="Most results to fetch.")
@click.option("--wait", "wait_s", type=click.FloatRange(0, 60), help="Seconds to wait for a result if there is none.")
@click.option("--lease", "lease_s", type=click.FloatRange(0), help="Seconds for which nobody else is given these results.")
@click.option("--acknowledge", "is_acknowledged", is_flag=True, help="Acknowledge them as soon as they are written.")
def fetch(
    client: Client, as_json: bool, name: str, limit: int, wait_s: float | None, lease_s: float | None, is_acknowledged: bool
) -> None:
    """Write the oldest results of outbox NAME to standard output, one JSON object per line.

    Unless they are acknowledged, their cursor is told on standard error.
    """
    given = client.ask("GET", f"/outbox/{name}", {"limit": limit, "wait": wait_s, "lease": lease_s})
    if as_json:
        print_json(given)
    else:
        for result in given["results"]:
            click.echo(orjson.dumps(result))
    sys.stdout.flush()
    if given["cursor"] is None:
        click.echo("nothing waits", err=True)
    elif is_acknowledged:
        client.ask("DELETE", f"/outbox/{name}/{given['cursor']}")
    else:
        click.echo(f"cursor: {given['cursor']}", err=True)


@outbox.command()
@click.argument("name")
@click.argument("cursor")
@node_options
def acknowledge(client: Client, as_json: bool, name: str, cursor: str) -> None:
    """Acknowledge the results of CURSOR in outbox NAME, which are never given again."""
    done = client.ask("DELETE", f"/outbox/{name}/{cursor}")
    if as_json:
        print_json(done)
        return
    click.echo(f"{counted(done['acknowledged'], 'result')} acknowledged")
