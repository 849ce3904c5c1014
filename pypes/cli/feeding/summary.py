"""Summary that a run of ``pypes feed`` prints at its end."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

from rich.console import Console
from rich.table import Table

from pypes.cli.feeding.report import SHOWN_FAILURES, Count, Report
from pypes.core.wording import counted


def summarize(console: Console, report: Report, passed_s: float, *, follow: bool, graphs: Collection[str] = ()) -> None:
    """Numbers, the graphs that took the documents, the files that failed, and a table by media type."""
    rate = report.accepted / max(passed_s, 1e-9)
    deleted = f", {counted(report.deleted, 'deletion')}" if report.deleted else ""
    by = f" by graph{'s' * (len(graphs) > 1)} {', '.join(sorted(graphs))}" if graphs else ""
    console.print(
        f"{counted(report.files, 'file')}, {report.sent_bytes / 1e6:.1f} MB, {counted(report.accepted, 'document')} accepted"
        f"{by}{deleted} in {passed_s:.1f} s ({rate:,.0f}/s), {counted(report.retries, 'retry', 'retries')}",
        highlight=False,
    )
    if follow:
        console.print(f"{report.published} published, {report.dropped} dropped, {report.failed} failed", highlight=False)
    tell(console, "not accepted", report.failures)
    tell(console, "failed", report.dead)
    if report.kinds:
        console.print(_table(report, follow=follow))


def tell(console: Console, what: str, files: Sequence[tuple[str, str]]) -> None:
    """A line for each file, up to a number."""
    for path, reason in files[:SHOWN_FAILURES]:
        text = "\n".join(map(plain, reason.splitlines()))
        console.print(f"{what}: {plain(path)}: {text}", highlight=False, markup=False)
    if len(files) > SHOWN_FAILURES:
        console.print(f"… and {len(files) - SHOWN_FAILURES} more", highlight=False)


def plain(path: str) -> str:
    """A path on one line, with escapes for characters that a terminal would hide or obey."""
    return "".join(char if char.isprintable() else _escaped(char) for char in path)


def _escaped(char: str) -> str:
    # a byte that is no UTF-8 stands in a path as a lone surrogate
    return f"\\x{os.fsencode(char).hex()}" if "\udc80" <= char <= "\udcff" else char.encode("unicode_escape").decode()


def _table(report: Report, *, follow: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("type", overflow="fold")
    columns = ["files", "refused", "accepted", *(["published", "dropped", "failed"] if follow else [])]
    for name in columns:
        table.add_column(name, justify="right")

    def row(kind: str, count: Count) -> None:
        table.add_row(kind, *(f"{getattr(count, name):,}" for name in columns))

    for kind, count in sorted(report.kinds.items()):
        row(kind, count)
    if len(report.kinds) > 1:
        row("all", report)
    return table
