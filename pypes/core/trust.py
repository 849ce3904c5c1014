"""The servers that commands of Pypes trust over TLS."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Final

from pypes.errors import InvalidInput

#: Names the file when none is given.
VARIABLE: Final = "PYPES_CA_FILE"

#: Advice about a certificate that is not trusted.
HINT: Final = f"if it is the node's own, name its file, or that of its issuer, with --ca-file or {VARIABLE}"


def trusted(ca_file: Path | None = None) -> ssl.SSLContext | None:
    """A context that trusts the certificates in a file alone, by default that of ``PYPES_CA_FILE``.

    ``None`` if there is none: those of the system are trusted. The file may hold the certificate of the
    server itself. Names are compared as always. Raises :class:`InvalidInput`.
    """
    path = ca_file or os.environ.get(VARIABLE) or None
    if path is None:
        return None
    try:
        context = ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else str(error)
        raise InvalidInput(f"{path} cannot be used to know servers by: {reason}", code="client.ca_file") from error
    # the default from Python 3.13 on
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def is_untrusted(error: Exception) -> bool:
    """True if a server was not asked because its certificate is not trusted, or is for another name."""
    return "CERTIFICATE_VERIFY_FAILED" in str(error)


def unreached(error: Exception) -> str:
    """The reason for which a server could not be reached, with what to do if it is not trusted."""
    return f"{error}; {HINT}" if is_untrusted(error) else str(error)
