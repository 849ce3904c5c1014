"""``pypes status``: a node at one moment, as tables."""

from __future__ import annotations

from typing import Any

import click

from pypes.cli.client import Client, node_options, print_json, printable
from pypes.cli.drawing import concern_lines, table_lines
from pypes.observe import picture

#: Causes of dead letters that are listed.
CAUSES = 20
#: Tables are as wide as they are: whatever shows them may cut or fold them.
_WIDTH = 1000


@click.command()
@node_options
def status(client: Client, as_json: bool) -> None:
    """Show a node: what needs a look, graphs, dead letters by cause, queue, instances, pools. --json: as GET /status."""
    found: dict[str, Any] = client.ask("GET", "/status")
    if as_json:
        print_json(found)
        return
    groups = client.ask("GET", "/deadletters", {"group": "code"})["groups"]
    click.echo(f"Pypes {picture.state_of(found)} · {printable(picture.headline(found))}")
    click.echo(picture.waiting(found))
    for line in concern_lines([each["text"] for each in found["concerns"]], _WIDTH, _WIDTH):
        click.echo(line)
    for table in picture.tables(found, groups, CAUSES):
        click.echo("\n" + "\n".join(table_lines(table, _WIDTH, len(table.rows))))
