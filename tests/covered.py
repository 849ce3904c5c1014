"""Write docs/coverage.md from the data of a run under coverage: ``python -m tests.covered TESTS…``, as ``make coverage`` does."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from coverage import Coverage

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "coverage.md"


def package_of(path: str) -> str:
    """The package that a file is counted with: a layer of ``pypes``, or a distribution of components."""
    parts = Path(path).parts
    if parts[0] == "components":
        return parts[2]
    return "/".join(parts[:2]) if len(parts) > 2 else "pypes"


def counts(files: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Statements, and how many of them ran, by package; ``files`` is from the JSON report of coverage."""
    found: dict[str, tuple[int, int]] = {}
    for path, measured in files.items():
        statements, ran = found.get(package_of(path), (0, 0))
        summary = measured["summary"]
        found[package_of(path)] = statements + summary["num_statements"], ran + summary["covered_lines"]
    return dict(sorted(found.items()))


def page(found: Mapping[str, tuple[int, int]], tests: Iterable[str], commit: str, date: str, machine: str) -> str:
    """The page in Markdown."""
    rows = [*found.items(), ("all", (sum(total for total, _ in found.values()), sum(ran for _, ran in found.values())))]
    table = "\n".join(f"| `{name}` | {total:,} | {100 * ran / total:.1f} % |" for name, (total, ran) in rows if total)
    return f"""# Coverage

How much of the code a run of the tests executes, all processes that they start included. Processes that a test kills with SIGKILL
leave no data, so code that only such processes ran counts as not run. There is no threshold: the table shows where tests
are thin, and says nothing of what they assert.

Measured on {date} at commit `{commit}`, {machine}, of {", ".join(f"`{each}`" for each in tests)}; `make coverage` measures
again and writes this page.

| Package | Statements | Run |
|---|---|---|
{table}
"""


def main(tests: list[str]) -> None:
    """Read the data in the working directory and write the page."""
    coverage = Coverage()
    coverage.load()
    report = ROOT / ".coverage.json"
    coverage.json_report(outfile=str(report))
    files = json.loads(report.read_text(encoding="utf-8"))["files"]
    report.unlink()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    machine = f"{platform.system()} on {platform.machine()} with {os.cpu_count()} cores, Python {platform.python_version()}"
    text = page(counts(files), tests, commit, f"{datetime.now(UTC):%Y-%m-%d}", machine)
    PAGE.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main(sys.argv[1:])
