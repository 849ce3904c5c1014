"""Feeding a node with the files of the corpus, kind by kind, and what became of them."""

from __future__ import annotations

import json
import random
import re
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks.corpus.second import Recall, recall
from benchmarks.measure import processor_s
from pypes.cli.feeding.posting import Feeder
from pypes.cli.feeding.report import Report
from pypes.cli.feeding.walking import File, media_type
from pypes.testing.node import Node

ROOT: Final = Path(__file__).parents[2]
#: Files of each kind that a second reader reads, and the share of its words that must be there.
SAMPLED: Final = 40
ENOUGH: Final = 0.97
#: Kinds that no second reader reads as a whole.
UNCOMPARED: Final = ("arrow", "feed", "parquet")
#: Types of files whose names do not say them.
TYPES: Final = {"mail": "message/rfc822", "feed": "application/xml", "rest": "text/plain"}


def graph() -> dict[str, Any]:
    """The graph ``documents``, as it is shipped."""
    found: dict[str, Any] = json.loads((ROOT / "graphs" / "documents.json").read_text(encoding="utf-8"))
    return found


@dataclass(slots=True)
class Read:
    """What became of the files of one kind.

    ``pages`` are those of all documents; ``causes`` has for each code of dead letters their number and an example; ``recalls``
    are of the sampled files, the lowest first.
    """

    kind: str
    report: Report
    passed_s: float
    cpu_s: float
    pages: int
    causes: dict[str, tuple[int, str]]
    recalls: list[tuple[Recall, str]]


def read(node: Node, kind: str, paths: Sequence[Path], place: Path) -> Read:
    """Post the files of a kind and follow them to their ends; files are named by their paths below ``place``."""
    files = [_file(kind, path, place) for path in paths]
    assert node.process is not None
    top = psutil.Process(node.process.pid)
    before_cpu_s, began_s = processor_s(top), time.monotonic()
    feeder = Feeder(f"{node.url}/docs/{kind}", batch=8)
    feeder.feed(files)
    report = feeder.follow()
    feeder.close()
    passed_s, cpu_s = time.monotonic() - began_s, processor_s(top) - before_cpu_s
    texts = _texts(node, kind)
    pages = sum(pages for _, pages in texts.values())
    return Read(kind, report, passed_s, cpu_s, pages, _causes(node, kind), _recalls(kind, files, texts))


def _recalls(kind: str, files: Sequence[File], texts: Mapping[str, tuple[str, int]]) -> list[tuple[Recall, str]]:
    if kind in UNCOMPARED:
        return []
    found = []
    for file in random.Random(kind).sample(files, min(SAMPLED, len(files))):
        said = texts.get(str(file.id))
        share = None if said is None else recall(file.path, kind, said[0])
        if share is not None:
            found.append((share, file.name))
    return sorted(found, key=lambda one: (one[0].words, one[1]))


def _file(kind: str, path: Path, place: Path) -> File:
    name, stat = str(path.relative_to(place)), path.stat()
    return File(path, name, place, stat.st_size, stat.st_mtime_ns, name, TYPES.get(kind) or media_type(path))


def _causes(node: Node, kind: str) -> dict[str, tuple[int, str]]:
    """Of each code of dead letters of a route: how many there are, and what one of them says."""
    groups = node.get(f"/deadletters?group=code&route={kind}").json()["groups"]
    found: dict[str, tuple[int, str]] = {}
    for group in groups:
        (letter,) = node.get(f"/deadletters?limit=1&route={kind}&code={group['code']}").json()["deadletters"]
        before, _ = found.get(group["code"], (0, ""))
        found[group["code"]] = (before + group["count"], letter["error"].splitlines()[0])
    return found


def _texts(node: Node, kind: str) -> dict[str, tuple[str, int]]:
    """Of each document of a route in the index: what all its parts say, and how many pages it has."""
    texts: dict[str, list[str]] = {}
    pages: dict[str, int] = {}
    with sqlite3.connect(f"file:{node.base / 'data' / 'search.db'}?mode=ro", uri=True) as db:
        rows = db.execute("SELECT id, title, text, fields FROM documents WHERE route = ? ORDER BY key", (kind,))
        for id, title, text, fields in rows:
            texts.setdefault(id, [title]).append(text)
            page = re.search(r'"page_end":(\d+)', fields)
            if page:
                pages[id] = max(pages.get(id, 0), int(page[1]))
    return {id: ("\n".join(parts), pages.get(id, 0)) for id, parts in texts.items()}
