"""``pypes status``: a node at one moment, as tables."""

from __future__ import annotations

from typing import Any

import click

from pypes.cli.client import Client, node_options, print_json, printable
from pypes.cli.drawing import table_lines
from pypes.observe import picture

#: Causes of dead letters that are listed.
CAUSES = 20
#: Tables are as wide as they are: whatever shows them may cut or fold them.
_WIDTH = 1000


@click.command()
@node_options
def status(client: Client, as_json: bool) -> None:
    """Show a node: warnings, graphs, dead letters by cause, queue, instances, pools. With --json, as GET /status has it."""
    found: dict[str, Any] = client.ask("GET", "/status")
    if as_json:
        print_json(found)
        return
    groups = client.ask("GET", "/deadletters", {"group": "code"})["groups"]
    click.echo(f"Pypes {found['state']} · {printable(picture.headline(found))}")
    click.echo(picture.waiting(found))
    for warning in picture.warnings(found):
        click.echo(click.style(f"! {printable(warning)}", fg="red"))
    for table in picture.tables(found, None, groups, CAUSES):
        click.echo("\n" + "\n".join(table_lines(table, _WIDTH, len(table.rows))))
