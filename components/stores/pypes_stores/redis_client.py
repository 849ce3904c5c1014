"""Redis: a client by its address, and the meaning of the errors of a server."""

from __future__ import annotations

import re
from typing import Any, Final

from pypes import Harmless
from pypes.component.harmless import ANY

#: The addresses that only lead to a server over the network. Not among them: those of sockets, and options that name files.
ADDRESSES: Final = Harmless(
    ("redis", "rediss"),
    {
        **dict.fromkeys(("db", "username", "password", "client_name", "protocol"), ANY),
        **dict.fromkeys(("socket_timeout", "socket_connect_timeout", "socket_keepalive", "health_check_interval"), ANY),
        **dict.fromkeys(("retry_on_timeout", "max_connections", "ssl_cert_reqs", "ssl_check_hostname"), ANY),
    },
)
#: Codes of errors for which the library has no class.
_PASSING: Final = re.compile("MISCONF|NOREPLICAS|CLUSTERDOWN")


def connected(url: str, timeout_s: float) -> Any:
    """A client (``redis.Redis``) that connects when it is first used. Raises ``ValueError`` for what is no address."""
    import redis

    # the answers of the older protocol are the same from all servers and in all versions of the library
    return redis.Redis.from_url(
        url, protocol=2, socket_timeout=timeout_s, socket_connect_timeout=min(timeout_s, 10.0), health_check_interval=30
    )


def is_not_now(error: BaseException) -> bool:
    """True if a server may do later what it refuses now: it is away, starts, is full, or writes only elsewhere."""
    from redis import exceptions

    if isinstance(error, exceptions.AuthenticationError | exceptions.AuthorizationError):
        return False
    passing = exceptions.ConnectionError, exceptions.TimeoutError, exceptions.ReadOnlyError, exceptions.OutOfMemoryError
    return isinstance(error, passing) or _PASSING.match(str(error)) is not None
