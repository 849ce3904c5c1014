"""The form in which packets are kept that could not be processed."""

from __future__ import annotations

from typing import Any

import orjson

from pypes.core import numbers
from pypes.core.identity import MAX_ID_BYTES, Named
from pypes.core.secrets import Secrets
from pypes.core.shown import shown
from pypes.errors import BadId
from pypes.packet import Packet

#: Containers within containers that the encoder takes, about.
_DEPTH = 200


def as_json(value: Any, secrets: Secrets | None = None) -> tuple[bytes, bool]:
    """JSON form for the dead letters; what JSON cannot say is kept as its ``repr``. False if a large body was left out.

    ``secrets`` are taken out of the metadata; fields are the document's own.
    Integers beyond 64 bits are kept as decimal text, lone surrogates are escaped: such a packet is not whole either.
    """
    is_whole = True
    try:
        if isinstance(value, Packet):
            is_whole = not value.drop_bodies()
        form, is_said = written(value, secrets)
        return form, is_whole and is_said
    except Exception as error:  # values of its own classes that do not behave as their bases do
        return _encode(
            {"value": f"<{type(value).__name__} that cannot be written: {shown(error, secrets.redact if secrets else str)}>"}
        ), False


def written(value: Any, secrets: Secrets | None = None) -> tuple[bytes, bool]:
    """The same, with large bodies read in; False if JSON could not say all of it."""
    form = value.to_json() if isinstance(value, Packet) else {"value": value}
    if secrets is not None and form.get("meta"):
        form = {**form, "meta": secrets.clean_meta(form["meta"])}
    try:
        return _encode(form), True
    except (orjson.JSONEncodeError, RecursionError):
        return _encode(_plain(form, ())), False


def named(value: Any, secrets: Secrets | None = None) -> Named:
    """The names of the document of a packet, without ``secrets``."""
    if not isinstance(value, Packet):
        return Named()
    try:
        id = value.id
    except BadId:
        id = None
    file, route = (text if isinstance(text := value.get_meta(name), str) else None for name in ("filename", "route"))
    clean = secrets.redact if secrets is not None else str
    return Named(*(_sayable(clean(text)) if text is not None else None for text in (id, file, route)))


def _sayable(name: str) -> str:
    """A name as a letter may carry it: no half surrogate pairs, as in names of files that are not UTF-8, and not endless."""
    return name[:MAX_ID_BYTES].encode("utf-8", "backslashreplace").decode()


def _encode(form: Any) -> bytes:
    return orjson.dumps(form, default=_shown, option=orjson.OPT_NON_STR_KEYS)


def _shown(value: Any) -> str:
    try:
        return str.encode(repr(value), "utf-8", "backslashreplace").decode()
    except BaseException as error:
        return f"<{type(value).__name__}: {type(error).__name__} in its repr>"


def _plain(value: Any, within: tuple[int, ...]) -> Any:
    """The same without what the encoder refuses; ``within`` are the identities of the containers around it."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, int):
        return value if numbers.fits(value) else _digits(value)
    if isinstance(value, dict | list | tuple):
        if id(value) in within or len(within) > _DEPTH:
            return _shown(value)
        within += (id(value),)
        if isinstance(value, dict):
            return {_key(key): _plain(each, within) for key, each in value.items()}
        return [_plain(each, within) for each in value]
    return value if value is None or isinstance(value, float) else _shown(value)


def _key(key: Any) -> str:
    return str(_plain(key, ()))


def _digits(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # longer than the interpreter turns into decimal text
        return hex(value)
