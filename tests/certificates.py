"""Certificates of the tests' own, and an authority that issues them."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


class Files(NamedTuple):
    """The files of a certificate and its key."""

    chain: Path
    key: Path

    @property
    def flags(self) -> tuple[str, ...]:
        """Flags of ``pypes serve``."""
        return ("--tls-cert", str(self.chain), "--tls-key", str(self.key))


class Authority:
    """Issues certificates for this machine; those who trust ``file`` trust them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "ca.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = _name("an authority of tests")
        signing = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        self._certificate = (
            _begun(name, name, self._key, -DAY, 30 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(signing, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self,
        name: str = "node",
        *,
        start: datetime.timedelta = -DAY,
        end: datetime.timedelta = 20 * DAY,
        password: bytes | None = None,
        into: Files | None = None,
    ) -> Files:
        """Write a new certificate for 127.0.0.1 and ``localhost``, by default into files of its name."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        certificate = (
            _begun(_name(name), self._certificate.subject, key, start, end)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        files = into or Files(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        files.chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password is not None:
            encryption = serialization.BestAvailableEncryption(password)
        pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        files.key.write_bytes(key.private_bytes(pem, form, encryption))
        return files

    def trusting(self) -> ssl.SSLContext:
        """A context of a client that knows the authority."""
        return ssl.create_default_context(cafile=self.file)


def issued(link: socket.socket) -> str:
    """The name in the certificate that was shown."""
    assert isinstance(link, ssl.SSLSocket)
    certificate = link.getpeercert()
    assert certificate is not None
    return str(certificate["subject"][0][0][1])


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, start: datetime.timedelta, end: datetime.timedelta
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + start)
        .not_valid_after(now + end)
    )
