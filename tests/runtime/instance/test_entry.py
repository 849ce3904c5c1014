"""A real instance, from its entry on."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

from pypes.core.lifeline import Lifeline
from pypes.core.limits import Limits
from pypes.graph.spec import ComponentSpec
from tests.placement import started
from tests.runtime.instance.harness import WAIT_S, Process, spec_of

#: As the supervisor starts it, see ``harness.PROGRAM``.
PROGRAM = """
import os, sys
from multiprocessing.connection import Connection
from pypes.runtime.instance.entry import run_instance
control, lifeline = (Connection(int(fd)) for fd in sys.argv[1:])
run_instance(control.recv(), control, lifeline, os.getppid())
"""

STARTS = """
import json
import os

from pypes.component import Publisher
from tests.placement import started


class Starts(Publisher):
    def setup(self):
        with open(os.environ["OUT_FOLDER"] + "/ended", "w") as file:
            json.dump([*started.programs()], file)

    def process(self, packet): ...
"""


def test_it_outlives_signals_to_its_group_and_what_it_starts_ends_by_them(tmp_path: Path) -> None:
    (tmp_path / "starts.py").write_text(STARTS)
    spec = spec_of(tmp_path, 1, Limits(), publisher="Starts")
    starts = ComponentSpec(name="Starts", module=str(tmp_path / "starts.py"), attr="Starts").to_obj()
    spec = replace(spec, components={**spec.components, "Starts": starts})
    lifeline = Lifeline()
    process = Process(spec, PROGRAM, [lifeline.fd])
    try:
        process.hear("ready")
        assert json.loads((tmp_path / "ended").read_text()) == started.ENDED
        for number in (signal.SIGTERM, signal.SIGINT):
            os.killpg(process.process.pid, number)
        process.control.send(("stop", WAIT_S))
        assert process.process.wait(WAIT_S) == 0
    finally:
        process.close()
        lifeline.close()
