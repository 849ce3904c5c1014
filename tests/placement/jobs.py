"""Work that is hard on its pool worker; a module of its own, because pool workers import it."""

from __future__ import annotations

import ctypes
import logging
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import threading
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pypes.placement.executor import Outcome
from tests.placement import started


class Block:
    """Bytes that travel as a buffer of their own, as arrays do."""

    def __init__(self, data: Any) -> None:
        self.data = memoryview(data)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Block, (pickle.PickleBuffer(self.data),)


class Job:
    """Does with an item ``(what, number)`` what it says, and writes down in its folder that it has begun it."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._leaked: list[bytearray] = []

    def setup(self) -> None:
        pass

    def close(self) -> None:
        pass

    def run(self, item: tuple[str, int]) -> Any:
        what, number = item
        with (self._folder / "begun").open("a") as file:
            file.write(f"{number}\n")
        return getattr(self, what)(number)

    def good(self, number: int) -> int:
        return number

    def pid(self, number: int) -> tuple[int, int]:
        return number, os.getpid()

    def fds(self, number: int) -> int:
        return len([*Path("/proc/self/fd").iterdir()])

    def killed(self, number: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def killed_once(self, number: int) -> int:
        mark = self._folder / f"killed-{number}"
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    def crash(self, number: int) -> None:
        ctypes.string_at(0)

    def abort(self, number: int) -> None:
        os.abort()

    def exit(self, number: int) -> None:
        os._exit(3)

    def stop(self, number: int) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    def hang(self, number: int) -> None:
        while True:
            pass

    def hang_deaf(self, number: int) -> None:
        """Hang in C, where no signal handler and no thread of Python's runs."""
        ctypes.PyDLL(None).pause()

    def hang_with_tool(self, number: int) -> None:
        with subprocess.Popen(["sleep", "60"]) as tool:
            (self._folder / "tool").write_text(str(tool.pid))

    def fork(self, number: int) -> int:
        """Leaves a process behind that knows nothing of it, the first time, and dies."""
        if (self._folder / "forked").exists():
            return number
        pid = os.fork()
        if not pid:
            signal.pause()
            os._exit(0)
        (self._folder / "forked").write_text(str(pid))
        os._exit(3)

    def exhaust(self, number: int) -> bytearray:
        return bytearray(4 << 30)

    def memory_error(self, number: int) -> None:
        raise MemoryError("too much")

    def nap(self, number: int) -> int:
        """Takes a tenth of a second."""
        threading.Event().wait(0.1)
        return number

    def leak(self, number: int) -> int:
        self._leaked.append(bytearray(100 << 20))
        return number

    def waits(self, number: int) -> int:
        """Done when the file ``go`` is there; ``waits`` holds its process id."""
        (self._folder / "waits.part").write_text(str(os.getpid()))
        (self._folder / "waits.part").rename(self._folder / "waits")
        while not (self._folder / "go").exists():
            pass
        return number

    def reads(self, number: int) -> bytes:
        """Bytes that are written to the pipe ``pipe``; ``reads`` holds its process id."""
        with (self._folder / "pipe").open("rb", buffering=0) as pipe:
            (self._folder / "reads.part").write_text(str(os.getpid()))
            (self._folder / "reads.part").rename(self._folder / "reads")
            return pipe.read(2)

    def programs(self, number: int) -> list[int | None]:
        """How programs and a process that it started, and then ended, have ended."""
        return [*started.programs()]

    def odd(self, number: int) -> Any:
        return threading.Lock()

    def large(self, number: int) -> bytes:
        return b"x" * 60_000

    def block(self, number: int) -> Block:
        return Block(bytearray(b"%d" % (number % 10)) * 1_000_000)

    def speak(self, number: int) -> int:
        logging.getLogger("jobs").warning("look at %s", number, extra={"n": 1, "lock": threading.Lock()})
        return number

    def interpreter(self, number: int) -> str:
        return sys.prefix


class Together(Job):
    """Does all of a batch."""

    def run_batch(self, items: Sequence[tuple[str, int]]) -> list[Outcome]:
        return [Outcome(self.run(item)) for item in items]


class DiesAtSetUp(Job):
    def setup(self) -> None:
        os.abort()


class ExitsAtSetUp(Job):
    def setup(self) -> None:
        raise SystemExit(3)


class NobodyThereAtSetUp(Job):
    def setup(self) -> None:
        raise ConnectionRefusedError("nobody there")


class SetUpOnce(Job):
    """Cannot be set up a second time."""

    def setup(self) -> None:
        mark = self._folder / "set-up"
        if mark.exists():
            raise OSError("no licence left")
        mark.touch()


class TakenOver(Job):
    """Reaches for the sockets of its pool worker, and for the memory of its progress."""

    def big(self, number: int) -> bytes:
        return b"x" * 3_000_000

    def _worker(self) -> Any:
        frame = sys._getframe()
        while type(frame.f_locals.get("self")).__name__ != "PoolWorker":
            assert frame.f_back is not None
            frame = frame.f_back
        return frame.f_locals["self"]

    def _write(self, data: bytes) -> None:
        self._worker()._user.channel.sock.sendall(data)

    def _answer(self, number: int, words: list[int], parts: bytes = b"", whole: int = 0) -> None:
        head = array("Q", words).tobytes()
        payload = struct.pack("<IIQ", number, len(head), whole) + head + parts
        self._write(struct.pack("<QB", len(payload), 6) + payload)

    def _stride(self) -> int:
        number: int = self._worker()._answers._number
        return number

    def nonsense(self, number: int) -> None:
        self._write(b"\xff" * 64)
        signal.pause()

    def too_much(self, number: int) -> None:
        self._write(struct.pack("<QB", 1 << 30, 6))
        signal.pause()

    def no_parcel(self, number: int) -> None:
        self._write(struct.pack("<QB", 3, 6) + b"abc")
        signal.pause()

    def half_an_entry(self, number: int) -> None:
        self._answer(self._stride(), [1, 0, 1 << 40])
        signal.pause()

    def short(self, number: int) -> None:
        self._answer(self._stride(), [1, 0, 1, 1 << 40], b"abc")
        signal.pause()

    def other_stride(self, number: int) -> None:
        self._answer(4711, [1, 0, 1, 1], b"\xc0")
        signal.pause()

    def other_item(self, number: int) -> None:
        self._answer(self._stride(), [4711, 0, 1, 1], b"\xc0")
        signal.pause()

    def in_memory(self, number: int) -> None:
        self._answer(self._stride(), [1, 0, 1, 1], whole=64)
        signal.pause()

    def pickled(self, number: int) -> None:
        data = pickle.dumps(print)
        self._answer(self._stride(), [1, 0, 1, len(data)], data)
        signal.pause()

    def no_line(self, number: int) -> None:
        self._write(struct.pack("<QB", 2, 4) + b"[]")
        signal.pause()

    def busy(self, number: int) -> None:
        progress = self._worker()._progress
        while True:
            progress.begin(1, 1, 1)

    def blame(self, number: int) -> None:
        self._worker()._progress.begin(77, 78, 79)
        os.abort()

    def pass_many(self, number: int) -> int:
        sock = self._worker()._user.channel.sock
        for _ in range(50):  # lines, which may come at any time
            line = b'[10, "jobs", "text", {}]'
            frame = struct.pack("<QB", len(line), 4) + line
            sock.sendmsg([frame], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("@i", sock.fileno()))])
        return number
