"""``pypes demo``: a server, files of many kinds, and questions about them, in one command."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import urllib3
from rich.console import Console

from pypes.cli.feed import feed_with_progress
from pypes.cli.feeding.posting import Feeder
from pypes.cli.feeding.summary import tell
from pypes.cli.feeding.walking import files_of
from pypes.core.wording import counted
from pypes.errors import InvalidInput, Unavailable

#: Beside the folder with the graphs: files of many kinds, and the documentation.
PATHS = ("samples", "docs")
QUESTIONS = (
    "how does a hole in a card lift a thread?",
    "how much undyed silk is in stock?",
    "what happens when a process is killed?",
)
GRAPH = "documents"
USUAL_PORT = 8080
READY_S = 30.0
POLL_S = 0.05
STOP_S = 40.0
#: Ids of documents: folders of two paths may have files of one name.
TEMPLATE = "{root}/{path}"


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--graphs", default="graphs", show_default=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), help="Data directory to keep; by default a temporary one."
)
@click.option("--exit", "exits", is_flag=True, help="Stop after the questions instead of leaving the server running.")
def demo(paths: tuple[Path, ...], graphs: Path, data: Path | None, exits: bool) -> None:
    """Start a server, feed it the files under PATHS, ask for what they say, and leave it running until Ctrl-C.

    Without PATHS it takes files of many kinds that come with the project, and its documentation.
    """
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
            _feed(console, address, paths or [graphs.parent / name for name in PATHS])
            for question in () if paths else QUESTIONS:
                _ask(console, data / "search.db", question)
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
    command += ["--graphs", str(graphs), "--default", GRAPH]
    started_s = time.monotonic()
    with log.open("wb") as output:
        # whatever pypes.ini says: it is asked on loopback, and shown as http
        environ = {**os.environ, "PYPES_SERVER_TLS_CERT": "", "PYPES_SERVER_TLS_KEY": ""}
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environ)
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


def _feed(console: Console, address: str, paths: Sequence[Path]) -> None:
    files = files_of(paths, template=TEMPLATE)
    if not files:
        raise InvalidInput("there are no files", code="demo.no_files", where=", ".join(map(str, paths)))
    size = sum(file.size for file in files)
    console.print(f"feeding {counted(len(files), 'file')} ({size / 1e6:.1f} MB) from {', '.join(map(str, paths))}", markup=False)
    started_s = time.monotonic()
    feeder = Feeder(address)
    report = feed_with_progress(console, files, feeder, follow=True)
    feeder.close()
    passed_s = time.monotonic() - started_s
    console.print(
        f"[bold]{report.published} documents published[/] in {passed_s:.1f} s;"
        f" {report.dropped} dropped, {report.failed} failed, {len(report.failures)} refused"
    )
    tell(console, "refused", report.failures)
    if report.failed:
        console.print(f"  reasons: curl {address}/deadletters", markup=False)


def _ask(console: Console, database: Path, question: str) -> None:
    console.print(f'\n$ pypes ask {database} "{question}"', markup=False)
    command = [sys.executable, "-m", "pypes", "ask", str(database), question, "--limit", "2"]
    if subprocess.run(command, check=False).returncode:
        raise Unavailable("nothing was found; see what the server said above", code="demo.nothing_found")


def _stay(console: Console, server: subprocess.Popen[bytes], address: str, data: Path) -> None:
    pypes = os.path.relpath(Path(sys.executable).with_name("pypes"))
    console.print(f"\nThe server is at [bold]{address}[/]. In another terminal:\n")
    for command in (
        f"{pypes} feed {address} FOLDER --wait",
        f'{pypes} ask {data / "search.db"} "your question"',
        f"curl '{address}/search?q=loom'",
    ):
        console.print(f"  {command}", markup=False)
    console.print("\nCtrl-C ends it.")
    if server.wait():
        raise Unavailable(f"the server ended with exit code {server.returncode}; see its log", code="demo.server_died")
