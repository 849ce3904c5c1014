"""Logging in to a mail server: encrypted unless one says otherwise, and without sending a password that cannot be sent safely."""

from __future__ import annotations

import imaplib
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Literal

from pypes.errors import ComponentError
from pypes_stores.mail_names import quoted

Security = Literal["tls", "starttls", "none"]
PORTS: Final[dict[Security, int]] = {"tls": 993, "starttls": 143, "none": 143}


def logged_in(
    address: tuple[str, int],
    user: str,
    password: str,
    security: Security,
    context: ssl.SSLContext,
    timeout_s: float,
    redact: Callable[[str], str],
) -> imaplib.IMAP4:
    """A connection that is logged in. Raises ``ComponentError`` (``imap.refused``), and ``OSError`` where nobody answers."""
    host, port = address
    client: imaplib.IMAP4 | None = None
    try:
        if security == "tls":
            client = imaplib.IMAP4_SSL(host, port, ssl_context=context, timeout=timeout_s)
        else:
            client = imaplib.IMAP4(host, port, timeout=timeout_s)
            if security == "starttls":
                client.starttls(ssl_context=context)
        log_in(client, user, password)
        return client
    except BaseException as error:
        if client is not None:
            with suppress(OSError):
                client.shutdown()
        if isinstance(error, ssl.SSLCertVerificationError):
            said = f"{host}:{port} has a certificate that is not trusted: {error.verify_message}; see ca_file"
        elif isinstance(error, imaplib.IMAP4.error | ValueError) and not isinstance(error, imaplib.IMAP4.abort):
            said = redact(f"{host}:{port} did not let {user} in: {error}")
        else:
            raise
        raise ComponentError(said, code="imap.refused") from error


def log_in(client: Any, user: str, password: str) -> None:
    """Log in on a connection. Raises ``imaplib.IMAP4.error`` and ``ValueError`` where the server does not let it."""
    if "AUTH=PLAIN" in client.capabilities:
        client.authenticate("PLAIN", lambda _: f"\0{user}\0{password}".encode())
    elif "LOGINDISABLED" in client.capabilities:
        raise ValueError("it takes no passwords on a connection that is not encrypted, see security")
    else:
        # client.login() quotes the password alone
        status, said = client.xatom("LOGIN", quoted(user.encode()), quoted(password.encode()))
        if status != "OK":
            raise ValueError(b" ".join(said).decode("utf-8", "replace"))
        client.state = "AUTH"
