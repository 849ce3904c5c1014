"""The fleet as the supervisor sees to it: its members, told to the workers."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from pypes.config import Settings
from pypes.runtime.contracts.fleet import Greeting, Member
from pypes.runtime.fleet.addresses import enter, reader_of
from pypes.runtime.fleet.membership import Membership
from pypes.runtime.fleet.secret import FleetAccess
from pypes.runtime.graphs.store import ControlStore
from pypes.runtime.supervisor.arbiter import fleet_access

ANYWHERE = ("0.0.0.0", "::")


def membership_of(
    current: Callable[[], Settings],
    store: ControlStore,
    greeting: Callable[[], Greeting],
    announce: Callable[[list[Member]], None],
    on_failed: Callable[[str], None],
    url: str,
) -> Membership | None:
    """The membership of a node that serves at ``url``, ``None`` if it is in no fleet. Raises :class:`InvalidConfig`.

    ``current()`` are the settings that hold; of those of the fleet, only the secrets change while the node runs.
    """
    settings = current()
    if not settings.fleet_secrets:
        return None
    read = reader_of(settings.fleet.nodes)
    folder = Path(settings.fleet.nodes)
    if "://" not in settings.fleet.nodes and folder.is_dir():
        enter(folder, store.node, settings.fleet.url or _reachable(url))

    def access() -> FleetAccess:
        found = fleet_access(current())
        assert found is not None
        return found

    membership = Membership(read, access, greeting, store, lambda: announce(membership.members), on_failed)
    return membership


def _reachable(url: str) -> str:
    """A URL at which others reach a node that serves at ``url``."""
    parts = urlsplit(url)
    if parts.hostname not in ANYWHERE:
        return url
    return f"{parts.scheme}://{socket.gethostname()}:{parts.port}"
