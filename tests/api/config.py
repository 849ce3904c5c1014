"""The configuration of a worker under test."""

from __future__ import annotations

from typing import Any

from pypes.runtime.worker.config import WorkerConfig


def worker_config(**changes: Any) -> WorkerConfig:
    """A configuration that leads nowhere, but for ``changes``."""
    given: dict[str, Any] = {
        "data_dir": "data",
        "runtime_dir": "run",
        "control_socket": "run/control.sock",
        "listen_fd": 0,
        "lifeline_fd": 0,
        "host": "127.0.0.1",
        "port": 8080,
        "workers": 1,
        "session_key": b"random bytes",
    }
    return WorkerConfig(**{**given, **changes})
