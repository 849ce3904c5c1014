"""Locks of a server on a runtime directory and the port, taken before it starts anything."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import socket
import stat
import time
from pathlib import Path

from pypes.core.addresses import split_bind
from pypes.errors import InvalidConfig, StoreError
from pypes.observe.log_ring import SUFFIX
from pypes.runtime.folders import MAX_RUNTIME_DIR as MAX_RUNTIME_DIR
from pypes.runtime.folders import find_runtime_dir as find_runtime_dir

#: Longest wait until children of a server that was killed let go of the port.
PORT_WAIT_S = 5.0
PORT_POLL_S = 0.02
BACKLOG = 2048


def lock_runtime_dir(data: Path) -> Path:
    """Make :func:`find_runtime_dir`, ours alone, and remove what a server that was killed left there, but for its log lines."""
    path = find_runtime_dir(data)
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise StoreError(
                f"{path} belongs to another user; remove the folder, or set XDG_RUNTIME_DIR", code="store.runtime_dir"
            )
        path.chmod(0o700)
        for entry in path.iterdir():
            if entry.suffix != SUFFIX or entry.name.startswith("."):
                entry.unlink()
    except OSError as error:
        raise StoreError(f"the runtime directory cannot be used: {error}", code="store.runtime_dir", where=str(path)) from error
    return path


def release_runtime_dir(path: Path) -> None:
    """Remove the folder and the sockets in it."""
    shutil.rmtree(path, ignore_errors=True)


def url_of(listener: socket.socket, *, is_tls: bool) -> str:
    """The address of a node that listens there."""
    host, port = listener.getsockname()[:2]
    return f"{'https' if is_tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


async def listen(bind: str, may_wait: bool) -> socket.socket:
    """Bind and listen; raises :class:`InvalidConfig` if that cannot be done.

    ``may_wait``: the last server was killed, so give its children a moment to notice and let go of the port.
    """
    host, port = split_bind(bind)
    deadline = time.monotonic() + (PORT_WAIT_S if may_wait else 0.0)
    while True:
        try:
            return _listen(host, port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < deadline:
                await asyncio.sleep(PORT_POLL_S)
                continue
            hint = "; another program listens there, choose another port" if error.errno == errno.EADDRINUSE else ""
            raise InvalidConfig(
                f"cannot listen on {bind}: {error.strerror or error}{hint}", code="config.bind", where="bind"
            ) from error


def _listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener
