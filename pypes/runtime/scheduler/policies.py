"""Policies: those that all filters of a graph share."""

from __future__ import annotations

from typing import NamedTuple

from pypes.component import Component, is_publisher
from pypes.runtime.scheduler.breaker import Breakers
from pypes.runtime.scheduler.inheriting import Inheriting
from pypes.runtime.scheduler.jams import Jams
from pypes.runtime.scheduler.naming import Naming
from pypes.runtime.scheduler.provenance import Marks, Provenance
from pypes.runtime.scheduler.published import Published


class Policies(NamedTuple):
    """Relief of jams, rest where a service is away, and reports of what publishers have committed, if anybody wants them."""

    jams: Jams
    resting: Breakers
    published: Published | None
    #: True if filters rest at all; else their packets fail.
    has_breakers: bool
    #: True if somebody asks of which document a packet is: filters name what they make.
    wants_names: bool = False
    #: Names of metadata that reach every packet made of a document.
    inherit: tuple[str, ...] = ()
    #: The marks of the fields that filters set; ``None`` if fields are not marked.
    marks: Marks | None = None

    def provenance(self, filter: str, component: Component) -> Provenance | None:
        """The marking of fields for one filter, if it is wanted; what a publisher publishes is not its own."""
        return Provenance(filter, self.marks) if self.marks is not None and not is_publisher(component) else None

    def naming(self, *, holds: bool) -> tuple[Naming | None, Inheriting | None]:
        """The bookkeeping of names and of inherited metadata for one filter, where they are wanted.

        What a filter makes of packets that it holds is made of all of them, and gets no name.
        """
        inheriting = Inheriting(self.inherit) if self.inherit else None
        return Naming(inheriting) if self.wants_names and not holds else None, inheriting
