"""Schemas of PostgreSQL: each test has one of its own in the database of the session."""

from __future__ import annotations

import hashlib
from typing import Any


def schema_of(db: Any, url: str, name: str) -> str:
    """The address at which all tables are in a schema of that name; ``db`` looks into it from now on."""
    schema = "t" + hashlib.blake2b(name.encode(), digest_size=10).hexdigest()
    db.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    db.execute(f"SET search_path = {schema}, public")
    return f"{url}?options=-csearch_path%3D{schema},public"
