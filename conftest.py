"""Set-up of every test, also of the distributions: profiles of property tests, and a search for processes left behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from pypes.core.lasting import lasting
from pypes.testing.node import DESCRIPTIONS

pytest_plugins = ["tests.servers.fixtures"]

settings.register_profile("default", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fuzz", max_examples=5000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")


#: What takes longest, file by file: begun first, so that nobody waits in the end for one file that runs alone.
LONGEST = (
    *("tests/faults/test_deployments.py", "tests/test_templates.py", "tests/faults/", "tests/test_docs.py"),
    *("tests/test_readme.py", "tests/test_packaging.py"),
)


#: Files that fork processes which use obstore: where it has been used before, they would wait for its threads forever.
FORKING = ("test_s3_objects_faults.py", "test_s3_objects_suite.py", "test_stores_truth.py")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the collector of garbage from looking through ten thousand tests, as it is made to by tests that look for leaks."""
    with lasting():
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    root = Path(__file__).parent

    def rank(item: pytest.Item) -> int:
        if item.path.name in FORKING:
            return -1
        place = item.path.relative_to(root).as_posix()
        return next((rank for rank, long in enumerate(LONGEST) if place.startswith(long)), len(LONGEST))

    items.sort(key=rank)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write surrogates in captured logs as escapes: tests that run in parallel send their reports as UTF-8."""
    report = yield
    report.sections = [(title, text.encode("utf-8", "backslashreplace").decode()) for title, text in report.sections]
    return report


def _children() -> set[str]:
    """Ids of the direct child processes, ended but not waited for included (Linux; elsewhere none are seen)."""
    found: set[str] = set()
    for listing in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
        try:
            found.update(listing.read_text().split())
        except FileNotFoundError:  # the thread ended meanwhile
            continue
    return found


@pytest.fixture(scope="session", autouse=True)
def _descriptions_are_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nodes and commands find out of installed components once in a session: each would start a process per distribution."""
    base = tmp_path_factory.getbasetemp()
    cache = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "session-cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        patch.setenv(DESCRIPTIONS, str(cache / "pypes"))
        yield


@pytest.fixture(autouse=True)
def _no_process_is_left_behind() -> Iterator[None]:
    before = _children()
    yield
    left = _children() - before
    for pid in left:  # a loop in one would slow down all that comes, and go on when the tests are over
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    assert not left, f"the test left processes running: {sorted(left)}"


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Name bytes by their parameter and place: compressed ones hold the time, and every process must have the same names."""
    return argname if isinstance(val, bytes) else None
