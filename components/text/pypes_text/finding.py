"""Finding: places in a text that hold an address, a number or a name of a certain form.

All patterns are bounded, and begin where their first characters cannot be in the middle of a candidate that was looked at: the
time is linear in the length of the text, whatever it is.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
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
_IPV4: Final = re.compile(
    r"(?<![\w.])(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(?![\w]|\.[0-9])"
)
_IPV6: Final = re.compile(
    r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f]{0,4})(?![\w:]|\.[0-9])"
)
_IBAN: Final = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{1,4}){3,8}", re.IGNORECASE)
_CARD: Final = re.compile(r"(?<![\w.-])[2-6](?:[ -]?[0-9]){12,18}(?![\w-])")
_NATIONAL: Final = tuple((re.compile(rf"(?<![\w.-])(?:{pattern})(?![\w-])"), check) for pattern, check in NATIONAL)
#: Beginnings of what may be a national number.
_NATIONAL_START: Final = re.compile(r"(?<![\w.-])(?:[0-9]{2}|[12] [0-9]|[XYZ]-?[0-9]|[A-Z]{6}[0-9LMNPQRSTUV])")
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
    for found in _URL.finditer(text):
        url = found.group()
        while url and (
            url[-1] in ".,;:!?*_~…" or (url[-1] in ")]" and url.count(url[-1]) > url.count({")": "(", "]": "["}[url[-1]]))
        ):
            url = url[:-1]
        host = url.partition("://")[2] or url
        if host and (host[0].isalnum() or host[0] == "["):
            yield Found(found.start(), found.start() + len(url), url if "://" in url else f"http://{url}")


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
    for found in _IBAN.finditer(text):
        length = IBAN_LENGTHS.get(found.group()[:2].upper(), 0)
        # a word may stand behind it
        end = start = found.start()
        left = length
        while left and end < found.end():
            left -= text[end] != " "
            end += 1
        value = text[start:end].replace(" ", "").upper()
        if length and not left and is_iban(value) and not text[end : end + 1].isalnum():
            yield Found(start, end, value)


def cards(text: str) -> Iterator[Found]:
    """Payment cards whose check digit is right, also between other numbers."""
    found = _CARD.search(text)
    while found:
        at = found.start() + 1
        ends = [n for n in range(found.end(), found.start(), -1) if text[n - 1].isdigit() and not text[n : n + 1].isdigit()]
        for end in ends:
            digits = text[found.start() : end].translate(_SEPARATORS)
            if is_card(digits):
                at = end
                yield Found(found.start(), end, digits)
                break
        found = _CARD.search(text, at)


def nationals(text: str) -> Iterator[Found]:
    """National numbers of people, as far as they can be told from other numbers."""
    for start in _NATIONAL_START.finditer(text):
        for pattern, check in _NATIONAL:
            found = pattern.match(text, start.start())
            if found and check(number := found.group().translate(_SEPARATORS)):
                yield Found(*found.span(), number)
                break


def phones(text: str) -> Iterator[Found]:
    """Phone numbers by their form alone; the value has digits, and + before a country code."""
    for found in _PHONE.finditer(text):
        said = found.group()
        digits = "".join(c for c in said.replace("(0)", "", 1) if c in "0123456789")
        is_international = said.startswith(("+", "00"))
        digits = digits.removeprefix("00") if said.startswith("00") else digits
        if 7 <= len(digits) <= _LONGEST_PHONE:
            yield Found(*found.span(), f"+{digits}" if is_international else digits)
