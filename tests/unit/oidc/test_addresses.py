"""Where a provider's URLs may lead."""

from __future__ import annotations

import threading
from ipaddress import ip_address, ip_network

import pytest

from syncd.oidc.addresses import addresses, permitted, target
from syncd.oidc.failure import Cause, FetchFailed


@pytest.mark.parametrize(
    ("url", "authority", "path"),
    [
        ("https://login.example.org/jwks", "login.example.org", "/jwks"),
        ("https://LOGIN.example.org:443", "login.example.org", "/"),
        ("https://login.example.org:8443/a/b?c=d", "login.example.org:8443", "/a/b?c=d"),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", "/"),
        ("https://[2001:db8::1]:444/", "[2001:db8::1]:444", "/"),
        ("https://my_host/", "my_host", "/"),
        ("http://127.0.0.1:8080/jwks", "127.0.0.1:8080", "/jwks"),
        ("http://localhost/jwks", "localhost", "/jwks"),
        ("http://[::1]/jwks", "[::1]", "/jwks"),
    ],
)
def test_a_url_is_read(url: str, authority: str, path: str) -> None:
    """A URL that syncd goes to keeps its host, its port and its path with the query."""
    found = target(url)
    assert (found.authority, found.path) == (authority, path)
    assert found.local == url.startswith("http:")


