"""``pypes new``: a component's distribution, a graph, or a project, from a cookiecutter template."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

import click

from pypes.errors import InvalidInput
from pypes.graph.codec import NAME

TEMPLATES = Path(__file__).parent.parent / "templates"


@click.group()
def new() -> None:
    """Start something new: files that work and are tested, to be changed into your own."""


@new.command()
@click.argument("name")
@click.option("--into", default=".", type=click.Path(file_okay=False, path_type=Path), help="Folder to put it into.")
def component(name: str, into: Path) -> None:
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
    }
    _make("component", context, into)


@new.command()
@click.argument("name")
@click.option("--into", default=".", type=click.Path(file_okay=False, path_type=Path), help="Folder whose graphs/ it goes to.")
def graph(name: str, into: Path) -> None:
    """A graph NAME with a test: graphs/NAME.json."""
    if not NAME.fullmatch(name):
        raise InvalidInput("a graph's name has 1 to 64 letters, digits, - and _", code="new.name", where=name)
    _make("graph", {"graph": name}, into, beside=f"graphs/{name}.json")


@new.command()
@click.argument("name")
@click.option("--into", default=".", type=click.Path(file_okay=False, path_type=Path), help="Folder to put it into.")
def project(name: str, into: Path) -> None:
    """A folder NAME for a node: settings, a graph with tests, a component in a file, a Makefile."""
    if not NAME.fullmatch(name):
        raise InvalidInput("a project's name has 1 to 64 letters, digits, - and _", code="new.name", where=name)
    _make("project", {"project": name}, into)


def _make(template: str, context: dict[str, str], into: Path, beside: str | None = None) -> None:
    """Render a template. ``beside``: the only file of a folder that may exist already."""
    try:
        from cookiecutter.exceptions import OutputDirExistsException  # type: ignore[import-untyped]
        from cookiecutter.main import cookiecutter  # type: ignore[import-untyped]
    except ImportError as error:
        raise InvalidInput(
            "making files from templates needs cookiecutter: pip install 'pypes-server[new]'", code="new.no_cookiecutter"
        ) from error
    if beside is not None and (into / beside).exists():
        raise InvalidInput("it exists already; choose another name", code="new.exists", where=str(into / beside))
    try:
        made = cookiecutter(
            str(TEMPLATES / template),
            no_input=True,
            extra_context=context,
            output_dir=str(into),
            skip_if_file_exists=beside is not None,
            overwrite_if_exists=beside is not None,
            # the user's own cookiecutter defaults are about other templates
            default_config=True,
        )
    except OutputDirExistsException as error:
        raise InvalidInput("it exists already; choose another name", code="new.exists", where=str(into)) from error
    click.echo(str(into / beside if beside is not None else Path(made).relative_to(into.resolve())))
