"""What the tests of README.md and docs/ share: fenced blocks, a place to run them in, servers, and a shell that remembers.

A document is run from top to bottom in one place. What its fences mean (see docs/README.md)::

    console     lines that begin with ``$ `` are commands (``> `` continues one), the others what they print
    python      a program that must succeed; comments behind its ``print`` calls say what they print
    LANG NAME   a file of that name in the working directory; a Python file is run as well, but for setup.py
    text        shown only

``…`` in what is printed stands for anything. The address 127.0.0.1:8080 stands for that of the running server, which is
the one that the latest ``pypes serve`` started. A command that ends with ``&`` goes on in the background until the document
ends; the ports 8081 to 8099 of 127.0.0.1 stand for free ones. A command may fail only if what it prints is shown.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import urllib3

from pypes.testing.node import free_port, share_descriptions
from tests.needed import missing

ROOT = Path(__file__).parent.parent
ADDRESS = "127.0.0.1:8080"
READY_S = 30.0
STOP_S = 30.0
#: Addresses of further servers of a document, beside the one at :data:`ADDRESS`.
_FURTHER = r"127\.0\.0\.1:80(?:8[1-9]|9\d)\b"
MARK = "--- end of the command, status"


@dataclass(frozen=True)
class Block:
    """A fenced block; ``name`` is what stands behind the language, ``line`` where its text begins."""

    language: str
    name: str
    text: str
    line: int


def blocks_of(document: str) -> list[Block]:
    """All fenced blocks of a document, in order."""
    found = re.finditer(r"^```(\w*)[ ]?(.*)\n(?s:(.*?))^```$", document, re.MULTILINE)
    return [Block(m[1], m[2].strip(), m[3], document.count("\n", 0, m.start(3)) + 1) for m in found]


def furnish(place: Path) -> Path:
    """Make a directory look like the root of the project, so that what runs there leaves nothing in the project."""
    for name in ("README.md", "deploy", "docs", "graphs", "pypes", "samples"):
        (place / name).symlink_to(ROOT / name)
    (place / ".venv").mkdir()
    (place / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    (place / ".curlrc").write_text("silent\nfail-with-body\n")
    return place


def environ(place: Path) -> dict[str, str]:
    """The environment of a newcomer who has activated .venv; pip installs into the place."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYPES_", "PYTHONPATH", "PYTEST_"))}
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}{os.pathsep}/usr/sbin",
        "CURL_HOME": str(place),
        "XDG_STATE_HOME": str(place / ".state"),
        "PYTHONPATH": str(place / "site"),
        "PIP_TARGET": str(place / "site"),
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads it as the value of build isolation
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
    }


