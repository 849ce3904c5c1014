"""Finds the components of all installed distributions and of load files, and remembers what they are."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import sys
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

import msgspec

import pypes
from pypes.graph.spec import ComponentSpec
from pypes.registry.catalogue import Broken, Catalogue
from pypes.registry.describe import Order
from pypes.registry.missing import missing_of
from pypes.registry.paths import follow_path_files

GROUP: Final = "pypes.components"

#: Address space that one distribution's imports may take; machine learning libraries reserve far more than they use.
MAX_MEMORY_BYTES: Final = 8 << 30


#: The form of what lies in the cache; another one is read as nothing. It changes with what a ``ComponentSpec`` says.
CACHE_FORMAT: Final = 5


class _Cached(msgspec.Struct):
    """A description as it lies in the cache, good while the files it depends on are unchanged."""

    format: int
    specs: list[dict[str, object]]
    files: list[tuple[str, int, int]]


def discover(
    load_files: Sequence[Path] = (),
    cache_dir: Path | None = None,
    timeout_s: float = 30.0,
    max_memory_bytes: int = MAX_MEMORY_BYTES,
) -> Catalogue:
    """Describe every component of entry point group ``pypes.components`` and of ``load_files``; imports none of them here.

    One process per distribution, several at once, each bounded by ``timeout_s`` and ``max_memory_bytes``. What was described
    before is read from ``cache_dir`` unless the version, a module file, or which of the needed libraries are installed has
    changed. A distribution that cannot be described is listed as broken, its components with the error. A component of a load
    file takes the place of an installed one of the same name. Blocks while it describes.
    """
    follow_path_files()
    importlib.invalidate_caches()
    installed: list[ComponentSpec] = []
    loaded: list[ComponentSpec] = []
    broken: list[Broken] = []
    wanted: list[Order] = []
    cache = _Cache(cache_dir) if cache_dir is not None else None
    for order in [*_installed(timeout_s, max_memory_bytes, broken), *_loaded(load_files, timeout_s, max_memory_bytes)]:
        known = cache.get(order) if cache else None
        if known is None:
            wanted.append(order)
        else:
            (loaded if order.file else installed).extend(known)
    if wanted:
        # imported here: when all is cached, no process is started
        from pypes.registry.describing import describe_all

        for description in describe_all(wanted):
            (loaded if description.order.file else installed).extend(description.specs)
            if description.error:
                order = description.order
                file = order.file if all(spec.error for spec in description.specs) else ""
                broken.append(Broken(order.distribution, order.version, description.error, file))
            elif cache:
                cache.put(description.order, description.specs, description.files)
    return Catalogue(_sorted(installed), sorted(broken, key=str), _sorted(loaded))


def _sorted(specs: Iterable[ComponentSpec]) -> list[ComponentSpec]:
    return sorted(specs, key=lambda spec: (spec.name, spec.distribution))


def discover_for_user(load_files: Sequence[Path] = ()) -> Catalogue:
    """As :func:`discover`, for a program that a user runs: what is described is kept in the user's cache directory."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pypes"
    return discover(load_files=load_files, cache_dir=cache)


def component_files(load_files: Sequence[Path] = ()) -> frozenset[tuple[str, int, int]]:
    """The state of what :func:`discover` looks at first: load files, and the folders that distributions are installed into.

    It is another one when a load file was written or removed, or a distribution installed or removed. Blocks as little as
    looking at a handful of files does.
    """
    found = set()
    for path in {*map(str, load_files), *sys.path}:
        with contextlib.suppress(OSError):
            found.add(_state(path or os.curdir))
    return frozenset(found)


def _installed(timeout_s: float, max_memory_bytes: int, broken: list[Broken]) -> list[Order]:
    by_distribution: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
    for entry in metadata.entry_points(group=GROUP):
        assert entry.dist is not None
        found = by_distribution.setdefault((entry.dist.name, entry.dist.version), [])
        module, _, attr = entry.value.partition(":")
        if attr:
            found.append((entry.name, module.strip(), attr.partition("[")[0].strip()))
        else:
            error = f"entry point {entry.name!r} names no class; write {entry.name} = package.module:Class"
            broken.append(Broken(entry.dist.name, entry.dist.version, error))
    return [
        Order(name, version, sorted(components), "", timeout_s, max_memory_bytes)
        for (name, version), components in sorted(by_distribution.items())
        if components
    ]


def _loaded(load_files: Sequence[Path], timeout_s: float, max_memory_bytes: int) -> list[Order]:
    paths = dict.fromkeys(path.resolve() for path in load_files)
    return [Order(path.name, "", [], str(path), timeout_s, max_memory_bytes) for path in paths]


class _Cache:
    """One file per distribution. Anything unreadable in it counts as absent: it can all be found out again."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        # where imports look: what is not there holds nothing, and "" is the working directory
        folders = [str(Path(entry).resolve()) for entry in sys.path if Path(entry).exists()]
        self._place = f"{pypes.__version__} {sys.version} {folders}".encode()

    def get(self, order: Order) -> list[ComponentSpec] | None:
        try:
            cached = msgspec.json.decode(self._path(order).read_bytes(), type=_Cached)
            if cached.format != CACHE_FORMAT or any(
                _state(path) != (path, mtime_ns, size) for path, mtime_ns, size in cached.files
            ):
                return None
            specs = [ComponentSpec.from_obj(obj) for obj in cached.specs]
            # libraries come and go without a file of the distribution
            return specs if all(missing_of(spec.needs) == spec.missing for spec in specs) else None
        except (OSError, ValueError, TypeError):
            return None

    def put(self, order: Order, specs: Iterable[ComponentSpec], files: Iterable[str]) -> None:
        """Remember a description. A cache that cannot be written to is done without."""
        with contextlib.suppress(OSError):
            cached = _Cached(CACHE_FORMAT, [spec.to_obj() for spec in specs], [_state(path) for path in files])
            self._directory.mkdir(parents=True, exist_ok=True)
            path = self._path(order)
            # several commands may write at once: each its own file, and the last one wins
            draft = path.with_suffix(f".{os.getpid()}")
            draft.write_bytes(msgspec.json.encode(cached))
            draft.replace(path)

    def _path(self, order: Order) -> Path:
        key = msgspec.json.encode((order.distribution, order.version, order.components, order.file))
        digest = hashlib.sha256(key + self._place).hexdigest()[:16]
        return self._directory / f"{order.distribution}-{digest}.json"


def _state(path: str) -> tuple[str, int, int]:
    """Path, modification time in ns and size in bytes. Raises ``OSError``."""
    stat = Path(path).stat()
    return path, stat.st_mtime_ns, stat.st_size
