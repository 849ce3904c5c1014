"""Settings of other programs that the documents show: the program itself says whether it would take them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.needed import missing

#: By fence: the command, to which the file's name is added.
CHECKERS: Final = {
    "haproxy": ("haproxy", "-c", "-f"),
    "nginx": ("nginx", "-t", "-c"),
    "systemd": ("systemd-analyze", "verify"),
}
#: Where systemd's unit expects the command; the check wants it to be there.
INSTALLED: Final = "/opt/pypes/bin/pypes"


def check(language: str, path: Path) -> None:
    """Have the program check its settings in ``path``. Skips where it is not installed; fails there if ``CI`` is set."""
    program, *options = CHECKERS[language]
    found = shutil.which(program, path=f"/usr/sbin:/sbin:{Path(sys.executable).parent}:/usr/bin:/bin")
    if found is None:
        missing(f"{program} is not there: apt-get install nginx-light haproxy systemd")
        return
    text = path.read_text(encoding="utf-8").replace(INSTALLED, str(Path(sys.executable).parent / "pypes"))
    if language == "nginx":  # what is shown is part of a whole
        text = f"events {{}}\npid {path.parent / 'nginx.pid'};\nhttp {{\n{text}\n}}\n"
    path.write_text(text, encoding="utf-8")
    done = subprocess.run([found, *options, str(path)], cwd=path.parent, capture_output=True, text=True, check=False)
    # systemd passes over what it does not know, and says so
    complaints = [line for line in done.stderr.splitlines() if language == "systemd" and path.name in line]
    is_taken = done.returncode == 0 and not complaints
    assert is_taken, f"{program} refuses it:\n{done.stdout}{done.stderr}"
