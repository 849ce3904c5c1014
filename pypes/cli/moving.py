"""``pypes export`` and ``pypes import``: the graphs, composites and drafts of one node, moved to another."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import orjson

from pypes.cli.client import Client, node_options, print_json
from pypes.core.wording import counted
from pypes.errors import InvalidInput
from pypes.graph import codec, pypes1_export
from pypes.graph.spec import ComponentSpec

#: Version of the form. In that before, the drafts of graphs were wires between filters.
FORM = 2


@click.command()
@click.option(
    "--format", "form", type=click.Choice(["pypes", "pypes1"]), default="pypes", help="pypes1: a project of the original."
)
@click.option("--graph", "name", help="Graph to export as a project; needed if there are several.")
@node_options
def export(client: Client, as_json: bool, form: str, name: str | None) -> None:
    """Write the live graphs of a node, its composites and drafts to standard output, as JSON. Parameters keep their ${NAME}.

    With --format pypes1 it is one graph, as a project of the original Pypes; what that has no place for is reported.
    """
    if form == "pypes1":
        _export_project(client, name)
        return
    if name is not None:
        raise InvalidInput("--graph goes with --format pypes1; without, all graphs are exported", code="export.graph")
    composites = [client.ask("GET", f"/composites/{each['name']}")["composite"] for each in client.ask("GET", "/composites")]
    graphs = [_graph(client, summary["name"]) for summary in client.ask("GET", "/graphs")]
    drafted = [each for each in client.ask("GET", "/filters") if "." not in each["id"] and each["graph"] is None]
    filters = [{key: each[key] for key in ("id", "component", "params")} for each in drafted]
    whole = (client.ask("GET", f"/graphs/{head['name']}/draft") for head in client.ask("GET", "/drafts"))
    drafts = [{key: each[key] for key in ("name", "base", "live", "graph")} for each in whole]
    print_json({"pypes_node": FORM, "composites": composites, "graphs": graphs, "drafts": {"filters": filters, "graphs": drafts}})


def _export_project(client: Client, name: str | None) -> None:
    names = [summary["name"] for summary in client.ask("GET", "/graphs")]
    if name is None and len(names) != 1:
        raise InvalidInput(
            f"a project is one graph: say which with --graph ({', '.join(names) or 'there is none'})", code="export.graph"
        )
    shown = client.ask("GET", f"/graphs/{name or names[0]}")
    graph = codec.from_obj(shown.get("expanded", shown["graph"]), is_expanded=True)
    catalogue = {name: spec for name in {node.component for node in graph.nodes.values()} if (spec := _spec(client, name))}
    exported = pypes1_export.to_obj(graph, catalogue)
    for problem in exported.report:
        click.echo(f"{graph.name}: {problem.path}: {problem.message} [{problem.code}]", err=True)
    print_json(exported.project)


def _spec(client: Client, name: str) -> ComponentSpec | None:
    """A node's description of a component, ``None`` if the node no longer has it."""
    try:
        shown = client.ask("GET", f"/components/{name}")
    except InvalidInput:
        return None
    known = {field.name for field in fields(ComponentSpec)}
    return ComponentSpec.from_obj({key: value for key, value in shown.items() if key in known})


def _graph(client: Client, name: str) -> dict[str, Any]:
    shown = client.ask("GET", f"/graphs/{name}")
    made = next(each for each in client.ask("GET", f"/graphs/{name}/versions") if each["version"] == shown["version"])
    whose = {key: made[key] for key in ("time", "by", "note")}
    return {"version": shown["version"], **whose, "paused": shown["state"] == "paused", "graph": shown["graph"]}


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@node_options
def import_(client: Client, as_json: bool, file: Path) -> None:
    """Deploy the graphs in FILE, which `pypes export` has written, and make its drafts. Exit code 1 if anything was refused."""
    node = _read(file)
    refused = _keep(client, node.get("composites", []))
    refused += [graph["graph"]["name"] for graph in node["graphs"] if not _deploy(client, graph)]
    ids: dict[str, str] = {}
    for draft in node["drafts"]["filters"]:
        made = client.ask("POST", "/filters", body={"component": draft["component"], "params": draft["params"]})
        ids[draft["id"]] = made["id"]
    for draft in node["drafts"]["graphs"]:
        if not (_save(client, draft) if "graph" in draft else _draw(client, draft, ids)):
            refused.append(draft["name"])
    if ids:
        click.echo(counted(len(ids), "drafted filter"))
    if refused:
        raise SystemExit(1)


