"""``pypes import-project``: a project file of the original Pypes becomes a graph file."""

from __future__ import annotations

from pathlib import Path

import click

from pypes.cli.catalogue import find_components, load_option
from pypes.core.wording import counted
from pypes.graph import codec, pypes1


@click.command("import-project")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", help="Name of the graph; by default the name of the file.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="File for the graph; by default standard output.")
@load_option
def import_project(file: Path, name: str | None, output: Path | None, load_files: tuple[Path, ...]) -> None:
    """Read FILE, a project of the original Pypes, and write the graph it makes; what has no counterpart is reported."""
    imported = pypes1.loads(file.read_bytes(), name or pypes1.graph_name(file.stem), find_components(load_files))
    for problem in imported.report:
        click.echo(f"{file}: {problem.path}: {problem.message} [{problem.code}]", err=True)
    text = codec.dumps(imported.graph)
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
        filters, wires = counted(len(imported.graph.nodes), "filter"), counted(len(imported.graph.wires), "wire")
        click.echo(f"{output}: {filters}, {wires}", err=True)
