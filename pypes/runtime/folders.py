"""Folders of a node: where its sockets lie, and what no parameter may lead into."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from pypes.config import Settings
from pypes.core.paths import STORE, Paths

#: Longest path of the runtime directory; those of unix sockets end at 104 (macOS) or 108 bytes.
MAX_RUNTIME_DIR = 80


def find_runtime_dir(data: Path) -> Path:
    """The folder for the unix sockets of the server on ``data``: a short path, the same every time."""
    name = f"pypes-{os.getuid()}-{hashlib.sha256(os.fsencode(data.resolve())).hexdigest()[:8]}"
    candidates = [Path(base) / name for base in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp") if base]
    return next((p for p in candidates if len(os.fsencode(p)) <= MAX_RUNTIME_DIR and p.parent.is_dir()), candidates[-1])


def paths_of(settings: Settings) -> Paths:
    """The rules for paths in parameters on the node with these settings."""
    server, data = settings.server, settings.server.data
    own: list[tuple[Path | None, str]] = [(data / name, "the node's own store") for name in STORE]
    own += [
        (find_runtime_dir(data), "the node's runtime directory"),
        (server.fleet, "the folder of the fleet"),
        (server.token_file, "the node's token"),
        (server.tls_key, "the key of the node's certificate"),
        (settings.callbacks.secret_file, "the secret of callbacks"),
        (settings.fleet.secret_file, "the secret of the fleet"),
        (settings.observe.otlp_headers_file, "the key of the collector"),
        (settings.source, "the node's configuration"),
        *((path, "a file of components") for path in server.load),
    ]
    home = data.resolve()
    # a folder around the data directory, such as one that a fleet shares, does not take that from publishers
    kept = [(path, what) for path, what in own if path is not None and not home.is_relative_to(path.resolve())]
    return Paths(
        data_dir=str(data),
        roots=tuple(map(str, settings.components.roots)),
        own=tuple((str(path), what) for path, what in kept),
        graphs=str(server.graphs),
        modules=settings.components.modules,
    )
