"""Fetch the packages of the corpus by name, check their sums, and lay their files out by kind."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.corpus.packages import PACKAGES, Source

PLACE = Path(".corpus")
#: Name of the file that says of each kind where its files come from.
LICENCES = "LICENCES.txt"


def fetch(place: Path = PLACE) -> dict[str, list[Path]]:
    """Fetch what is not there yet; returns the files by kind, sorted.

    Raises ``SystemExit`` with what to install, or whose sum is wrong.
    """
    for source in PACKAGES:
        folder = place / "packages" / _folder(source)
        if not (folder / ".complete").exists():
            _unpack(source, _archive(source, place), folder)
            (folder / ".complete").touch()
    found: dict[str, list[Path]] = {}
    for source in PACKAGES:
        for kind, files in _taken(source, place):
            found.setdefault(kind, []).extend(files)
    lines = [f"{source.name} {source.version} ({source.manager}): {source.licence}" for source in PACKAGES]
    (place / LICENCES).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {kind: sorted(files) for kind, files in sorted(found.items())}


def _folder(source: Source) -> str:
    return f"{source.manager}-{source.name.replace('/', '-').lstrip('@')}-{source.version}"


def _archive(source: Source, place: Path) -> Path:
    folder = place / "archives" / _folder(source)
    folder.mkdir(parents=True, exist_ok=True)
    there = [path for path in folder.iterdir() if path.is_file()]
    if not there:
        _say(f"fetching {source.name} {source.version} ({source.manager}, {source.licence})")
        _download(source, folder)
        there = [path for path in folder.iterdir() if path.is_file()]
    if len(there) != 1:
        raise SystemExit(f"{source.name} could not be fetched; is its registry reachable?")
    sum_ = hashlib.sha256(there[0].read_bytes()).hexdigest()
    if sum_ != source.sha256:
        if source.manager != "debian" or source.version.replace(":", "%3a") in there[0].name:
            there[0].unlink()
            raise SystemExit(f"{source.name} {source.version} has the sum {sum_} and not {source.sha256}; it was removed again")
        _say(f"  another version than {source.version}, which Debian has signed: {there[0].name}")
    return there[0]


def _download(source: Source, folder: Path) -> None:
    name, version = source.name, source.version
    if source.manager == "debian":
        # an archive keeps the newest version alone
        _run(["apt-get", "download", "-q", f"{name}={version}"], folder, may_fail=True)
        if not any(folder.iterdir()):
            _run(["apt-get", "download", "-q", name], folder)
    elif source.manager == "npm":
        _run(["npm", "pack", "--silent", f"{name}@{version}"], folder)
    else:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", f"{name}=={version}"]
        _run(command, folder)


def _run(command: list[str], folder: Path, *, may_fail: bool = False) -> None:
    if shutil.which(command[0]) is None:
        raise SystemExit(f"{command[0]} is needed for the corpus: apt-get install {'apt' if 'apt' in command[0] else command[0]}")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode and not may_fail:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-1000:]}")


def _unpack(source: Source, archive: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if source.manager == "debian":
        _run(["dpkg", "-x", str(archive.resolve()), "."], folder)
    else:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")


def _taken(source: Source, place: Path) -> Iterator[tuple[str, list[Path]]]:
    folder = place / "packages" / _folder(source)
    for kind, pattern, every in source.takes:
        files = sorted(path for path in folder.glob(pattern) if path.is_file() and not path.is_symlink())[::every]
        if kind.startswith("man-"):
            files = _rendered(files, place / "rendered" / kind)
        yield kind, files


def _rendered(pages: list[Path], folder: Path) -> list[Path]:
    """Man pages as the text that a reader sees: their source is a program for a typesetter."""
    if shutil.which("groff") is None:
        raise SystemExit("groff is needed for the man pages of the corpus: apt-get install groff-base")
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor() as threads:
        return list(threads.map(lambda page: _render(page, folder / f"{page.name.removesuffix('.gz')}.txt"), pages))


def _render(page: Path, target: Path) -> Path:
    if not target.exists():
        source = gzip.decompress(page.read_bytes())
        # -c: no colours; -P -c -P -b -P -u: no overstriking either
        command = ["groff", "-K", "utf8", "-m", "man", "-T", "utf8", "-P-c", "-P-b", "-P-u", "-P-o"]
        done = subprocess.run(command, input=source, capture_output=True, check=True)
        target.write_bytes(done.stdout)
    return target


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    for kind, files in fetch().items():
        _say(f"{kind}: {len(files)} files, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB")
