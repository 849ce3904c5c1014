"""A place to publish to that a test can slow down, refuse and cut off: a process of its own, which outlives the node under test.

What it took is in a file, one line for each batch in the order of arrival, so that a test can compare it with what it
posted::

    with Destination(tmp_path / "taken.jsonl") as destination:
        ...                       # a publisher holds Link(destination.address) and calls publish() in its commit
        destination.refuse()
        destination.recover()
        assert [document["id"] for batch in destination.batches() for document in batch.documents] == [...]

On the wire a batch is four bytes of length (big-endian) and a JSON array; the answer to it is one byte.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

_LENGTH = struct.Struct(">I")
_TAKEN = b"+"
_READ_BYTES = 1 << 20


class Link:
    """A publisher's connection to a destination, made when it is needed."""

    def __init__(self, address: str, timeout_s: float = 30.0) -> None:
        host, _, port = address.rpartition(":")
        self._peer = (host, int(port))
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None

    def publish(self, documents: Sequence[Any]) -> None:
        """Hand a batch over and wait until it is taken. Blocks; raises ``ConnectionError`` when the destination is not there.

        After an error nothing is known of the batch: it may have been taken.
        """
        payload = json.dumps(documents).encode()
        try:
            if self._socket is None:
                self._socket = socket.create_connection(self._peer, self._timeout_s)
            self._socket.sendall(_LENGTH.pack(len(payload)) + payload)
            answer = self._socket.recv(1)
        except OSError as error:
            self.close()
            raise ConnectionError(f"the destination is not there: {error}") from error
        if answer != _TAKEN:
            self.close()
            raise ConnectionError("the destination ended the connection before it took the batch")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Documents that a publisher handed over at once; ``is_cut``: they were taken, but the publisher was not told."""

    documents: list[Any]
    is_cut: bool


class Destination:
    """Starts, disturbs and ends a destination; ``path`` is the file of what it took. Use it from one thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._process: subprocess.Popen[bytes] | None = None
        self.address = ""

    def start(self) -> None:
        """Start the process; returns when it listens at :attr:`address`."""
        command = [sys.executable, "-m", "pypes.testing.destination", str(self.path)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().decode().strip()
        if not self.address:
            raise RuntimeError(f"the destination did not start: exit code {self._process.wait()}")

    def stop(self) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.close()
            self._process.wait()
            self._process.stdout.close()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    # -- disturbances: each stays until the next one or :meth:`recover` ------------------------------------

    def delay(self, batch_s: float, document_s: float = 0.0) -> None:
        """Take ``batch_s`` seconds over every batch, and ``document_s`` more for each document in it."""
        self._tell("delay", batch_s, document_s)

    def refuse(self) -> None:
        """Take no connections, and end those there are."""
        self._tell("refuse")

    def cut(self) -> None:
        """End every connection when a batch arrives on it: by turns without taking the batch, and after it was taken."""
        self._tell("cut")

    def recover(self) -> None:
        """Take everything at once again."""
        self._tell("recover")

    def _tell(self, *words: object) -> None:
        """Returns when it is done."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(" ".join(map(str, words)).encode() + b"\n")
        self._process.stdin.flush()
        if self._process.stdout.readline() != b"done\n":
            raise RuntimeError("the destination has ended")

    # -- what it took --------------------------------------------------------------------------------------

    def batches(self) -> Iterator[Batch]:
        """Everything taken so far, in the order in which it arrived."""
        with self.path.open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    is_cut, documents = json.loads(line)
                    yield Batch(documents, is_cut)


class _Server:
    """The process. One thread takes the batches of all connections by turns.

    Order matters to who reads the file: what a publisher sent before it was killed is taken before anything that its
    successor sends after an answer, since every connection with a batch is served before one is served twice.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
        self._selector = selectors.DefaultSelector()
        self._listener: socket.socket | None = None
        self._address = ("127.0.0.1", 0)
        self._buffers: dict[socket.socket, bytearray] = {}
        self._delays_s = (0.0, 0.0)
        self._is_cutting = False
        self._cuts = 0

    def run(self) -> None:
        """Serve until standard input ends."""
        self._listen()
        self._answer(f"{self._address[0]}:{self._address[1]}")
        self._selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        commands = bytearray()
        while True:
            ready = [key.fileobj for key, _ in self._selector.select()]
            for each in ready:
                if each is self._listener:
                    self._accept()
                elif isinstance(each, socket.socket):
                    if each in self._buffers:  # a command may have ended it in this round
                        self._read(each)
                else:
                    data = os.read(sys.stdin.fileno(), 4096)
                    if not data:
                        return
                    commands += data
                    while b"\n" in commands:
                        line, _, rest = commands.partition(b"\n")
                        commands = bytearray(rest)
                        self._obey(*line.decode().split())
                        self._answer("done")

    def _answer(self, line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def _obey(self, command: str, *values: str) -> None:
        self._is_cutting, self._delays_s = command == "cut", (0.0, 0.0)
        if command == "refuse":
            self._refuse()
            return
        if command == "delay":
            self._delays_s = (float(values[0]), float(values[1]))
        if self._listener is None:
            self._listen()

    def _listen(self) -> None:
        self._listener = socket.create_server(self._address, backlog=64)
        self._listener.setblocking(False)
        self._address = self._listener.getsockname()[:2]
        self._selector.register(self._listener, selectors.EVENT_READ)

    def _refuse(self) -> None:
        if self._listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None
        for connection in list(self._buffers):
            self._end(connection)

    def _accept(self) -> None:
        assert self._listener is not None
        with suppress(OSError):
            connection, _ = self._listener.accept()
            connection.setblocking(False)
            self._buffers[connection] = bytearray()
            self._selector.register(connection, selectors.EVENT_READ)

    def _end(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        connection.close()
        del self._buffers[connection]

    def _read(self, connection: socket.socket) -> None:
        buffer = self._buffers[connection]
        is_over = False
        while True:
            try:
                data = connection.recv(_READ_BYTES)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                is_over = True
                break
            buffer += data
        while connection in self._buffers and len(buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(buffer)
            end = _LENGTH.size + length
            if len(buffer) < end:
                break
            payload = bytes(buffer[_LENGTH.size : end])
            del buffer[:end]
            self._take(connection, payload)
        if is_over and connection in self._buffers:
            self._end(connection)

    def _take(self, connection: socket.socket, payload: bytes) -> None:
        batch_s, document_s = self._delays_s
        if batch_s or document_s:
            time.sleep(batch_s + document_s * len(json.loads(payload)))
        if not self._is_cutting:
            self._write(payload, is_cut=False)
            try:
                connection.sendall(_TAKEN)
            except OSError:
                self._end(connection)
            return
        self._cuts += 1
        if self._cuts % 2 == 0:
            self._write(payload, is_cut=True)
        self._end(connection)

    def _write(self, payload: bytes, *, is_cut: bool) -> None:
        line = b"[%b, %b]\n" % (b"true" if is_cut else b"false", payload)
        written = 0
        while written < len(line):
            written += os.write(self._file, line[written:])


if __name__ == "__main__":
    _Server(Path(sys.argv[1])).run()
