"""``pypes debug``: one file through a graph, in this process and thread, every packet on its way shown."""

from __future__ import annotations

import os
from pathlib import Path

import click
import orjson
from rich.console import Console
from rich.table import Table

from pypes import logs
from pypes.cli.catalogue import find_components, load_option
from pypes.cli.feeding.walking import media_type
from pypes.core.file_names import in_one_line
from pypes.core.paths import Paths
from pypes.core.printed import cleaned_prints
from pypes.core.wording import counted
from pypes.errors import InvalidGraph
from pypes.graph.cases import Post
from pypes.graph.composite_files import read_file
from pypes.runtime.graphs.check import check
from pypes.runtime.making import Site
from pypes.runtime.trials.report import Report, Step
from pypes.runtime.trials.trial import Trial

#: Of a value, so much is shown.
SHOWN_CHARS = 200


@click.command()
@click.argument("graph", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--type", "content_type", help="Media type of the file; by default derived from its name.")
@click.option("--publish", is_flag=True, help="Let the publishers publish; by default probes take their place.")
@click.option("--json", "as_json", is_flag=True, help="Print the steps as JSON.")
@load_option
def debug(graph: Path, file: Path, content_type: str | None, publish: bool, as_json: bool, load_files: tuple[Path, ...]) -> None:
    """Run FILE through GRAPH and show the results of each filter. breakpoint() works in components. Exit code 1 if it failed."""
    catalogue = find_components(load_files)
    expanded = read_file(graph, catalogue)
    parsed = expanded.graph
    problems = [expanded.retold(each) for each in check(parsed, catalogue, os.environ, has_fleet=True, paths=Paths())]
    if problems:
        raise InvalidGraph("the graph cannot be run", where=str(graph), problems=problems)
    post = Post(content_type or media_type(file), file.read_bytes(), filename=in_one_line(file.name))
    site = Site()
    logs.plain(site.hiding)
    with (
        site.secrets.kept(),
        cleaned_prints(site.secrets.redact),
        Trial(parsed, catalogue, site=site, publishes=publish, is_stepped=True) as trial,
    ):
        report = trial.run([post])
    report = report.shown(site.hiding)
    if as_json:
        click.echo(orjson.dumps({"steps": [_plain(step) for step in report.steps]}, option=orjson.OPT_INDENT_2).decode())
    else:
        _show(report)
    if report.failures:
        raise SystemExit(1)


def _plain(step: Step) -> dict[str, object]:
    return {
        "filter": step.filter,
        "in": step.taken,
        "out": step.out,
        "dropped": step.dropped,
        "error": step.error,
        "ms": step.ms,
    }


def _show(report: Report) -> None:
    console = Console(highlight=False)
    for step in report.steps:
        if not step.taken and step.error is None:
            continue
        console.rule(f"{step.filter} ({step.component}) {step.ms:g} ms", align="left")
        for port, packets in step.out.items() or {"": step.taken}.items():
            for number, packet in enumerate(packets, 1):
                table = Table(show_header=False, box=None, padding=(0, 1))
                for name, value in packet.get("fields", packet).items():
                    table.add_row(name, _short(value))
                console.print(f"{port or 'would be published'} {number}:", markup=False)
                console.print(table)
        if step.dropped:
            console.print(f"dropped: {step.dropped}")
        if step.error is not None:
            console.print(f"failed: {step.error['error']} [{step.error['code']}]\n{step.error['traceback']}", markup=False)
    console.rule(align="left")
    console.print(f"{report.published} published, {report.dropped} dropped, {counted(len(report.failures), 'dead letter')}")


def _short(value: object) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}… ({len(text)} characters)"
