"""Disposable processes: what the supervisor has done elsewhere because it imports no component, and because it may go wrong."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys

from pypes.core.lifeline import ProcessGroup

#: The end of standard error that is kept, to tell why a process died.
KEPT_STDERR_BYTES = 8192
#: Time between two looks whether the last process of a group that was killed has ended: nobody tells, and it is soon.
REAP_POLL_S = 0.01


class Disposable:
    """One process with all that it starts, killed by :meth:`end`; no thread waits for it.

    It is ``python -m module FD``, FD being the lifeline of the supervisor, which it has to watch. It reads what :meth:`send`
    writes to its standard input and answers in lines of at most ``max_line_bytes``. ``keeps_errors``: its standard error is
    kept for :attr:`last_words`; otherwise it is ours. Made in the main thread, within the loop. Raises ``OSError`` if there can
    be none.
    """

    def __init__(self, module: str, lifeline_fd: int, max_line_bytes: int, *, keeps_errors: bool = False) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, str(lifeline_fd)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if keeps_errors else None,
            pass_fds=(lifeline_fd,),
            process_group=0,
        )
        self._reader = asyncio.StreamReader(limit=max_line_bytes)
        self._errors = _Tail()
        self._transports: list[asyncio.BaseTransport] = []
        self._ending: asyncio.Task[int] | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    async def send(self, order: bytes) -> None:
        """Write the whole of what it is to do, and begin to listen. Nothing happens if it has died: listening tells."""
        loop = asyncio.get_running_loop()
        process = self._process
        transport: asyncio.BaseTransport
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(self._reader), process.stdout)
        self._transports.append(transport)
        if process.stderr is not None:
            transport, _ = await loop.connect_read_pipe(lambda: self._errors, process.stderr)
            self._transports.append(transport)
        writing, protocol = await loop.connect_write_pipe(lambda: asyncio.streams.FlowControlMixin(loop=loop), process.stdin)
        self._transports.append(writing)
        writer = asyncio.StreamWriter(writing, protocol, None, loop)
        with contextlib.suppress(ConnectionError):
            writer.write(order)
            await writer.drain()
        writer.close()

    async def line(self) -> bytes:
        """The next line it says, not ended by a line break if it ended before. Raises ``ValueError`` for one that is too long."""
        return await self._reader.readline()

    async def end(self) -> int:
        """Kill what is left of it, and collect it; returns its exit status. Not to be cut short by who is cancelled."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._collect())
        return await asyncio.shield(self._ending)

    async def _collect(self) -> int:
        group = ProcessGroup(self._process.pid)
        group.signal(signal.SIGKILL)
        while (status := self._process.poll()) is None or not group.reap():  # noqa: ASYNC110
            await asyncio.sleep(REAP_POLL_S)
        for transport in self._transports:
            transport.close()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        return status

    async def exit_status(self, timeout_s: float) -> int:
        """Wait for the process to end by itself, kill it after ``timeout_s``, and return its exit status."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._process.poll() is None:  # noqa: ASYNC110
                    await asyncio.sleep(REAP_POLL_S)
        return await self.end()

    @property
    def last_words(self) -> str:
        """The last line of its standard error."""
        return self._errors.kept.decode(errors="replace").strip().rpartition("\n")[2]


class _Tail(asyncio.Protocol):
    """Keeps the end of what arrives."""

    kept = b""

    def data_received(self, data: bytes) -> None:
        self.kept = (self.kept + data)[-KEPT_STDERR_BYTES:]
