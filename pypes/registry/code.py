"""Code digest: which code a component runs with, as a short text that is another one when the code is.

The one place for this: versions of graphs record it, and whoever must know whether code has changed compares it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from pypes.graph.spec import ComponentSpec

DIGEST_CHARS: Final = 16

#: Most source files of a distribution installed in place that are looked at.
MOST_FILES: Final = 20_000


class Code(msgspec.Struct, frozen=True, order=True):
    """A distribution or a load file that components come from, in the state in which it was.

    ``digest`` is made of the list of its files with their hashes (``RECORD``) for a distribution, of its content for a load file
    (which has no ``version``), and of the times and sizes of its sources for a distribution that is installed in place. It is
    empty if there was nothing to make it of.
    """

    name: str
    version: str
    digest: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}".rstrip()


def codes_of(specs: Iterable[ComponentSpec], known: dict[tuple[str, str], Code] | None = None) -> tuple[Code, ...]:
    """The code that components come from, sorted. Blocks as little as reading a few files does; imports nothing.

    ``known`` spares looking twice at what many graphs use; it is good for one moment only.
    """
    found: dict[tuple[str, str], set[str]] = {}
    for spec in specs:
        source = ("", spec.module) if spec.module.endswith(".py") else (spec.distribution, "")
        found.setdefault(source, set()).add(spec.module.partition(".")[0])
    known = {} if known is None else known
    for source, packages in found.items():
        if source not in known:
            known[source] = _of_file(Path(source[1])) if source[1] else _of_distribution(source[0], packages)
    return tuple(sorted(known[source] for source in found))


def digest_of(codes: Sequence[Code]) -> str:
    """One digest of all of them."""
    return _digest(msgspec.json.encode(codes))


def differences(then: Iterable[Code], now: Iterable[Code]) -> list[str]:
    """The changes between two records of code: a sentence for each distribution and load file that differs."""
    before: Mapping[str, Code] = {code.name: code for code in then}
    after: Mapping[str, Code] = {code.name: code for code in now}
    found = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if old is None:
            found.append(f"{new} was not used")
        elif new is None or (not new.digest and not new.version):
            found.append(f"{old} is not there any more")
        elif old.version != new.version:
            found.append(f"{old} is {new.version or 'a file'} now")
        else:
            found.append(f"{old} has other content now (digest {old.digest or 'unknown'}, now {new.digest or 'unknown'})")
    return found


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:DIGEST_CHARS]


def _of_file(path: Path) -> Code:
    try:
        return Code(path.name, "", _digest(path.read_bytes()))
    except OSError:
        return Code(path.name, "", "")


def _of_distribution(name: str, packages: Iterable[str]) -> Code:
    try:
        distribution = metadata.distribution(name)
    except (metadata.PackageNotFoundError, ValueError):
        return Code(name, "", "")
    record = distribution.read_text("RECORD")
    if _is_in_place(distribution) or record is None:
        return Code(name, distribution.version, _of_sources(packages))
    return Code(name, distribution.version, _digest(record.encode()))


def _is_in_place(distribution: metadata.Distribution) -> bool:
    """True for ``pip install -e``: its sources are elsewhere, and change without being installed again (PEP 610)."""
    try:
        found = msgspec.json.decode(distribution.read_text("direct_url.json") or "{}")
        return bool(found.get("dir_info", {}).get("editable"))
    except (msgspec.DecodeError, AttributeError):
        return False


def _of_sources(packages: Iterable[str]) -> str:
    states = []
    for package in sorted(packages):
        try:
            spec = find_spec(package)  # of a name without dots it imports nothing
        except (ImportError, ValueError):
            spec = None
        if spec is None:
            continue
        places = list(spec.submodule_search_locations or ())
        files = [Path(spec.origin)] if not places and spec.origin else []
        for place in places:
            files += islice(_sources_below(Path(place)), MOST_FILES)
        for file in files:
            try:
                stat = file.stat()
            except OSError:
                continue
            states.append((package, file.name, stat.st_mtime_ns, stat.st_size))
    return _digest(msgspec.json.encode(sorted(states))) if states else ""


def _sources_below(folder: Path) -> Iterable[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__pycache__"))]
        yield from (Path(parent, name) for name in names if not name.endswith((".pyc", ".pyo")))
