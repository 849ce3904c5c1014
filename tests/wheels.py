"""Wheels of this project's distributions, built from a copy of the sources, so that the work tree stays as it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
DISTRIBUTIONS = [".", *sorted(str(path.parent.relative_to(ROOT)) for path in ROOT.glob("components/*/setup.py"))]


def build_wheels(home: Path, distributions: Sequence[str] = DISTRIBUTIONS) -> list[Path]:
    """Build a wheel of each distribution (named by its folder) into ``home / "dist"``; sorted by name."""
    source = home / "source"
    _copy_sources(source)
    for distribution in distributions:
        build(source / distribution, home / "dist", "--wheel")
    return sorted((home / "dist").glob("*.whl"))


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
        if name.startswith(("pypes/", "components/")) or (name and "/" not in name):
            if not (ROOT / name).is_file():
                continue
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, to / name)
