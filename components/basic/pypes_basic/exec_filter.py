"""Exec: an external program as a filter."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import orjson

from pypes import Example, Help, Packet, Parameters, Reject, Retry, Transformer
from pypes.core.program import Program, ProgramFailed
from pypes.errors import ComponentError

#: Variables that a program gets of the node's environment; the others may hold secrets.
PASSED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
#: The exit by which a program says that it may work later (sysexits.h).
EX_TEMPFAIL: Final = 75
#: Time beyond that of the program before the runtime takes the filter for hanging.
SPARE_S: Final = 30.0


class Exec(Transformer):
    """Have an external program work on packets, without a shell, in bounded time.

    - ``process: packet``: a process for each packet. It reads the value of ``field``, text or bytes, from standard input; what it
      writes to standard output becomes ``target``, as UTF-8 text, or with ``binary`` as bytes.
    - ``process: batch``: a process for each batch of packets. It reads a line of JSON for each, an object of its fields, and
      writes a line for each, in the same order.
    - ``process: lasting``: as ``batch``, but the process stays, and is started again when it has ended. It must not keep back
      lines: flush after each.

    Of lines, the fields of the answer are set, those that are ``null`` are deleted, and others stay; ``null`` instead of an
    object drops the packet. An exit other than 0, and an answer that is none of these, make a dead letter (``exec.failed``) with
    the end of what was written to standard error. Exit 75 tries again later, and more than ``time_s`` makes a dead letter
    ``exec.timeout``. When a batch fails, its packets are tried one by one, so a program must allow to be asked twice. Deletions
    pass without a process. All that the program has started is killed when it has ended, when its time is over, at teardown, and
    when the instance dies of whatever. ``processes`` and ``failed`` are counted.

    The program gets ``PATH``, ``HOME``, ``LANG``, ``TZ`` and ``environ``, nothing else of the node's environment. It runs with
    the rights of the node: who may deploy graphs may run programs. With ``roots`` in ``[components]`` of the node's settings,
    these are the ones below these folders.
    """

    icon = "terminal"
    tags = ("programs", "text")
    example = Example(
        takes=Packet({"text": "loom\nengine\nloom\n"}),
        gives=Packet({"text": "engine\nloom\n"}),
        params={"program": "/usr/bin/sort", "arguments": ["-u"]},
    )

    class Params(Parameters):
        program: Annotated[str, Help("The program; from the data directory if relative.", path=True, min_length=1)]
        arguments: Annotated[list[str], Help("Its arguments.", max_length=1000)] = []
        process: Annotated[
            Literal["packet", "batch", "lasting"], Help("One process for each packet, for each batch, or for all of them.")
        ] = "packet"
        field: Annotated[str, Help("Field whose value a process for one packet reads.", min_length=1)] = "text"
        target: Annotated[str, Help("Field for what it writes; empty: the same.")] = ""
        binary: Annotated[bool, Help("What it writes is bytes, not text.")] = False
        time_s: Annotated[float, Help("Longest time for a packet or a batch, in seconds.", gt=0, le=3600)] = 30.0
        max_bytes: Annotated[int, Help("More output is an error.", ge=1)] = 32 * 1024 * 1024
        folder: Annotated[str, Help("Folder in which it runs, from the data directory if relative.", path=True)] = "."
        environ: Annotated[dict[str, str], Help("Environment variables for it.")] = {}

    batch_size = 100

    _program: Program | None = None

    def configure(self, given: Mapping[str, Any]) -> None:
        super().configure(given)
        if self.params.process == "packet":
            self.batch_size = 1

    def setup(self) -> None:
        params = self.params
        program = Path(self.data_dir, params.program).absolute()
        if not program.is_file() or not os.access(program, os.X_OK):
            raise ComponentError(f"program: {params.program} is no program that may be run", code="exec.no_program")
        folder = Path(self.data_dir, params.folder)
        if not folder.is_dir():
            raise ComponentError(f"folder: {params.folder} is no folder", code="exec.no_folder")
        self._command, self._folder = [str(program), *params.arguments], folder
        self._environ = {name: os.environ[name] for name in PASSED if name in os.environ} | params.environ
        self._target = params.target or params.field
        # the runtime must not take a filter for hanging that only waits for its program
        self.timeout_s = params.time_s + SPARE_S

    def process_batch(self, packets: list[Packet]) -> list[Packet | None]:
        at_work = [packet for packet in packets if not packet.is_deletion]
        if not at_work:
            return [*packets]
        if self.params.process == "packet":
            [packet] = at_work
            return [self._set(packet, self._tried(self._input_of(packet), None)[0])]
        data = b"".join(_line_of(packet) for packet in at_work)
        answers = iter(self._tried(data, len(at_work)))
        read = iter([_answer(next(answers)) for _ in at_work])
        return [packet if packet.is_deletion else _updated(packet, next(read)) for packet in packets]

    def teardown(self) -> None:
        self._end()

    # -- the program ------------------------------------------------------------------------------------------

    def _tried(self, data: bytes, lines: int | None) -> list[bytes]:
        try:
            return self.offload(self._run, data, lines)
        except ProgramFailed as error:
            if error.code == EX_TEMPFAIL:
                raise Retry(str(error)) from None
            self.count("failed")
            raise Reject(f"{self.params.program}: {error}", "exec.timeout" if error.is_timeout else "exec.failed") from None
        except OSError as error:
            raise Retry(f"no process can be started: {error}") from error

    def _run(self, data: bytes, lines: int | None) -> list[bytes]:
        """The output, or the lines of it. Blocks, in a thread."""
        params = self.params
        if params.process == "lasting":
            return self._asked(data, lines or 0)
        self.count("processes")
        self._program = program = Program(self._command, self._folder, self._environ)
        try:
            out = program.run(data, params.time_s, params.max_bytes)
        finally:
            self._end()
        if lines is None:
            return [out]
        found = out.splitlines()
        if len(found) != lines:
            raise ProgramFailed(f"it wrote {len(found)} lines for {lines} packets")
        return found

    def _asked(self, data: bytes, lines: int) -> list[bytes]:
        if self._program is None or not self._program.is_running:
            self._end()
            self.count("processes")
            self._program = Program(self._command, self._folder, self._environ)
        try:
            return self._program.ask(data, lines, self.params.time_s, self.params.max_bytes)
        except BaseException:
            self._end()
            raise

    def _end(self) -> None:
        program, self._program = self._program, None
        if program is not None:
            program.close()

    # -- packets ----------------------------------------------------------------------------------------------

    def _input_of(self, packet: Packet) -> bytes:
        value = packet.get(self.params.field, "")
        if isinstance(value, str):
            return value.encode("utf-8", "surrogatepass")
        if isinstance(value, bytes):
            return value
        raise Reject(f"field {self.params.field!r} holds {type(value).__name__}, neither text nor bytes", "exec.value")

    def _set(self, packet: Packet, out: bytes) -> Packet:
        try:
            packet.set(self._target, out if self.params.binary else out.decode())
        except UnicodeDecodeError as error:
            raise Reject(f"{self.params.program}: it wrote what is no UTF-8: {error}; set binary", "exec.failed") from None
        return packet


def _line_of(packet: Packet) -> bytes:
    fields = {name: packet.get(name) for name in packet.get_attribute_names()}
    try:
        return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError as error:
        raise Reject(f"the fields cannot be written as JSON: {error}", "exec.value") from None


def _answer(line: bytes) -> dict[str, Any] | None:
    try:
        found = orjson.loads(line)
    except ValueError as error:
        raise Reject(f"a line that the program wrote is not JSON: {error}: {line[:200]!r}", "exec.failed") from None
    if found is not None and not isinstance(found, dict):
        raise Reject(f"a line that the program wrote is {type(found).__name__}, neither an object nor null", "exec.failed")
    return found


def _updated(packet: Packet, fields: dict[str, Any] | None) -> Packet | None:
    if fields is None:
        return None
    for name, value in fields.items():
        if value is None:
            packet.delete(name)
        else:
            packet.set(name, value, multi=isinstance(value, list))
    return packet
