"""The name of a file from a Content-Disposition, the same for a request and for a part of a multipart body.

Sources: RFC 6266, RFC 7578 (4.2), RFC 2231 for values in several pieces, the HTML standard for the escapes of forms.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import unquote_to_bytes

from pypes.core.file_names import in_one_line

#: From one semicolon to the next, but not to one within quotes.
_PIECE = re.compile(r';((?:[^;"]++|"(?:[^"\\]|\\.)*+(?:"|\\?\Z))*+)', re.DOTALL)
#: The form that nearly all clients send.
_USUAL = re.compile(r'form-data; name="([^"\\%\x80-\xff]*)"; filename="([^"\\%\x80-\xff]*)"')
#: A piece of a long value (``filename*0``, ``filename*1*``).
_CONTINUED = re.compile(r"filename\*(\d{1,3})(\*?)")
#: Escapes of forms for a quote and for line breaks in a name, and nothing else (HTML standard, multipart/form-data).
_FORM_ESCAPE = re.compile("%(22|0D|0A)", re.IGNORECASE)
#: Character sets that an extended value may name (RFC 8187; Latin-1 by RFC 5987, and meant as on the web), and their decoders.
_EXTENDED = MappingProxyType({"utf-8": "utf-8", "": "utf-8", "iso-8859-1": "cp1252"})
_DRIVE = re.compile("[A-Za-z]:")


def filename_of(disposition: str, *, keeps_folders: bool = False) -> str | None:
    """The file's name from a Content-Disposition, ``None`` if it has none; folders are cut off unless asked for.

    ``disposition`` is text as it was sent: each character stands for one byte. What is not UTF-8 is read as windows-1252.
    Browsers have sent names with single backslashes and without quotes around blanks: what is between two semicolons is taken.
    """
    return name_in(disposition_of(disposition), keeps_folders=keeps_folders)


def name_in(parameters: Mapping[str, str], *, keeps_folders: bool = False) -> str | None:
    """The file's name from the parameters of a Content-Disposition, as :func:`filename_of`."""
    name = parameters.get("filename*")
    if name is None:
        name = parameters.get("filename")
    return None if not name else plain_name(name, keeps_folders=keeps_folders)


def disposition_of(disposition: str) -> dict[str, str]:
    """The parameters of a Content-Disposition, decoded; an extended one (RFC 8187) stands under its name with the asterisk."""
    if usual := _USUAL.fullmatch(disposition):  # PERF: a third of the way below
        return {"name": usual[1], "filename": usual[2]}
    found: dict[str, str] = {}
    for piece in _PIECE.findall(disposition):
        name, is_given, value = piece.partition("=")
        value = value.strip()
        if is_given:
            is_quoted = len(value) >= 2 and value[0] == value[-1] == '"'
            plain = value[1:-1].replace("\\\\", "\\").replace('\\"', '"') if is_quoted else value
            found.setdefault(name.strip().lower(), plain)
    extended = found.pop("filename*", None)
    for name, value in found.items():
        if "*" not in name:
            text = value if value.isascii() else _text(value.encode("latin-1", "replace"))
            found[name] = _FORM_ESCAPE.sub(_unescaped, text) if "%" in text else text
    if extended is None and ("filename*0" in found or "filename*0*" in found):
        extended = _joined(found)
    if extended is not None and extended.count("'") >= 2:
        charset, _, encoded = extended.partition("'")
        codec = _EXTENDED.get(charset.lower())
        if codec or "filename" not in found:  # of a set that the RFCs do not know, the plain name beside it has to do
            found["filename*"] = unquote_to_bytes(encoded.partition("'")[2]).decode(codec or "utf-8", "replace")
    return found


def plain_name(name: str, *, keeps_folders: bool = False) -> str | None:
    """A name without its folders, or with them: no drive and no ``..``, with ``/`` between them; ``None`` if nothing is left.

    Control characters in it become ``_``.
    """
    name = in_one_line(name)
    if "/" not in name and "\\" not in name and name[:1] not in ("", ".") and name[1:] != ":":  # PERF: as most are
        return name
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    if parts and _DRIVE.fullmatch(parts[0]):
        del parts[0]
    if not parts or name[-1] in "/\\":
        return None
    return "/".join(parts) if keeps_folders else parts[-1]


def _joined(found: Mapping[str, str]) -> str:
    """An extended value from its numbered pieces, those that are not percent-encoded made so."""
    pieces: dict[int, str] = {}
    for name, value in found.items():
        continued = _CONTINUED.fullmatch(name)
        if continued is not None:
            pieces[int(continued[1])] = value if continued[2] else value.replace("%", "%25")
    value = "".join(pieces[number] for number in range(len(pieces)) if number in pieces)
    return value if "filename*0*" in found else f"''{value}"


def _unescaped(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16))


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")
