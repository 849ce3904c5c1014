"""``pypes receipts``: where deliveries are, and what became of each of their documents."""

from __future__ import annotations

from typing import Any

import click

from pypes.cli.client import Client, node_options, oldest_first, print_json, print_table
from pypes.core.wording import counted

DOCUMENTS = 100


@click.group()
def receipts() -> None:
    """Follow deliveries on a running node."""


@receipts.command("list")
@node_options
@click.option("--state", type=click.Choice(["queued", "processing", "done", "failed"]), help="Only those in it.")
@click.option("--graph", help="Only those of this graph.")
@click.option("--since", help="Only entries since this time: 2026-11-21T08:00:00Z, or seconds since the epoch.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1), help="Most entries to list.")
@oldest_first
def listing(
    client: Client, as_json: bool, state: str | None, graph: str | None, since: str | None, limit: int, is_oldest_first: bool
) -> None:
    """List receipts, the newest first."""
    query = {"state": state, "graph": graph, "since": since, "order": "oldest" if is_oldest_first else None}
    found = [*client.pages("/receipts", query, "receipts", limit)]
    if as_json:
        print_json(found)
        return
    names = ("receipt", "state", "graph", "accepted", "published", "dropped", "failed", "pending", "received")
    print_table({name: lambda row, name=name: row[name] for name in names}, found)  # type: ignore[misc]


@receipts.command()
@click.argument("receipt")
@node_options
@click.option("--wait", "wait_s", type=click.FloatRange(0, 60), help="Seconds to wait until the delivery is finished.")
@click.option("--documents", "limit", default=DOCUMENTS, show_default=True, type=click.IntRange(0), help="How many documents.")
def show(client: Client, as_json: bool, receipt: str, wait_s: float | None, limit: int) -> None:
    """Show the RECEIPT and the outcome of its documents. Exit code 1 if one failed."""
    found = client.ask("GET", f"/receipts/{receipt}", {"wait": wait_s})
    documents = [*client.pages(f"/receipts/{receipt}/documents", {}, "documents", limit)]
    if as_json:
        print_json({**found, "documents": documents})
    else:
        came, replays, removed = found.pop("replay_of", None), found.pop("replays", ()), found.pop("removed", {})
        poster = found.pop("posted_by", "")
        for name, value in found.items():
            click.echo(f"{name:12}{'' if value is None else value}")
        if came is not None:
            click.echo(
                f"{'replay of':12}{came['receipt']} (dead letter {came['deadletter']}), from {came['start'] or 'the start'}"
            )
        if poster:
            click.echo(f"{'posted by':12}{poster}")
        for publisher, count in removed.items():
            click.echo(f"{'removed':12}{counted(count, 'part')} of older versions, by {publisher}")
        for replay in replays:
            click.echo(f"{'replayed in':12}{replay['receipt']}: {counted(replay['documents'], 'document')}, {replay['state']}")
        if documents:
            click.echo()
            print_table(
                {
                    "index": lambda row: row["index"],
                    "document": _document,
                    "outcome": lambda row: row["outcome"],
                    "by": _by,
                    "dead letter": _letter,
                },
                documents,
            )
        if len(documents) < found["accepted"] and limit:
            click.echo(f"… and {counted(found['accepted'] - len(documents), 'more document')}; see --documents")
    if found["state"] == "failed":
        raise SystemExit(1)


def _document(document: dict[str, Any]) -> str:
    """Name of a document for a person, as far as the node knows it."""
    named = [f"{name} {document[name]}" for name in ("file", "id", "route") if document.get(name) is not None]
    return ", ".join(named)


def _letter(document: dict[str, Any]) -> str | None:
    """Its dead letter, or what became of it when that was replayed."""
    replay = document.get("replay")
    if replay is None:
        letter: str | None = document["deadletter"]
        return letter
    return f"{replay['outcome'] or 'replayed'} in {replay['receipt']}, index {replay['index']}"


def _by(document: dict[str, Any]) -> str:
    """Publishers that took the document, and the filter that dropped it or in which it failed."""
    return ", ".join([*document["publishers"], *([document["filter"]] if document["filter"] else [])])
