"""Throw-away distributions: laid out in a folder as an installer would, to be found through ``sys.path``."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path


def lay_out(site: Path, name: str, components: Mapping[str, str], source: str, version: str = "1.0") -> Path:
    """Write distribution ``name`` with one module of ``source``; ``components`` maps component to class. Returns the module."""
    module = name.replace("-", "_")
    path = site / f"{module}.py"
    path.write_text(textwrap.dedent(source))
    info = site / f"{module}-{version}.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    entries = "\n".join(f"{component} = {module}:{attr}" for component, attr in components.items())
    (info / "entry_points.txt").write_text(f"[pypes.components]\n{entries}\n")
    return path


GOOD = '''
    from typing import Annotated
    from pypes.component import Adapter, Publisher
    from pypes.component.parameters import Help, Parameters

    class Lines(Adapter):
        """Splits text into lines."""
        accepts = ("text/plain",)
        outputs = {"out": "One packet per line", "rest": "What is left"}

        class Params(Parameters):
            limit: Annotated[int, Help("Most lines.", ge=1)] = 10

    class Keep(Publisher):
        """Keeps."""
'''
