"""Write docs/components.md, docs/limits.md and docs/metrics.md from the code of this project: ``python -m tests.catalogue``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from itertools import groupby
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from pypes.cli.commands import pypes
from pypes.core.limits import markdown, quantity
from pypes.observe.metrics import CATALOGUE, Metric
from pypes.observe.settings import ObserveSettings

ROOT = Path(__file__).parent.parent
COMPONENTS, LIMITS, METRICS = (ROOT / "docs" / name for name in ("components.md", "limits.md", "metrics.md"))

#: The kinds in the order in which documents meet them, and their headings.
KINDS = {
    "SOURCE": "Sources",
    "ADAPTER": "Adapters",
    "FILTER": "Filters",
    "TRANSFORMER": "Transformers",
    "EXTRACTOR": "Extractors",
    "OPERATOR": "Operators",
    "PUBLISHER": "Publishers",
}
HEAD = """# Components

All components that come with Pypes, by kind. `pypes components NAME` shows ports, parameters and an example of each. How to
write your own is told in the [component guide](component-guide.md), and what those of Pypes 1 are called now on
[a page of its own](from-pypes-1.md). `python -m tests.catalogue` writes this page.
"""
SHOWN = """## Bounds of what a node shows

Settings of section `[observe]`.

| Key | Default | What it bounds |
|---|---|---|"""
BOUNDS = """## Limits of components

Parameters of components that bound their work, with their defaults; a graph may set others. A document beyond one becomes a
dead letter that says so, unless the description says something else; a call beyond its time is repeated later.

| Parameter | Default | What it bounds | Components |
|---|---|---|---|"""
COUNTED = """# Metrics

`GET /metrics` shows them, in the text format of Prometheus or, for a client that accepts `application/openmetrics-text`, in
OpenMetrics. It needs a token with the scope `read`, where tokens are needed. `python -m tests.catalogue` writes this page.

- Each process counts in a file that the supervisor reads without asking
  ([decision 67](decisions/0067-counting-in-mapped-files.md)). A process that is killed loses nothing of it. Series are sums over
  the processes of the node.
- Documents are counted in the queue itself, in the transaction that settles them: they equal the receipts to the last document,
  whatever is killed, and go on after a restart. All other counters begin anew with the node, which
  `pypes_node_start_time_seconds` marks.
- Work is counted when it is done: a delivery that runs again after a crash has its packets counted again.
- Series of graphs, filters and wires are shown while these are deployed. A filter that comes back goes on where it was.

| Metric | Kind | Labels | |
|---|---|---|---|"""


def specs() -> list[dict[str, Any]]:
    """The components of the distributions of this project, as ``pypes components --json`` tells of them."""
    ours = {f"pypes-{path.parent.name}" for path in ROOT.glob("components/*/setup.py")}
    listed = json.loads(CliRunner().invoke(pypes, ["components", "--json"], catch_exceptions=False).stdout)
    return [spec for spec in listed if spec["distribution"] in ours]


def pages(found: list[dict[str, Any]]) -> dict[Path, str]:
    """The pages in Markdown, by their files."""
    return {
        COMPONENTS: "\n".join([HEAD, *_sections(found)]),
        LIMITS: "\n".join([markdown(), SHOWN, *_shown(), "", BOUNDS, *_bounds(found), ""]),
        METRICS: "\n".join([COUNTED, *map(_metric, CATALOGUE), ""]),
    }


def _metric(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    bounds = f" Buckets up to {', '.join(f'{bound:g}' for bound in metric.buckets)}." if metric.buckets else ""
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help}{bounds} |"


def _shown() -> Iterator[str]:
    defaults = ObserveSettings()
    for key in fields(defaults):
        if key.name.endswith("_bytes"):
            yield f"| `{key.name}` | {quantity(getattr(defaults, key.name), 'bytes')} | {key.metadata['help']} |"
        elif key.name.endswith("_per_s"):
            yield f"| `{key.name}` | {getattr(defaults, key.name):g} | {key.metadata['help']} |"


def _bounds(found: list[dict[str, Any]]) -> Iterator[str]:
    """A row for each parameter that is a bound: a number by its name, or by the first word that is said of it."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for spec in sorted(found, key=lambda spec: str(spec["name"])):
        for name, schema in spec["schema"].get("properties", {}).items():
            said = schema.get("description", "")
            is_bound = name.startswith("max_") or said.startswith(("Longest ", "Most "))
            if is_bound and schema.get("type") in ("integer", "number"):
                unit = "bytes" if name.endswith("_bytes") else "seconds" if name.endswith("_s") else ""
                rows.setdefault((name, quantity(schema["default"], unit), said), []).append(f"`{spec['name']}`")
    yield from (
        f"| `{name}` | {default} | {said} | {', '.join(names)} |" for (name, default, said), names in sorted(rows.items())
    )


def _sections(found: list[dict[str, Any]]) -> Iterator[str]:
    order = [*KINDS]
    by_kind = sorted(found, key=lambda spec: (order.index(_kind(spec)), spec["name"]))
    for kind, members in groupby(by_kind, _kind):
        yield f"## {KINDS[kind]}\n"
        yield "| Component | | Tags | Distribution |\n|---|---|---|---|"
        yield from map(_row, members)
        yield ""


def _kind(spec: Mapping[str, Any]) -> str:
    return "SOURCE" if spec["fetches"] else str(spec["kind"])


def _row(spec: Mapping[str, Any]) -> str:
    summary = re.split(r"\n\n|(?<=[.])\s", spec["doc"].strip(), maxsplit=1)[0]
    said = re.sub(r"\s+", " ", summary).replace("``", "`").replace("|", "\\|")
    return f"| `{spec['name']}` | {said} | {', '.join(spec['tags'])} | {spec['distribution']} |"


if __name__ == "__main__":
    for path, text in pages(specs()).items():
        path.write_text(text, encoding="utf-8")
