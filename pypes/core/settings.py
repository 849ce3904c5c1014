"""Settings of a node: the sections ``[server]``, ``[queue]``, ``[components]``, ``[callbacks]``, ``[fleet]``, ``[log]``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pypes.core.machine import cores, machine_memory_bytes


def _key(default: Any, help: str, **more: Any) -> Any:
    if callable(default):
        return field(default_factory=default, metadata={"help": help, **more})
    return field(default=default, metadata={"help": help, **more})


def _path(default: str | None, help: str) -> Any:
    return _key(Path(default) if default else None, help)


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Section ``[server]``."""

    bind: str = _key("127.0.0.1:8080", "Address and port to listen on; port 0 takes a free one.")
    workers: int = _key(
        lambda: min(4, (cores() + 3) // 4),
        "Ingest processes; one takes tens of thousands of POSTs a second.",
        shown="one per four cores",
    )
    instances: int = _key(lambda: cores(), "Processes that run the graphs.", shown="one per core")
    data: Path = _path("data", "Folder for everything that must survive a restart; one server at a time.")  # noqa: RUF009 - a field
    graphs: Path = _path("graphs", "Folder of graphs (*.json): deployed when their content changed.")  # noqa: RUF009 - a field
    watch: bool = _key(True, "Deploy graph files as soon as they change.")
    default: str = _key(
        "",
        "Graph for documents whose route no graph names; empty: the only graph, or the only one without routes.",
    )
    strict_routes: bool = _key(
        False, "Refuse documents whose route no graph names (404, route.unknown), instead of giving them to the default graph."
    )
    token_file: Path | None = _path(None, "File that holds the bearer token; the variable PYPES_TOKEN may hold it instead.")  # noqa: RUF009 - a field
    tls_cert: Path | None = _path(None, "File with the certificate for TLS, and those of its issuers (PEM); reread on SIGHUP.")  # noqa: RUF009 - a field
    tls_key: Path | None = _path(None, "File with the private key of the certificate (PEM, not encrypted).")  # noqa: RUF009 - a field
    hosts: tuple[str, ...] = _key((), "Further names under which clients reach the server (Host header), e.g. pypes.example.com.")
    proxies: tuple[str, ...] = _key(
        (), "Networks of the proxies before the node, e.g. 10.0.0.0/8, whose X-Forwarded-For, -Proto and -Host count; none."
    )
    origins: tuple[str, ...] = _key((), "Web origins that may change state from a browser, e.g. https://editor.example.com.")
    load: tuple[Path, ...] = _key((), "Python files whose components are registered without being packaged; reread on SIGHUP.")
    insecure: bool = _key(False, "Listen beyond loopback without a token.")
    max_memory_bytes: int = _key(
        lambda: machine_memory_bytes() * 3 // 4 // cores(),
        "Memory of one instance; a document that needs more fails.",
        shown="three quarters of the machine's over its cores",
    )
    rolling: bool = _key(
        False, "Replace instances one by one instead of all beside the old ones: slower, but without twice the memory."
    )
    setup_s: float = _key(60.0, "Longest time for the filters of a graph to set up; after that its deployment fails.")
    consolidate_s: float = _key(
        60.0, "Time without a deployment after which the instances of several become one set again; 0: never."
    )
    fleet: Path | None = _path(None, "Folder that the nodes of a fleet share, for graphs whose sources one of them runs.")  # noqa: RUF009 - a field


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """Section ``[queue]``."""

    durability: str = _key(
        "always", "always: synced before 202; interval: every interval_s; never.", options=("always", "interval", "never")
    )
    interval_s: float = _key(1.0, "Time between two syncs when durability is interval; that much may be lost to a power cut.")


@dataclass(frozen=True, slots=True)
class ComponentSettings:
    """Section ``[components]``."""

    roots: tuple[Path, ...] = _key(
        (), "Folders that must contain all paths in parameters, besides the data folder; empty: any folder but the node's own."
    )
    modules: tuple[str, ...] = _key(
        (), "Modules whose functions graphs may call (component Call), with those below them; none by default."
    )
    pythons: tuple[str, ...] = _key(
        (), "Interpreters that the pools of graphs may name, whole paths; those of [pool:NAME] here need not be listed."
    )


@dataclass(frozen=True, slots=True)
class CallbackSettings:
    """Section ``[callbacks]``."""

    hosts: tuple[str, ...] = _key((), "Hosts (host or host:port) to which finished receipts may be posted; none by default.")
    secret_file: Path | None = _path(None, "File that holds the secret with which callbacks are signed (HMAC-SHA256).")  # noqa: RUF009 - a field


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """Section ``[fleet]``."""

    nodes: str = _key(
        "",
        "The nodes that answer for each other: a file with one URL per line, a folder that they share, or dns+http://NAME:PORT; "
        "empty: this node is by itself.",
        is_path_or_url=True,
    )
    secret_file: Path | None = _path(  # noqa: RUF009 - a field
        None, "File with the secret that the nodes share; on further lines, those that hold as well, to replace it."
    )
    url: str = _key("", "URL at which the others reach this node, to be written into the shared folder; empty: its host's name.")
    require_key_owner: bool = _key(
        True, "Refuse documents with an Idempotency-Key (503) while the node that owns it is away; no: they may come twice then."
    )
    patience_s: float = _key(
        15.0, "Longest wait for a node that restarts, of requests that need it, before they are answered 503."
    )
    ca_file: Path | None = _path(  # noqa: RUF009 - a field
        None, "Certificates (PEM) that those of the nodes are checked with, where they speak TLS; empty: those of the system."
    )
    require: str = _key(
        "auto",
        "Nodes that must answer for a graph to be changed: all, majority, reachable, or auto: the majority, of two nodes those "
        "that can be reached.",
        options=("auto", "all", "majority", "reachable"),
    )


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Section ``[log]``."""

    level: str = _key("INFO", "DEBUG, INFO, WARNING or ERROR.", options=("DEBUG", "INFO", "WARNING", "ERROR"))
    format: str = _key(
        "auto", "auto (console on a terminal, otherwise json), console or json.", options=("auto", "console", "json")
    )
