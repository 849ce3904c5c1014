"""What the supervisor tells its workers of the graphs that are deployed."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest

from pypes.config import load_settings
from pypes.runtime.graphs.deployed import Deployed
from pypes.runtime.graphs.store import ControlStore
from pypes.runtime.pool.pool import Pool


@pytest.mark.parametrize("is_strict", [True, False])
def test_workers_hear_whether_routes_are_strict(tmp_path: Path, is_strict: bool) -> None:
    settings = load_settings(flags={"server.strict_routes": is_strict}, environ={}, folder=tmp_path)
    reading, writing = os.pipe()
    pool = Pool(tmp_path, reading, lambda: None, lambda *_: None, lambda *_: None)
    os.close(reading)
    os.close(writing)
    with closing(ControlStore(tmp_path / "control.db")) as store:
        assert Deployed(store, pool, settings).topology()["strict_routes"] is is_strict
