"""``pypes audit``: who has changed what of a running node."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import click
import msgspec

from pypes.access.audit import FIRST_HASH, ROW_BYTES, Kept, Line, Place, hash_of
from pypes.cli.client import Client, node_options, oldest_first, print_json, print_table
from pypes.core.wording import counted

#: More lines than a node keeps.
EVERYTHING = 1 << 62

_COLUMNS = ("time", "operation", "by", "address", "graph", "object")


@click.command()
@node_options
@click.option("--graph", help="Only what was changed of this graph.")
@click.option("--by", help="Only what was changed with the token of this name; node for the node itself.")
@click.option("--operation", help="Only these operations: a name such as graph.deploy, or a pattern such as 'graph.*'.")
@click.option("--since", help="Only lines since this time, such as 2026-11-21T08:00:00Z.")
@click.option("--until", help="Only lines before this time.")
@click.option("--after", help="Only lines that come behind the one with this id, in the order of the list.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1), help="Most lines to list.")
@click.option("--check", "is_checking", is_flag=True, help="Instead, read all lines and check that none was changed or removed.")
@oldest_first
def audit(
    client: Client, as_json: bool, limit: int, is_checking: bool, is_oldest_first: bool, after: str | None, **query: str | None
) -> None:
    """List what was changed of a node, by whom and from where, the newest first. Needs a token with the scope admin."""
    if is_checking:
        _check(client, as_json)
        return
    asked = {**query, "order": "oldest" if is_oldest_first else None}
    found = list(client.pages("/audit", asked, "audit", limit, after))
    if as_json:
        print_json(found)
        return
    print_table({**{name: lambda line, name=name: line[name] for name in _COLUMNS}, "change": _change}, found)  # type: ignore[misc]


def _change(line: dict[str, Any]) -> str:
    """Versions, outcome and details, in words."""
    told = []
    if line["before"] is not None or line["after"] is not None:
        told.append(f"{line['before'] or 'none'} > {line['after'] or 'none'}")
    if line["outcome"] != "done":
        told.append(line["outcome"])
    if line["count"] != 1:
        told.append(f"{line['count']} in all")
    if line["receipt"]:
        told.append(f"receipt {line['receipt']}")
    told += [f"{name} {_text(value)}" for name, value in line["detail"].items() if value not in (None, [])]
    return ", ".join(told)


def _text(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


# -- checking -------------------------------------------------------------------------------------------------


def _check(client: Client, as_json: bool) -> None:
    """Ends with status 1 if a line does not fit to the one before it."""
    count, last, problems = _read(client)
    if problems:  # a line that was being written while those behind it were read
        count, last, problems = _read(client)
    heads = [{"file": _file(source), "last": str(place), "hash": hash} for source, (place, hash) in sorted(last.items())]
    if as_json:
        print_json({"lines": count, "files": heads, "problems": problems})
    else:
        click.echo(f"{counted(count, 'line')}, {counted(len(problems), 'problem')}")
        for problem in problems:
            click.echo(problem)
        print_table({name: lambda head, name=name: head[name] for name in ("file", "last", "hash")}, heads)  # type: ignore[misc]
    if problems:
        sys.exit(1)


def _read(client: Client) -> tuple[int, dict[int, tuple[Place, str]], list[str]]:
    """The number of lines, the last one of each file with its hash, and what is wrong."""
    files = client.ask("GET", "/audit", {"limit": 1})["files"]
    kept = {each.source: each for each in msgspec.convert(files, list[Kept])}
    last: dict[int, tuple[Place, str]] = {}
    problems: list[str] = []
    count, sizes = 0, Counter[int]()
    for line in client.pages("/audit", {"order": "oldest"}, "audit", EVERYTHING):
        place = Place.parse(line["id"])
        text = msgspec.json.encode(msgspec.convert({key: line[key] for key in Line.__struct_fields__}, Line))
        file = kept.get(place.source) or Kept(place.source, 0, FIRST_HASH.hex(), 0, 0, place.source)
        problems += _problems(line, place, text, last.get(place.source), file)
        last[place.source] = place, line["hash"]
        if place.number <= file.last:  # others have come since
            sizes[place.source] += ROW_BYTES + len(text)
        count += 1
    uneven = [file for file in kept.values() if sizes[file.source] != file.bytes]
    return count, last, problems or [_uneven(file, sizes[file.source]) for file in uneven]


def _problems(line: dict[str, Any], place: Place, text: bytes, before: tuple[Place, str] | None, file: Kept) -> Iterator[str]:
    number, known = (file.gone, file.hash) if before is None else (before[0].number, before[1])
    if place.number != number + 1:
        between = f"before {place}" if before is None else f"between {before[0]} and {place}"
        yield f"{_file(place.source)}: lines are missing {between}"
    elif hash_of(bytes.fromhex(known), str(place._replace(source=file.written_as)), text).hex() != line["hash"]:
        yield f"{_file(place.source)}: the line {place}, or one before it, is not what was written"


def _uneven(file: Kept, size: int) -> str:
    return (
        f"{_file(file.source)}: lines are missing or too many, they have {size} bytes and not the {file.bytes} that were written"
    )


def _file(source: int) -> str:
    return f"shard {source - 1}" if source else "control.db"
