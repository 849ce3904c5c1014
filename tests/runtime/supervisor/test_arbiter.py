"""The arbiter as a child, here a stand-in for gunicorn that forks a worker and does as it is told."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from pypes.runtime.supervisor.arbiter import Arbiter
from pypes.runtime.worker.config import WorkerConfig

#: Forks one worker and writes both pids; argv: file, whether to ignore TERM, descriptor of the configuration.
STAND_IN = """
import os, signal, sys
from pypes.runtime.worker.config import WorkerConfig
assert WorkerConfig.read(int(sys.argv[3])).token == "t"
if sys.argv[2] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
worker = os.fork()
if worker:
    with open(sys.argv[1], "a") as file:
        file.write(f"{os.getpid()} {worker}\\n")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.pause()
"""


def config_of(reader: int, writer: int) -> WorkerConfig:
    """That of a worker which listens at one end of a pipe and lives as long as the other is open."""
    return WorkerConfig(
        data_dir="",
        runtime_dir="",
        control_socket="",
        listen_fd=writer,
        lifeline_fd=reader,
        host="",
        port=1,
        workers=1,
        session_key=b"k",
        token="t",
    )


def run(
    tmp_path: Path, mode: str, check: Callable[[Arbiter, Callable[[int], Awaitable[list[list[int]]]]], Awaitable[None]]
) -> None:
    async def main() -> None:
        reader, writer = os.pipe()
        config = config_of(reader, writer)
        pids = tmp_path / "pids"
        arbiter = Arbiter(lambda: config, [sys.executable, "-c", STAND_IN, str(pids), mode])
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, arbiter.reap)

        async def started(count: int) -> list[list[int]]:
            async with asyncio.timeout(20):
                while True:
                    lines = pids.read_text().splitlines() if pids.exists() else []
                    if len(lines) >= count:
                        return [[int(pid) for pid in line.split()] for line in lines]
                    await asyncio.sleep(0.01)

        try:
            arbiter.start()
            await check(arbiter, started)
        finally:
            await arbiter.stop(0.0)
            os.close(reader)
            os.close(writer)

    asyncio.run(main())


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return (Path("/proc") / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


async def all_gone(pids: list[int]) -> None:
    # this process adopts no orphans, so the workers may die a moment after the arbiter was collected
    async with asyncio.timeout(10):
        while any(map(is_running, pids)):  # noqa: ASYNC110 - other processes set no event
            await asyncio.sleep(0.01)


pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")


def test_a_killed_arbiter_takes_its_workers_along_and_comes_back(tmp_path: Path) -> None:
    async def check(arbiter: Arbiter, started: Callable[[int], Awaitable[list[list[int]]]]) -> None:
        (first,) = await started(1)
        os.kill(first[0], signal.SIGKILL)
        second = (await started(2))[1]
        assert arbiter.pid == second[0]
        await all_gone(first)
        await arbiter.stop(5.0)
        await all_gone(second)
        assert arbiter.pid is None

    run(tmp_path, "obedient", check)


def test_one_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    async def check(arbiter: Arbiter, started: Callable[[int], Awaitable[list[list[int]]]]) -> None:
        (pids,) = await started(1)
        await arbiter.stop(0.2)
        await all_gone(pids)

    run(tmp_path, "deaf", check)


def test_one_that_cannot_be_started_is_tried_again(tmp_path: Path) -> None:
    async def main() -> None:
        attempts: list[None] = []
        enough = asyncio.Event()

        def config() -> WorkerConfig:
            attempts.append(None)
            if len(attempts) == 3:
                enough.set()
            raise OSError("no more processes")

        arbiter = Arbiter(config)
        arbiter.start()
        await asyncio.wait_for(enough.wait(), 10)
        await arbiter.stop(0.0)

    asyncio.run(main())


def test_workers_keep_the_memory_of_bodies_unless_the_environment_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
    monkeypatch.setenv("WEB_CONCURRENCY", "7")
    found = tmp_path / "environ"
    # written whole before it has its name
    script = f"""
import json, os, signal
with open({str(found)!r} + ".new", "w") as file:
    json.dump(dict(os.environ), file)
os.rename(file.name, {str(found)!r})
signal.pause()
"""

    async def main() -> None:
        reader, writer = os.pipe()
        config = config_of(reader, writer)
        arbiter = Arbiter(lambda: config, [sys.executable, "-c", script])
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, arbiter.reap)
        try:
            arbiter.start()
            async with asyncio.timeout(20):
                while not found.exists():  # noqa: ASYNC110 - another process sets no event
                    await asyncio.sleep(0.01)
        finally:
            await arbiter.stop(5.0)
            os.close(reader)
            os.close(writer)

    asyncio.run(main())
    environ = json.loads(found.read_text())
    assert environ["MALLOC_TRIM_THRESHOLD_"] == "131072"
    assert int(environ["MALLOC_MMAP_THRESHOLD_"]) > 1 << 20
    assert "WEB_CONCURRENCY" not in environ
