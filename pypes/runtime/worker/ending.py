"""The end of an ingest worker that cannot go on."""

from __future__ import annotations

import os
import signal
import threading
from typing import Final

from pypes.core.lifeline import exit_now
from pypes.runtime.worker.config import WorkerConfig

#: Longest wait of a stopping worker for acknowledgements: its successor runs again what is out then.
STOP_WAIT_S: Final = 5.0


def end_process(config: WorkerConfig) -> None:
    """Have this process end as when it is told to stop, so that gunicorn starts another one; at once if that takes too long."""
    os.kill(os.getpid(), signal.SIGTERM)
    late = threading.Timer(config.grace_s + STOP_WAIT_S, exit_now)
    late.daemon = True
    late.start()
