"""The library: the composites of a node, as expansion finds them."""

from __future__ import annotations

from pypes.errors import NotFound
from pypes.graph import composite as form
from pypes.graph.expansion import Found
from pypes.runtime.graphs.composite_store import CompositeStore, StoredComposite


class CompositeLibrary:
    """Finds the composites in a store; read again from there when something has changed (:meth:`renew`)."""

    def __init__(self, store: CompositeStore) -> None:
        self.store = store
        #: The newest version of each, by name.
        self.newest: dict[str, StoredComposite] = {}
        self._read: dict[tuple[str, int], Found] = {}
        self.renew()

    def renew(self) -> None:
        """Look which are the newest."""
        self.newest = self.store.all()
        # others are read again when they are asked for
        self._read = {}

    def find(self, name: str, version: int | None) -> Found | None:
        """A version of a composite, by default the newest; ``None`` if there is none of that name, or no such version."""
        newest = self.newest.get(name)
        if newest is None:
            return None
        number = newest.version if version is None else version
        found = self._read.get((name, number))
        if found is None:
            try:
                stored = newest if number == newest.version else self.store.version(name, number)
            except NotFound:
                return None
            found = self._read[name, number] = Found(form.from_obj(stored.composite), number)
        return found
