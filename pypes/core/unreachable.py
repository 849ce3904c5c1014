"""Unreachable: whether an exception says that a service is not there, whichever library raised it."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from pypes.errors import Reject, Retry, Unreachable

#: Most links of a chain of causes that are looked at.
MOST_CAUSES: Final = 8

#: Errors of sockets that Python has no class for: no way to the network or to the host.
NO_WAY: Final = frozenset((errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTUNREACH, getattr(errno, "EHOSTDOWN", -1)))

#: A rule gives the verdict, or the exception that knows better.
Rule = Callable[[Any], bool | BaseException]


def _yes(error: Any) -> bool:
    return True


def _no(error: Any) -> bool:
    return False


def _reason(error: Any) -> bool | BaseException:
    """For wrappers that keep what they wrap in ``reason``; a text there is an answer that somebody gave."""
    reason = getattr(error, "reason", None)
    return reason if isinstance(reason, BaseException) else False


def _has_no_state(error: Any) -> bool:
    """For PostgreSQL: without a state of SQL nobody answered; with one it is class 08, 53300 or 57P01 to 57P03.

    https://www.postgresql.org/docs/current/errcodes-appendix.html
    """
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    return not state or (isinstance(state, str) and state.startswith(("08", "53300", "57P01", "57P02", "57P03")))


#: By module and name of a class, as far as libraries document them. The first that is found along the classes of an exception
#: decides, so that what a library derives from its connection errors and is none (certificates, passwords) can be told apart.
RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        # https://docs.python.org/3/library/urllib.error.html, http.client.html; an HTTPError is an answer
        "urllib.error.HTTPError": _no,
        "urllib.error.URLError": _reason,
        "http.client.IncompleteRead": _yes,
        # https://urllib3.readthedocs.io/en/stable/reference/urllib3.exceptions.html
        "urllib3.exceptions.SSLError": _no,
        "urllib3.exceptions.MaxRetryError": _reason,
        "urllib3.exceptions.NewConnectionError": _yes,
        "urllib3.exceptions.TimeoutError": _yes,
        "urllib3.exceptions.ProtocolError": _yes,
        "urllib3.exceptions.ProxyError": _yes,
        # https://requests.readthedocs.io/en/latest/api/#exceptions
        "requests.exceptions.SSLError": _no,
        "requests.exceptions.ConnectionError": _yes,
        "requests.exceptions.Timeout": _yes,
        "requests.exceptions.ChunkedEncodingError": _yes,
        # https://www.python-httpx.org/exceptions/
        "httpx.TimeoutException": _yes,
        "httpx.NetworkError": _yes,
        "httpx.RemoteProtocolError": _yes,
        "httpx.ProxyError": _yes,
        "httpcore.TimeoutException": _yes,
        "httpcore.NetworkError": _yes,
        "httpcore.RemoteProtocolError": _yes,
        # https://docs.aiohttp.org/en/stable/client_reference.html#client-exceptions
        "aiohttp.client_exceptions.ClientSSLError": _no,
        "aiohttp.client_exceptions.ClientConnectionError": _yes,
        # https://www.psycopg.org/psycopg3/docs/api/errors.html, https://www.psycopg.org/docs/errors.html
        "psycopg.OperationalError": _has_no_state,
        "psycopg2.OperationalError": _has_no_state,
        # https://opensearch-project.github.io/opensearch-py/api-ref/exceptions.html
        "opensearchpy.exceptions.SSLError": _no,
        "opensearchpy.exceptions.ConnectionError": _yes,
        # https://elasticsearch-py.readthedocs.io/en/latest/exceptions.html
        "elastic_transport.TlsError": _no,
        "elastic_transport.ConnectionError": _yes,
        "elastic_transport.ConnectionTimeout": _yes,
        "elasticsearch.exceptions.SSLError": _no,
        "elasticsearch.exceptions.ConnectionError": _yes,
        # https://redis.readthedocs.io/en/stable/exceptions.html
        "redis.exceptions.AuthenticationError": _no,
        "redis.exceptions.ConnectionError": _yes,
        "redis.exceptions.TimeoutError": _yes,
        # https://pymongo.readthedocs.io/en/stable/api/pymongo/errors.html
        "pymongo.errors.ConnectionFailure": _yes,
        # https://github.com/boto/botocore/blob/develop/botocore/exceptions.py
        "botocore.exceptions.EndpointConnectionError": _yes,
        "botocore.exceptions.ConnectionClosedError": _yes,
        "botocore.exceptions.ConnectTimeoutError": _yes,
        "botocore.exceptions.ReadTimeoutError": _yes,
        # of Python itself, last: libraries derive their own from these
        "ssl.SSLCertVerificationError": _no,
    }
)


def is_unreachable(error: BaseException) -> bool:
    """True if a component's exception means that a service cannot be reached, or does not answer in time.

    These are :class:`Unreachable`, Python's own (``ConnectionError``, ``TimeoutError``, names that cannot be resolved, networks
    and hosts without a way to them), those in :data:`RULES`, and what was raised ``from`` one of them. Libraries are known by the
    names of their classes, so that none has to be imported. Never raises; for the rare case only, it is not quick.
    """
    seen = 0
    cause: BaseException | None = error
    while cause is not None and seen < MOST_CAUSES:
        verdict = _verdict(cause)
        if isinstance(verdict, bool):
            return verdict
        cause = cause.__cause__ if verdict is None else verdict
        seen += 1
    return False


def _verdict(error: BaseException) -> bool | BaseException | None:
    """True or False; or the exception to examine instead; ``None`` if this one does not tell."""
    if isinstance(error, Retry | Reject):
        return isinstance(error, Unreachable)
    for cls in type(error).__mro__:
        rule = RULES.get(f"{cls.__module__}.{cls.__qualname__}")
        if rule is not None:
            try:
                return rule(error)
            except Exception:  # an attribute that is a property and raises
                return False
    if isinstance(error, ConnectionError | TimeoutError | socket.gaierror | socket.herror):
        return True
    return True if isinstance(error, OSError) and error.errno in NO_WAY else None
