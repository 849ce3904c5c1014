"""``pypes-search``: ask an index that SQLiteSearch wrote."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import orjson

from pypes import PypesError
from pypes_search.query import Hit, search


@click.command()
@click.argument("database", type=click.Path(path_type=Path))
@click.argument("query", nargs=-1, required=True)
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1), help="Most hits to show.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per hit.")
def main(database: Path, query: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Search DATABASE for QUERY (words, "a phrase", prefix*, title:word, AND OR NOT) and show the best matches."""
    try:
        hits = search(database, " ".join(query), limit)
    except PypesError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        for hit in hits:
            click.echo(orjson.dumps(as_obj(hit)))
    else:
        show(hits)
    sys.exit(0 if hits else 1)


def as_obj(hit: Hit) -> dict[str, object]:
    """The hit as JSON; a part says of which document it is, and where it stands there."""
    place = {"document": hit.document, "part": hit.part} if hit.part else {}
    route = {"route": hit.route} if hit.route else {}
    of_it = {"id": hit.id, "title": hit.title, "score": hit.score, "snippet": hit.snippet}
    return {**of_it, **route, **place, **orjson.loads(hit.fields)}


def show(hits: list[Hit]) -> None:
    """Print hits for a person: title, the words around the match, and where the document lies."""
    for number, hit in enumerate(hits, 1):
        click.echo(f"{number:3}. {hit.title or hit.id}  ({hit.score:.2f})")
        click.echo(f"     {' '.join(hit.snippet.split())}")
        meta = orjson.loads(hit.fields).get("meta") or {}
        place = meta.get("url") or meta.get("path")
        if place:
            click.echo(f"     {place}")
    if not hits:
        click.echo("nothing found", err=True)


if __name__ == "__main__":
    main()
