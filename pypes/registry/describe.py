"""The disposable process that imports one distribution's components and says what they are.

``python -m pypes.registry.describe`` reads an :class:`Order` as JSON from standard input and writes one JSON object per line to
standard output: ``{"begin": name}`` before each component, then ``{"spec": …}`` or ``{"failed": name, "error": …, "needs": …}``,
and at last ``{"files": [path, …]}``, the module files that the description depends on. What the components print goes to
standard error.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import msgspec

from pypes.component import Component
from pypes.core.lifeline import die_with_parent
from pypes.core.shown import shown
from pypes.errors import InvalidComponent
from pypes.graph.spec import describe
from pypes.registry.constructing import Constructor
from pypes.registry.loading import load_file, resolve
from pypes.registry.missing import checked, lack, needs_of


class Order(msgspec.Struct, frozen=True):
    """Components to be described: a list of name, module and attribute, or all that a load ``file`` defines."""

    distribution: str
    version: str
    components: list[tuple[str, str, str]]
    file: str
    timeout_s: float
    max_memory_bytes: int


def main() -> None:
    """Describe what was ordered; never returns normally."""
    die_with_parent()
    # what components print must not end up between the lines of the answer
    answer = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    _confine(order)
    components = order.components
    if order.file:
        _say(answer, begin=Path(order.file).name)
        try:
            components = _defined_in(Path(order.file))
        except BaseException as error:
            _say(answer, failed="", error=_reason(error, needs_of(error, "", "")))
    constructor = Constructor()
    for name, module, attr in components:
        _say(answer, begin=name)
        try:
            spec = describe(
                resolve(module, attr),  # type: ignore[arg-type]
                name=name,
                distribution=order.distribution,
                version=order.version,
                module=module,
                attr=attr,
                make=constructor.make,
            )
        except BaseException as error:  # also SystemExit and MemoryError: this process exists to find that out
            needs = needs_of(error, module, order.distribution)
            _say(answer, failed=name, error=_reason(error, needs), needs=needs)
        else:
            _say(answer, spec=checked(spec).to_obj())
    _say(answer, files=_files({module.partition(".")[0] for _, module, _ in components}, order.file))
    # threads that an import started, and what it registered for the end, must not hold the answer up
    os._exit(0)


def _confine(order: Order) -> None:
    # the default action ends the process even inside a C loop, should the parent be gone by then
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, order.timeout_s + 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):  # Linux only: should memory run out all the same, this process is the one to go
        Path("/proc/self/oom_score_adj").write_text("1000")
    with contextlib.suppress(ValueError, OSError):  # macOS does not limit the address space
        resource.setrlimit(resource.RLIMIT_AS, (order.max_memory_bytes, order.max_memory_bytes))


def _defined_in(path: Path) -> list[tuple[str, str, str]]:
    module = load_file(path)
    classes = {value: attr for attr, value in vars(module).items() if isinstance(value, type) and not attr.startswith("_")}
    found = [
        (cls.__name__, str(path.resolve()), attr)
        for cls, attr in classes.items()
        if issubclass(cls, Component) and cls.__module__ == module.__name__
    ]
    if not found:
        raise InvalidComponent(
            "it defines no component; derive a class from one of the kinds in pypes.component, or use @component"
        )
    return found


def _reason(error: BaseException, needs: Mapping[str, str]) -> str:
    """A failure in words: the missing library, the place in the component's code unless the contract itself raised, the error."""
    return f"{lack(needs, needs)}: {_error(error)}" if needs else _error(error)


def _error(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{type(error).__name__}: {error.msg} ({error.filename}, line {error.lineno})"
    reason = shown(error)
    if isinstance(error, InvalidComponent):
        return error.message
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith("<frozen")]
    inside = [f for f in frames if Path(f.filename).parent != Path(__file__).parent]
    return f"{reason} ({inside[-1].filename}, line {inside[-1].lineno})" if inside else reason


def _files(packages: set[str], file: str) -> list[str]:
    """Source files of the components' packages and of Pypes itself: the description changes when one of them does."""
    files = {os.path.realpath(file)} if file else set()
    packages = packages | {"pypes"}
    for name, module in list(sys.modules.items()):
        source = getattr(module, "__file__", None)
        if source and name.partition(".")[0] in packages:
            files.add(os.path.realpath(source))
    return sorted(files)


def _say(answer: IO[bytes], **message: Any) -> None:
    answer.write(msgspec.json.encode(message) + b"\n")


if __name__ == "__main__":
    main()
