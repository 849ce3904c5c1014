"""Checks at the start of a node: settings that name a folder or a graph that is not there, and a disk that is too small."""

from __future__ import annotations

import contextlib
import difflib
import logging
import shutil

import orjson

from pypes.config import Settings
from pypes.core.addresses import is_loopback, split_bind
from pypes.errors import InvalidConfig, Problem
from pypes.runtime.fleet.addresses import reader_of
from pypes.runtime.graphs.files import SUFFIX
from pypes.runtime.graphs.store import ControlStore

log = logging.getLogger(__name__)


def check_start(settings: Settings, store: ControlStore) -> None:
    """Raise :class:`InvalidConfig` for a given ``graphs`` that is no folder, a ``default`` that no graph is named, and for
    ``nodes`` of a fleet that are none.

    Only at start: a node that runs outlives its folder. A node without any graph takes every ``default``, since its graphs may
    be deployed over HTTP. A graph that was deployed once and is deleted is no mistake of the settings, and the node starts.
    """
    if settings.fleet_secrets:
        reader_of(settings.fleet.nodes)
    problems = []
    folder, default = settings.server.graphs, settings.server.default
    if "server.graphs" in settings.given and not folder.is_dir():
        what = "is no folder" if folder.exists() else "is not there"
        problems.append(
            Problem("graphs", f"{folder} {what}; create the folder, or name the one with the graph files", "config.graphs")
        )
    elif default and default not in (known := _known(settings, store)) and known and not store.versions(default):
        near = difflib.get_close_matches(default, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
        problems.append(Problem("default", f"there is no graph {default!r}, deployed or in {folder}; {hint}", "config.default"))
    if problems:
        raise InvalidConfig("the node cannot start with this configuration", problems=problems)


def _known(settings: Settings, store: ControlStore) -> set[str]:
    """Names of the graphs that are deployed or in files, valid or not: the log says what is wrong with a file."""
    names = set(store.live())
    for path in settings.server.graphs.glob(f"*{SUFFIX}"):
        names.add(path.stem)
        with contextlib.suppress(OSError, ValueError, AttributeError):
            found = orjson.loads(path.read_bytes()).get("name")
            names |= {found} if isinstance(found, str) else set()
    return names


def warn_of_settings(settings: Settings, *, has_tokens: bool) -> None:
    """Log each setting that a node starts with and that may be a mistake."""
    warn_of_disk(settings)
    warn_of_network(settings, has_tokens=has_tokens)


def warn_of_network(settings: Settings, *, has_tokens: bool) -> None:
    """Log it if tokens travel in the clear: the node is reached from elsewhere, without TLS of its own and without a proxy."""
    host, _ = split_bind(settings.server.bind)
    is_open = not is_loopback(host) and settings.tls is None and not settings.server.proxies
    if is_open and (has_tokens or settings.token is not None):
        log.warning(
            "tokens and documents travel in the clear: give tls_cert and tls_key, or name the proxies that do TLS (proxies)",
            extra={"bind": settings.server.bind},
        )


def warn_of_disk(settings: Settings) -> None:
    """Log it if the disk of the data directory cannot hold what the limits allow, with what the shards have already."""
    limits, shards = settings.limits, settings.server.data / "shards"
    used = sum(path.stat().st_size for path in shards.glob("*/queue.db*"))
    needed = settings.server.workers * (limits.queue_max_bytes + limits.dead_letters_bytes + limits.receipts_bytes)
    free = shutil.disk_usage(settings.server.data).free
    if used + free < needed:
        log.warning(
            "the disk may become too small for what queue_max_bytes, dead_letters_bytes and receipts_bytes allow",
            extra={"free": free, "used": used, "needed": needed, "folder": str(settings.server.data)},
        )
