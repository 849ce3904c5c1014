"""``pypes feed``: walk directories and post what is found."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from pypes.cli.feeder import NOT_REGULAR, Feeder, Report, walk

SHOWN_FAILURES = 20


@click.command()
@click.argument("url")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--batch", default=16, show_default=True, type=click.IntRange(1), help="Files per POST.")
@click.option("--gzip", "compress", is_flag=True, help="Compress what is posted.")
@click.option("--ext", "suffixes", multiple=True, help="Take only files of these suffixes from directories: html,txt.")
@click.option("--connections", default=4, show_default=True, type=click.IntRange(1), help="Connections used at once.")
@click.option(
    "--lane",
    type=click.Choice(["live", "bulk"]),
    default="live",
    show_default=True,
    help="bulk is for backfills: it runs only as fast as live documents leave room.",
)
@click.option("--idempotent", is_flag=True, help="Post with keys, so that nothing arrives twice when an answer is lost.")
@click.option("--wait", "follow", is_flag=True, help="Wait until everything is published, and count it.")
@click.option("--token-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="File that holds the token.")
def feed(
    url: str,
    paths: tuple[Path, ...],
    batch: int,
    compress: bool,
    suffixes: tuple[str, ...],
    connections: int,
    lane: str,
    idempotent: bool,
    follow: bool,
    token_file: Path | None,
) -> None:
    """Post all files under PATHS to the server at URL (http://HOST:PORT, or with /docs/ROUTE).

    The token is read from --token-file or PYPES_TOKEN. Exit code 1 if anything was not accepted or, with --wait, failed.
    """
    token = token_file.read_text(encoding="utf-8").strip() if token_file else os.environ.get("PYPES_TOKEN")
    console = Console(stderr=True, soft_wrap=True)
    passed_over: list[tuple[Path, str]] = []
    files = list(walk(paths, suffixes, lambda path, reason: passed_over.append((path, reason))))
    started_s = time.monotonic()
    feeder = Feeder(
        url,
        token=token,
        batch=batch,
        compress=compress,
        connections=connections,
        lane=lane,
        idempotent=idempotent,
        roots=paths,
    )
    report = feed_with_progress(console, files, feeder, follow=follow)
    _summarize(console, report, time.monotonic() - started_s, follow)
    _tell(console, "passed over", [(str(path), reason) for path, reason in passed_over])
    # what is no file was never there to be posted; what could not be looked into may hold some, and what was named was meant
    is_missed = any(reason != NOT_REGULAR or path in paths for path, reason in passed_over)
    if is_missed or report.failures or report.failed:
        raise SystemExit(1)


def feed_with_progress(console: Console, files: list[Path], feeder: Feeder, *, follow: bool) -> Report:
    """Feed ``files`` behind a progress bar, then follow them to the end if asked to. Closes the feeder."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        posted = progress.add_task("posted", total=len(files), rate="")
        done: TaskID | None = None
        started_s = time.monotonic()

        def show(report: Report) -> None:
            passed_s = max(time.monotonic() - started_s, 1e-9)
            progress.update(posted, completed=report.files, rate=f"{report.files / passed_s:,.0f} files/s")
            if done is not None:
                finished = report.published + report.dropped + report.failed
                progress.update(done, completed=finished, rate=f"{finished / passed_s:,.0f} documents/s")

        feeder.on_progress = show
        try:
            report = feeder.feed(files)
            if follow:
                done = progress.add_task("published", total=report.accepted, rate="")
                feeder.follow()
        finally:
            feeder.close()
    return report


def _summarize(console: Console, report: Report, passed_s: float, follow: bool) -> None:
    rate = report.accepted / max(passed_s, 1e-9)
    console.print(
        f"{report.files} files, {report.sent_bytes / 1e6:.1f} MB, {report.accepted} documents accepted"
        f" in {passed_s:.1f} s ({rate:,.0f}/s), {report.retries} retries",
        highlight=False,
    )
    if follow:
        console.print(f"{report.published} published, {report.dropped} dropped, {report.failed} failed", highlight=False)
    _tell(console, "not accepted", report.failures)


def _tell(console: Console, what: str, files: list[tuple[str, str]]) -> None:
    for path, reason in files[:SHOWN_FAILURES]:
        console.print(f"{what}: {path}: {reason}", highlight=False, markup=False)
    if len(files) > SHOWN_FAILURES:
        console.print(f"… and {len(files) - SHOWN_FAILURES} more", highlight=False)
