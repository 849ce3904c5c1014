"""Load files, as several threads of a process use them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pypes.registry.loading import load_file, resolve

SLOW = """
import time
time.sleep(0.3)
class Late: pass
"""


def test_threads_that_load_a_file_together_all_find_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "slow.py"
    path.write_text(SLOW)
    together = threading.Barrier(4)

    def found() -> object:
        together.wait(10)
        return resolve(str(path), "Late")

    with ThreadPoolExecutor(4) as threads:
        classes = {future.result(20) for future in [threads.submit(found) for _ in range(4)]}
    assert len(classes) == 1


def test_a_file_that_failed_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("raise ValueError('not yet')")
    with pytest.raises(ValueError, match="not yet"):
        load_file(path)
    path.write_text("class Now: pass")
    assert resolve(str(path), "Now")
