import asyncio
import socket
import stat
from pathlib import Path

import pytest

from pypes.errors import InvalidConfig, StoreError
from pypes.runtime.supervisor.locks import MAX_RUNTIME_DIR, listen, lock_runtime_dir, release_runtime_dir


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
