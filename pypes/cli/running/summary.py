"""Summary: what a run has done, as a table for people, and as JSON for programs."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pypes.cli.running.tally import Tally
from pypes.core.wording import counted
from pypes.observe import FilterTotal

#: Without a terminal, nobody is there whose window is too narrow.
WIDTH = 200


def summarize(console: Console, tally: Tally, passed_s: float, filters: Collection[str], *, is_interrupted: bool) -> None:
    """Print documents by their fate, a line for each filter that had any (``filters`` is their order), and the first failures."""
    done = tally.documents
    if is_interrupted:
        console.print("interrupted; documents that were in the graph may be published in part: run them again")
    console.print(
        f"{counted(done, 'document')} in {passed_s:.1f} s ({done / max(passed_s, 1e-9):,.0f}/s):"
        f" {tally.published} published, {tally.dropped} dropped, {tally.failed} failed"
    )
    busy = {name: total for name in filters if (total := tally.filters.get(name)) and (total.taken or total.failed)}
    if busy:
        console.print(_table(busy), width=None if console.is_terminal else WIDTH)
    for filter, totals in sorted(tally.counts.items()):
        console.print(f"{filter}: {', '.join(f'{n} {name}' for name, n in sorted(totals.items()))}", markup=False)
    for each in tally.failures:
        where = f"{each.place}: {f'{each.filter}: ' if each.filter else ''}"
        console.print(f"failed: {where}{each.error} [{each.code}]", markup=False)
    if tally.failed > len(tally.failures) and tally.failures:
        console.print(f"… {tally.failed} documents failed in all")


def _table(filters: dict[str, FilterTotal]) -> Table:
    table = Table(box=None, header_style="", padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("filter", overflow="fold")
    for name in ("in", "out", "dropped", "failed", "seconds", "waiting"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, total in filters.items():
        numbers = (total.taken, total.sent, total.dropped, total.failed)
        waiting = f"{total.waiting_s:.2f}" if total.waiting_s else "-"
        table.add_row(Text(name), *(str(n) for n in numbers), f"{total.work_s:.2f}", waiting)
    return table


def as_obj(graph: str, tally: Tally, passed_s: float, filters: Collection[str], *, is_interrupted: bool) -> dict[str, Any]:
    """The summary as JSON values."""
    found = {}
    for name in filters:
        total = tally.filters.get(name, FilterTotal())
        found[name] = {
            "in": total.taken,
            "out": total.sent,
            "dropped": total.dropped,
            "failed": total.failed,
            "seconds": _rounded(total.work_s),
            "waiting_s": _rounded(total.waiting_s),
            "counts": tally.counts.get(name, {}),
        }
    return {
        "graph": graph,
        "interrupted": is_interrupted,
        "documents": tally.documents,
        "published": tally.published,
        "dropped": tally.dropped,
        "failed": tally.failed,
        "seconds": _rounded(passed_s),
        "filters": found,
        "failures": [
            {"place": each.place, "filter": each.filter, "code": each.code, "error": each.error} for each in tally.failures
        ],
    }


def _rounded(seconds: float) -> float:
    """To a microsecond, which is more than clocks are good for."""
    return round(seconds, 6) if math.isfinite(seconds) else 0.0
