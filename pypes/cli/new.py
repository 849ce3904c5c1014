"""``pypes new``: a component's distribution, a graph, or a project, from a cookiecutter template."""

from __future__ import annotations

import keyword
import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import click

from pypes.errors import InvalidInput
from pypes.graph.codec import NAME, dumps, loads
from pypes.graph.model import Graph
from pypes.registry.origins import direct_origin

TEMPLATES = Path(__file__).parent.parent / "templates"

#: Graphs that come with Pypes, to begin with.
ORIGINS = {path.stem: path for path in sorted((TEMPLATES / "graphs").glob("**/*.json"))}

#: For each kind of component, parameters of the example in a graph.
KINDS = {
    "transformer": '{"field": "title"}',
    "adapter": '{"field": "text"}',
    "publisher": '{"path": "titles.db"}',
    "source": '{"path": "lines.txt"}',
}

#: The file with the place that pip took Pypes from on this machine, if that was no index: not for version control.
LOCAL_FILE = "pypes-local.txt"


@click.group()
def new() -> None:
    """Start something new: files that work and are tested, to be changed into your own."""


@new.command()
@click.argument("name")
@click.option("--kind", type=click.Choice(list(KINDS)), default="transformer", show_default=True, help="Kind of the component.")
@click.option("--into", default=".", type=click.Path(file_okay=False, path_type=Path), help="Folder for the new files.")
def component(name: str, kind: str, into: Path) -> None:
    """A distribution with the component NAME (LikeThis): code, entry point, tests, README."""
    if not name.isidentifier() or keyword.iskeyword(name):
        raise InvalidInput("a component is named like a class: letters and digits, LikeThis", code="new.name", where=name)
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    dashed = words.strip("_").replace("_", "-")
    context = {
        "component": name,
        "module": words,
        "distribution": f"pypes-{dashed}",
        "package": f"pypes_{dashed.replace('-', '_')}",
        "params": KINDS[kind],
    }
    made = _make("component", context, into)
    _make(f"kinds/{kind}", context, into, adds=True)
    _note_origins(made, "pypes-server")
    pip = f"{shlex.quote(sys.executable)} -m pip"
    _tell(made, into, "make -C {} test", f"{pip} install -e {{}}")


@new.command()
@click.argument("name")
@click.option(
    "--into", default=".", type=click.Path(file_okay=False, path_type=Path), help="Folder whose graphs/ gets the new graph."
)
@click.option("--from", "origin", metavar="GRAPH", help=f"Begin with a graph that comes with Pypes: {', '.join(ORIGINS)}.")
def graph(name: str, into: Path, origin: str | None) -> None:
    """A graph NAME with a test: graphs/NAME.json."""
    if not NAME.fullmatch(name):
        raise InvalidInput("a graph's name has 1 to 64 letters, digits, - and _", code="new.name", where=name)
    path = into / "graphs" / f"{name}.json"
    if path.exists():
        raise InvalidInput("the name is taken; choose another one", code="new.exists", where=str(path))
    if origin is None:
        _make("graph", {"graph": name}, into, adds=True)
    elif origin not in ORIGINS:
        raise InvalidInput(f"no such graph comes with Pypes; there are {', '.join(ORIGINS)}", code="new.from", where=origin)
    else:
        text = ORIGINS[origin].read_text(encoding="utf-8")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dumps(_copied(loads(text), name)), encoding="utf-8")
    click.echo(str(path))


def _copied(graph: Graph, name: str) -> Graph:
    """A graph of another name, with a route and destinations of its own: it may run beside the one that it was copied from."""
    nodes = {}
    for node in graph.nodes.values():
        params = dict(node.params)
        for param in ("path", "table"):
            if isinstance(params.get(param), str):
                params[param] = name.replace("-", "_") + Path(params[param]).suffix
        nodes[node.name] = replace(node, params=params)
    return replace(graph, name=name, routes=(name,), nodes=nodes)


@new.command()
@click.argument("name")
@click.option("--into", default=".", type=click.Path(file_okay=False, path_type=Path), help="Folder for the new files.")
def project(name: str, into: Path) -> None:
    """A folder NAME for a node: settings, a graph with tests, a component in a file, a Makefile."""
    if not NAME.fullmatch(name):
        raise InvalidInput("a project's name has 1 to 64 letters, digits, - and _", code="new.name", where=name)
    made = _make("project", {"project": name}, into)
    _note_origins(made, "pypes-server", "pypes-basic")
    _tell(made, into, "make -C {} test", "make -C {} serve")


def _make(template: str, context: dict[str, str], into: Path, *, adds: bool = False) -> Path:
    """Render a template and return the folder. With ``adds`` it may exist already, and no file of it is changed."""
    try:
        from cookiecutter.exceptions import OutputDirExistsException  # type: ignore[import-untyped]
        from cookiecutter.main import cookiecutter  # type: ignore[import-untyped]
    except ImportError as error:
        raise InvalidInput(
            "making files from templates needs cookiecutter: pip install 'pypes-server[new]'", code="new.no_cookiecutter"
        ) from error
    try:
        made = cookiecutter(
            str(TEMPLATES / template),
            no_input=True,
            extra_context=context,
            output_dir=str(into),
            skip_if_file_exists=adds,
            overwrite_if_exists=adds,
            # the user's own cookiecutter defaults are about other templates
            default_config=True,
        )
    except OutputDirExistsException as error:
        raise InvalidInput("the name is taken; choose another one", code="new.exists", where=str(into)) from error
    return Path(made)


def _note_origins(made: Path, *distributions: str) -> None:
    """Let ``make test`` install Pypes from where it was installed here, if that was a checkout or a wheel."""
    origins = [origin for name in distributions if (origin := direct_origin(name)) is not None]
    if origins:
        head = "# Where Pypes was installed from on this machine. Without this file, pip takes it from where it is set to look."
        (made / LOCAL_FILE).write_text("\n".join([head, *origins, ""]), encoding="utf-8")


def _tell(made: Path, into: Path, *commands: str) -> None:
    """Print the new files, and to standard error the next commands; ``{}`` in them stands for the folder."""
    name = made.relative_to(into.resolve())
    click.echo(str(name))
    click.echo("next:", err=True)
    for command in commands:
        click.echo("  " + command.replace("{}", shlex.quote(str(into / name))), err=True)
