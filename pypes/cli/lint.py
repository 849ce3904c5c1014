"""``pypes lint``: say all that is wrong with graphs, without running them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import click

from pypes.cli.catalogue import find_components, load_option
from pypes.config import Settings, load_settings, settings_file
from pypes.core.secrets import VARIABLE, Secrets
from pypes.errors import InvalidGraph, InvalidInput, Problem, PypesError
from pypes.graph import composite as form
from pypes.graph.advice import advise
from pypes.graph.beside import Beside
from pypes.graph.composite_files import FOLDER, FolderLibrary, read_file
from pypes.graph.composite_spec import problems_of
from pypes.graph.expansion import Overlaid
from pypes.graph.model import Graph
from pypes.graph.validation import ANY_POOLS, expand, validate
from pypes.registry import Catalogue, make


@click.command()
@click.argument("graphs", nargs=-1, required=True, type=click.Path(path_type=Path))
@load_option
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Settings file of the node, whose pools and limits count; by default ./pypes.ini, if it exists.",
)
@click.option("--env", is_flag=True, help="Read ${NAME} in parameters from the environment, as deployment does.")
def lint(graphs: tuple[Path, ...], load_files: tuple[Path, ...], config: Path | None, env: bool) -> None:
    """Check GRAPHS, which are to be deployed side by side, and name every problem with its place. What is in a folder
    "composites" is a composite.

    Exit code 1 if there is one that is no mere warning.
    """
    source = config or settings_file(Path.cwd())
    settings = None if source is None else load_settings(source)
    catalogue = find_components(load_files)
    total = 0
    beside = Beside()
    files: dict[Path, Path] = {}
    for path in graphs:
        files.setdefault(path.resolve(), path)
    for path in files.values():
        problems = _problems(path, catalogue, env, settings, beside)
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


def _problems(path: Path, catalogue: Catalogue, env: bool, settings: Settings | None, beside: Beside) -> list[Problem]:
    pools = ANY_POOLS if settings is None else settings.pool_rules
    environ = os.environ if env else None
    try:
        if path.resolve().parent.name == FOLDER:
            return _problems_of_composite(path, catalogue, lambda graph: validate(graph, catalogue, environ=environ, pools=pools))
        expanded = read_file(path, catalogue)
    except InvalidGraph as error:
        return list(error.problems) or [Problem(error.where, error.message, error.code)]
    except OSError as error:  # the others are checked all the same
        return [Problem("", f"cannot be read: {error.strerror}", "graph.unreadable")]
    graph = expanded.graph
    problems = validate(graph, catalogue, environ=environ, pools=pools) or list(_unmade(graph, catalogue, environ))
    return [expanded.retold(problem) for problem in problems] + beside.add(graph, str(path))


def _problems_of_composite(path: Path, catalogue: Catalogue, check: Callable[[Graph], list[Problem]]) -> list[Problem]:
    composite = form.loads(path.read_bytes())
    return problems_of(composite, Overlaid(composite, FolderLibrary(path.parent)), catalogue, check)


def _unmade(graph: Graph, catalogue: Catalogue, environ: Mapping[str, str] | None) -> Iterator[Problem]:
    """Parameters that fit the schema and that a component refuses: an expression with a fault, two that exclude each other."""
    for node in graph.nodes.values():
        if environ is None and VARIABLE.search(json.dumps(node.params)):
            continue  # nobody can tell what it would be
        path = f"nodes.{node.name}.params"
        params = dict(node.params) if environ is None else expand(node.params, environ)
        clean = Secrets.of([dict(node.params)], environ or {}).redact
        try:
            make(catalogue[node.component], params, node.name, clean)
        except InvalidInput as error:
            for problem in error.problems or [Problem("", error.message, error.code)]:
                yield Problem(f"{path}.{problem.path}".rstrip("."), clean(problem.message), problem.code)
        except PypesError as error:
            yield Problem(f"nodes.{node.name}", clean(error.message), error.code)


def _warnings(path: Path, catalogue: Catalogue, settings: Settings | None) -> list[Problem]:
    if path.resolve().parent.name == FOLDER:
        return []  # whatever there is to say is about the graphs that use it
    expanded = read_file(path, catalogue)
    graph = expanded.graph
    if settings is None:
        found = [*_unknown_pools(graph), *advise(graph, catalogue)]
    else:
        found = advise(graph, catalogue, settings.limits, settings.server.workers)
    return [expanded.retold(problem) for problem in found]


def _unknown_pools(graph: Graph) -> Iterator[Problem]:
    """Pools that only the settings of a node can have, which are not known here."""
    for name, node in graph.nodes.items():
        if isinstance(node.pool, str) and node.pool not in graph.pools:
            message = f"the node must have [pool:{node.pool}] in its pypes.ini; give that with --config, and it is looked at"
            yield Problem(f"nodes.{name}.pool", message, "graph.unknown_pool")
