"""Fetching from a provider: where a connection goes, and whom it trusts."""

from __future__ import annotations

import itertools
import os
import socket
from base64 import b64encode
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest

from syncd.oidc.failure import Cause
from syncd.oidc.fetch import Fetcher
from syncd.oidc.trust import trust
from tests.integration.oidc.reaching import BODY, NAME, failure, fetcher
from tests.servers.answering import AnsweringServer, answer
from tests.servers.authority import Authority

if TYPE_CHECKING:
    from pathlib import Path


def test_json_is_fetched_by_name_from_the_address_that_was_judged(
    server: AnsweringServer, authority: Authority
) -> None:
    """The host's name is in SNI and Host, and the connection goes where the resolver said."""
    assert fetcher(authority).get(server.url("/jwks?a=b", NAME)) == BODY
    (asked,) = server.asked
    assert (asked.method, asked.target) == ("GET", "/jwks?a=b")
    assert asked.server_name == NAME
    assert asked.headers["host"] == f"{NAME}:{server.port}"
    assert asked.headers["accept-encoding"] == "identity"
    assert asked.headers["accept"].startswith("application/json")


def test_an_address_in_the_url_is_verified_as_one(
    server: AnsweringServer, authority: Authority
) -> None:
    """A URL with an address needs a certificate for that address, and no name is asked for."""
    assert fetcher(authority).get(server.url()) == BODY
    assert server.asked[0].server_name is None
    assert server.asked[0].headers["host"] == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_http_to_loopback_needs_no_leave(host: str) -> None:
    """A provider on this machine can be configured with http, without certificates."""
    server = AnsweringServer(answer(BODY), host="::1" if host == "::1" else "127.0.0.1")
    try:
        server.__enter__()
    except OSError as error:
        pytest.skip(f"this machine has no {host}: {error}")
    try:
        url = server.url(host=f"[{host}]" if ":" in host else host)
        assert Fetcher().get(url) == BODY
    finally:
        server.__exit__()


def test_a_form_is_posted_with_basic_authentication(
    server: AnsweringServer, authority: Authority
) -> None:
    """A form goes out encoded, and id and secret encoded before base64 (RFC 6749 2.3.1)."""
    fetch = fetcher(authority)
    form = {"grant_type": "authorization_code", "code": "a&b=c d"}
    got = fetch.post(server.url("/token", NAME), form, basic=("my client", "p:ss+wörd"))
    assert got == (200, BODY)
    (asked,) = server.asked
    assert asked.method == "POST"
    assert asked.body == b"grant_type=authorization_code&code=a%26b%3Dc+d"
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    pair = b64encode(b"my+client:p%3Ass%2Bw%C3%B6rd").decode()
    assert asked.headers["authorization"] == f"Basic {pair}"
    fetch.post(server.url("/token", NAME), form, basic=None)
    assert "authorization" not in server.asked[1].headers


def test_a_change_of_the_system_s_authorities_counts_at_once(
    server: AnsweringServer, authority: Authority, tmp_path: Path
) -> None:
    """What was made of them is kept for a moment, and made anew when their file has changed."""
    system = tmp_path / "none.pem"
    fetch = fetcher(authority, ca_pem=())
    for _ in range(2):
        assert failure(fetch, server.url(host=NAME)).reason is Cause.CERTIFICATE
    system.write_text(authority.pem)
    assert fetch.get(server.url(host=NAME)) == BODY
    assert trust(()) is trust(())
    system.write_text("")
    os.utime(system, ns=(1, 1))
    assert failure(fetch, server.url(host=NAME)).reason is Cause.CERTIFICATE


# --------------------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254", "fe80::1"],
)
@pytest.mark.rule("KS9", server="http")
@pytest.mark.rule("H15", server="http")
def test_a_name_that_leads_inside_is_not_connected_to(
    server: AnsweringServer, authority: Authority, address: str
) -> None:
    """Without an allowed network no connection is made to an address that is not public."""
    fetch = fetcher(authority, allowed_networks=(), resolve=lambda _: [address])
    failed = failure(fetch, server.url(host=NAME))
    assert failed.reason is Cause.REFUSED_ADDRESS
    assert address in str(failed)
    assert server.connections == 0


def test_each_fetch_judges_anew_and_resolves_once(
    server: AnsweringServer, authority: Authority
) -> None:
    """A name that leads elsewhere at the next fetch, or at a second look, gets nowhere."""
    answers = itertools.chain([["127.0.0.1"]], itertools.repeat(["127.0.0.2"]))
    names: list[str] = []

    def resolve(name: str) -> list[str]:
        names.append(name)
        return next(answers)

    fetch = fetcher(authority, allowed_networks=[ip_network("127.0.0.1/32")], resolve=resolve)
    assert fetch.get(server.url(host=NAME)) == BODY
    assert names == [NAME]
    assert failure(fetch, server.url(host=NAME)).reason is Cause.REFUSED_ADDRESS
    assert server.connections == 1


