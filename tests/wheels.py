"""Wheels of this project's distributions, built from a copy of the sources, so that the work tree stays as it is."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.needed import missing

ROOT = Path(__file__).parent.parent
DISTRIBUTIONS = [".", *sorted(str(path.parent.relative_to(ROOT)) for path in ROOT.glob("components/*/setup.py"))]

#: What the distributions that `pypes new` makes ask for beyond Pypes: to be built, and to be tested.
NEEDED = ("setuptools>=77", "pytest>=8")


def build_wheels(home: Path, distributions: Sequence[str] = DISTRIBUTIONS) -> list[Path]:
    """Build a wheel of each distribution (named by its folder) into ``home / "dist"``; sorted by name."""
    source = home / "source"
    _copy_sources(source)
    for distribution in distributions:
        build(source / distribution, home / "dist", "--wheel")
    return sorted((home / "dist").glob("*.whl"))


def wheels_of_session(factory: pytest.TempPathFactory) -> list[Path]:
    """The wheels of all distributions, built once for all processes of a test session; sorted by name."""
    with _once(factory, "wheels") as (home, is_done):
        if not is_done:
            build_wheels(home)
    return sorted((home / "dist").glob("*.whl"))


def index_of_session(factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels of this project and of all that it needs, filled once for all processes of a test session.

    So one step needs the network, and no distribution of our names is ever taken from elsewhere.
    """
    wheels = wheels_of_session(factory)
    [server] = [wheel for wheel in wheels if wheel.name.startswith("pypes_server-")]
    components = [wheel for wheel in wheels if wheel != server]
    with _once(factory, "index") as (home, is_done):
        if not is_done:
            pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir")
            done = subprocess.run(
                [*pip, home, f"{server}[new]", *components, *NEEDED], cwd=home, capture_output=True, text=True, check=False
            )
            if done.returncode:
                missing(f"no wheels of what Pypes needs; is there a network? {done.stderr}")
    return home


@contextmanager
def _once(factory: pytest.TempPathFactory, name: str) -> Iterator[tuple[Path, bool]]:
    """A folder of the session, held by one process at a time, and whether a block before this one has gone through with it."""
    base = factory.getbasetemp()
    home = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"session-{name}"
    home.mkdir(exist_ok=True)
    done = home.with_suffix(".done")
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield home, done.exists()
        done.touch()


def build(source: Path, to: Path, *options: str) -> None:
    """Build the distribution in ``source`` with the tools of the tests; without options an sdist, and from that a wheel."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "PYPES_"))}
    command = [sys.executable, "-P", "-m", "build", *options, "--no-isolation", "--outdir", str(to), str(source)]
    done = subprocess.run(command, cwd=source, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{source} cannot be built:\n{done.stdout}\n{done.stderr}"


def _copy_sources(to: Path) -> None:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.split("\n"):
        if name.startswith(("pypes/", "components/", "graphs/")) or (name and "/" not in name):
            if not (ROOT / name).is_file() and not (ROOT / name).is_symlink():
                continue
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, to / name, follow_symlinks=False)
