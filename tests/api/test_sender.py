"""Who sent a request: proxies that the node was told are believed, and nobody else."""

from __future__ import annotations

import pytest

from pypes.api.sender import MAX_HOPS, Proxies, Sender
from pypes.errors import BadRequest

PROXIES = Proxies(("10.0.0.0/8", "::1", "fd00::/8"))


def sender(peer: str, *fields: tuple[str, str], is_secure: bool = False, proxies: Proxies = PROXIES) -> Sender:
    sent = [(name.encode(), value.encode("latin-1")) for name, value in fields]
    return proxies.sender((peer, 40_000), is_secure, b"here", sent)


FORGED = (("x-forwarded-for", "192.0.2.1"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "there"))


@pytest.mark.parametrize("is_secure", [False, True])
def test_nobody_but_a_proxy_is_believed(is_secure: bool) -> None:
    for peer in ("11.0.0.1", "127.0.0.1", "::2", "fe80::1%eth0"):
        assert sender(peer, *FORGED, is_secure=is_secure) == (peer, is_secure, b"here")
    assert sender("10.0.0.1", *FORGED, is_secure=is_secure, proxies=Proxies()) == ("10.0.0.1", is_secure, b"here")
    # what cannot be read is nothing to them, either
    assert sender("11.0.0.1", ("x-forwarded-for", "?"), ("x-forwarded-proto", "?")) == ("11.0.0.1", False, b"here")


@pytest.mark.parametrize("peer", ["10.0.0.1", "10.255.255.255", "::1", "fd12::1", "::ffff:10.0.0.1"])
def test_a_proxy_is_believed(peer: str) -> None:
    assert sender(peer, *FORGED) == ("192.0.2.1", True, b"there")
    assert sender(peer, ("x-forwarded-proto", "HTTP"), is_secure=True) == (peer, False, b"here")
    assert sender(peer, is_secure=True) == (peer, True, b"here")


@pytest.mark.parametrize(
    ("chain", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        # whatever stands before the address that a proxy added is what anybody may have written
        ("forged, 203.0.113.9, 192.0.2.1", "192.0.2.1"),
        ("10.9.9.9, 192.0.2.1", "192.0.2.1"),
        # proxies behind one another
        ("192.0.2.1, 10.0.0.2", "192.0.2.1"),
        ("forged, 192.0.2.1, 10.0.0.3 ,fd00::9", "192.0.2.1"),
        # a proxy itself, say for a probe
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:5000", "192.0.2.1"),
        ("[2001:db8::1]:5000", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
    ],
)
def test_the_last_address_that_is_no_proxy_is_the_clients(chain: str, address: str) -> None:
    assert sender("10.0.0.1", ("x-forwarded-for", chain)).address == address
    # several fields are one list
    parts = chain.split(",")
    assert sender("10.0.0.1", *(("x-forwarded-for", part) for part in parts)).address == address


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("x-forwarded-for", value) for value in ("", "unknown", "_hidden", "192.0.2.1, ", "192.0.2.1, forged", "192.0.2.256")),
        *(("x-forwarded-for", value) for value in ("192.0.2.1:x", "[::9", "::9]:5", "fe80::1%eth0", "010.0.0.1", "\xb2.0.0.1")),
        *(("x-forwarded-proto", value) for value in ("", "ftp", "https, http", "https https", "HTTPS;")),
        *(("x-forwarded-host", value) for value in ("", " ", "there, here", "there,")),
    ],
)
def test_what_a_proxy_says_and_cannot_be_read_is_refused(name: str, value: str) -> None:
    with pytest.raises(BadRequest) as refused:
        sender("10.0.0.1", (name, value))
    assert refused.value.code == "proxy.malformed"
    assert refused.value.where is not None
    assert refused.value.where.lower() == name


@pytest.mark.parametrize("name", ["x-forwarded-proto", "x-forwarded-host"])
def test_one_thing_is_said_once(name: str) -> None:
    with pytest.raises(BadRequest):
        sender("10.0.0.1", (name, "https"), (name, "https"))


def test_a_chain_is_bounded() -> None:
    chain = ["192.0.2.1", *["10.0.0.2"] * (MAX_HOPS - 1)]
    assert sender("10.0.0.1", ("x-forwarded-for", ",".join(chain))).address == "192.0.2.1"
    # what is further away than the client costs nothing
    assert sender("10.0.0.1", ("x-forwarded-for", ",".join(["x"] * 20_000 + chain))).address == "192.0.2.1"
    with pytest.raises(BadRequest, match="in a row"):
        sender("10.0.0.1", ("x-forwarded-for", ",".join([*chain, "10.0.0.2"])))


def test_a_request_from_nowhere_has_no_address() -> None:
    assert PROXIES.sender(None, False, None, [(b"x-forwarded-for", b"192.0.2.1")]) == ("", False, None)
