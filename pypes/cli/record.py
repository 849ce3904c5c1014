"""``pypes record``: deliveries that a node processes become tests of their graph."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
import orjson

from pypes.cli.client import Client, node_options, print_json
from pypes.core.wording import counted
from pypes.errors import InvalidInput
from pypes.graph.codec import dumps, from_obj, loads

#: Seconds between two looks at whether enough was recorded.
POLL_S = 0.2


@click.command()
@click.argument("graph")
@click.option("--sample", default=10, show_default=True, type=click.IntRange(1, 1000), help="How many posts.")
@click.option(
    "--redact", default="", metavar="FIELD,…", help="Fields whose values are replaced, both in posted and in expected documents."
)
@click.option(
    "--into",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Graph file to add the tests to; by default they go to standard output.",
)
@click.option("--wait", "wait_s", default=60.0, show_default=True, help="Longest wait for the posts, in seconds.")
@node_options
def record(client: Client, as_json: bool, graph: str, sample: int, redact: str, into: Path | None, wait_s: float) -> None:
    """Turn the next posts that GRAPH processes into tests. Nothing is published by it; fields that vary are left out."""
    fields = [field for field in redact.split(",") if field]
    answer = client.ask("POST", f"/graphs/{graph}/shadow", body={"record": sample, "redact": fields})
    path = f"/graphs/{graph}/shadow/{answer['shadow']}"
    try:
        report = _wait(client, path, time.monotonic() + wait_s)
    finally:
        client.ask("DELETE", path)
    error = report["error"]
    if error is not None:
        raise InvalidInput(error["message"], code=error["code"], where=error["where"])
    tests = report.get("tests", [])
    if into is None:
        print_json(tests)
    else:
        _add(into, tests)
    missed = f"; {counted(report['missed'], 'post')} could not be" if report["missed"] else ""
    click.echo(f"{len(tests)} recorded{missed}", err=True)
    if len(tests) < sample:
        raise SystemExit(1)


def _wait(client: Client, path: str, deadline: float) -> dict[str, Any]:
    while True:
        report: dict[str, Any] = client.ask("GET", path)
        if report["state"] in ("done", "ended") or time.monotonic() > deadline:
            return report
        time.sleep(POLL_S)


def _add(path: Path, tests: list[dict[str, Any]]) -> None:
    """Put tests behind those that a graph file has."""
    obj = orjson.loads(path.read_bytes())
    loads(path.read_bytes())  # the errors that a person understands
    path.write_text(dumps(from_obj({**obj, "tests": [*obj.get("tests", []), *tests]})), encoding="utf-8")
