"""Standard input as one body: kept in a file while it is sent, since it may have to be sent again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import BinaryIO

from pypes.cli.feeding.walking import File, media_type
from pypes.core.file_names import named, shown
from pypes.core.media_types import media_type_of

#: The path that means standard input, as it is given and as it is called.
DASH = Path("-")
LABEL = "standard input"


def read_all(stream: BinaryIO, path: Path, *, name: str, media: str, template: str) -> File:
    """Read all of a stream into a new file at ``path``. Blocks until its end; raises ``OSError``.

    ``name`` is the name that it gets; ``media`` its media type, empty: as the name or else the content says. ``template`` gives
    its id: text, or made of the name; none if that is empty.
    """
    with path.open("xb") as file:
        shutil.copyfileobj(stream, file, 1 << 20)
    status = path.stat()
    id = named(template, path=shown(name), name=shown(name), root="") or None
    kind = media or media_type_of(name).outer or media_type(path)
    return File(path, name, None, status.st_size, status.st_mtime_ns, id, kind, LABEL)
