"""The entry of a fresh instance process: ties its life to the supervisor's before anything is imported that is slow."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Any

from pypes.core.lifeline import die_with, watch


def run_instance(spec: Any, control: Any, lifeline: Any, parent: int) -> None:
    """Target of the process: lead a process group, die with ``parent`` (the supervisor's pid), run the instance."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # the group lets the supervisor kill what components start; the parent may have set it already
    with contextlib.suppress(PermissionError):
        os.setpgid(0, 0)
    die_with(lifeline.fileno(), parent)
    watch([lifeline.fileno()])
    from pypes.runtime.instance.instance import main

    main(spec, control, lifeline)
