"""The lock of a data directory, and one into which a backup was not restored to the end."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pypes.errors import InvalidConfig
from pypes.runtime.data_dir import DataDir

HOLDER = """
import sys
from pathlib import Path
from pypes.runtime.data_dir import DataDir
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


def test_a_directory_that_was_not_restored_to_the_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "restoring").mkdir()
    with pytest.raises(InvalidConfig, match="restore again") as caught:
        DataDir(tmp_path)
    assert caught.value.code == "config.data_restoring"
    (tmp_path / "restoring").rmdir()
    DataDir(tmp_path).release()
