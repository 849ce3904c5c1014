"""Certificates that a node may serve with, and those that it refuses."""

from __future__ import annotations

import datetime
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from pypes.core.certificate import Certificate, UnusableCertificate
from pypes.core.clock import wall
from tests.certificates import DAY, Authority, Files


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def refusal(files: Files) -> tuple[bool, str]:
    with pytest.raises(UnusableCertificate) as refused:
        Certificate.read(*files)
    return refused.value.is_key, str(refused.value)


def test_a_certificate_is_read_with_its_end(authority: Authority) -> None:
    found = Certificate.read(*authority.issue())
    assert abs(found.expires - wall() - 20 * 86400) < 3600
    assert "PRIVATE" not in repr(found)
    # times from 2050 on are written another way
    later = Certificate.read(*authority.issue("later", end=datetime.timedelta(days=365 * 40)))
    assert abs(later.expires - wall() - 365 * 40 * 86400) < 3600


def test_an_expired_one_is_read(authority: Authority) -> None:
    assert Certificate.read(*authority.issue("old", start=-3 * DAY, end=-DAY)).expires < wall()


def test_one_file_may_hold_all(authority: Authority, tmp_path: Path) -> None:
    files = authority.issue("whole")
    for order in (files, files[::-1]):
        whole = tmp_path / "whole.pem"
        whole.write_text("".join(path.read_text() for path in order) + authority.file.read_text())
        assert Certificate.read(whole, whole).context().minimum_version >= ssl.TLSVersion.TLSv1_2


def test_what_cannot_be_used_is_named(authority: Authority, tmp_path: Path) -> None:
    chain, key = files = authority.issue("sound")
    missing, text = tmp_path / "missing.pem", tmp_path / "text.pem"
    text.write_text("hello")
    assert refusal(Files(missing, key)) == (False, f"{missing} cannot be read: No such file or directory")
    assert refusal(Files(chain, missing)) == (True, f"{missing} cannot be read: No such file or directory")
    assert "no certificate in PEM form" in refusal(Files(text, key))[1]
    assert "no private key in PEM form" in refusal(Files(chain, text))[1]
    assert "no private key in PEM form" in refusal(Files(chain, chain))[1]
    other = authority.issue("other")
    assert refusal(Files(chain, other.key)) == (True, f"{other.key} is not the key of the certificate in {chain}")
    is_key, told = refusal(authority.issue("hidden", password=b"horse"))
    assert is_key
    assert "pass phrase" in told
    for damaged in (chain.read_text()[:-200], chain.read_text().replace("MII", "AAA", 1)):
        text.write_text(damaged)
        assert not refusal(Files(text, key))[0]
    text.write_text(key.read_text().replace("M", "A"))
    refusal(Files(chain, text))
    assert Certificate.read(*files)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a file is needed")
def test_the_key_is_written_to_no_disk(authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = len([*Path("/proc/self/fd").iterdir()])
    Certificate.read(*authority.issue()).context()
    assert not [*tmp_path.iterdir()]
    assert len([*Path("/proc/self/fd").iterdir()]) == before


def test_a_client_of_openssl_sees_what_it_should(authority: Authority, tmp_path: Path) -> None:
    """The end is what OpenSSL reads, too."""
    files = authority.issue("seen", end=datetime.timedelta(days=9, hours=5))
    told = subprocess.run(
        ["openssl", "x509", "-noout", "-enddate", "-in", files.chain], check=True, capture_output=True, text=True
    ).stdout
    assert ssl.cert_time_to_seconds(told.strip().partition("=")[2]) == Certificate.read(*files).expires
