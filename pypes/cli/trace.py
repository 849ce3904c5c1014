"""``pypes trace``: what each filter did with a delivery."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
import orjson

from pypes.cli.client import Client, node_options, print_json, print_table
from pypes.core.wording import counted


@click.command()
@click.argument("receipt")
@node_options
@click.option("--packets", "has_packets", is_flag=True, help="Show the packets, too, as they were when they came and went.")
def trace(client: Client, as_json: bool, receipt: str, has_packets: bool) -> None:
    """Draw what each filter did with the delivery of the RECEIPT, which was posted with ?trace=1 or drawn by its graph.

    Exit code 1 if a document failed.
    """
    found = client.ask("GET", f"/receipts/{receipt}/trace")
    if as_json:
        print_json(found)
    else:
        _draw(found, has_packets)
    if found["failed"]:
        raise SystemExit(1)


def _draw(found: dict[str, Any], has_packets: bool) -> None:
    fates = ", ".join(f"{found[name]} {name}" for name in ("published", "dropped", "failed") if found[name])
    click.echo(f"{found['receipt']}: {counted(found['documents'], 'document')} in {found['ms']:g} ms, {fates}")
    click.echo(f"graph {found['graph']}, version {found['version']}, {_run(found['run'])}")
    click.echo()
    columns = {
        "filter": lambda step: step["filter"] or "(before the first)",
        "component": lambda step: step["component"],
        "in": lambda step: step["packets_in"],
        "out": _out,
        "ms": _ms,
        "attempts": lambda step: step["attempts"] or None,
        "": _ended,
    }
    print_table(columns, found["steps"])
    for step in found["steps"]:
        lines = [*_errors(step), *(_packets(step) if has_packets else ())]
        if lines:
            click.echo(f"\n{step['filter'] or '(before the first)'}")
            for line in lines:
                click.echo(f"  {line}")
    if found["shown"] < found["documents"] and has_packets:
        click.echo(f"\n… and {counted(found['documents'] - found['shown'], 'more document')}, of which no packets are kept")


def _run(run: int) -> str:
    return "the first run" if run == 1 else f"run {run}: an instance ended in one before, or gave the delivery back"


def _out(step: dict[str, Any]) -> str:
    sent = step["packets_out"]
    gone = [f"{count} {port}" if port != "out" or len(sent) > 1 else str(count) for port, count in sent.items()]
    return "→ " + ", ".join(gone) if gone else ""


def _ms(step: dict[str, Any]) -> str | None:
    if not step["packets_in"] and not step["attempts"]:
        return None
    waited = f" + {step['waited_ms']:g} waiting" if step["waited_ms"] else ""
    return f"{step['ms']:g}{waited}"


def _ended(step: dict[str, Any]) -> str:
    ended = [f"{step[name]} {name}" for name in ("published", "failed") if step[name]]
    if step["dropped"]:
        kept = f" ({step['kept']} kept as they are)" if step["kept"] else ""
        ended.append(f"{step['dropped']} dropped{kept}")
    return ", ".join(ended)


def _errors(step: dict[str, Any]) -> Iterator[str]:
    for error in step["errors"]:
        documents = ", ".join(map(str, error["documents"]))
        which = f"document {documents}" if len(error["documents"]) == 1 else f"documents {documents}"
        outcome = "failed" if error["is_final"] else "to be tried again"
        yield _line(f"{which}, attempt {error['attempt']}, {outcome}: {error['error']} [{error['code']}]")
    if len(step["errors"]) < step["failed"]:
        yield f"… and {counted(step['failed'] - len(step['errors']), 'more failure')}"


def _packets(step: dict[str, Any]) -> Iterator[str]:
    for packet in step["in"]:
        yield _line(f"in   {orjson.dumps(packet).decode()}")
    if step["packets_in"] > len(step["in"]):
        yield f"… and {step['packets_in'] - len(step['in'])} more in"
    for port, packets in step["out"].items():
        for packet in packets:
            yield _line(f"{port:4} {orjson.dumps(packet).decode()}")
        if step["packets_out"][port] > len(packets):
            yield f"… and {step['packets_out'][port] - len(packets)} more {port}"


def _line(text: str) -> str:
    # what came with a document may hold line ends, or what a terminal would take for commands
    return "".join(c if c.isprintable() else " " for c in text)
