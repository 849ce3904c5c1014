"""``pypes search`` (alias ``pypes-search``) and ``pypes ask``: ask an index that SQLiteSearch wrote."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import orjson

from pypes import PypesError
from pypes.component.searching import SearchQuery
from pypes_search.answering import compose
from pypes_search.embedders import Embedders
from pypes_search.hits import EXCERPT_CHARS, Hit
from pypes_search.passages import passage_of
from pypes_search.query import Answer
from pypes_search.query import ask as ask_index

F = TypeVar("F", bound=Callable[..., Any])

#: Characters of a passage that ``ask`` prints.
PASSAGE_CHARS = 400


def _options(command: F) -> F:
    """Options that say who asks, for which documents, and in which form hits are shown."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text."),
        click.option("--words", "is_by_words", is_flag=True, help="Search by words alone, even if the index has vectors."),
        click.option(
            "--principal", "principals", multiple=True, metavar="NAME", help="Who asks: a user or group; may be repeated."
        ),
        click.option(
            *("--filter", "filters"),
            multiple=True,
            metavar="CONDITION",
            help="Only documents with this field or metadata, as language=de or 'created>=2026-01-01'; may be repeated.",
        ),
        click.option("--route", help="Only documents of this route."),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("database", type=click.Path(path_type=Path))
@click.argument("query", nargs=-1, required=True)
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1), help="Most hits to show.")
@click.option("--after", default=0, type=click.IntRange(0), help="Hits to pass over, for the next page.")
@click.option("--group", is_flag=True, help="One hit per document, with its other parts below.")
@_options
def search(database: Path, query: tuple[str, ...], is_by_words: bool, as_json: bool, **more: Any) -> None:
    """Search DATABASE for QUERY (words, "a phrase", prefix*, title:word, AND OR NOT) and show the best matches.

    Where the documents have vectors and their model is installed here, those of a like meaning are found as well.
    """
    answer = _ask(database, is_by_words, " ".join(query), **more)
    if as_json:
        for hit in answer.hits:
            click.echo(orjson.dumps(hit.to_obj()))
    else:
        show(answer.hits)
    sys.exit(0 if answer.hits else 1)


@click.command()
@click.argument("database", type=click.Path(path_type=Path))
@click.argument("question", nargs=-1, required=True)
@click.option("--limit", default=5, show_default=True, type=click.IntRange(1, 50), help="Most passages to show.")
@click.option(
    "--server", metavar="URL", help="Have a server compose an answer (OpenAI-compatible), as http://127.0.0.1:11434/v1."
)
@click.option("--model", metavar="NAME", help="The model that composes it.")
@_options
def ask(
    database: Path,
    question: tuple[str, ...],
    server: str | None,
    model: str | None,
    is_by_words: bool,
    as_json: bool,
    **more: Any,
) -> None:
    """Ask DATABASE a QUESTION: show the passages that come closest to an answer, with the places where they stand.

    With --server and --model, a language model writes an answer of them. It gets the key in OPENAI_API_KEY, if that is set.
    """
    if bool(server) != bool(model):
        raise click.UsageError("--server and --model go together")
    text = " ".join(question)
    answer = _ask(database, is_by_words, text, any_word=True, **more)
    try:
        composed = compose(server, model, text, answer.hits) if server and model and answer.hits else None
    except PypesError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(orjson.dumps({**({} if composed is None else {"answer": composed}), **answer.to_obj()}))
    else:
        show_passages(answer.hits, text, composed)
    sys.exit(0 if answer.hits else 1)


def _ask(database: Path, is_by_words: bool, text: str, **more: Any) -> Answer:
    try:
        answer = ask_index(database, SearchQuery(text, **more), None if is_by_words else Embedders())
    except PypesError as error:
        raise click.ClickException(str(error)) from error
    for note in answer.notes:
        click.echo(note, err=True)
    if not answer.hits:
        click.echo("nothing found", err=True)
    return answer


def show(hits: list[Hit]) -> None:
    """Print hits for a person: title, the words around the match, and where they stand."""
    for number, hit in enumerate(hits, 1):
        click.echo(f"{number:3}. {hit.title or hit.id}  ({hit.score:.2f})")
        for each in (hit, *hit.others):
            click.echo(f"     {' '.join(each.snippet.split())}")
            if place := str(each.citation):
                click.echo(f"     {place}")


def show_passages(hits: list[Hit], question: str, composed: str | None) -> None:
    """Print passages with numbers, and below them the places where they stand; or an answer that was composed of them."""
    if composed is not None:
        click.echo(f"{composed}\n")
    else:
        for number, hit in enumerate(hits, 1):
            text = hit.text if len(hit.text) <= EXCERPT_CHARS else hit.snippet
            click.echo(f"[{number}] {passage_of(text, question, PASSAGE_CHARS)}\n")
    for number, hit in enumerate(hits, 1):
        title = hit.title or hit.document or hit.id
        place = str(hit.citation)
        click.echo(f"[{number}] {title}{f': {place}' if place and place != title else ''}")


if __name__ == "__main__":
    search()
