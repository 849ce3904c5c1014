"""``pypes lint``: say all that is wrong with graphs, without running them."""

from __future__ import annotations

import os
from pathlib import Path

import click

from pypes.cli.catalogue import find_components, load_option
from pypes.config import Settings, load_settings
from pypes.errors import InvalidGraph, Problem
from pypes.graph.advice import advise
from pypes.graph.codec import loads
from pypes.graph.validation import ANY_POOLS, validate
from pypes.registry import Catalogue


@click.command()
@click.argument("graphs", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@load_option
@click.option("--config", type=click.Path(path_type=Path), help="Settings file of the node: warn of limits beyond its own.")
@click.option("--env", is_flag=True, help="Read ${NAME} in parameters from the environment, as deployment does.")
def lint(graphs: tuple[Path, ...], load_files: tuple[Path, ...], config: Path | None, env: bool) -> None:
    """Check GRAPHS and name every problem with its place; exit code 1 if there is one that is no mere warning."""
    settings = None if config is None else load_settings(config)
    catalogue = find_components(load_files)
    total = 0
    for path in graphs:
        problems = _problems(path, catalogue, env, settings)
        total += len(problems)
        for problem in problems:
            place = f"{path}: {problem.path}" if problem.path else str(path)
            click.echo(f"{place}: {problem.message} [{problem.code}]")
        if problems:
            continue
        for warning in _warnings(path, catalogue, settings):
            click.echo(f"{path}: {warning.path}: warning: {warning.message} [{warning.code}]")
        click.echo(f"{path}: ok")
    if total:
        raise SystemExit(1)


def _problems(path: Path, catalogue: Catalogue, env: bool, settings: Settings | None) -> list[Problem]:
    try:
        graph = loads(path.read_bytes())
    except InvalidGraph as error:
        return list(error.problems) or [Problem(error.where, error.message, error.code)]
    pools = ANY_POOLS if settings is None else settings.pool_rules
    return validate(graph, catalogue, environ=os.environ if env else None, pools=pools)


def _warnings(path: Path, catalogue: Catalogue, settings: Settings | None) -> list[Problem]:
    graph = loads(path.read_bytes())
    if settings is None:
        return advise(graph, catalogue)
    return advise(graph, catalogue, settings.limits, settings.server.workers)
