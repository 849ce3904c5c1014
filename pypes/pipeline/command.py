"""Command: a program as a function of a pipeline."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from pypes.core.program import Program, ProgramFailed
from pypes.errors import ComponentError, InvalidInput
from pypes.pipeline.options import seconds

MAX_BYTES: Final = 256 * 1024 * 1024
#: ``{in}`` and ``{out}``, which may have an ending for programs that tell formats by it: ``{in.jpg}``.
_PLACE: Final = re.compile(r"\{(in|out)((?:\.\w+)*)\}")


class CommandFailed(ComponentError):
    """The program did not work (``command.failed``, ``command.timeout``), or its output cannot be taken (``command.output``).

    ``status`` is its exit, or 128 and the number of the signal that ended it; ``None`` if it had not ended. ``stderr`` is the end
    of what it wrote to standard error.
    """

    code = "command.failed"

    def __init__(self, message: str, *, code: str | None = None, status: int | None = None, stderr: str = "") -> None:
        super().__init__(message, code=code)
        self.status = status
        self.stderr = stderr


class Command:
    """A function that gives a value to a program, without a shell, and returns what the program makes of it.

    ``Command(["tr", "a-z", "A-Z"])`` gives the value to its standard input and returns its standard output: text (UTF-8) for
    text, bytes for bytes. A program may leave its input unread.

    ``Command(["sort", "-o", "{out}", "{in}"], files=True)`` writes the value to a temporary file, whose path stands for each
    ``{in}`` in the arguments, and returns the content of the file ``{out}``. A value that is a path is not copied: ``{in}`` is
    that path, and the result is bytes. Without ``{in}`` the program reads standard input, without ``{out}`` its standard output
    is the result. ``{in.jpg}`` and ``{out.png}`` are files with these endings.

    It can be pickled, and may be called by several threads at once. All that the program has started is killed when it has ended,
    when its time is over, when the call is interrupted, when :meth:`close` is called, and when this process dies of whatever.
    """

    def __init__(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        files: bool = False,
        timeout_s: float | None = None,
        env: Mapping[str, str | None] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        max_bytes: int = MAX_BYTES,
        encode: Callable[[Any], str | bytes] | None = None,
        decode: Callable[[bytes], Any] | None = None,
    ) -> None:
        """``command`` is the program, a path or a name that is looked up on the ``PATH``, and its arguments.

        A call may take ``timeout_s`` seconds (without: any time), and bring ``max_bytes`` bytes. ``env`` adds variables to those
        of this process, and takes out those that are ``None``. The program runs in the folder ``cwd``. ``encode`` makes text or
        bytes of a value, ``decode`` a result of bytes. Raises ``InvalidInput`` if the program or the folder is not there.
        """
        if not isinstance(command, list | tuple) or not command or not all(map(_is_argument, command)):
            raise InvalidInput(
                f"a command is a list of a program and its arguments, such as ['tr', 'a-z', 'A-Z'], not {command!r}: "
                "there is no shell",
                code="command.form",
            )
        _check_options(files=files, timeout_s=timeout_s, env=env, cwd=cwd, max_bytes=max_bytes, encode=encode, decode=decode)
        program, *arguments = [os.fspath(part) for part in command]
        if os.sep in program:
            program = str(Path(cwd or "", program).absolute())
        self._cwd = None if cwd is None else Path(cwd).absolute()
        self._env = dict(env or {})
        # in another process, which may have another folder, it is made anew of these
        self._made_of = [program, *arguments]
        self._options: dict[str, Any] = {"files": files, "timeout_s": timeout_s, "env": self._env, "cwd": self._cwd}
        self._options |= {"max_bytes": max_bytes, "encode": encode, "decode": decode}
        self.__name__ = Path(program).name
        self._arguments = arguments
        self._names = _names(arguments) if files else {}
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._encode, self._decode = encode, decode
        if self._cwd is not None and not self._cwd.is_dir():
            raise InvalidInput(f"cwd: there is no folder {str(cwd)!r} for {program!r} to run in", code="command.no_folder")
        self._program = self._find(program)
        self._running: set[Program] = set()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Callable[[], Command], tuple[()]]:
        return partial(Command, self._made_of, **self._options), ()

    def __repr__(self) -> str:
        return f"Command({self._made_of!r})"

    def __call__(self, value: Any) -> Any:
        """Run the program on a value. Blocks.

        Raises :class:`CommandFailed` with the end of standard error, ``InvalidInput`` (``command.value``) for a value that is
        neither text nor bytes, and ``OSError`` if no process can be started.
        """
        given = value if self._encode is None else self._encode(value)
        if not self._names:
            return self._result(given, self._run(self._arguments, self._bytes_of(given)))
        with TemporaryDirectory(prefix="pypes-command-") as folder:
            paths = {kind: Path(folder, name) for kind, name in self._names.items()}
            data = b""
            if "in" not in paths:
                data = self._bytes_of(given)
            elif isinstance(given, os.PathLike):
                paths["in"] = Path(os.fsdecode(given)).absolute()
            else:
                paths["in"].write_bytes(self._bytes_of(given))
            out = self._run([_PLACE.sub(lambda place: str(paths[place[1]]), argument) for argument in self._arguments], data)
            return self._result(given, self._content(paths["out"]) if "out" in paths else out)

    def close(self) -> None:
        """Kill the programs that run: calls that wait for them raise :class:`CommandFailed`. Calls later are not affected."""
        with self._lock:
            for program in self._running:
                program.stop()

    def _environ(self) -> dict[str, str]:
        return {name: value for name, value in {**os.environ, **self._env}.items() if value is not None}

    def _find(self, program: str) -> str:
        path = self._environ().get("PATH")
        found = shutil.which(program, path=path)
        if found is not None:
            return str(Path(found).absolute())
        if os.sep in program:
            raise InvalidInput(f"{program!r} is no program that may be run", code="command.no_program")
        raise InvalidInput(
            f"there is no program {program!r} in the folders of PATH ({path}): install it, or give its path",
            code="command.no_program",
        )

    def _run(self, arguments: Sequence[str], data: bytes) -> bytes:
        program = Program([self._program, *arguments], self._cwd, self._environ())
        try:
            with self._lock:
                self._running.add(program)
            return program.run(data, self._timeout_s, self._max_bytes)
        except ProgramFailed as error:
            code = "command.timeout" if error.is_timeout else "command.failed" if error.code is not None else "command.output"
            raise self._failed(str(error), code=code, status=error.code, stderr=error.said) from None
        finally:
            with self._lock:
                self._running.discard(program)
            program.close()

    def _bytes_of(self, given: Any) -> bytes:
        if isinstance(given, str):
            return given.encode()
        if isinstance(given, bytes | bytearray | memoryview):
            return bytes(given)
        if isinstance(given, os.PathLike):
            advice = 'for a path, give files=True and "{in}" in an argument'
        else:
            advice = "give encode= to make one of it"
        raise InvalidInput(
            f"{self.__name__}: a command takes text or bytes, not {type(given).__name__}; {advice}", code="command.value"
        )

    def _content(self, path: Path) -> bytes:
        if not path.is_file():
            raise self._failed("it wrote no file {out}", code="command.output", status=0)
        if (size := path.stat().st_size) > self._max_bytes:
            raise self._failed(
                f"it wrote {size} bytes to {{out}}, more than {self._max_bytes} (max_bytes)", code="command.output", status=0
            )
        return path.read_bytes()

    def _result(self, given: Any, out: bytes) -> Any:
        if self._decode is not None:
            return self._decode(out)
        if not isinstance(given, str):
            return out
        try:
            return out.decode()
        except UnicodeDecodeError as error:
            message = f"it wrote what is no UTF-8: {error}; give bytes to it, or decode="
            raise self._failed(message, code="command.output", status=0) from None

    def _failed(self, reason: str, *, code: str, status: int | None, stderr: str = "") -> CommandFailed:
        return CommandFailed(f"{self.__name__}: {reason}", code=code, status=status, stderr=stderr)


def _check_options(*, files: Any, timeout_s: Any, env: Any, cwd: Any, max_bytes: Any, encode: Any, decode: Any) -> None:
    """Raise ``InvalidInput`` (``command.form``) for the first option that cannot be one."""
    said = ""
    if type(files) is not bool:
        said = f"files must be True or False, not {files!r}"
    elif timeout_s is not None and seconds(timeout_s) is None:
        said = f"timeout_s must be a number of seconds greater than zero, not {timeout_s!r}"
    elif env is not None and not (isinstance(env, Mapping) and all(_is_variable(*each) for each in env.items())):
        said = f"env must be a dictionary of texts by the names of variables, not {env!r}"
    elif cwd is not None and not isinstance(cwd, str | os.PathLike):
        said = f"cwd must be the path of a folder, not {cwd!r}"
    elif type(max_bytes) is not int or max_bytes < 1:
        said = f"max_bytes must be a whole number of bytes from 1 on, not {max_bytes!r}"
    for name, value in (("encode", encode), ("decode", decode)):
        if value is not None and not callable(value):
            said = f"{name} must be a function, not {value!r}"
    if said:
        raise InvalidInput(said, code="command.form")


def _is_argument(part: Any) -> bool:
    return isinstance(part, str | os.PathLike)


def _is_variable(name: Any, value: Any) -> bool:
    return isinstance(name, str) and name != "" and "=" not in name and (value is None or isinstance(value, str))


def _names(arguments: Sequence[str]) -> dict[str, str]:
    """The names of the temporary files that arguments speak of: ``in``, ``out``, with their endings."""
    found = {(place[1], place[1] + place[2]) for argument in arguments for place in _PLACE.finditer(argument)}
    names = dict(found)
    if not names:
        raise InvalidInput('files: no argument has "{in}" or "{out}", for which the path of a file stands', code="command.form")
    if len(names) < len(found):
        told = ", ".join(f"{{{name}}}" for _, name in sorted(found))
        raise InvalidInput(f"files: there is one file {{in}} and one {{out}}, but the arguments name {told}", code="command.form")
    return names
