"""gunicorn with uvicorn workers on a socket that the supervisor bound: ``python -m pypes.api.server FD``.

``FD`` is an inherited descriptor from which the configuration is read (``WorkerConfig``). The arbiter forks
the workers; each runs one :class:`IngestWorker` in uvloop. Neither outlives the supervisor, no worker the arbiter: each
watches both their lifelines.
"""

from __future__ import annotations

import logging
import math
import os
import sys
from pathlib import Path
from typing import Any

import gunicorn.glogging  # type: ignore[import-untyped]
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped]

from pypes import logs
from pypes.core.lasting import lasting
from pypes.core.lifeline import watch
from pypes.runtime.worker.config import WorkerConfig

log = logging.getLogger(__name__)

#: A worker whose event loop stood still for so long is killed.
HANG_S = 60

#: Beyond grace_s: what stopping takes when there is nothing left to wait for.
STOP_S = 5

#: Variables by which service managers and gunicorn itself would talk to the arbiter; they are meant for the supervisor.
_FOREIGN = ("NOTIFY_SOCKET", "LISTEN_PID", "LISTEN_FDS", "GUNICORN_PID", "GUNICORN_FD")


class Logger(gunicorn.glogging.Logger):  # type: ignore[misc]
    """gunicorn's own messages, through the logging of this process."""

    def setup(self, cfg: Any) -> None:
        self.cfg = cfg
        self._access_log_enabled = False
        # what it says at INFO is of interest only to those who look into gunicorn
        self.error_log.setLevel(logging.DEBUG if cfg.loglevel == "debug" else logging.WARNING)
        self.error_log.propagate = True


class Application(BaseApplication):  # type: ignore[misc]
    """gunicorn, told everything it may decide: it reads no file, no arguments, no environment, and opens no socket."""

    def __init__(self, config: WorkerConfig) -> None:
        self.config = config
        #: Ends with the arbiter; every worker watches it.
        self.lifeline_fd, self._lifeline_writer = os.pipe()
        super().__init__()

    def forked(self) -> None:
        """In a worker: let go of the arbiter's end of the lifeline, or it would not end with the arbiter."""
        os.close(self._lifeline_writer)

    def load_config(self) -> None:
        config = self.config
        # gunicorn has its workers' class before it forks them: they share what was imported
        with lasting():
            from pypes.api.worker import GunicornWorker
        settings = {
            "bind": f"fd://{config.listen_fd}",
            "workers": config.workers,
            "worker_class": GunicornWorker,
            "logger_class": Logger,
            "loglevel": config.log_level.lower(),
            "accesslog": None,
            "timeout": HANG_S,
            "graceful_timeout": math.ceil(config.grace_s) + STOP_S,
            "worker_tmp_dir": _heartbeat_dir(config),
            "control_socket_disable": True,
            "proc_name": "pypes",
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def wsgi(self) -> None:
        """Nothing yet: the worker builds the application once its loop runs."""

    def run(self) -> None:
        OnlyArbiter(self).run()


class OnlyArbiter(Arbiter):  # type: ignore[misc]
    """An arbiter that leaves configuration and upgrades to the supervisor."""

    def handle_hup(self) -> None:
        log.debug("ignored", extra={"signal": "SIGHUP"})

    def handle_usr2(self) -> None:
        # gunicorn would start a second master that belongs to nobody
        log.debug("ignored", extra={"signal": "SIGUSR2"})


def _heartbeat_dir(config: WorkerConfig) -> str:
    """Folder where workers touch a file as a life sign: in memory if possible, so that a busy disk does not look like a hang."""
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() and os.access(memory, os.W_OK) else config.runtime_dir


def main(arguments: list[str]) -> None:
    """Run the arbiter until it is told to stop."""
    config = WorkerConfig.read(int(arguments[0]))
    for name in _FOREIGN:
        os.environ.pop(name, None)
    logs.configure("gunicorn", json=config.log_json, level=config.log_level, hiding=config.hiding())
    logs.keep(Path(config.runtime_dir), config.log_ring_bytes)
    watch([config.lifeline_fd])
    Application(config).run()


if __name__ == "__main__":
    main(sys.argv[1:])
