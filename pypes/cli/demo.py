"""``pypes demo``: a server, real documents that every machine has, and a search, in one command."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
import urllib3
from rich.console import Console

from pypes.cli.feed import feed_with_progress
from pypes.cli.feeding.posting import Feeder
from pypes.cli.feeding.walking import files_of
from pypes.errors import Unavailable

SUFFIXES = ("html", "txt", "py", "json", "csv", "rst")
QUERY = "regular expression"
USUAL_PORT = 8080
READY_S = 30.0
POLL_S = 0.05
STOP_S = 40.0
SHOWN_FAILURES = 5


@click.command()
@click.option("--graphs", default="graphs", show_default=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), help="Data directory to keep; by default a temporary one."
)
@click.option("--files", "max_files", type=click.IntRange(1), help="Most files to feed.")
@click.option("--exit", "exits", is_flag=True, help="Stop after the search instead of leaving the server running.")
def demo(graphs: Path, data: Path | None, max_files: int | None, exits: bool) -> None:
    """Start a server, feed it Python's own library, search it, and leave it running until Ctrl-C."""
    console = Console(highlight=False, soft_wrap=True)
    # told to end, or the terminal is closed: as with Ctrl-C, the server must not stay behind
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
    with contextlib.ExitStack() as stack:
        if data is None:
            data = Path(tempfile.mkdtemp(prefix="pypes-demo-"))
            stack.callback(shutil.rmtree, data, ignore_errors=True)
        data.mkdir(parents=True, exist_ok=True)
        try:
            server, address = stack.enter_context(_server(console, graphs, data))
            _feed(console, address, max_files)
            _search(console, data / "search.db")
            if not exits:
                _stay(console, server, address, data)
        except KeyboardInterrupt:
            console.print("\nstopping")


@contextlib.contextmanager
def _server(console: Console, graphs: Path, data: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A server of our own, ready; it is stopped and waited for at the end, whatever happens."""
    port = _free_port()
    address = f"http://127.0.0.1:{port}"
    log = data / "server.log"
    command = [sys.executable, "-m", "pypes", "serve", "--bind", f"127.0.0.1:{port}", "--data", str(data)]
    command += ["--graphs", str(graphs), "--default", "search"]
    started_s = time.monotonic()
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        _wait_until_ready(server, address, log)
        console.print(f"server ready at [bold]{address}[/] after {time.monotonic() - started_s:.1f} s, data in {data}")
        yield server, address
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.send_signal(signal.SIGTERM)
        try:
            server.wait(STOP_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _free_port() -> int:
    """The usual port if nobody has it, else one that is free."""
    for port in (USUAL_PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise Unavailable("no port is free on 127.0.0.1", code="demo.no_port")


def _wait_until_ready(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline_s = time.monotonic() + READY_S
    with urllib3.PoolManager(retries=False) as http:
        while time.monotonic() < deadline_s and server.poll() is None:
            with contextlib.suppress(urllib3.exceptions.HTTPError):
                if http.request("GET", f"{address}/readyz", timeout=1.0).status == 200:
                    return
            time.sleep(POLL_S)
    tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
    raise Unavailable(f"the server did not become ready; the end of its log:\n{tail}", code="demo.not_ready")


def _feed(console: Console, address: str, max_files: int | None) -> None:
    library = Path(sysconfig.get_paths()["stdlib"])
    files = [file for file in files_of([library], SUFFIXES) if "site-packages" not in file.path.parts][:max_files]
    size = sum(file.size for file in files)
    console.print(f"feeding {len(files)} files of Python's library ({size / 1e6:.1f} MB) from {library}")
    started_s = time.monotonic()
    feeder = Feeder(address, batch=32)
    report = feed_with_progress(console, files, feeder, follow=True)
    feeder.close()
    passed_s = time.monotonic() - started_s
    console.print(
        f"[bold]{report.published} documents published[/] in {passed_s:.1f} s:"
        f" {report.published / passed_s:,.0f} documents/s, {report.sent_bytes / 1e6 / passed_s:.1f} MB/s;"
        f" {report.dropped} dropped, {report.failed} failed, {len(report.failures)} refused"
    )
    for path, reason in report.failures[:SHOWN_FAILURES]:
        console.print(f"  refused: {path}: {reason}", markup=False)


def _search(console: Console, database: Path) -> None:
    command = Path(sys.executable).with_name("pypes-search")
    console.print(f'\n$ pypes-search {database} "{QUERY}"', markup=False)
    if subprocess.run([command, str(database), QUERY, "--limit", "5"], check=False).returncode:
        raise Unavailable("the search found nothing; see what the server said above", code="demo.nothing_found")


def _stay(console: Console, server: subprocess.Popen[bytes], address: str, data: Path) -> None:
    console.print(f"\nThe server is at [bold]{address}[/]. In another terminal:\n")
    console.print(f"  curl -H 'Content-Type: text/plain' --data 'a marmalade sandwich' {address}/docs", markup=False)
    console.print(
        f"  {os.path.relpath(Path(sys.executable).with_name('pypes-search'))} {data / 'search.db'} marmalade\n", markup=False
    )
    console.print("Ctrl-C ends it.")
    if server.wait():
        raise Unavailable(f"the server ended with exit code {server.returncode}; see its log", code="demo.server_died")
