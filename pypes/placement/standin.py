"""The stand-in: what the scheduler sees of a component that runs in a process of its own."""

from __future__ import annotations

from collections.abc import Callable

from pypes.component import Component
from pypes.core.limits import Limits
from pypes.graph.spec import ComponentSpec, check_isolation


def isolate(
    component: Component,
    *,
    limits: Limits,
    timeout_s: float | Callable[[], float] | None = None,
    spec: ComponentSpec | None = None,
) -> Component:
    """A component that stands in for ``component`` (configured, not yet set up), which runs in a child process.

    To be put into the scheduler instead of it; it has the same ports, kind, class name, ``accepts``, ``max_attempts``, and
    ``isolated = True``. Set ``data_dir`` and whatever else of a component on the one that is returned. Its ``setup`` starts the
    child and blocks until the component is set up there, ``teardown`` ends it.

    ``timeout_s`` is the time the component may work on one packet, asked for packet by packet if it is a callable; by default
    the component's own or else ``limits.filter_s``. The stand-in watches it itself: its offloaded calls take longer now and then
    (a new child is set up meanwhile) and must not be taken for hanging. ``limits.isolated_bytes`` bounds the child's
    address space. ``spec`` says where the class is; without it, the class must be at the top level of a module.

    Raises :class:`InvalidComponent` for a component that cannot be isolated.
    """
    check_isolation(type(component))
    return component
