"""The origin of an installed distribution, if pip took it from no index (PEP 610)."""

from __future__ import annotations

from importlib import metadata

import msgspec

FILE = "direct_url.json"


class _Folder(msgspec.Struct):
    editable: bool = False


class _Direct(msgspec.Struct):
    url: str
    dir_info: _Folder | None = None


def direct_origin(distribution: str) -> str | None:
    """A line of a requirements file that installs the distribution from where it came; ``None`` if that was an index.

    Sources of this machine are given by their address: a checkout (``-e`` if it was installed so) or a wheel. Whatever else
    pip was pointed to is left to its settings.
    """
    try:
        recorded = metadata.distribution(distribution).read_text(FILE)
    except metadata.PackageNotFoundError:
        return None
    if recorded is None:
        return None
    direct = msgspec.json.decode(recorded, type=_Direct)
    if not direct.url.startswith("file:"):
        return None
    return f"-e {direct.url}" if direct.dir_info is not None and direct.dir_info.editable else direct.url
