"""What the supervisor tells a worker comes through unchanged."""

from __future__ import annotations

from pypes.core.limits import Limits
from pypes.runtime.worker.config import WorkerConfig


def test_a_worker_gets_its_configuration_whole() -> None:
    config = WorkerConfig(
        data_dir="d", runtime_dir="r", control_socket="c", listen_fd=3, lifeline_fd=4, host="::1", port=80, workers=2,
        session_key=b"\0\xff", token="t", hosts=("a",), limits=Limits(grace_s=7.0), node=1 << 31,
    )  # fmt: skip
    assert WorkerConfig.decode(config.encode()) == config
    assert config.grace_s == 7.0