def test_the_next_address_is_taken_when_one_does_not_answer(
    server: AnsweringServer, authority: Authority
) -> None:
    """A provider with several addresses is reached although the first ones are dead."""
    dead = ["127.0.0.2", "127.0.0.3"]
    fetch = fetcher(authority, resolve=lambda _: [*dead, "127.0.0.1"])
    assert fetch.get(server.url(host=NAME)) == BODY


def test_http_to_localhost_stays_on_loopback() -> None:
    """A hosts file that leads localhost elsewhere does not lead tokens there in the clear."""
    fetch = Fetcher(resolve=lambda _: ["10.0.0.1"], allowed_networks=[ip_network("10.0.0.0/8")])
    failed = failure(fetch, "http://localhost:8080/jwks")
    assert failed.reason is Cause.REFUSED_ADDRESS


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"])
def test_proxies_of_the_environment_are_not_used(
    server: AnsweringServer, authority: Authority, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A proxy would resolve the name unjudged, so that none is asked."""
    with AnsweringServer(answer(b"{}")) as proxy:
        monkeypatch.setenv(name, proxy.url("", "127.0.0.1"))
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert fetcher(authority).get(server.url(host=NAME)) == BODY
        assert proxy.connections == 0


def test_nothing_listens(authority: Authority) -> None:
    """A provider that does not run is told as such, with what to look at."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    failed = failure(fetcher(authority), f"https://{NAME}:{port}/jwks")
    assert failed.reason is Cause.UNREACHABLE
    assert "check the URL" in str(failed)


# --------------------------------------------------------------------------- certificates


def test_an_authority_that_is_not_trusted(server: AnsweringServer, authority: Authority) -> None:
    """Without the organization's certificate the provider's is not trusted; no request goes out."""
    failed = failure(fetcher(authority, ca_pem=()), server.url(host=NAME))
    assert failed.reason is Cause.CERTIFICATE
    assert "add the authority's certificate" in str(failed)
    assert server.asked == []


@pytest.mark.parametrize("own", [False, True], ids=["none of its own", "another of its own"])
def test_authorities_of_the_system_are_trusted_too(
    server: AnsweringServer,
    authority: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    own: bool,
) -> None:
    """What the system trusts is trusted, beside the organization's certificates and without."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    ca_pem = [Authority(tmp_path / "other", "Other CA").pem] if own else []
    assert fetcher(authority, ca_pem=ca_pem).get(server.url(host=NAME)) == BODY


@pytest.mark.parametrize(
    ("names", "days", "said"),
    [
        ("DNS:other.provider.test", 30, "another name"),
        ("DNS:*.test", 30, "another name"),
        (f"DNS:{NAME}", -1, "expired"),
    ],
    ids=["other name", "wildcard above", "expired"],
)
def test_a_certificate_that_does_not_hold(
    authority: Authority, names: str, days: int, said: str
) -> None:
    """A certificate for another name, or one that is over, ends it before the request."""
    pair = authority.issue("bad", names=names, days=days)
    with AnsweringServer(answer(BODY), pair) as running:
        failed = failure(fetcher(authority), running.url(host=NAME))
        assert failed.reason is Cause.CERTIFICATE
        assert said in str(failed)
        assert running.asked == []


def test_another_authority_of_the_same_name(
    server: AnsweringServer, authority: Authority, tmp_path: Path
) -> None:
    """An authority that only calls itself the same is not the one that is trusted."""
    pair = Authority(tmp_path).issue("login", names=f"DNS:{NAME}")
    with AnsweringServer(answer(BODY), pair) as running:
        assert failure(fetcher(authority), running.url(host=NAME)).reason is Cause.CERTIFICATE
        assert running.asked == []
    assert fetcher(authority).get(server.url(host=NAME)) == BODY


def test_the_servers_own_certificate_can_be_trusted(
    server: AnsweringServer, authority: Authority, certificate: tuple[Path, Path]
) -> None:
    """An organization may hand in the provider's own certificate, without who issued it."""
    fetch = fetcher(authority, ca_pem=[certificate[0].read_text()])
    assert fetch.get(server.url(host=NAME)) == BODY


def test_a_certificate_of_the_organization_that_cannot_be_read(
    server: AnsweringServer, authority: Authority
) -> None:
    """A certificate that is none is named by its number."""
    fetch = fetcher(authority, ca_pem=[authority.pem, "no certificate"])
    failed = failure(fetch, server.url(host=NAME))
    assert failed.reason is Cause.CERTIFICATE
    assert "Certificate 2" in str(failed)


def test_a_server_without_tls(authority: Authority) -> None:
    """A server that speaks plain HTTP at an https URL gets no request."""
    with AnsweringServer(answer(BODY)) as running:
        url = running.url(host=NAME).replace("http:", "https:")
        assert failure(fetcher(authority), url).reason is Cause.PROTOCOL
        assert running.asked == []
