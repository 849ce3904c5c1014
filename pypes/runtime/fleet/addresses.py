"""The addresses of a fleet's nodes: of a file, of a folder that all nodes share, or of a name that leads to all of them."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pypes.core.durable import write_whole
from pypes.errors import InvalidConfig, Unavailable

#: Files in a shared folder, one for each node, that say where it is.
SUFFIX = ".node"

_BY_NAME = {"dns+http": "http", "dns+https": "https"}


@dataclass(frozen=True, slots=True)
class Address:
    """The URL of a node. ``name`` is the same for all nodes and for good; empty where only the node itself can tell."""

    url: str
    name: str = ""


def reader_of(nodes: str) -> Callable[[], list[Address]]:
    """A function that reads the addresses anew; it blocks. Raises :class:`InvalidConfig` for what cannot be one.

    The function raises :class:`Unavailable` if nothing can be read now: what was known goes on then.
    """
    scheme, _, rest = nodes.partition("://")
    if scheme in _BY_NAME and rest:
        url = _checked(f"{_BY_NAME[scheme]}://{rest}", nodes)
        return lambda: resolve(url)
    if "://" in nodes:
        raise InvalidConfig(
            f"must be a file, a folder, or dns+http://NAME:PORT, not {nodes!r}", code="fleet.nodes", where="fleet.nodes"
        )
    path = Path(nodes)
    if path.is_dir():
        return lambda: read_folder(path)
    if not path.is_file():
        raise InvalidConfig(f"{path} is neither a file nor a folder", code="fleet.nodes", where="fleet.nodes")
    with suppress(Unavailable):
        read_file(path)
    return lambda: read_file(path)


def read_file(path: Path) -> list[Address]:
    """The addresses of a file: one URL per line; what follows ``#`` is a comment."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Unavailable(f"{path} cannot be read: {error}", code="fleet.nodes") from error
    found = {}
    for number, line in enumerate(lines, 1):
        if url := line.partition("#")[0].strip():
            url = _checked(url, f"{path}, line {number}")
            found[url] = Address(url, urlsplit(url).netloc)
    if not found:
        raise Unavailable(f"{path} names no node; write the URL of each on a line", code="fleet.nodes")
    return list(found.values())


def read_folder(path: Path) -> list[Address]:
    """The addresses that the nodes themselves have written into a folder."""
    found = []
    try:
        for file in sorted(path.glob(f"*{SUFFIX}")):
            found.append(Address(json.loads(file.read_text(encoding="utf-8"))["url"], file.stem))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unavailable(f"the folder of the fleet, {path}, cannot be read: {error}", code="fleet.nodes") from error
    return found


def enter(path: Path, number: int, url: str) -> None:
    """Write down in the shared folder where a node is, whole or not at all."""
    _checked(url, "url of [fleet]")
    write_whole(path / f"{number}{SUFFIX}", json.dumps({"url": url}).encode())


def resolve(url: str) -> list[Address]:
    """The addresses of all nodes that the name in a URL leads to."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Unavailable(f"the name {parts.hostname} of the fleet leads to no address: {error}", code="fleet.nodes") from error
    hosts = dict.fromkeys(str(address[0]) for *_, address in found)
    return [Address(f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}") for host in hosts]


def _checked(url: str, where: str) -> str:
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not parts.path.strip("/")
    except ValueError:
        is_good = False
    if not is_good:
        raise InvalidConfig(f"must be a URL such as http://10.0.0.1:8080, not {url!r}", code="fleet.nodes", where=where)
    return url.rstrip("/")
