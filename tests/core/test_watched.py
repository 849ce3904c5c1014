import threading

import pytest

from pypes.core.watched import watched_thread


def test_a_thread_that_raises_is_missed(caplog: pytest.LogCaptureFixture) -> None:
    failed = threading.Event()

    def raises() -> None:
        raise SystemExit(3)

    thread = watched_thread(raises, "some thread", failed.set)
    thread.join(10)
    assert failed.is_set()
    assert caplog.records[0].work == "some thread"  # type: ignore[attr-defined]
    other = threading.Event()
    watched_thread(lambda: None, "that thread", other.set).join(10)
    assert not other.is_set()
