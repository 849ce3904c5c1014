"""Finding: places in a text that hold an address, a number or a name of a certain form.

All patterns are bounded, and begin where their first characters cannot be in the middle of a candidate that was looked at: the
time is linear in the length of the text, whatever it is.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from pypes_text.check_digits import IBAN_LENGTHS, NATIONAL, is_card, is_iban


class Found(NamedTuple):
    """A place, ``text[start:end]``, and what it holds in its usual form."""

    start: int
    end: int
    value: str


#: The part of an address before the @, from its end: what of a dot-atom (RFC 5322) people use, with letters of any script.
_LOCAL_REVERSED: Final = re.compile(r"[\w+-](?:[\w.+'&%~-]{0,62}\w)?")
_DOMAIN: Final = re.compile(r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?![\w-])")
_URL: Final = re.compile(
    r"(?<![\w@])(?:https?://|ftp://|www\.)[^\s<>\"'`{}|\\^\u3000-\u303f\uff00-\uff0f\u2018-\u201f\u00ab\u00bb]{3,2048}",
    re.IGNORECASE,
)
#: Behind one address another one begins.
_NEXT_URL: Final = re.compile(r"[,;](?=(?:https?|ftp)://)", re.IGNORECASE)
_IPV4: Final = re.compile(
    r"(?<![\w.])(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(?![\w]|\.[0-9])"
)
_IPV6: Final = re.compile(
    r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f]{0,4})(?![\w:]|\.[0-9])"
)
_IBAN: Final = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{1,4}){3,8}", re.IGNORECASE | re.ASCII)
_CARD: Final = re.compile(r"(?<![\w.-])[2-6](?:[ -]?[0-9]){12,18}(?![\w-])")
_NATIONAL: Final = tuple((re.compile(rf"(?<![\w.-])(?:{pattern})(?![\w-])"), check) for pattern, check in NATIONAL)
#: Before what may be a national number; nothing of it is taken, for another number may begin there.
_NATIONAL_START: Final = re.compile(r"(?<![\w.-])(?=[0-9]{2}|[12] [0-9]|[XYZ]-?[0-9]|[A-Z]{6}[0-9LMNPQRSTUV])")
_SEPARATORS: Final = str.maketrans("", "", " .-+/")
#: Phone numbers as they are written where they can be told from other numbers: with a country code, an area code in brackets, a
#: leading 0 and separators, or in the form of North America.
_PHONE: Final = re.compile(
    r"(?<![\w.,+/-])(?:"
    r"(?:\+|00)[1-9](?:[ ./()-]{0,2}[0-9]){6,14}"
    r"|\(0[0-9]{1,5}\)(?:[ ./-]{0,2}[0-9]){4,10}"
    r"|0[1-9][0-9]{1,4}[ ./-]{1,2}[0-9](?:[ ./-]{0,2}[0-9]){3,8}"
    r"|0[1-9](?:[ .-][0-9]{2}){4}"
    r"|(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[ .-])[0-9]{3}[ .-][0-9]{4}"
    r")(?![\w]|[.,/-][0-9])"
)
_LONGEST_PHONE: Final = 15


def emails(text: str) -> Iterator[Found]:
    """Addresses of mail; their value has the domain in lower case."""
    end = 0
    at = text.find("@")
    while at >= 0:
        domain = _DOMAIN.match(text, at + 1, at + 255)
        local = domain and _LOCAL_REVERSED.match(text[max(end, at - 64) : at][::-1])
        if domain and local:
            name = local.group()[::-1].lstrip(".")
            if name and ".." not in name:
                end = domain.end()
                yield Found(at - len(name), end, f"{name}@{domain.group().lower()}")
        at = text.find("@", max(at + 1, end))


def urls(text: str) -> Iterator[Found]:
    """Addresses of the web, without the punctuation of the sentence behind them; ``www.`` gets ``http://`` in its value."""
    return _search(_URL, text, _url)


def _url(found: re.Match[str]) -> Found | None:
    url = _NEXT_URL.split(found.group(), maxsplit=1)[0]
    while url and (
        url[-1] in ".,;:!?*_~…" or (url[-1] in ")]" and url.count(url[-1]) > url.count({")": "(", "]": "["}[url[-1]]))
    ):
        url = url[:-1]
    host = url.partition("://")[2] or url
    if not host or not (host[0].isalnum() or host[0] == "["):
        return None
    return Found(found.start(), found.start() + len(url), url if "://" in url else f"http://{url}")


def ips(text: str) -> Iterator[Found]:
    """Addresses of the Internet Protocol, version 4 and 6; a version 6 has two groups at least."""
    for found in _IPV4.finditer(text):
        yield Found(*found.span(), found.group())
    if "::" in text or text.count(":") >= 7:
        for found in _IPV6.finditer(text):
            if sum(map(bool, re.split("[:.]", found.group()))) >= 2:
                try:
                    yield Found(*found.span(), str(ipaddress.IPv6Address(found.group())))
                except ValueError:
                    continue


def ibans(text: str) -> Iterator[Found]:
    """Bank accounts (ISO 13616), with or without spaces, whose check digits are right."""
    return _search(_IBAN, text, _iban)


def _iban(found: re.Match[str]) -> Found | None:
    text, (start, most) = found.string, found.span()
    # a word, or another account, may stand behind it
    end = start
    left = length = IBAN_LENGTHS.get(text[start : start + 2].upper(), 0)
    while left and end < most:
        left -= text[end] != " "
        end += 1
    value = text[start:end].replace(" ", "").upper()
    return Found(start, end, value) if length and not left and is_iban(value) and not text[end : end + 1].isalnum() else None


def cards(text: str) -> Iterator[Found]:
    """Payment cards whose check digit is right, also between other numbers."""
    return _search(_CARD, text, _card)


def _card(found: re.Match[str]) -> Found | None:
    text, (start, most) = found.string, found.span()
    for end in range(most, start, -1):
        if text[end - 1].isdigit() and not text[end : end + 1].isdigit():
            digits = text[start:end].translate(_SEPARATORS)
            if is_card(digits):
                return Found(start, end, digits)
    return None


def nationals(text: str) -> Iterator[Found]:
    """National numbers of people, as far as they can be told from other numbers."""
    for start in _NATIONAL_START.finditer(text):
        for pattern, check in _NATIONAL:
            found = pattern.match(text, start.start())
            if found and check(number := found.group().translate(_SEPARATORS)):
                yield Found(*found.span(), number)
                break


def phones(text: str) -> Iterator[Found]:
    """Phone numbers by their form alone; the value has digits, and + before a country code.

    Finds may overlap: one number cannot be told from the beginning of another one behind it.
    """
    found = _PHONE.search(text)
    while found:
        said = found.group()
        digits = "".join(c for c in said.replace("(0)", "", 1) if c in "0123456789")
        is_international = said.startswith(("+", "00"))
        digits = digits.removeprefix("00") if said.startswith("00") else digits
        if 7 <= len(digits) <= _LONGEST_PHONE:
            yield Found(*found.span(), f"+{digits}" if is_international else digits)
        found = _PHONE.search(text, found.start() + 1)


def _search(pattern: re.Pattern[str], text: str, read: Callable[[re.Match[str]], Found | None]) -> Iterator[Found]:
    """Finds, as ``read`` tells them from candidates: the next one begins behind a find, and anywhere in what was none."""
    candidate = pattern.search(text)
    while candidate:
        found = read(candidate)
        if found:
            yield found
        candidate = pattern.search(text, found.end if found else candidate.start() + 1)
