"""Making components of a graph: loaded, configured, told where they are. The one place for all processes that run graphs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pypes.component import Component, MemoryStores, Resources, Stores
from pypes.core.paths import Paths
from pypes.core.secrets import Secrets
from pypes.graph.spec import ComponentSpec
from pypes.graph.validation import check_paths, expand
from pypes.observe.hiding import Hiding
from pypes.registry import make


@dataclass(frozen=True)
class Site:
    """The site at which components are made: environment, rules for paths, secrets, the resources that components share, stores.

    Secrets and resources grow with what is made. Stores are in memory, unless it is an instance of a node. ``redact``: patterns
    of names whose values are hidden from people who look at packets.
    """

    paths: Paths = field(default_factory=Paths)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    secrets: Secrets = field(default_factory=Secrets)
    resources: Resources = field(default_factory=Resources)
    stores: Stores = field(default_factory=MemoryStores)
    redact: tuple[str, ...] = ()

    @cached_property
    def hiding(self) -> Hiding:
        """Documents as people may look at them."""
        return Hiding(self.redact, self.secrets)

    def make(self, spec: ComponentSpec, params: Mapping[str, Any], filter: str) -> Component:
        """A component for a filter, configured and not yet set up.

        Raises what :func:`pypes.registry.make` does, and ``InvalidInput`` (``param.path``) for a path that leads astray.
        """
        component = make(spec, self.checked(spec, params), filter, self.secrets.redact)
        component.data_dir = self.paths.data_dir
        component.paths = self.paths
        component.secrets = self.secrets
        component._shares.resources = self.resources
        component._stores = self.stores
        return component

    def checked(self, spec: ComponentSpec, params: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters with the values of variables in place; raises as :meth:`make`."""
        # first, so that no error tells what it was about
        self.secrets.learn(params, self.environ)
        expanded = expand(params, self.environ)
        check_paths(expanded, spec.schema, self.paths)
        return expanded
