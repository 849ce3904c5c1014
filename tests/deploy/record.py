"""Record incidents anew: ``python -m tests.deploy.record [NAME...]``, all without names. Takes a minute each, as root.

Record them when the alerts or the dashboard ask for metrics that the recordings do not have.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.deploy.incidents import INCIDENTS
from tests.deploy.recording import RECORDED
from tests.deploy.settings import alerts, names_in
from tests.deploy.stage import record

#: Names of samples that alerts ask for: an incident is recorded with these only.
ASKED = {"up"}.union(*(names_in(alert.expr) for alert in alerts()))


def main(names: list[str]) -> None:
    for name in names or INCIDENTS:
        incident = INCIDENTS[name]
        print(f"{name}: {incident.about}", flush=True)  # noqa: T201
        with tempfile.TemporaryDirectory(prefix="pypes-record-") as folder:
            recording = record(incident, Path(folder))
        kept = recording if incident.is_whole else recording.only(ASKED)
        kept.save(RECORDED / f"{name}.txt")


if __name__ == "__main__":
    main(sys.argv[1:])
