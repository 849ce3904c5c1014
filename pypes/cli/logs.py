"""``pypes logs``: the last log lines of a running node."""

from __future__ import annotations

import sys
import time
from typing import Any

import click
import orjson

from pypes.cli.client import PAGE, Client, node_options
from pypes.errors import Unavailable
from pypes.observe.log_line import for_people

#: Seconds between two questions for what is new.
FOLLOW_S = 1.0


@click.command()
@node_options
@click.option("--graph", help="Only lines about this graph.")
@click.option("--filter", help="Only lines about filters with this name.")
@click.option("--receipt", help="Only lines about the delivery with this receipt.")
@click.option(
    "--level",
    type=click.Choice(["debug", "info", "warning", "error", "critical"], case_sensitive=False),
    help="Only lines of this level, or of a graver one.",
)
@click.option("--since", help="Only lines since this time: 5m, 2h or 1d ago, 2026-11-21T08:00:00Z, or seconds since the epoch.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(0), help="Most lines to show at first.")
@click.option("--follow", "-f", "is_following", is_flag=True, help="Go on with lines as they come, until Ctrl-C.")
def logs(client: Client, as_json: bool, limit: int, is_following: bool, **query: str | None) -> None:
    """Show the last log lines of all processes of a node, the newest last. With --json, one JSON object per line."""
    found, later = _last(client, query, limit)
    _show(found, as_json)
    if is_following:
        try:
            _follow(client, query, later, as_json)
        except KeyboardInterrupt:
            return


def _last(client: Client, query: dict[str, str | None], limit: int) -> tuple[list[dict[str, Any]], str]:
    """The last lines that match, the newest last, and the position behind them."""
    page = client.ask("GET", "/logs", {**query, "limit": max(1, min(limit, PAGE))})
    found, later = page["logs"], page["later"]
    while len(found) < limit and page["earlier"] is not None:
        page = client.ask("GET", "/logs", {**query, "limit": min(limit - len(found), PAGE), "before": page["earlier"]})
        found = page["logs"] + found
    return found if limit else [], later


def _follow(client: Client, query: dict[str, str | None], after: str, as_json: bool) -> None:
    """Show what comes, also after a restart of the node; never returns."""
    is_away = False
    while True:
        time.sleep(FOLLOW_S)
        try:
            page = client.ask("GET", "/logs", {**query, "limit": PAGE, "after": after})
        except Unavailable as error:
            if not is_away:
                click.echo(f"{error}; trying again", err=True)
            is_away = True
            continue
        is_away = False
        _show(page["logs"], as_json)
        after = page["later"]


def _show(lines: list[dict[str, Any]], as_json: bool) -> None:
    is_colored = sys.stdout.isatty()
    for line in lines:
        click.echo(orjson.dumps(line) if as_json else for_people(line, is_colored=is_colored))
