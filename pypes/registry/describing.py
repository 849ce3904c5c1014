"""Runs the disposable processes that describe components: several at once, within bounds of time, memory and output."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import IO, Any, Final

import msgspec

from pypes.graph.spec import ComponentSpec
from pypes.registry.describe import Order

#: An answer over this is no description; it would only fill this process' memory.
MAX_ANSWER_BYTES: Final = 64 << 20

#: The end of standard error that is kept, to tell why a process died.
KEPT_STDERR_BYTES: Final = 8192


@dataclass(frozen=True, slots=True)
class Description:
    """The result of an order: a spec for each component, with an ``error`` where it cannot be used, and the files it depends on.

    ``error`` says what is wrong with the whole or with a part of it. Only a description without one may be remembered.
    """

    order: Order
    specs: tuple[ComponentSpec, ...]
    files: tuple[str, ...]
    error: str | None = None


def describe_all(orders: Iterable[Order]) -> Iterator[Description]:
    """Describe each order in a process of its own, as many at a time as there are cores; yields in order of completion.

    Blocks until all are done, at most ``timeout_s`` for each; no process outlives the call.
    """
    waiting = list(orders)
    running: list[_Process] = []
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or running:
                while waiting and len(running) < max(2, os.cpu_count() or 1):
                    running.append(_Process(waiting.pop(0), selector))
                due = min(process.deadline for process in running)
                for key, _ in selector.select(max(0.0, due - time.monotonic())):
                    key.data(key.fileobj)
                for process in [p for p in running if p.is_done or time.monotonic() >= p.deadline]:
                    running.remove(process)
                    yield process.finish()
        finally:
            for process in running:
                process.kill()


@dataclass
class _Process:
    order: Order
    selector: selectors.BaseSelector
    answer: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    deadline: float = 0.0
    is_done: bool = False

    def __post_init__(self) -> None:
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)  # noqa: PTH109 - what "" stands for in sys.path
        self.popen = subprocess.Popen(
            # -P: the current directory is importable only if it is for this process
            [sys.executable, "-P", "-m", "pypes.registry.describe"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
        )
        self.deadline = time.monotonic() + self.order.timeout_s
        assert self.popen.stdin is not None
        assert self.popen.stdout is not None
        assert self.popen.stderr is not None
        self.selector.register(self.popen.stdout, selectors.EVENT_READ, self._read_answer)
        self.selector.register(self.popen.stderr, selectors.EVENT_READ, self._read_stderr)
        with contextlib.suppress(BrokenPipeError):  # it died already; finish() says of what
            self.popen.stdin.write(msgspec.json.encode(self.order))
            self.popen.stdin.close()

    def _read_answer(self, pipe: IO[bytes]) -> None:
        data = os.read(pipe.fileno(), 1 << 20)
        self.answer += data
        # not only the end of the pipe: a process that an import forked may hold it open
        self.is_done = not data or self._is_complete() or len(self.answer) > MAX_ANSWER_BYTES

    def _is_complete(self) -> bool:
        last = self.answer.rfind(b"\n", 0, -1) + 1
        return self.answer.endswith(b"\n") and self.answer.startswith(b'{"files"', last)

    def _read_stderr(self, pipe: IO[bytes]) -> None:
        data = os.read(pipe.fileno(), 1 << 16)
        self.stderr += data
        del self.stderr[:-KEPT_STDERR_BYTES]
        if not data:
            self.selector.unregister(pipe)

    def finish(self) -> Description:
        """Reap the process and read what it said; whatever is still running of it is killed."""
        if self.is_done and not self._is_complete():
            # it closed its answer early, so it has died or is about to: only then is its exit status its own
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(timeout=1.0)
        self._drain_stderr()
        status = self.popen.poll()
        self.kill()
        try:
            return self._read(status)
        except (ValueError, AttributeError, TypeError) as error:
            return self._dead(f"its answer cannot be read: {error}", [])

    def kill(self) -> None:
        """Kill the process with whatever it started, and reap it."""
        # the group outlives its leader, so this also ends what an import left running
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()
        for pipe in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            assert pipe is not None
            with contextlib.suppress(KeyError, ValueError):
                self.selector.unregister(pipe)
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def _drain_stderr(self) -> None:
        assert self.popen.stderr is not None
        os.set_blocking(self.popen.stderr.fileno(), False)
        with contextlib.suppress(BlockingIOError):
            self.stderr += os.read(self.popen.stderr.fileno(), 1 << 16)

    def _read(self, status: int | None) -> Description:
        """Make a description of the answer and the exit status (``None``: it was still running)."""
        specs: list[ComponentSpec] = []
        errors: list[str] = []
        files: tuple[str, ...] | None = None
        begun = ""
        for message in self._messages():
            begun = message.get("begin", begun)
            if "spec" in message:
                specs.append(ComponentSpec.from_obj(message["spec"]))
            elif "failed" in message:
                errors.append(": ".join(filter(None, (message["failed"], message["error"]))))
                if message["failed"]:
                    specs.append(self._without(message["failed"], message["error"], message.get("needs", {})))
            elif "files" in message:
                files = tuple(message["files"])
        if files is not None:
            return Description(self.order, tuple(specs), files, "; ".join(errors) or None)
        return self._dead(self._death(status, begun), specs)

    def _dead(self, error: str, specs: list[ComponentSpec]) -> Description:
        described = {spec.name: spec for spec in specs}
        # one process imports all of them, so none of them can be trusted to be sound
        names = {name: None for name, _, _ in self.order.components} or described
        failed = [replace(described[n], error=error, missing=()) if n in described else self._without(n, error) for n in names]
        return Description(self.order, tuple(failed), (), error)

    def _messages(self) -> Iterator[dict[str, Any]]:
        return map(msgspec.json.decode, bytes(self.answer).split(b"\n")[:-1])

    def _without(self, name: str, error: str, needs: Mapping[str, str] = MappingProxyType({})) -> ComponentSpec:
        module, attr = next(((m, a) for n, m, a in self.order.components if n == name), ("", ""))
        return ComponentSpec(
            name,
            distribution=self.order.distribution,
            version=self.order.version,
            needs=dict(needs),
            missing=tuple(needs),
            error=error,
            module=module,
            attr=attr,
        )

    def _death(self, status: int | None, begun: str) -> str:
        doing = f"while importing {begun}" if begun else "before importing anything"
        if len(self.answer) > MAX_ANSWER_BYTES:
            return f"its description is over {MAX_ANSWER_BYTES >> 20} MiB"
        if status is None or -status == signal.SIGALRM:
            return f"gave no answer within {self.order.timeout_s:g} s, {doing}"
        last = self.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        death = f"killed by {signal.Signals(-status).name}" if status < 0 else f"exited with status {status}"
        return f"{death} {doing}" + (f": {last}" if last else "")
