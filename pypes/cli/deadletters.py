"""``pypes deadletters``: documents that could not be processed, on a running node."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any, TextIO, TypeVar

import click
import orjson

from pypes.cli.client import Client, node_options, oldest_first, print_json, print_table
from pypes.core import numbers
from pypes.core.wording import counted
from pypes.errors import InvalidInput, PypesError

F = TypeVar("F", bound=Callable[..., Any])


def criteria(command: F) -> F:
    """Add the options that select dead letters; the command gets them by their names."""
    for option in (
        click.option("--since", help="Only entries since this time: 2026-11-21T08:00:00Z, or seconds since the epoch."),
        click.option(
            "--index", type=click.IntRange(0), help="Only dead letters of the document with this ordinal in its delivery."
        ),
        click.option("--route", help="Only dead letters of documents with this route."),
        click.option("--file", help="Only dead letters of the file with this name."),
        click.option("--id", help="Only dead letters of the document with this id."),
        click.option("--receipt", help="Only dead letters of the delivery with this receipt."),
        click.option("--code", help="Only dead letters with this error code."),
        click.option("--filter", help="Only dead letters that failed in this filter."),
        click.option("--graph", help="Only those of this graph."),
    ):
        command = option(command)
    return command


@click.group()
def deadletters() -> None:
    """List documents that could not be processed; edit, replay and delete them."""


@deadletters.command("list")
@node_options
@criteria
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1), help="Most entries to list.")
@oldest_first
def listing(client: Client, as_json: bool, limit: int, is_oldest_first: bool, **query: str | int | None) -> None:
    """List dead letters, newest deliveries first."""
    order = "oldest" if is_oldest_first else None
    found = [*client.pages("/deadletters", {**query, "order": order}, "deadletters", limit)]
    if as_json:
        print_json(found)
        return
    columns: dict[str, Callable[[dict[str, Any]], Any]] = {
        "id": lambda row: row["id"],
        "graph": lambda row: row["graph"],
        "filter": lambda row: row["filter"],
        "code": lambda row: row["code"],
        "document": lambda row: _document(row["document"]),
        "time": lambda row: row["time"],
        "error": lambda row: row["error"],
    }
    print_table(columns, found)


@deadletters.command()
@node_options
@criteria
def groups(client: Client, as_json: bool, **query: str | int | None) -> None:
    """Count the dead letters by graph, filter and error code."""
    found = client.ask("GET", "/deadletters", {**query, "group": "code"})["groups"]
    if as_json:
        print_json(found)
        return
    columns: dict[str, Callable[[dict[str, Any]], Any]] = {
        "count": lambda row: row["count"],
        "graph": lambda row: row["graph"],
        "filter": lambda row: row["filter"],
        "code": lambda row: row["code"],
        "latest": lambda row: row["latest"],
    }
    print_table(columns, found)


@deadletters.command()
@click.argument("id")
@node_options
def show(client: Client, as_json: bool, id: str) -> None:
    """Show the dead letter ID: document, error and packet."""
    found = client.ask("GET", f"/deadletters/{id}")
    if as_json:
        print_json(found)
        return
    packet, traceback, delivery = found.pop("packet"), found.pop("traceback"), found.pop("delivery", None)
    for name, value in found.items():
        click.echo(f"{name:12}{_document(value) if name == 'document' else value}")
    for title, text in (
        ("traceback", traceback),
        ("packet", packet and _indented(packet)),
        ("delivery", delivery and _indented(delivery)),
    ):
        if text:
            click.echo(f"\n{click.style(title, bold=True)}\n{text.rstrip()}")


@deadletters.command()
@click.argument("id")
@node_options
@click.option(
    "--file",
    type=click.File(encoding="utf-8"),
    help="File with the packet (- for standard input) instead of the editor.",
)
def edit(client: Client, as_json: bool, id: str, file: TextIO | None) -> None:
    """Replace the packet of the dead letter ID: {"fields": {…}, "meta": {…}}; then replay the letter.

    Metadata that it does not name (id, route, filename …), or without "meta" all of it, stays as it was.
    """
    if file is None:
        packet = client.ask("GET", f"/deadletters/{id}")["packet"]
        text = click.edit(_indented(packet or {"fields": {}, "meta": {}}), extension=".json")
        if text is None:
            click.echo("not changed")
            return
    else:
        text = file.read()
    try:
        found = client.ask("PUT", f"/deadletters/{id}", body={"packet": _packet(text)})
    except PypesError:
        if file is None:  # nobody should have to type it again
            with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="packet-", suffix=".json", delete=False) as kept:
                kept.write(text)
            click.echo(f"your text is kept; correct the file, then run: pypes deadletters edit {id} --file {kept.name}", err=True)
        raise
    if as_json:
        print_json(found)
    else:
        click.echo(f"packet replaced; run the document again with: pypes deadletters replay {id}")


@deadletters.command()
@click.argument("ids", nargs=-1)
@node_options
@criteria
@click.option("--all", "is_all", is_flag=True, help="All there are.")
@click.option(
    "--from",
    "origin",
    type=click.Choice(["filter", "start"]),
    help="filter: from the filter that failed, with the packet; start: from the start, as received, without edits. "
    "By default from the filter, but without IDS parts of documents with versions go from the start.",
)
@click.option(
    "--limit",
    default=1000,
    show_default=True,
    type=click.IntRange(1, 10_000),
    help="Most dead letters to replay, if no IDS are given.",
)
def replay(
    client: Client, as_json: bool, ids: tuple[str, ...], is_all: bool, origin: str | None, limit: int, **query: str | int | None
) -> None:
    """Process dead letters again: those with IDS, or those that match. Exit code 1 if one could not be replayed."""
    _choose(ids, is_all, query)
    if ids:
        answers = [client.ask("POST", f"/deadletters/{id}/replay", body={"from": origin or "filter"}) for id in ids]
        answer: dict[str, Any] = {"count": len(answers), "receipts": [one["receipt"] for one in answers]}
        if forgotten := sum(one.get("edits_forgotten", 0) for one in answers):
            answer["edits_forgotten"] = forgotten
    else:
        wanted = {name: value for name, value in query.items() if value is not None}
        answer = client.ask(
            "POST", "/deadletters/replay", body={**wanted, **({"from": origin} if origin else {}), "limit": limit}
        )
    refused = answer.get("refused", [])
    if as_json:
        print_json(answer)
    else:
        for receipt in answer["receipts"]:
            click.echo(receipt)
        for one in refused:
            click.echo(f"not replayed: {one['id']}: {one['detail']} [{one['code']}]", err=True)
        if forgotten := answer.get("edits_forgotten", 0):
            click.echo(
                f"{counted(forgotten, 'edit')} forgotten: from the start a document runs as it was received; "
                "an edited packet goes on from its filter (--from filter)",
                err=True,
            )
        click.echo(f"{answer['count']} replayed", err=True)
    if refused:
        raise SystemExit(1)


@deadletters.command()
@click.argument("ids", nargs=-1)
@node_options
@criteria
@click.option("--all", "is_all", is_flag=True, help="All there are.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(client: Client, as_json: bool, ids: tuple[str, ...], is_all: bool, yes: bool, **query: str | int | None) -> None:
    """Delete dead letters: those with IDS, or those that match. They cannot be restored."""
    _choose(ids, is_all, query)
    if not ids and not yes:
        found = client.ask("GET", "/deadletters", {**query, "group": "code"})["groups"]
        click.confirm(f"delete {counted(sum(group['count'] for group in found), 'dead letter')}?", abort=True, err=True)
    if ids:
        for id in ids:
            client.ask("DELETE", f"/deadletters/{id}")
        count = len(ids)
    else:
        count = client.ask("DELETE", "/deadletters", {**query, **({"since": 0} if is_all else {})})["count"]
    if as_json:
        print_json({"count": count})
    else:
        click.echo(f"{count} deleted")


def _document(document: dict[str, Any]) -> str:
    """Name of a document for a person, the most telling part first."""
    index, named = (
        document["index"],
        [f"{name} {document[name]}" for name in ("file", "id", "route") if document[name] is not None],
    )
    return ", ".join([*named, "the whole delivery" if index is None else f"index {index}"])


def _packet(text: str) -> Any:
    """A packet that somebody wrote as JSON; raises :class:`InvalidInput`."""
    try:
        packet = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(
            f"the packet is not JSON: {error.msg} at line {error.lineno} column {error.colno}", code="packet.malformed"
        ) from error
    numbers.check(text.encode())
    return packet


def _choose(ids: tuple[str, ...], is_all: bool, query: dict[str, str | int | None]) -> None:
    """Raise unless exactly one way of saying which was used."""
    has_query = any(value is not None for value in query.values())
    if bool(ids) + is_all + has_query != 1:
        raise click.UsageError("name the dead letters: by IDS, by criteria (such as --graph, --code or --file), or with --all")


def _indented(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
