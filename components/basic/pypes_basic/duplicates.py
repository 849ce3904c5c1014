"""Duplicates: which document had a content first, as a store of the filter remembers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from pypes.component import Changes, Store

#: A document by its name, and its content; an empty one is remembered no more, and is nobody's duplicate.
Document = tuple[str, bytes]


class Judge(Protocol):
    """Tells duplicates, and remembers those that are none."""

    def first(self, store: Store, documents: Sequence[Document]) -> list[str]:
        """For each document the name of the one that has its content: its own if there was none before. Blocks."""


class Exact:
    """By a hash of the content. The store has ``c`` and the hash → name, and ``n`` and the name → hash."""

    def first(self, store: Store, documents: Sequence[Document]) -> list[str]:
        found: list[str] = []

        def decide(entries: Mapping[str, bytes]) -> Changes:
            found.clear()  # it may be called again
            known: dict[str, bytes | None] = dict(entries)
            changed: dict[str, bytes | None] = {}

            def put(key: str, value: bytes | None) -> None:
                known[key] = changed[key] = value

            for name, content in documents:
                mine, of_content = f"n{name}", f"c{content.hex()}"
                before = known.get(mine)
                if before is not None and before != content:
                    put(f"c{before.hex()}", None)
                    put(mine, None)
                if not content:
                    found.append("")
                    continue
                owner = known.get(of_content)
                found.append(owner.decode("utf-8", "surrogatepass") if owner is not None else name)
                if owner is None:
                    put(of_content, name.encode("utf-8", "surrogatepass"))
                    put(mine, content)
            return Changes(changed)

        keys = {f"n{name}" for name, _ in documents} | {f"c{content.hex()}" for _, content in documents if content}
        store.change([*keys], decide)
        return found
