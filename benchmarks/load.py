"""The load generator: ``wrk``, which leaves most of a core to the server that it loads."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO


class Skipped(Exception):
    """This side of a comparison cannot be run here; the message says why."""


#: Requests that are the same each time are made once; those with a number in them, as they are sent.
_SCRIPT = """
wrk.method = "POST"
local counter, first = "{counter}", "{first}"
local number, requests, heads, tails = 0, {{}}, {{}}, {{}}
init = function(args)
  local file = io.open("{file}", "rb")
  for place, size in ipairs({{{sizes}}}) do
    local body = file:read(size)
    if counter == "" then
      requests[place] = wrk.format(nil, nil, nil, body)
    else
      local at = body:find(counter, 1, true)
      heads[place], tails[place] = body:sub(1, at - 1) .. first, body:sub(at + 1)
    end
  end
  file:close()
end
request = function()
  local place = number % {count} + 1
  number = number + 1
  if counter == "" then return requests[place] end
  return wrk.format(nil, nil, nil, heads[place] .. number .. tails[place])
end
"""


@dataclass(frozen=True, slots=True)
class Answered:
    """Requests that were answered while the load lasted, those of them not with 2xx, and for how long it lasted."""

    requests: int
    refused: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Load:
    """POSTs of ``bodies`` in turn, over so many connections, each as soon as the one before it on its connection is answered.

    ``counter`` occurs once in each body: in its place stands the number of the request, never the same twice.
    """

    bodies: Sequence[bytes]
    headers: Mapping[str, str]
    connections: int
    counter: str = ""

    def run(self, url: str, seconds: float, *, may_be_refused: bool = False) -> Answered:
        """Raises if a connection broke or, unless it ``may_be_refused``, if an answer was not 2xx."""
        tool = needs("wrk", "wrk")
        with tempfile.TemporaryDirectory() as folder:
            payload, script = Path(folder) / "bodies", Path(folder) / "post.lua"
            payload.write_bytes(b"".join(self.bodies))
            headers = [f'wrk.headers["{name}"] = "{value}"' for name, value in self.headers.items()]
            filled = _SCRIPT.format(
                file=payload,
                sizes=",".join(str(len(body)) for body in self.bodies),
                count=len(self.bodies),
                counter=self.counter,
                first=f"{time.time_ns()}-",
            )
            script.write_text("\n".join([*headers, filled]))
            command = [tool, "-t", "1", "-c", str(self.connections), "-d", f"{max(1, round(seconds))}s", "-s", str(script)]
            out = subprocess.run([*command, "--timeout", "30s", url], capture_output=True, text=True, check=True).stdout
        refused = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
        broken = re.search(r"Socket errors: .*", out)
        if broken or (refused and not may_be_refused):
            raise RuntimeError(f"the load was not accepted: {(broken or refused).group(0)}")  # type: ignore[union-attr]
        found = re.search(r"(\d+) requests in ([\d.]+)(m?s)", out)
        assert found is not None, out
        took = float(found[2]) / (1000 if found[3] == "ms" else 1)
        return Answered(int(found[1]), int(refused[1]) if refused else 0, took)


def needs(tool: str, package: str) -> str:
    """Path of a tool of the machine; raises :class:`Skipped` without it."""
    found = shutil.which(tool)
    if found is None:
        raise Skipped(f"{tool} is not installed: apt-get install {package}")
    return found


@contextmanager
def beside(module: str, *arguments: str, ready: bytes) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Run a module that loads in a process of its own, from when it has said ``ready`` until its input ends; gives both pipes."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if process.stdout.readline() != ready:
                raise RuntimeError(f"{module} did not begin")
            yield process.stdin, process.stdout
            process.stdin.close()
            if process.wait(30) != 0:
                raise RuntimeError(f"{module}: the load was not accepted, or was too much for who sends it")
        finally:
            process.kill()
