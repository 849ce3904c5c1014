"""Write docs/components.md from the components of this project: ``python -m tests.catalogue``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from pypes.cli.commands import pypes

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "components.md"

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


def specs() -> list[dict[str, Any]]:
    """The components of the distributions of this project, as ``pypes components --json`` tells of them."""
    ours = {f"pypes-{path.parent.name}" for path in ROOT.glob("components/*/setup.py")}
    listed = json.loads(CliRunner().invoke(pypes, ["components", "--json"], catch_exceptions=False).stdout)
    return [spec for spec in listed if spec["distribution"] in ours]


def page(found: list[dict[str, Any]]) -> str:
    """The page in Markdown."""
    return "\n".join([HEAD, *_sections(found)])


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
    PAGE.write_text(page(specs()), encoding="utf-8")
