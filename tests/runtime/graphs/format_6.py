"""``control.db`` as releases before format 7 had it: filters that are drafts, and wires between them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

#: Turns the tables of drafts back.
AS_IT_WAS_IN_6 = """
    drop table drafts; drop table filters; drop table composites; drop table newest;
    alter table graphs drop column expanded; alter table graphs drop column composites;
    create table drafts (id text primary key, component text not null, params text not null, created real not null) without rowid;
    create table wires (graph text not null, source text not null, target text not null, created real not null,
        primary key (graph, source, target)) without rowid;
"""


def turn_back(path: Path, filters: dict[str, tuple[str, dict[str, Any]]], wires: Iterable[tuple[str, str, str]]) -> None:
    """Make a file one of format 6, with filters by their ids, and wires (graph, source, target) as they were drawn."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript(f"{AS_IT_WAS_IN_6} pragma user_version = 6;")
        rows = [(id, component, json.dumps(params), 1.0) for id, (component, params) in filters.items()]
        db.executemany("insert into drafts values (?, ?, ?, ?)", rows)
        db.executemany("insert into wires values (?, ?, ?, ?)", [(*wire, float(n)) for n, wire in enumerate(wires)])
        db.commit()
