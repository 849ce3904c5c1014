"""Recovering: what was in hand when the bookkeeping itself raised is given to the dead letters, and the others go on."""

from __future__ import annotations

from collections.abc import Sequence

from greenlet import greenlet

from pypes.runtime.scheduler.core import Core, is_no_failure
from pypes.runtime.scheduler.driver import Driver


def recover(core: Core, drivers: Sequence[Driver], runner: greenlet, error: BaseException) -> None:
    """Charge an error, our own bug or an interruption, to the filters that had something in hand in a runner.

    If none had, it is a bug before the turn of the one that runs.
    """
    is_charged = is_no_failure(error)
    for driver in drivers:
        if driver.epoch is not None and (driver.greenlet is None or driver.greenlet is runner or driver.greenlet.dead):
            driver.failed_step(error)
            is_charged = True
    if not is_charged:
        assert core.running is not None
        drivers[core.running.index].failed_before(error)
