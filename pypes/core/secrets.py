"""Secrets, and their removal from logs, errors and metadata.

A secret is the value of an environment variable that a parameter names (``${NAME}``), or the text before the ``@`` of an
address (``https://user:password@host``). A value shorter than :data:`MIN_CHARS` is not looked for: it would be found everywhere.
One shorter than :data:`SURE_CHARS` is taken out only where it stands by itself, not within a longer word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from pypes.core.identity import OWN_METADATA
from pypes.core.spellings import any_of, disguises, in_base64, spellings
from pypes.errors import Problem, PypesError

#: ``${NAME}`` in a parameter; a second dollar sign before it makes it mere text.
VARIABLE: Final = re.compile(r"\$(\$?)\{([A-Za-z_][A-Za-z0-9_]*)\}")

MIN_CHARS: Final = 4
SURE_CHARS: Final = 8
#: Values that reveal nothing and would be found everywhere.
COMMON: Final = frozenset({"true", "false", "none", "null", "http", "https", "localhost", "127.0.0.1"})

#: Shown in place of a secret without a name.
HIDDEN: Final = "***"
#: User and password of an address. Linear: the class holds no ``/``, so no two matches are tried over the same text.
_USERINFO: Final = re.compile(r"://[^/?#\s\"'<>\\]*@")
_IN_ADDRESS: Final = f"://{HIDDEN}@"

#: Containers within containers that are looked into; the codecs take no more.
_DEPTH: Final = 200


class Secrets:
    """The secrets that a process knows, and the redaction of text by them. Any thread may use it."""

    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        #: Secret → text shown instead.
        self.known: Mapping[str, str] = dict(known or {})
        self._text, self._sure = _Finder(self.known, MIN_CHARS), _Finder(self.known, SURE_CHARS)

    @classmethod
    def of(cls, values: Iterable[Any], environ: Mapping[str, str]) -> Secrets:
        """Those in parameters, or in anything that holds parameters (JSON values)."""
        made = cls()
        made.learn(list(values), environ)
        return made

    def learn_variables(self, names: Iterable[str], environ: Mapping[str, str]) -> None:
        """Learn the values of variables by their names."""
        values = {name: environ.get(name, "") for name in sorted(names)}
        found = {form: f"${{{name}}}" for name, value in values.items() for form in _forms(value)}
        # what is the whole value of one is shown as that, and not as a part of another
        self._add(found | {value: f"${{{name}}}" for name, value in values.items()})

    def learn(self, value: Any, environ: Mapping[str, str]) -> None:
        """Learn the values of ``${NAME}`` anywhere in JSON values, and the passwords of addresses in them."""
        self.learn_variables(variables_in(value), environ)
        texts = (text for text in _texts(value) if "@" in text and "${" not in text)
        self._add({form: HIDDEN for text in texts for password in _passwords(text) for form in _forms(password)})

    def add(self, text: str, shown: str = HIDDEN) -> None:
        """Learn one more, made of others: a header, a signature."""
        self._add(dict.fromkeys(_forms(text), shown))

    def _add(self, found: Mapping[str, str]) -> None:
        new = {text: shown for text, shown in found.items() if _is_looked_for(text)}
        if new.keys() - self.known.keys():
            known = {**new, **self.known}
            self._text, self._sure = _Finder(known, MIN_CHARS), _Finder(known, SURE_CHARS)
            self.known = known

    def redact(self, text: str) -> str:
        """``text`` with every secret replaced by its name, ``${NAME}``, or by ``***``."""
        return without_users(self._text.replaced(text))

    def redacted(self, value: Any) -> Any:
        """JSON values with :meth:`redact` done to every text in them, keys included."""
        return _each(value, self.redact)

    def clean_meta(self, meta: Mapping[str, Any]) -> dict[str, Any]:
        """Metadata of a packet without secrets. Metadata that the server itself sets stays.

        Short values are not looked for.

        Documents are stored and published with it: a word that happens to be the value of a variable must not be changed.
        """
        return {name: value if name in OWN_METADATA else _each(value, self._redact_sure) for name, value in meta.items()}

    def shown(self, value: Any) -> Any:
        """Documents for people to look at (JSON values): as :meth:`clean_meta`, with nothing left out."""
        return _each(value, self._redact_sure)

    def clean_text(self, text: str) -> str:
        """One text of a document for people to look at, as :meth:`shown`."""
        return self._redact_sure(text)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Take secrets out of the errors of Pypes that pass."""
        try:
            yield
        except PypesError as error:
            error.message = self.redact(error.message)
            error.args = (error.message,)
            error.problems = tuple(Problem(p.path, self.redact(p.message), p.code) for p in error.problems)
            raise

    def _redact_sure(self, text: str) -> str:
        return without_users(self._sure.replaced(text))


