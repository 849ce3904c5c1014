"""Paths of distributions that were installed in place (``pip install -e``) since this process began."""

from __future__ import annotations

import site
import sys
from collections.abc import Iterable
from pathlib import Path


def follow_path_files(folders: Iterable[str] | None = None) -> None:
    """Append to ``sys.path`` the folders that path configuration files (``*.pth``) name by now.

    Python reads those files once, at its start. The process that describes a component is a new one and finds it, but an instance
    takes its ``sys.path`` from the process that starts it. Lines that are code are left to the start of each process: what they
    install is not in ``sys.path``, so instances keep it. ``folders``: where to look, by default this Python's site directories.
    """
    for folder in map(Path, _site_folders() if folders is None else folders):
        # hidden ones are ignored by Python, too
        for file in sorted(path for path in folder.glob("*.pth") if not path.name.startswith(".")):
            for line in _lines(file):
                named = str((folder / line).resolve())
                if named not in sys.path and Path(named).is_dir():
                    sys.path.append(named)


def _site_folders() -> list[str]:
    return [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]


def _lines(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):  # removed meanwhile, or not to be read: Python passes it over at its start
        return []
    return [line.rstrip() for line in lines if line.strip() and not line.startswith(("#", "import ", "import\t"))]
