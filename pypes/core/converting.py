"""Converting: values of settings from text to the types of their fields."""

from __future__ import annotations

import configparser
import math
import re
from pathlib import Path
from typing import Any

from pypes.core.sizes import size_of


def converted(info: Any, value: Any, folder: Path) -> Any:
    """Convert text (or a value already typed) to the declared type of the field; raises ``ValueError`` with a sentence."""
    kind = str(info.type)
    if kind == "str":
        text, options = str(value).strip(), info.metadata.get("options")
        if options and text.lower() not in [option.lower() for option in options]:
            raise ValueError(f"must be one of {', '.join(options)}")
        if text and info.metadata.get("is_path_or_url") and "://" not in text:
            return str(folder / Path(text).expanduser())
        return next(o for o in options if o.lower() == text.lower()) if options else text
    if kind == "bool":
        if isinstance(value, bool):
            return value
        state = configparser.ConfigParser.BOOLEAN_STATES.get(str(value).strip().lower())
        if state is None:
            raise ValueError("must be yes or no")
        return state
    if kind.startswith("tuple"):
        parts = re.split(r"[,\n]", value) if isinstance(value, str) else list(value)
        kept = [str(part).strip() for part in parts if str(part).strip()]
        if (known := info.metadata.get("options")) and not set(kept) <= set(known):
            raise ValueError(f"must be some of {', '.join(known)}")
        return tuple(folder / Path(part).expanduser() for part in kept) if "Path" in kind else tuple(kept)
    if kind.startswith("Path"):
        if not str(value).strip():
            if "None" in kind:
                return None
            raise ValueError("must be a path")
        return folder / Path(str(value).strip()).expanduser()
    return _number(info, value)


def _number(info: Any, value: Any) -> int | float:
    is_size = "bytes" in info.name.split("_")
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            number = float(value)
        elif is_size:
            number = size_of(str(value))
        else:
            number = float(str(value).strip())
    except ValueError:
        raise ValueError("must be a size, such as 1048576 or 64MiB" if is_size else "must be a number") from None
    may_be_zero = info.name.endswith("_s") or info.metadata.get("least") == 0
    if not math.isfinite(number) or number < 0 or (number == 0 and not may_be_zero):
        raise ValueError("must be zero or more" if may_be_zero else "must be more than zero")
    if number < (least := info.metadata.get("least", 0)):
        raise ValueError(f"must be {least} at least")
    if number > (most := info.metadata.get("most", math.inf)):
        raise ValueError(f"must be {most} at most")
    if str(info.type) == "float":
        return number
    if number != int(number):
        raise ValueError("must be a whole number")
    return int(number)
