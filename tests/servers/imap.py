"""A mail server with the protocol IMAP: Dovecot, the package of Debian."""

from __future__ import annotations

import datetime
import grp
import ipaddress
import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pypes.testing.node import free_port
from tests.needed import missing
from tests.servers.process import running

INSTALL = "apt-get install --no-install-recommends dovecot-imapd"
#: Debian puts it where only root looks.
PLACES = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
#: Every user has it.
PASSWORD = r'open\"sésame"'
#: The user that mails belong to where tests run as root.
NOBODY = "nobody"

CONFIG = """
base_dir = {home}/run
state_dir = {home}/run
log_path = {home}/log
protocols = imap
listen = 127.0.0.1, 127.0.0.2
ssl = yes
ssl_cert = <{home}/cert.pem
ssl_key = <{home}/key.pem
ssl_min_protocol = TLSv1.2
disable_plaintext_auth = yes
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
mail_location = maildir:{home}/mail/%u
first_valid_uid = 1
mail_max_userip_connections = 100
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
  }}
}}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={home}/mail/%u
}}
"""


@dataclass
class MailServer:
    """A server while it runs; each user name has a mailbox of its own."""

    port: int
    tls_port: int
    #: File with the certificate to trust.
    ca_file: str
    #: Has a folder for each user, with a file for each mail.
    mails: Path


@contextmanager
def imap() -> Iterator[MailServer]:
    """A server on loopback, for any user with :data:`PASSWORD`. At 127.0.0.2, it takes passwords by TLS alone."""
    found = shutil.which("dovecot", path=PLACES)
    if found is None:
        missing(f"dovecot is not installed: {INSTALL}")
        raise AssertionError
    # not within the folders of pytest, which no other user may enter
    home = Path(tempfile.mkdtemp(prefix="pypes-imap-"))
    try:
        home.chmod(0o755)
        me = pwd.getpwuid(os.getuid())
        owner = me if me.pw_uid else pwd.getpwnam(NOBODY)
        (home / "mail").mkdir()
        os.chown(home / "mail", owner.pw_uid, owner.pw_gid)
        _certify(home)
        port, tls_port = free_port(), free_port()
        text = CONFIG.format(
            home=home,
            port=port,
            tls_port=tls_port,
            password=PASSWORD,
            user=owner.pw_name,
            group=grp.getgrgid(owner.pw_gid).gr_name,
        )
        (home / "conf").write_text(text, encoding="utf-8")
        with running([found, "-F", "-c", home / "conf"], port, home / "out"):
            yield MailServer(port, tls_port, str(home / "cert.pem"), home / "mail")
    finally:
        shutil.rmtree(home)


def _certify(home: Path) -> None:
    """Write a certificate for 127.0.0.1 that nobody but its owner has signed, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (home / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (home / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