@pytest.mark.parametrize(
    "url",
    [
        "http://login.example.org/jwks",
        "http://127.0.0.2/jwks",
        "http://127.0.0.1.example.org/",
        "ftp://login.example.org/",
        "file:///etc/passwd",
        "//login.example.org/jwks",
        "login.example.org/jwks",
        "https:///jwks",
        "https://",
        "",
        "https://login.example.org/#jwks",
        "https://login.example.org/#",
        "https://login.example.org:0/",
        "https://login.example.org:99999/",
        "https://login.example.org:4x/",
        "https://login.example.org\\@169.254.169.254/",
        "https://login.example.org/a\r\nHost: other",
        "https://login.example.org/a\tb",
        "https://login.example.org/a\\b",
        " https://login.example.org/",
        "https://login.example.org /",
        "https://bücher.example/",
        "https://login..example.org/",
        "https://.example.org/",
        "https://login.example.org./",
        "https://login.example.org%00.other/",
        "https://login.example.org%2f.other/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://[not-an-address]/",
        f"https://{'a' * 64}.example.org/",
        f"https://{'a.' * 130}org/",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    """What is not plain https to a host, or http to this machine, is not gone to."""
    with pytest.raises(FetchFailed) as caught:
        target(url)
    assert caught.value.reason is Cause.BAD_URL


@pytest.mark.parametrize(
    "url", ["https://me:secret@login.example.org/", "https://me@login.example.org/", "https://@h/"]
)
def test_a_user_name_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    """A URL with a user name is refused, and the password in it stays out of the message."""
    with pytest.raises(FetchFailed, match="user name") as caught:
        target(url)
    assert caught.value.reason is Cause.BAD_URL
    assert "secret" not in str(caught.value)


PUBLIC = ["8.8.8.8", "20.190.128.1", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e"]
ELSEWHERE = [
    "0.0.0.0",  # noqa: S104 - an address to refuse
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.9.9.9",
    "168.63.129.16",
    "169.254.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:8.8.8.8",
    "64:ff9b::10.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::8.8.8.8",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("text", [*PUBLIC, "64:ff9b::8.8.8.8"])
def test_public_addresses_are_permitted(text: str) -> None:
    """A provider may be at any public address, also behind the translation of RFC 6052."""
    assert permitted(ip_address(text), ())


@pytest.mark.parametrize("text", ELSEWHERE)
def test_other_addresses_are_not_permitted(text: str) -> None:
    """Private, link-local, loopback, reserved, metadata and mapped addresses are refused."""
    assert not permitted(ip_address(text), ())


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.20.3.4", "10.20.0.0/16"),
        ("127.0.0.1", "127.0.0.0/8"),
        ("169.254.169.254", "169.254.169.254/32"),
        ("fd00::1", "fd00::/8"),
        ("::ffff:10.0.0.1", "::ffff:0:0/96"),
        ("64:ff9b::10.0.0.1", "10.0.0.0/8"),
    ],
)
def test_an_allowed_network_permits_its_addresses_alone(text: str, network: str) -> None:
    """A private address is permitted once its network is named, and others stay refused."""
    networks = [ip_network(network)]
    assert permitted(ip_address(text), networks)
    assert not permitted(ip_address("192.168.1.1"), networks)
    assert not permitted(ip_address("fe80::1"), networks)


def test_a_mapped_address_is_not_let_in_by_the_network_of_the_address_in_it() -> None:
    """A mapped address is refused although the address inside is in an allowed network."""
    assert not permitted(ip_address("::ffff:10.0.0.1"), [ip_network("10.0.0.0/8")])


@pytest.mark.parametrize("text", [*PUBLIC, "10.0.0.1", "::ffff:127.0.0.1", "169.254.169.254"])
def test_what_goes_in_the_clear_goes_to_loopback_alone(text: str) -> None:
    """An http URL leads to loopback only, whatever networks are allowed."""
    everywhere = [ip_network("0.0.0.0/0"), ip_network("::/0")]
    assert not permitted(ip_address(text), everywhere, local=True)
    assert permitted(ip_address("127.0.0.1"), (), local=True)
    assert permitted(ip_address("::1"), (), local=True)


def test_addresses_that_are_not_permitted_are_left_out() -> None:
    """Of a name with good and bad addresses only the good ones are used."""
    found = addresses(
        target("https://login.example.org/"),
        (),
        resolve=lambda _: ["169.254.169.254", "8.8.8.8", "::1", "8.8.8.8", "10.0.0.1"],
        seconds=5,
    )
    assert found == ("8.8.8.8",)


def test_both_families_come_early() -> None:
    """Of many addresses four are tried, of both families in turn, in the resolver's order."""
    sixes = [f"2606:4700::{n}" for n in range(1, 9)]
    fours = [f"8.8.8.{n}" for n in range(1, 9)]
    place = target("https://login.example.org/")
    found = addresses(place, (), resolve=lambda _: sixes + fours, seconds=5)
    assert found == (sixes[0], fours[0], sixes[1], fours[1])
    found = addresses(place, (), resolve=lambda _: fours + sixes, seconds=5)
    assert found == (fours[0], sixes[0], fours[1], sixes[1])


def test_a_name_with_no_good_address_is_refused_with_the_way_out() -> None:
    """The message names the address and the setting that would allow it."""
    with pytest.raises(FetchFailed, match=r"10\.1\.2\.3.*allowed_networks") as caught:
        addresses(
            target("https://login.example.org/"), (), resolve=lambda _: ["10.1.2.3"], seconds=5
        )
    assert caught.value.reason is Cause.REFUSED_ADDRESS


def test_an_address_in_the_url_is_judged_and_not_resolved() -> None:
    """An address that stands in the URL itself is judged as it is."""

    def resolve(_: str) -> list[str]:
        raise AssertionError

    with pytest.raises(FetchFailed) as caught:
        addresses(target("https://169.254.169.254/"), (), resolve=resolve, seconds=5)
    assert caught.value.reason is Cause.REFUSED_ADDRESS
    place = target("https://8.8.8.8/")
    assert addresses(place, (), resolve=resolve, seconds=5) == ("8.8.8.8",)


@pytest.mark.parametrize("error", [OSError("no such name"), UnicodeError("label too long"), None])
def test_a_name_without_address_is_unresolved(error: Exception | None) -> None:
    """A name that leads nowhere is told as such, whatever the resolver said."""

    def resolve(_: str) -> list[str]:
        if error is not None:
            raise error
        return []

    with pytest.raises(FetchFailed, match="name servers") as caught:
        addresses(target("https://login.example.org/"), (), resolve=resolve, seconds=5)
    assert caught.value.reason is Cause.UNRESOLVED


def test_a_resolver_that_hangs_is_left_behind() -> None:
    """A name server that does not answer costs no more than the time that there is."""
    go = threading.Event()

    def resolve(_: str) -> list[str]:
        go.wait(30)
        return ["8.8.8.8"]

    with pytest.raises(FetchFailed) as caught:
        addresses(target("https://login.example.org/"), (), resolve=resolve, seconds=0.05)
    go.set()
    assert caught.value.reason is Cause.TIMEOUT
