"""The certificates that commands trust."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from pypes.core.trust import VARIABLE, trusted
from pypes.errors import InvalidInput
from tests.certificates import Authority


def test_without_a_file_the_system_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert trusted() is None
    monkeypatch.setenv(VARIABLE, "")
    assert trusted() is None


def test_the_file_is_the_given_one_or_that_of_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "missing.pem"))
    with pytest.raises(InvalidInput, match=r"missing\.pem cannot be used"):
        trusted()
    found = trusted(authority.file)
    assert found is not None
    assert found.verify_mode is ssl.CERT_REQUIRED
    assert found.check_hostname
    assert len(found.get_ca_certs()) == 1
    monkeypatch.setenv(VARIABLE, str(authority.file))
    assert trusted() is not None
    (tmp_path / "text.pem").write_text("hello")
    with pytest.raises(InvalidInput, match="holds no certificate"):
        trusted(tmp_path / "text.pem")
