"""The entry of a fresh instance process: ties its life to the supervisor's before anything is imported that is slow."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from pypes.core.lasting import lasting
from pypes.core.lifeline import die_with, watch
from pypes.core.signals import leave_to_owner


def run_instance(spec: Any, control: Any, lifeline: Any, parent: int) -> None:
    """Target of the process: lead a process group, die with ``parent`` (the supervisor's pid), run the instance."""
    leave_to_owner()
    # the group lets the supervisor kill what components start; the parent may have set it already
    with contextlib.suppress(PermissionError):
        os.setpgid(0, 0)
    die_with(lifeline.fileno(), parent)
    watch([lifeline.fileno()])
    with lasting():
        from pypes.runtime.instance.instance import main

    main(spec, control, lifeline)