def _read(file: Path) -> dict[str, Any]:
    try:
        node = orjson.loads(file.read_bytes())
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"{file} is not JSON: {error}", code="import.malformed") from error
    if not isinstance(node, dict) or node.get("pypes_node") not in range(1, FORM + 1):
        raise InvalidInput(f"{file} was not written by the `pypes export` of this release, or one before", code="import.form")
    return node


def _keep(client: Client, composites: list[dict[str, Any]]) -> list[str]:
    """Save composites, those first of which others are made; returns the names of those that were refused."""
    waiting = composites
    while waiting:
        left = [(each, reason) for each in waiting if (reason := _refusal(client, each))]
        if len(left) == len(waiting):
            for each, reason in left:
                click.echo(f"{each['name']}: composite refused: {reason}", err=True)
            return [each["name"] for each, _ in left]
        waiting = [each for each, _ in left]
    return []


def _refusal(client: Client, composite: dict[str, Any]) -> str:
    """The reason why a composite cannot be kept; empty if it is."""
    name = composite["name"]
    try:
        kept = client.ask("PUT", f"/composites/{name}", {"note": "imported"}, composite)
    except InvalidInput as error:
        return str(error)
    click.echo(f"{name}: composite, version {kept['version']}")
    return ""


def _deploy(client: Client, wanted: dict[str, Any]) -> bool:
    graph = wanted["graph"]
    name = graph["name"]
    said = f" by {wanted['by']}" if wanted["by"] else ""
    note = f"imported, version {wanted['version']}{said} of {wanted['time']}" + (f": {wanted['note']}" if wanted["note"] else "")
    try:
        if wanted["paused"] and _is_there(client, name):
            # nothing of it may run for a moment
            client.ask("POST", f"/graphs/{name}/pause")
        deployed = client.ask("PUT", f"/graphs/{name}", {"note": note}, graph)
        client.ask("POST", f"/graphs/{name}/{'pause' if wanted['paused'] else 'resume'}")
    except InvalidInput as error:
        click.echo(f"{name}: refused: {error}", err=True)
        return False
    click.echo(f"{name}: version {deployed['version']}{', paused' if wanted['paused'] else ''}")
    return True


def _save(client: Client, draft: dict[str, Any]) -> bool:
    """Save the draft of a graph, if there is none. Its base is what is live, if that was so where it comes from."""
    name, graph = draft["name"], draft["graph"]
    live = next((each["version"] for each in client.ask("GET", "/graphs") if each["name"] == name), 0)
    base = live if draft["base"] == draft["live"] > 0 else 0
    is_there = any(head["name"] == name for head in client.ask("GET", "/drafts"))
    if is_there and client.ask("GET", f"/graphs/{name}/draft")["graph"] == graph:
        return True
    try:
        client.ask("PUT", f"/graphs/{name}/draft", None, {"graph": graph, "base": base}, {"If-None-Match": "*"})
    except InvalidInput as error:
        click.echo(f"{name}: draft refused: {error}", err=True)
        return False
    click.echo(f"{name}: draft")
    return True


def _draw(client: Client, draft: dict[str, Any], ids: dict[str, str]) -> bool:
    """Draw the wires of a draft from a file of an earlier release, which could lack filters."""
    is_whole = True
    for wire in draft["wires"]:
        source, target = (_end(end, ids) for end in wire)
        try:
            client.ask("POST", f"/graphs/{draft['name']}/wires", body={"source": source, "target": target})
        except InvalidInput as error:
            click.echo(f"{draft['name']}: draft: wire from {source} to {target} refused: {error}", err=True)
            is_whole = False
    return is_whole


def _is_there(client: Client, name: str) -> bool:
    return any(each["name"] == name for each in client.ask("GET", "/graphs"))


def _end(end: str, ids: dict[str, str]) -> str:
    id, _, port = end.rpartition(".")
    return f"{ids.get(id, id)}.{port}"
