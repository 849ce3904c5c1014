"""Firefox, driven by WebDriver BiDi over its own port: what Debian has needs no other program for it."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pypes.testing.node import until
from tests.needed import missing

PROGRAMS = ("firefox-esr", "firefox")
#: Longest wait for an answer, in seconds.
ANSWER_S = 60.0
#: Resolves as soon as an expression is true of the page.
WAITS = "new Promise(done => {{ const look = () => ({0}) ? done(true) : setTimeout(look, 50); look(); }})"


class Socket:
    """A web socket (RFC 6455) of a client, for texts."""

    def __init__(self, address: str) -> None:
        place = urlsplit(address)
        self._socket = socket.create_connection((place.hostname or "", place.port or 0), timeout=ANSWER_S)
        self._file = self._socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        head = f"GET {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self._socket.sendall(f"{head}Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        status = self._file.readline()
        assert b" 101 " in status, status
        while self._file.readline().strip():
            pass

    def send(self, text: str) -> None:
        data, mask = text.encode(), os.urandom(4)
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
        length = struct.pack("!B", 0x80 | len(data)) if len(data) < 126 else struct.pack("!BH", 0xFE, len(data))
        self._socket.sendall(b"\x81" + length + mask + masked)

    def receive(self) -> str:
        """The next text, which may come in several frames."""
        found = b""
        while True:
            first, length = self._file.read(2)
            if length > 125:
                [length] = struct.unpack("!H" if length == 126 else "!Q", self._file.read(2 if length == 126 else 8))
            data = self._file.read(length)
            if first & 0xF in (0, 1):
                found += data
                if first & 0x80:
                    return found.decode()

    def close(self) -> None:
        self._file.close()
        self._socket.close()


class Firefox:
    """One page of a browser, and what it complains of."""

    def __init__(self, address: str) -> None:
        self._socket = Socket(address)
        self._numbers = itertools.count(1)
        self.complaints: list[str] = []
        self._ask("session.new", capabilities={})
        self._ask("session.subscribe", events=["log.entryAdded"])
        self._page = self._ask("browsingContext.getTree")["contexts"][0]["context"]

    def _ask(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            said = json.loads(self._socket.receive())
            if said.get("method") == "log.entryAdded":
                self.complaints.append(f"{said['params']['level']}: {said['params']['text']}")
            elif said.get("id") == number:
                assert said["type"] == "success", said
                return said["result"]

    def open(self, address: str) -> None:
        self._ask("browsingContext.navigate", context=self._page, url=address, wait="complete")

    def evaluate(self, expression: str) -> Any:
        """The value of an expression, a text, number or truth, or what it promises."""
        found = self._ask("script.evaluate", expression=expression, target={"context": self._page}, awaitPromise=True)
        assert found["type"] == "success", found
        return found["result"].get("value")

    def wait(self, expression: str) -> None:
        """Until an expression is true of the page."""
        self.evaluate(WAITS.format(expression))

    def wait_for(self, selector: str, text: str = "") -> None:
        """Until an element is there that has a text."""
        self.wait(
            f"[...document.querySelectorAll({json.dumps(selector)})].some(each => each.textContent.includes({json.dumps(text)}))"
        )

    def type(self, keys: str) -> None:
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._ask("input.performActions", context=self._page, actions=[{"type": "key", "id": "keys", "actions": actions}])

    def drag(self, start: str, end: str) -> None:
        """Drag from the middle of an element to that of another."""

        def to(selector: str) -> dict[str, Any]:
            box = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
            x, y = json.loads(self.evaluate(f"JSON.stringify([{box}.x + {box}.width / 2, {box}.y + {box}.height / 2])"))
            return {"type": "pointerMove", "x": round(x), "y": round(y), "duration": 100}

        actions = [to(start), {"type": "pointerDown", "button": 0}, to(end), {"type": "pointerUp", "button": 0}]
        self._ask("input.performActions", context=self._page, actions=[{"type": "pointer", "id": "mouse", "actions": actions}])

    def close(self) -> None:
        self._socket.close()


@contextmanager
def firefox() -> Iterator[Firefox]:
    """A browser with a profile of its own while the block runs; skips, or fails where ``CI`` is set, without one."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        missing("Firefox is not installed: apt-get install firefox-esr")
        return
    with tempfile.TemporaryDirectory(prefix="pypes-firefox-") as profile:
        command = [program, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0", "about:blank"]
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "MOZ_HEADLESS_WIDTH": "1400"}
        )
        try:
            told = Path(profile) / "WebDriverBiDiServer.json"

            def listens() -> Any:
                try:
                    return json.loads(told.read_text())
                except (OSError, ValueError):
                    return None

            found = until(listens, 60, "Firefox listens")
            driven = Firefox(f"ws://{found['ws_host']}:{found['ws_port']}/session")
            try:
                yield driven
            finally:
                driven.close()
        finally:
            process.terminate()
            process.wait()