@contextlib.contextmanager
def server(command: str, place: Path) -> Iterator[str]:
    """Start ``pypes serve …`` on a free port instead of 8080; yields its ``host:port``, and has it drain at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"127.0.0.1:{port}"
    bound = command.replace(":8080", f":{port}") if "--bind" in command else f"{command} --bind {address}"
    log = place / "server.log"
    share_descriptions(place / "data")
    with log.open("ab") as file:
        process = subprocess.Popen(["bash", "-c", f"exec env {bound}"], cwd=place, env=environ(place), stdout=file, stderr=file)
    try:
        _wait_until_ready(process, address, log)
        yield address
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_S) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline_s = time.monotonic() + READY_S
    with urllib3.PoolManager(retries=False) as http:
        while time.monotonic() < deadline_s and process.poll() is None:
            with contextlib.suppress(urllib3.exceptions.HTTPError):
                if http.request("GET", f"http://{address}/readyz", timeout=1.0).status == 200:
                    return
            # one that speaks TLS is not asked: who trusts it is for the document to say
            if f'"event": "ready", "url": "https://{address}"' in log.read_text():
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
    raise AssertionError(f"not ready:\n{log.read_text()}")


class Shell:
    """One bash for a whole document, so that variables keep their values."""

    def __init__(self, place: Path) -> None:
        self._process = subprocess.Popen(
            ["bash"],
            cwd=place,
            env=environ(place),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # what it starts in the background ends with it
            start_new_session=True,
        )

    def run(self, command: str) -> tuple[int, str]:
        """Run one command; returns its exit status and what it printed, on standard output and error."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # its standard input must not be ours, from which bash reads the next command
        self._process.stdin.write(f"{{ {command}\n}} </dev/null\necho; echo '{MARK}' $?\n")
        self._process.stdin.flush()
        printed: list[str] = []
        for line in self._process.stdout:
            if line.startswith(MARK):
                return int(line.removeprefix(MARK)), "".join(printed)
            printed.append(line)
        raise AssertionError(f"bash ended at {command!r}:\n{''.join(printed)}")

    def close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Runner:
    """Runs the blocks of one document in ``place``. Use as a context manager."""

    def __init__(self, place: Path) -> None:
        self.place = furnish(place)
        self._shell = Shell(self.place)
        self._servers = contextlib.ExitStack()
        self._address = ADDRESS
        self._ports: dict[str, str] = {}

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            # passed on, so that a server is not asked to drain when something has failed already
            self._servers.__exit__(*exception)  # type: ignore[arg-type]
        finally:
            self._shell.close()

    def run(self, block: Block) -> None:
        text = self._there(block.text)
        if block.name:
            path = self.place / block.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        if block.language == "console":
            for command, shown in commands_of(block.text):
                self._command(command, shown)
        elif block.language == "python" and not block.name.endswith("setup.py"):  # that is run by pip
            self._program(block.name, text)
        elif block.language == "json" and not block.name:
            json.loads(text)

    def _command(self, command: str, shown: str) -> None:
        is_background = command.endswith("&")
        if re.match(r"(\w+=\S+ )*pypes serve\b", command) and not is_background:
            self._servers.close()
            self._address = self._servers.enter_context(server(command, self.place))
            return
        if is_background:
            _prepare(command, self.place)
        command, shown = self._there(command), self._there(shown)
        status, printed = self._shell.run(command)
        assert status == 0 or shown, f"{command}\nstatus {status}: {printed}"
        if shown:
            assert matches(shown, printed), f"{command}\nprints\n{printed}\nand not\n{shown}"

    def _there(self, text: str) -> str:
        """The text with the addresses of this run."""
        return re.sub(_FURTHER, self._further, text.replace(ADDRESS, self._address))

    def _further(self, found: re.Match[str]) -> str:
        if found[0] not in self._ports:
            self._ports[found[0]] = f"127.0.0.1:{free_port()}"
        return self._ports[found[0]]

    def _program(self, name: str, text: str) -> None:
        command = [sys.executable, *([name] if name else ["-c", text])]
        done = subprocess.run(command, cwd=self.place, env=environ(self.place), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        shown = "\n".join(re.findall(r"^\s*print\(.*\)  # (.*)$", text, re.MULTILINE))
        assert matches(shown, done.stdout), f"it prints\n{done.stdout}\nand not\n{shown}"


def _prepare(command: str, place: Path) -> None:
    """See to it that a command to go on in the background can start."""
    words = command.split()
    if words[:2] == ["pypes", "serve"]:
        share_descriptions(place / words[words.index("--data") + 1])
    elif words[0].isalnum() and shutil.which(words[0], path=environ(place)["PATH"]) is None:
        missing(f"{words[0]} is not there: apt-get install {words[0]}")


def commands_of(text: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with what it is shown to print."""
    found: list[tuple[list[str], list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append(([line[2:]], []))
        elif line.startswith("> ") and not found[-1][1]:
            found[-1][0].append(line[2:])
        else:
            found[-1][1].append(line)
    return [("\n".join(command), "\n".join(shown)) for command, shown in found]


def matches(shown: str, printed: str) -> bool:
    """True if ``printed`` is what is shown, where … stands for anything, and blanks around it do not count."""
    pattern = ".*?".join(re.escape(part) for part in shown.strip().split("…"))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None
