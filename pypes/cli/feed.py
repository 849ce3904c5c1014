"""``pypes feed``: walk directories and post the files found."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from pypes.cli.client import ca_file_option
from pypes.cli.feeding.asking import token_of
from pypes.cli.feeding.deleting import PATIENCE_S
from pypes.cli.feeding.memory import default_folder
from pypes.cli.feeding.posting import Feeder
from pypes.cli.feeding.remembering import NOT_REMEMBERED, Remembering
from pypes.cli.feeding.report import Report
from pypes.cli.feeding.standard import DASH, read_all
from pypes.cli.feeding.summary import summarize, tell
from pypes.cli.feeding.walking import EMPTY, NO_DOCUMENTS, PLACES, TEMPLATE, File, files_of
from pypes.core.file_names import template_pattern
from pypes.core.wording import counted


def _template(template: str | None, *, is_standard: bool, name: str) -> str:
    """The template of ids, checked. That of standard input may be the id itself."""
    if template is None:
        return TEMPLATE if name or not is_standard else ""
    is_text = bool(template) and not set(template) & set("{}")
    has_places = bool(template) and re.search(template_pattern(*PLACES), template) is not None
    if is_standard:
        if not (is_text or (has_places and name)):
            raise click.BadParameter(
                f"{template!r} has braces that nothing fills in; give --name, or an id as it is", param_hint="--id"
            )
    elif not has_places:
        places = ", ".join(f"{{{place}}}" for place in PLACES)
        raise click.BadParameter(f"{template!r} has none of {places}, or other braces", param_hint="--id")
    return template


def _metadata(metas: Iterable[str]) -> Iterator[tuple[str, str]]:
    for meta in metas:
        name, is_there, value = meta.partition("=")
        if not is_there or not re.fullmatch("[A-Za-z][A-Za-z0-9_-]*", name):
            raise click.BadParameter(f"{meta!r} is not NAME=VALUE, with letters, digits and dashes in NAME", param_hint="--meta")
        yield name.lower().replace("-", "_"), value


def _with_access(meta: list[tuple[str, str]], acl: tuple[str, ...]) -> list[tuple[str, str]]:
    """Metadata with the access list of ``--acl``. It is refused if something else widens it, or if it is nobody and somebody."""
    if acl and any(name == "acl" for name, _ in meta):
        raise click.UsageError("--meta acl= would let more names see the documents than --acl does; give all names with --acl")
    if len(set(acl)) > 1 and "" in acl:
        raise click.BadParameter(
            "'' is nobody, and other names are given as well; leave one or the other out", param_hint="--acl"
        )
    return [*meta, *(("acl", each) for each in acl)]


def _fed_as(template: str, meta: list[tuple[str, str]]) -> str:
    """Text that differs when files that are as they were give other documents. The order of an access list says nothing."""
    names = sorted({value for name, value in meta if name == "acl"})
    others = [(name, value) for name, value in meta if name != "acl"]
    return "\n".join([template, *(f"{name}={value}" for name, value in (*others, *(("acl", each) for each in names)))])


@click.command()
@click.argument("url")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, allow_dash=True, path_type=Path))
@click.option("--batch", default=16, show_default=True, type=click.IntRange(1), help="Files per POST.")
@click.option("--gzip", "compress", is_flag=True, help="Compress what is posted.")
@click.option("--ext", "suffixes", multiple=True, help="Feed only files with these suffixes from directories: html,txt.")
@click.option("--connections", default=4, show_default=True, type=click.IntRange(1), help="Most connections at once.")
@click.option(
    "--lane",
    type=click.Choice(["live", "bulk"]),
    default="live",
    show_default=True,
    help="bulk is for backfills: it runs only as fast as live documents leave room.",
)
@click.option(
    "--idempotent", is_flag=True, help="Send an Idempotency-Key with each request, so that a lost answer doubles no document."
)
@click.option(
    "--id",
    "template",
    help="Id of a file's document, made of its {path} below the given one (the default), its {name}, the {root}'s name.",
)
@click.option("--type", "media", default="", metavar="TYPE", help="Media type of standard input; else by --name or content.")
@click.option("--name", default="", help="Name of standard input, as a file would have it.")
@click.option("--meta", "metas", multiple=True, metavar="NAME=VALUE", help="Metadata of all documents; NAME again: a list.")
@click.option(
    "--acl", multiple=True, metavar="NAME", help="Who may see the documents: a user or group, several times; '': nobody."
)
@click.option("--no-id", is_flag=True, help="Give no ids and remember nothing: each run adds documents.")
@click.option(
    "--changed",
    "only_changed",
    is_flag=True,
    help="Skip files that have not changed since they were last fed and did not fail.",
)
@click.option(
    "--deletions/--no-deletions",
    default=True,
    show_default=True,
    help="Delete documents of files that an earlier run fed and that have since left their directory.",
)
@click.option(
    "--moved-from",
    type=click.Path(path_type=Path),
    metavar="DIRECTORY",
    help="Former path of the directory: files fed from there count as fed from the directory given now.",
)
@click.option("--yes-delete", is_flag=True, help="Delete even if more than half of the files fed before are gone.")
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory for the records of earlier runs.",
    show_default=False,
)
@click.option("--wait", "follow", is_flag=True, help="Wait until everything is published, and name the files that failed.")
@ca_file_option
@click.option(
    "--token-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="File that holds the bearer token."
)
def feed(
    url: str,
    paths: tuple[Path, ...],
    batch: int,
    compress: bool,
    suffixes: tuple[str, ...],
    connections: int,
    lane: str,
    idempotent: bool,
    template: str | None,
    media: str,
    name: str,
    metas: tuple[str, ...],
    acl: tuple[str, ...],
    no_id: bool,
    only_changed: bool,
    deletions: bool,
    moved_from: Path | None,
    yes_delete: bool,
    state: Path | None,
    follow: bool,
    ca_file: Path | None,
    token_file: Path | None,
) -> None:
    """Post all files under PATHS to the server at URL (http://HOST:PORT, or with /docs/ROUTE).

    "-" is standard input, posted as one body; its --id is an id, or made of its --name.

    The token is read from --token-file or PYPES_TOKEN. Exit code 1 if anything was not accepted or, with --wait, failed.
    """
    token = token_of(token_file)
    console = Console(stderr=True, soft_wrap=True)
    passed_over: list[tuple[Path, str]] = []
    meta = _with_access(list(_metadata(metas)), acl)

    def tell_absence(reason: str) -> None:
        console.print(f"the server does not answer, trying again for half a minute: {reason}", markup=False)

    feeder = Feeder(
        url,
        token=token,
        ca_file=ca_file,
        batch=batch,
        compress=compress,
        connections=connections,
        lane=lane,
        idempotent=idempotent,
        meta=meta,
        on_absence=tell_absence,
    )
    has_ids = not (no_id or feeder.asker.has_id)
    if only_changed and not has_ids:
        raise click.UsageError(
            "--changed needs the records of earlier runs, which --no-id and posting to an id do without; leave --no-id "
            "out, and post to a route"
        )
    is_standard = DASH in paths
    if (is_standard and len(paths) > 1) or (not is_standard and (media or name)):
        raise click.UsageError("standard input (-) is fed alone; --type and --name are only for that")
    if not (media.isascii() and media.isprintable()):
        raise click.BadParameter(f"{media!r} is not a media type; give one like text/html", param_hint="--type")
    template = _template(template, is_standard=is_standard, name=name) if has_ids else ""
    roots = [path for path in paths if path.is_dir() and not is_standard] if has_ids else []
    if moved_from is not None and len(roots) != 1:
        raise click.UsageError("--moved-from needs exactly one directory, the one that has the files now, and ids")
    patience_s = None if follow else PATIENCE_S
    with ExitStack() as stack:
        remembered = Remembering(state or default_folder(), feeder.address, roots, _fed_as(template, meta), moved_from)
        remembering = stack.enter_context(remembered)
        feeder.recorder = remembering
        if is_standard:
            kept = Path(stack.enter_context(TemporaryDirectory(prefix="pypes-feed-")), "body")
            body = read_all(sys.stdin.buffer, kept, name=name, media=media, template=template)
            files = [body] if body.size else []
            if not body.size:
                passed_over.append((DASH, EMPTY))
        else:
            files = files_of(paths, suffixes, lambda path, reason: passed_over.append((path, reason)), template)
        if feeder.asker.has_id and len(files) > 1:
            raise click.UsageError(
                f"{feeder.asker.path} is one document, not {len(files)}; give one file, or a route without an id"
            )
        if has_ids:
            remembering.meet(feeder.node())
        if deletions:
            remembering.look(is_confirmed=yes_delete)
        if has_ids:
            remembering.settle(feeder, patience_s)
            files = remembering.claim(files, feeder)
        if only_changed:
            files = remembering.changed(files)
        is_through = False
        started_s = time.monotonic()
        try:
            feed_with_progress(console, files, feeder, follow=follow)
            is_through = bool(feeder.sent or not files)  # else nobody is there who would take a deletion
        except KeyboardInterrupt:
            console.print(f"interrupted: {counted(feeder.report.accepted, 'document')} accepted; the next run feeds the rest")
            raise
        finally:
            # also after Ctrl-C: what was accepted is known to the next run
            remembering.keep(feeder, is_through=is_through, deletes=deletions, patience_s=patience_s)
    report = feeder.report
    feeder.close()
    tell(console, "passed over", [(str(path), reason) for path, reason in passed_over])
    for what, path, reason in remembering.messages:
        tell(console, what, [(path, reason)])
    summarize(console, report, time.monotonic() - started_s, follow=follow, graphs=feeder.asker.graphs)
    # what is no file was never there to be posted; what could not be looked into may hold some, and what was named was meant
    is_missed = any(reason not in NO_DOCUMENTS or path in paths for path, reason in passed_over)
    is_missed = is_missed or any(what == NOT_REMEMBERED for what, *_ in remembering.messages)
    if is_missed or report.failures or report.dead or report.failed:
        raise SystemExit(1)


def feed_with_progress(console: Console, files: list[File], feeder: Feeder, *, follow: bool) -> Report:
    """Feed ``files`` behind a progress bar, then follow them to the end if asked to."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        posted = progress.add_task("posted", total=feeder.report.files + len(files), rate="")
        done: TaskID | None = None
        started_s = time.monotonic()

        def show(report: Report) -> None:
            passed_s = max(time.monotonic() - started_s, 1e-9)
            progress.update(posted, completed=report.files, rate=f"{report.files / passed_s:,.0f} files/s")
            if done is not None:
                finished = report.published + report.dropped + report.failed
                progress.update(done, completed=finished, rate=f"{finished / passed_s:,.0f} documents/s")

        feeder.on_progress = show
        report = feeder.feed(files)
        if follow:
            done = progress.add_task("published", total=report.accepted, rate="")
            feeder.follow()
    return report
