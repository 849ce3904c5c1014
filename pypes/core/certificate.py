"""Certificates of a node for TLS: read and checked when it starts, and used for connections."""

from __future__ import annotations

import os
import ssl
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeAlias

#: Reasons of OpenSSL for which a key is refused that is not that of the certificate.
_MISMATCHES: Final = frozenset({"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"})

#: Tags of ASN.1: a time with two digits for the year, and the version of a certificate, which the first lack.
_UTC_TIME: Final = 0x17
_VERSION: Final = 0xA0


#: Serves clients with a certificate.
Context: TypeAlias = ssl.SSLContext


class UnusableCertificate(ValueError):
    """The mistake, in a sentence; ``is_key`` if it is the key, not the certificate."""

    def __init__(self, message: str, *, is_key: bool) -> None:
        super().__init__(message)
        self.is_key = is_key


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate with those of its issuers, and its private key, in PEM form. ``expires`` is in seconds since the epoch."""

    chain: str
    key: str = field(repr=False)
    expires: float

    @classmethod
    def read(cls, chain: Path, key: Path) -> Certificate:
        """Read both files, and see that clients can be served with them. Raises :class:`UnusableCertificate`."""
        chain_text = _text(chain, "CERTIFICATE-----", "certificate", is_key=False)
        key_text = _text(key, "PRIVATE KEY-----", "private key", is_key=True)
        if "ENCRYPTED" in key_text:
            raise UnusableCertificate(
                f"{key} is encrypted, and a node that starts by itself can ask nobody for the pass phrase; "
                "write the key without one (openssl pkey), into a file that only the node can read",
                is_key=True,
            )
        try:
            made = cls(chain_text, key_text, _expires(chain_text))
            made.context()
        except ssl.SSLError as error:
            if error.reason in _MISMATCHES:
                raise UnusableCertificate(f"{key} is not the key of the certificate in {chain}", is_key=True) from error
            raise UnusableCertificate(f"{chain} or its key cannot be used: {error}", is_key=False) from error
        except (ValueError, IndexError) as error:
            raise UnusableCertificate(f"{chain} holds no certificate that can be read: {error}", is_key=False) from error
        return made

    def context(self) -> Context:
        """A context to serve clients: TLS 1.2 or later, HTTP/1.1. Raises ``ssl.SSLError``."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        with _file(f"{self.chain}\n{self.key}\n") as path:
            # the key is not encrypted: nobody is asked on the terminal
            context.load_cert_chain(path, password="")
        return context


def _text(path: Path, mark: str, what: str, *, is_key: bool) -> str:
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise UnusableCertificate(f"{path} cannot be read: {error.strerror}", is_key=is_key) from error
    if mark not in text:
        raise UnusableCertificate(f"{path} holds no {what} in PEM form (-----BEGIN …)", is_key=is_key)
    return text


@contextmanager
def _file(text: str) -> Iterator[str]:
    """The path of a file with a text, as OpenSSL reads keys from nothing else. It is in memory where the system can do that."""
    if sys.platform == "linux":
        fd = os.memfd_create("pypes-certificate", os.MFD_CLOEXEC)
        path = f"/proc/self/fd/{fd}"
    else:
        fd, path = tempfile.mkstemp()
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            yield path
    finally:
        if sys.platform != "linux":
            Path(path).unlink()


def _expires(chain: str) -> float:
    """The end of the first certificate of a chain (RFC 5280, 4.1), in seconds since the epoch."""
    start = chain.index("-----BEGIN CERTIFICATE-----")
    end = chain.index(ssl.PEM_FOOTER, start) + len(ssl.PEM_FOOTER)
    (_, whole), *_ = _values(ssl.PEM_cert_to_DER_cert(chain[start:end]))
    (_, signed), *_ = _values(whole)
    parts = _values(signed)
    # serial number, algorithm and issuer come first
    _, validity = parts[4 if parts[0][0] == _VERSION else 3]
    tag, time = _values(validity)[1]
    text = time.decode("ascii")
    if tag == _UTC_TIME:
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _values(der: bytes) -> list[tuple[int, bytes]]:
    """Tag and content of each value in a sequence of ASN.1 (X.690)."""
    found, at = [], 0
    while at < len(der):
        tag, size, at = der[at], der[at + 1], at + 2
        if size >= 0x80:
            digits = size & 0x7F
            size, at = int.from_bytes(der[at : at + digits]), at + digits
        found.append((tag, der[at : at + size]))
        at += size
    return found
