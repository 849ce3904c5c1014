"""pypes demo: that it ends as it should; what it shows is tested with the README."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_nothing_stays_behind(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pypes", "demo", "samples", "--data", str(tmp_path / "data")]
    demo = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    watchdog = threading.Timer(60, demo.kill)
    watchdog.start()
    try:
        assert demo.stdout is not None
        said = []
        for line in demo.stdout:
            said.append(line)
            if "Ctrl-C ends it" in line:
                break
        else:
            raise AssertionError("".join(said))
        started = psutil.Process(demo.pid).children(recursive=True)
        assert started
        os.kill(demo.pid, getattr(signal, name))
        demo.stdout.read()
        assert demo.wait(60) == 0
        _, alive = psutil.wait_procs(started, timeout=10)
        assert not alive
    finally:
        watchdog.cancel()
        demo.kill()
        demo.wait()
        if demo.stdout is not None:
            demo.stdout.close()
