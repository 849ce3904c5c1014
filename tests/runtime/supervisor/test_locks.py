import asyncio
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pypes.errors import InvalidConfig, StoreError
from pypes.runtime.supervisor.locks import MAX_RUNTIME_DIR, DataDir, listen, lock_runtime_dir, release_runtime_dir

HOLDER = """
import sys
from pathlib import Path
from pypes.runtime.supervisor.locks import DataDir
held = DataDir(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_server_on_the_data_directory_is_refused(tmp_path: Path) -> None:
    first = DataDir(tmp_path / "data")
    assert not first.was_killed
    with pytest.raises(InvalidConfig, match=r"another server \(pid \d+\)"):
        DataDir(tmp_path / "data")
    first.release()
    second = DataDir(tmp_path / "data")
    assert not second.was_killed
    second.release()


def test_the_lock_ends_with_a_killed_server_and_that_is_noticed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            with pytest.raises(InvalidConfig, match=str(holder.pid)):
                DataDir(tmp_path)
        finally:
            holder.send_signal(signal.SIGKILL)
    data = DataDir(tmp_path)
    assert data.was_killed
    data.release()


def test_a_data_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidConfig, match="cannot be used"):
        DataDir(tmp_path / "file" / "data")


def test_the_runtime_directory_is_short_ours_and_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / ("x" * MAX_RUNTIME_DIR)))
    deep = tmp_path / ("y" * 100)
    deep.mkdir()
    path = lock_runtime_dir(deep)
    try:
        assert len(str(path)) <= MAX_RUNTIME_DIR
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        (path / "old.sock").touch()
        assert lock_runtime_dir(deep) == path
        assert list(path.iterdir()) == []
        assert lock_runtime_dir(tmp_path) != path
    finally:
        release_runtime_dir(path)
        release_runtime_dir(lock_runtime_dir(tmp_path))


def test_a_runtime_directory_that_is_a_link_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp")
    path = lock_runtime_dir(tmp_path)
    release_runtime_dir(path)
    path.symlink_to(tmp_path)
    try:
        with pytest.raises(StoreError, match="belongs to another user"):
            lock_runtime_dir(tmp_path)
    finally:
        path.unlink()


def test_a_port_in_use_is_told_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(InvalidConfig, match="choose another port"):
            asyncio.run(listen(bind, may_wait=False))


def test_after_a_kill_the_port_is_waited_for() -> None:
    async def run() -> None:
        taken = socket.create_server(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        waiting = asyncio.create_task(listen(f"127.0.0.1:{port}", may_wait=True))
        await asyncio.sleep(0)
        taken.close()
        with await asyncio.wait_for(waiting, 5) as listener:
            assert listener.getsockname()[1] == port

    asyncio.run(run())