class _Finder:
    """Finds known texts of ``least`` characters or more, the longest that begins somewhere, and puts others in their place."""

    def __init__(self, known: Mapping[str, str], least: int) -> None:
        self._known = known
        self._texts = [text for text in known if len(text) >= least]
        self._pattern: re.Pattern[str] | None = None

    def replaced(self, text: str) -> str:
        if not self._texts:
            return text
        if self._pattern is None:  # made when it is needed: more are learned before
            sure = [each for each in self._texts if len(each) >= SURE_CHARS]
            short = sorted((each for each in self._texts if len(each) < SURE_CHARS), key=len, reverse=True)
            self._pattern = re.compile("|".join([*([any_of(sure)] if sure else []), *map(_alone, short)]))
        return self._pattern.sub(lambda found: self._known[found[0]], text)


def variables_in(value: Any) -> frozenset[str]:
    """The names of variables that JSON values refer to."""
    return frozenset(name for text in _texts(value) for escaped, name in VARIABLE.findall(text) if not escaped)


def without_users(text: str) -> str:
    """``text`` without the users and passwords of addresses in it."""
    return _USERINFO.sub(_IN_ADDRESS, text) if "@" in text and "://" in text else text


def masked(value: Any) -> Any:
    """JSON values as they may be shown: :func:`without_users` done to every text. What holds none is returned as it is."""
    return _each(value, without_users)


def holds_mask(text: str) -> bool:
    """True if ``text`` was shown with something hidden in it, so that it cannot be used."""
    return _IN_ADDRESS in text


def _each(value: Any, change: Callable[[str], str], within: tuple[int, ...] = ()) -> Any:
    """JSON values with every text changed; ``within`` are the identities of the containers around them."""
    if isinstance(value, str):
        return change(value)
    if not isinstance(value, (Mapping, list, tuple)):
        return value
    if id(value) in within or len(within) > _DEPTH:  # it contains itself; whoever encodes it says so
        return value
    within += (id(value),)
    if isinstance(value, Mapping):
        return {change(key) if isinstance(key, str) else key: _each(item, change, within) for key, item in value.items()}
    return [_each(item, change, within) for item in value]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(key)
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)


def _forms(value: str) -> Iterator[str]:
    """A value, its lines, and the password in it, in all the forms in which they turn up; see :mod:`pypes.core.spellings`."""
    whole = {value, value.strip(), *_passwords(value)}
    whole |= {unquote(part) for part in whole if "%" in part}
    for part in filter(_is_looked_for, whole):
        yield from spellings(part)
        yield from disguises(part) if len(part) >= SURE_CHARS else in_base64(part)
    for line in filter(_is_looked_for, {line.strip() for line in value.splitlines()} - whole):
        yield from spellings(line)


def _is_looked_for(text: str) -> bool:
    return len(text) >= MIN_CHARS and text.lower() not in COMMON


def _passwords(text: str) -> Iterator[str]:
    for found in _USERINFO.findall(text):
        try:
            password = urlsplit(f"x{found}host").password
        except ValueError:
            continue
        if password and password != HIDDEN:
            yield password
            yield unquote(password)


def _alone(text: str) -> str:
    """A short value that is not part of a longer word; an escape before it (``%3A``) is no word."""
    before = r"(?:(?<![A-Za-z0-9])|(?<=%[0-9A-Fa-f]{2}))" if text[0].isalnum() else ""
    after = r"(?![A-Za-z0-9])" if text[-1].isalnum() else ""
    return f"{before}{re.escape(text)}{after}"
