"""Files below the paths that are given, and what their documents are called."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pypes.core.file_names import is_hidden, is_temporary, named, shown
from pypes.core.media_types import OCTETS, media_type_of
from pypes.errors import InvalidInput

#: The id of a document, unless it is said otherwise.
TEMPLATE = "{path}"
PLACES = ("path", "name", "root")

#: The reason why a pipe, a socket, a device or a link that leads nowhere is passed over.
NOT_REGULAR = "not a regular file"
TEMPORARY = "the name is that of a temporary file"
EMPTY = "it is empty"
LINKED = "a link to a folder; to feed the folder, give its path too"

#: Reasons for which files of a folder are passed over without being missed.
NO_DOCUMENTS = frozenset({NOT_REGULAR, TEMPORARY, EMPTY, LINKED})

SNIFFED_BYTES = 4096

OnPassed = Callable[[Path, str], None]


@dataclass(frozen=True, slots=True)
class File:
    """A file to be fed, as it was when it was found.

    ``root`` is the folder it was found in, ``None`` for a file that was named itself; ``name`` is its path from there. ``id`` is
    that of its document, ``None`` if it shall have none. ``media_type`` is empty where its name and content say that, ``label``
    where its path tells people which one it is.
    """

    path: Path
    name: str
    root: Path | None
    size: int
    mtime_ns: int
    id: str | None = None
    media_type: str = ""
    label: str = ""

    def __str__(self) -> str:
        return self.label or str(self.path)


def media_type(path: Path) -> str:
    """Media type by suffix; where that says nothing, text if the beginning looks like it."""
    known = media_type_of(path.name).outer
    if known:
        return known
    with path.open("rb") as file:
        head = file.read(SNIFFED_BYTES)
    return OCTETS if b"\0" in head else "text/plain"


def walk(paths: Iterable[Path], suffixes: Iterable[str] = (), on_passed: OnPassed = lambda path, reason: None) -> Iterator[Path]:
    """All regular files under ``paths`` in a stable order, without hidden ones.

    ``suffixes`` (with or without dot, one or several by commas) choose among them.
    A file that is named itself is taken whatever its name. ``on_passed`` is told, with the reason, of what is no regular file
    (a pipe, a socket, a link that leads nowhere) or has the name of a temporary one, of links to folders, and of folders that
    cannot be read.
    """

    def unreadable(error: OSError) -> None:
        on_passed(Path(error.filename), error.strerror or str(error))

    wanted = {"." + one.strip().lower().lstrip(".") for suffix in suffixes for one in suffix.split(",")}
    for path in paths:
        if path.is_file():
            yield path
            continue
        if not path.is_dir():
            on_passed(path, NOT_REGULAR)
            continue
        for directory, names, files in os.walk(path, onerror=unreadable):
            names[:] = sorted(name for name in names if not is_hidden(name))
            for name in names:
                if (folder := Path(directory, name)).is_symlink():
                    on_passed(folder, LINKED)
            for name in sorted(files):
                if is_hidden(name) or (wanted and Path(name).suffix.lower() not in wanted):
                    continue
                found = Path(directory, name)
                if is_temporary(name, f"*{found.suffix}" if wanted else ""):
                    on_passed(found, TEMPORARY)
                elif found.is_file():
                    yield found
                else:
                    on_passed(found, NOT_REGULAR)


def files_of(
    paths: Iterable[Path],
    suffixes: Iterable[str] = (),
    on_passed: OnPassed = lambda path, reason: None,
    template: str = TEMPLATE,
) -> list[File]:
    """The files under ``paths``, each once, with the ids that ``template`` gives them; an empty one gives none.

    Raises :class:`InvalidInput` if two files would have one id: one of them would replace the other. Only where their paths
    tell them apart, and their spelling as text does not, the second is passed over.
    """
    found: dict[Path, File] = {}
    ids: dict[str, File] = {}
    for file in _files(paths, suffixes, on_passed, template):
        if file.path in found:
            continue
        other = ids.setdefault(file.id, file) if file.id is not None else file
        if other is file:
            found[file.path] = file
        elif other.root == file.root and "{path}" in template:
            on_passed(file.path, f"{other.path} has the id {file.id!r} too; rename one of the two files")
        else:
            raise InvalidInput(
                f"{other.path} and {file.path} would both get the id {file.id!r}; tell them apart with "
                "--id '{root}/{path}', or feed them one after the other to routes of their own",
                code="feed.same_id",
            )
    return list(found.values())


def _files(paths: Iterable[Path], suffixes: Iterable[str], on_passed: OnPassed, template: str) -> Iterator[File]:
    for path in paths:
        for one in walk([path], suffixes, on_passed):
            file = _file(one, path if path != one else None, template, on_passed)
            if file is not None:
                yield file


def _file(path: Path, root: Path | None, template: str, on_passed: OnPassed) -> File | None:
    try:
        status = path.stat()
    except OSError as error:
        on_passed(path, error.strerror or str(error))
        return None
    if not status.st_size:
        on_passed(path, EMPTY)
        return None
    name = path.relative_to(root or path.parent).as_posix()
    values = {"path": shown(name), "name": shown(path.name)}
    if "{root}" in template:
        values["root"] = shown((root or path.parent).resolve().name)
    return File(path, name, root, status.st_size, status.st_mtime_ns, named(template, **values) or None)
