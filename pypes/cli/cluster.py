"""``pypes cluster``: the nodes of a fleet, and one version of each graph on all of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from pypes.cli.client import Client, node_options, print_json, print_table
from pypes.errors import InvalidGraph
from pypes.graph import codec


@click.group()
def cluster() -> None:
    """Show the nodes of a fleet, and deploy graphs to all of them."""


@cluster.command()
@node_options
def status(client: Client, as_json: bool) -> None:
    """Show the nodes, and which graphs are not the same on all of them."""
    found = client.ask("GET", "/fleet")
    if as_json:
        print_json(found)
        return
    if not found["members"]:
        click.echo("the node is in no fleet")
        return
    _table(("name", "state", "number", "version", "reason"), found["members"])
    differing = sorted(name for name, graph in found["graphs"].items() if graph["differs"])
    count = len(found["graphs"])
    told = (
        f"not the same on all nodes: {', '.join(differing)}; see pypes cluster versions" if differing else "the same everywhere"
    )
    click.echo(f"graphs: {count}, {told}")
    if found["unanswered"]:
        click.echo(f"did not tell of their graphs: {', '.join(found['unanswered'])}")


@cluster.command()
@click.argument("graphs", nargs=-1)
@node_options
def versions(client: Client, as_json: bool, graphs: tuple[str, ...]) -> None:
    """Show the version and the digest of GRAPHS, by default of all, on each node."""
    found = client.ask("GET", "/fleet")
    shown = {name: graph for name, graph in found["graphs"].items() if not graphs or name in graphs}
    if as_json:
        print_json(shown)
        return
    rows = [
        {"graph": name, "node": node, "version": head["version"], "digest": head["digest"] or "not deployed"}
        | {"paused": "paused" if head["is_paused"] else ""}
        for name, graph in shown.items()
        for node, head in graph["members"].items()
    ]
    _table(("graph", "node", "version", "digest", "paused"), rows)


@cluster.command()
@click.argument("graphs", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--note", help="Reason for the change, kept with the versions.")
@node_options
def apply(client: Client, as_json: bool, graphs: tuple[Path, ...], note: str | None) -> None:
    """Deploy the files GRAPHS to all nodes, one graph after the other; stops at the first that cannot be deployed."""
    read = [(path, _read(path)) for path in graphs]
    answers = []
    for path, graph in read:
        shown = client.ask("PUT", f"/graphs/{graph['name']}", {"note": note}, graph)
        answers.append(shown)
        if not as_json:
            click.echo(f"{path}: {_told(shown)}")
    if as_json:
        print_json(answers)


def _read(path: Path) -> dict[str, Any]:
    try:
        return codec.to_obj(codec.loads(path.read_bytes()))
    except InvalidGraph as error:
        raise InvalidGraph(f"{path}: {error.message}", where=str(path), problems=error.problems) from error


def _told(shown: dict[str, Any]) -> str:
    fleet = shown.get("fleet")
    if fleet is None:
        return f"{shown['name']} is live, version {shown['version']}"
    away = f"; away, and to take it later: {', '.join(fleet['away'])}" if fleet["away"] else ""
    return f"{shown['name']} is live on {len(fleet['switched']) + 1} nodes, version {fleet['version']} of the fleet{away}"


def _table(names: Iterable[str], rows: list[dict[str, Any]]) -> None:
    print_table({name: lambda row, name=name: row.get(name) for name in names}, rows)  # type: ignore[misc]
