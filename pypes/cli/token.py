"""``pypes token``: who may do what on a running node."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from pypes.access.budget import KINDS
from pypes.access.client import SCOPES
from pypes.cli.client import PAGE, Client, node_options, print_json, print_table
from pypes.core.clock import wall
from pypes.core.sizes import size_of
from pypes.errors import InvalidInput

#: Seconds of the units in which a length of time is written.
_UNITS = {"m": 60, "h": 3600, "d": 86400}
_LENGTH = re.compile(r"([0-9]{1,9})([mhd])")

_COLUMNS = ("name", "state", "scopes", "graphs", "budget", "created", "created_by", "expires")

scopes = click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    help="What it is for: ingest (hand in documents, read their receipts), read (look), edit (read, change graphs), admin (all). "
    "May be repeated.",
)
graphs = click.option(
    "--graph", "graphs", multiple=True, help="Only this graph, or those of a pattern such as team-*. May be repeated."
)
expires = click.option("--expires", help="Its end: 90d, 12h or 30m from now, or a time such as 2027-01-01T00:00:00Z.")


class _Size(click.ParamType[float]):
    """A number of bytes, or a size."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return size_of(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Number(click.ParamType[float]):
    """A number that is not negative; JSON has no others that could be a budget."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and number >= 0):
            self.fail(f"{value!r} is no number of 0 or more, such as 2.5", param, ctx)
        return number


def budget(command: Callable[..., None]) -> Callable[..., None]:
    """Options for the numbers of a budget; the command gets them as one object, without those that are not given."""

    @wraps(command)
    def run(*args: Any, **options: Any) -> None:
        numbers = {kind: options.pop(kind) for kind in KINDS}
        command(*args, budget={kind: number for kind, number in numbers.items() if number is not None}, **options)

    made = run
    for kind, what in reversed(KINDS.items()):
        help = f"Its budget of {what} in a second{', such as 5MiB' if kind == 'bytes_per_s' else ''}; 0: no bound."
        kind_of = _Size() if kind == "bytes_per_s" else _Number()
        made = click.option(f"--{kind.replace('_', '-')}", kind, type=kind_of, help=help)(made)
    return made


@click.group()
def token() -> None:
    """Create, list, change and revoke the tokens of a running node. Needs a token with the scope admin."""


@token.command()
@click.argument("name")
@scopes
@graphs
@expires
@budget
@node_options
def create(
    client: Client,
    as_json: bool,
    name: str,
    scopes: tuple[str, ...],
    graphs: tuple[str, ...],
    expires: str | None,
    budget: dict[str, float],
) -> None:
    """Create the token NAME and print its secret, once: nobody can find it out again."""
    wanted: dict[str, Any] = {"name": name, "scopes": scopes, "graphs": graphs}
    if expires is not None:
        wanted["expires"] = _end(expires)
    if budget:
        wanted["budget"] = budget
    created = client.ask("POST", "/tokens", body=wanted)
    if as_json:
        print_json(created)
        return
    click.echo(f"{name}: {_told(created)}. Keep this secret, it is not shown again:", err=True)
    click.echo(created["secret"])


@token.command("list")
@node_options
def listing(client: Client, as_json: bool) -> None:
    """List all tokens, without their secrets."""
    found = _all(client)
    if as_json:
        print_json(found)
        return
    print_table({name: lambda row, name=name: _shown(row.get(name)) for name in _COLUMNS}, found)  # type: ignore[misc]


@token.command()
@click.argument("name")
@node_options
def show(client: Client, as_json: bool, name: str) -> None:
    """Show the token NAME, without its secret."""
    found = client.ask("GET", f"/tokens/{name}")
    if as_json:
        print_json(found)
        return
    for key, value in found.items():
        click.echo(f"{key}: {_shown(value)}")


@token.command()
@click.argument("name")
@scopes
@graphs
@expires
@budget
@click.option("--no-budget", is_flag=True, help="No numbers of its own, from now on: those of the settings hold.")
@click.option("--all-graphs", is_flag=True, help="All graphs, from now on.")
@click.option("--never-expires", is_flag=True, help="No end.")
@node_options
def change(
    client: Client,
    as_json: bool,
    name: str,
    scopes: tuple[str, ...],
    graphs: tuple[str, ...],
    expires: str | None,
    budget: dict[str, float],
    no_budget: bool,
    all_graphs: bool,
    never_expires: bool,
) -> None:
    """Give the token NAME other scopes, graphs, another end or budget. Its secret stays, and so does what is not given."""
    wanted: dict[str, Any] = {}
    if scopes:
        wanted["scopes"] = scopes
    if graphs or all_graphs:
        wanted["graphs"] = graphs
    if expires is not None or never_expires:
        wanted["expires"] = None if expires is None else _end(expires)
    if budget or no_budget:
        wanted["budget"] = {**(dict.fromkeys(KINDS) if no_budget else {}), **budget}
    changed = client.ask("PATCH", f"/tokens/{name}", body=wanted)
    if as_json:
        print_json(changed)
        return
    click.echo(f"{name}: {_told(changed)}")


@token.command()
@click.argument("name")
@node_options
def revoke(client: Client, as_json: bool, name: str) -> None:
    """Revoke the token NAME: within a second it allows nothing any more, and its streams end."""
    client.ask("DELETE", f"/tokens/{name}")
    if as_json:
        print_json(client.ask("GET", f"/tokens/{name}"))
        return
    click.echo(f"{name}: revoked")


def _all(client: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = client.ask("GET", "/tokens", {"limit": PAGE, "after": found[-1]["name"] if found else None})
        found += page
        if len(page) < PAGE:
            return found


def _end(text: str) -> str | float:
    """A time, or the time so long from now. Raises :class:`InvalidInput`."""
    length = _LENGTH.fullmatch(text)
    if length is not None:
        return wall() + int(length[1]) * _UNITS[length[2]]
    if not text:
        raise InvalidInput("--expires is empty; give a length such as 90d, or a time", code="client.expires")
    return text


def _told(token: dict[str, Any]) -> str:
    told = ", ".join(token["scopes"])
    if token["graphs"]:
        told += f" for {', '.join(token['graphs'])}"
    if token.get("budget"):
        told += f", at most {_shown(token['budget'])}"
    return told if token["expires"] is None else f"{told}, until {token['expires']}"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{kind}={number:.15g}" for kind, number in value.items())
    return ", ".join(value) if isinstance(value, list) else "" if value is None else str(value)
