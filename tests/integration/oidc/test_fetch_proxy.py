"""Fetching through a proxy: whom it leads to, what it sees, and how it fails."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from base64 import b64encode
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import pytest

from syncd.app import App
from syncd.cli.render.identifying import provider_blocks
from syncd.doctor import check
from syncd.errors import UsageError
from syncd.identifying import Identifying
from syncd.oidc.failure import Cause
from syncd.oidc.fetch import LARGEST_BODY_BYTES, Fetcher
from syncd.oidc.proxy import Proxy
from syncd.settings import load
from tests.integration.oidc.reaching import BODY, NAME, failure, fetcher
from tests.servers.answering import AnsweringServer, Asked, answer, talking
from tests.servers.authority import Authority
from tests.servers.proxying import status, tunnel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from syncd.settings import Settings

PASSWORD = "p:ss/w@rd"
CREDENTIALS = f"Basic {b64encode(f'syncd:{PASSWORD}'.encode()).decode()}"
USER = "syncd:p%3Ass%2Fw%40rd@"
SHORT_SECONDS = 0.4


def knows_nobody(name: str) -> list[str]:
    """Answer as a machine does whose name servers know no name outside."""
    raise OSError(name)


def through(authority: Authority, proxy: AnsweringServer | str, **changes: Any) -> Fetcher:
    """Return a way out through a proxy; the provider's name is unknown on this side of it."""
    url = proxy if isinstance(proxy, str) else proxy.url("")
    kept = {key: changes.pop(key) for key in ("names", "networks") if key in changes}
    # An authority of its own for the proxy would do; one is enough for both sides here.
    made = Proxy.read(url, ca_pem=[authority.pem], **kept)
    options = {"allowed_networks": (), "resolve": knows_nobody, "proxy": made}
    return fetcher(authority, **(options | changes))


@pytest.fixture(params=["http", "https"])
def proxy(
    request: pytest.FixtureRequest, server: AnsweringServer, certificate: tuple[Path, Path]
) -> Iterator[AnsweringServer]:
    """A proxy, spoken to in the clear and by TLS, that alone knows the provider's name."""
    leads = {f"{NAME}:{server.port}": server.port}
    pair = certificate if request.param == "https" else None
    with AnsweringServer(tunnel(leads), pair) as running:
        yield running


def test_the_provider_is_asked_by_name_and_its_tls_is_checked_here(
    server: AnsweringServer, proxy: AnsweringServer, authority: Authority
) -> None:
    """The proxy hears host and port; what is asked, and with which token, the provider alone."""
    fetch = through(authority, proxy)
    assert fetch.get(server.url("/userinfo?a=b", NAME), bearer="t0ken") == BODY
    (tunnelled,), (asked,) = proxy.asked, server.asked
    there = f"{NAME}:{server.port}"
    assert (tunnelled.method, tunnelled.target) == ("CONNECT", there)
    assert tunnelled.headers == {"host": there, "user-agent": "syncd"}
    assert (asked.target, asked.server_name) == ("/userinfo?a=b", NAME)
    assert asked.headers["authorization"] == "Bearer t0ken"
    assert asked.headers["host"] == there
    assert str(fetch.proxy_for(server.url(host=NAME))) == f"127.0.0.1:{proxy.port}"


def test_a_proxy_that_wants_a_password_gets_it_and_the_provider_does_not(
    server: AnsweringServer, authority: Authority
) -> None:
    """User name and password of the URL, without their escapes, go to the proxy alone."""
    leads = {f"{NAME}:{server.port}": server.port}
    with AnsweringServer(tunnel(leads, wants=CREDENTIALS)) as proxy:
        url = f"http://{USER}127.0.0.1:{proxy.port}"
        fetch = through(authority, url)
        assert fetch.post(server.url("/token", NAME), {"a": "b"}, basic=None) == (200, BODY)
        assert "proxy-authorization" not in server.asked[0].headers
        shown = f"{fetch.proxy_for(server.url(host=NAME))!r}"
        assert "Basic" not in shown
        assert b64encode(PASSWORD.encode()).decode() not in shown


def test_sizes_are_limited_through_a_proxy(
    server: AnsweringServer, proxy: AnsweringServer, authority: Authority
) -> None:
    """The largest body comes whole, one octet more is not taken, and nothing endless is read."""
    largest = json.dumps("x" * (LARGEST_BODY_BYTES - 2)).encode()
    fetch = through(authority, proxy)
    server.answer = answer(largest)
    assert fetch.get(server.url(host=NAME)) == largest
    server.answer = answer(largest + b" ")
    assert failure(fetch, server.url(host=NAME)).reason is Cause.TOO_LARGE


def test_a_proxy_that_answers_in_the_providers_place_gets_no_request(
    proxy: AnsweringServer, authority: Authority, tmp_path: Path
) -> None:
    """Who has no certificate of the provider's is told as such, behind a proxy as before one."""
    pair = Authority(tmp_path).issue("login", names=f"DNS:{NAME}")
    with AnsweringServer(answer(BODY), pair) as other:
        proxy.answer = tunnel({f"{NAME}:443": other.port})
        failed = failure(through(authority, proxy), f"https://{NAME}/jwks")
        assert failed.reason is Cause.CERTIFICATE
        assert f"through the proxy 127.0.0.1:{proxy.port}" in str(failed)
        assert other.asked == []


# --------------------------------------------------------------------------- where it may lead


@pytest.mark.parametrize(
    ("host", "found"),
    [
        (NAME, ["10.0.0.1"]),
        (NAME, ["8.8.8.8", "10.0.0.1"]),
        (NAME, ["::ffff:169.254.169.254"]),
        (NAME, ["127.0.0.1"]),
        ("10.0.0.1", []),
        ("169.254.169.254", []),
        ("[fd00::1]", []),
        ("127.0.0.1", []),
    ],
)
@pytest.mark.rule("KS9", server="http")
@pytest.mark.rule("H15", server="http")
def test_what_is_known_here_to_lead_inside_is_not_asked_of_the_proxy(
    authority: Authority, host: str, found: list[str]
) -> None:
    """Private addresses, and names that lead to one of them here, are refused unasked."""
    with AnsweringServer(status("502 Bad Gateway")) as proxy:
        fetch = through(authority, proxy, resolve=lambda _: found)
        assert failure(fetch, f"https://{host}/jwks").reason is Cause.REFUSED_ADDRESS
        assert proxy.connections == 0


def test_names_with_public_addresses_go_through(
    server: AnsweringServer, authority: Authority
) -> None:
    """A name that leads to the public network here is the proxy's to look up all the same."""
    with AnsweringServer(tunnel({f"{NAME}:{server.port}": server.port})) as proxy:
        fetch = through(authority, proxy, resolve=lambda _: ["8.8.8.8", "2606:4700::1"])
        assert fetch.get(server.url(host=NAME)) == BODY
        assert proxy.connections == 1


def test_a_name_server_that_is_mute_holds_up_the_first_request_alone(
    server: AnsweringServer, authority: Authority
) -> None:
    """It gets a part of the time, and is left alone for a minute afterwards."""
    asked, over = list[str](), threading.Event()

    def mute(name: str) -> list[str]:
        asked.append(name)
        over.wait(30)
        return ["10.0.0.1"]

    with AnsweringServer(tunnel({f"{NAME}:{server.port}": server.port})) as proxy:
        fetch = through(authority, proxy, resolve=mute, seconds=3.0)
        for _ in range(2):
            assert fetch.get(server.url(host=NAME)) == BODY
    over.set()
    assert asked == [NAME]


@pytest.mark.parametrize(
    ("host", "spared"),
    [
        ("localhost", {}),
        ("127.0.0.1", {}),
        (NAME, {"names": [NAME.upper()]}),
        (NAME, {"names": [".test"]}),
        (NAME, {"names": [".provider.test"]}),
        (NAME, {"networks": [ip_network("127.0.0.0/8")]}),
    ],
)
def test_what_is_reached_directly(
    server: AnsweringServer, authority: Authority, host: str, spared: dict[str, Any]
) -> None:
    """This machine, and the hosts, domains and networks that are excepted, need no proxy."""
    near = {"allowed_networks": [ip_network("127.0.0.0/8")], "resolve": lambda _: ["127.0.0.1"]}
    with AnsweringServer(status("502 Bad Gateway")) as proxy:
        fetch = through(authority, proxy, **near, **spared)
        assert fetch.get(server.url(host=host)) == BODY
        assert fetch.proxy_for(server.url(host=host)) is None
        # Only where the exception says so, and in the clear never.
        with AnsweringServer(answer(BODY)) as plain:
            assert fetch.get(plain.url()) == BODY
        assert proxy.connections == 0
        elsewhere = through(authority, proxy, names=[f".{NAME}", "provider.test"])
        assert failure(elsewhere, server.url(host=NAME)).reason is Cause.PROXY
        assert proxy.connections == 1


# --------------------------------------------------------------------------- proxies that fail

SECRET = "do-not-repeat-this"
REFUSED: dict[str, tuple[bytes, str]] = {
    "who are you": (status("407 X", 'Proxy-Authenticate: Basic realm="x"'), "proxy_file"),
    "another way": (status("407 X", "Proxy-Authenticate: Negotiate"), "knows no other"),
    "forbidden": (status(f"403 {SECRET}"), f"{NAME}:443 (403); allow it"),
    "not reached": (status("502 X"), "cannot reach"),
    "too late": (status("504 X"), "cannot reach"),
    "no proxy": (answer(SECRET.encode(), status="404 X"), "status 404"),
    "a redirect": (status("302 X", f"Location: https://{SECRET}/"), "status 302"),
    "garbage": (f"{SECRET}\r\n\r\n".encode(), "does not answer in HTTP/1.1"),
    "nothing": (b"", "does not answer in HTTP/1.1"),
    "endless": (b"HTTP/1.1 100 X\r\n\r\n" * 8000, "does not answer in HTTP/1.1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_proxy_that_does_not_let_through_is_named_with_what_to_do(
    authority: Authority, name: str
) -> None:
    """Each refusal says which proxy it was and what helps, and nothing of what it sent."""
    said, told = REFUSED[name]
    with AnsweringServer(said) as proxy:
        failed = failure(through(authority, proxy), f"https://{NAME}/jwks?code={SECRET}")
    assert failed.reason is Cause.PROXY
    assert f"the proxy 127.0.0.1:{proxy.port} " in str(failed)
    assert told in str(failed)
    assert SECRET not in str(failed)


def test_a_wrong_password_is_told_without_it(authority: Authority) -> None:
    """A proxy that goes on asking for a password does not take the one that there is."""
    with AnsweringServer(tunnel({}, wants="Basic other")) as proxy:
        url = f"http://{USER}127.0.0.1:{proxy.port}"
        said = str(failure(through(authority, url), f"https://{NAME}/jwks"))
    assert "does not take the user name and the password" in said
    assert not any(each in said for each in (PASSWORD, "p%3A", CREDENTIALS.split()[1]))


def test_a_proxy_that_opens_a_tunnel_to_nowhere(authority: Authority) -> None:
    """What follows is told of the provider, as it stands behind the tunnel."""
    for said in (status("200 X"), status("200 X") + b"HTTP/1.1 200 OK\r\n\r\n"):
        with AnsweringServer(said) as proxy:
            failed = failure(through(authority, proxy), f"https://{NAME}/jwks")
        assert failed.reason in {Cause.PROTOCOL, Cause.UNREACHABLE}
        assert "through the proxy" in str(failed)


def test_a_proxy_that_is_not_there(authority: Authority) -> None:
    """A port where nobody listens and a name that nobody knows are told of the proxy."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}", "http://proxy.test:3128"):
        failed = failure(through(authority, url), f"https://{NAME}/jwks")
        assert failed.reason is Cause.PROXY
        assert "check outbound.proxy" in str(failed)


@pytest.mark.parametrize(
    ("scheme", "own", "said"),
    [("https", True, "outbound.certificates"), ("https", False, "start with http://")],
    ids=["another authority", "no TLS"],
)
def test_a_proxy_whose_tls_is_not_right_hears_no_password(
    authority: Authority, tmp_path: Path, scheme: str, said: str, *, own: bool
) -> None:
    """The proxy's own certificate is checked before it is asked for anything."""
    pair = Authority(tmp_path).issue("proxy") if own else None
    with AnsweringServer(status("407 X"), pair) as proxy:
        url = f"{scheme}://{USER}127.0.0.1:{proxy.port}"
        failed = failure(through(authority, url), f"https://{NAME}/jwks")
        assert failed.reason is Cause.PROXY
        assert said in str(failed)
        assert proxy.asked == []


def _drip(octets: bytes) -> Callable[[socket.socket], None]:
    def talk(connection: socket.socket) -> None:
        for octet in octets:
            connection.sendall(bytes([octet]))
            time.sleep(SHORT_SECONDS / 10)

    return talk


RECORD = struct.pack(">BHH", 22, 0x0303, 16_000) + b"\x02" * 40


@pytest.mark.parametrize(
    ("scheme", "octets"),
    [
        ("http", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10),
        ("http", b"HTTP/1.1 100 X\r\n\r\n" * 3),
        ("https", RECORD),
    ],
    ids=["head", "continue", "handshake"],
)
def test_a_slow_drip_of_the_proxy_ends_with_the_time_for_all(
    authority: Authority, scheme: str, octets: bytes
) -> None:
    """Connection, handshake and answer of the proxy take from the same time as all the rest."""
    with talking(_drip(octets)) as port:
        fetch = through(authority, f"{scheme}://127.0.0.1:{port}", seconds=SHORT_SECONDS)
        failed = failure(fetch, f"https://{NAME}/jwks")
    assert failed.reason is Cause.TIMEOUT
    assert f"the proxy 127.0.0.1:{port} " in str(failed)


def test_a_slow_drip_behind_the_tunnel_ends_with_it_too(
    proxy: AnsweringServer, authority: Authority
) -> None:
    """A handshake that never ends is cut off within TLS to the proxy as well."""

    def dripping(connection: socket.socket, _: Asked) -> None:
        connection.sendall(status("200 X"))
        connection.recv(1)
        _drip(RECORD)(connection)

    proxy.answer = dripping
    fetch = through(authority, proxy, seconds=SHORT_SECONDS)
    failed = failure(fetch, f"https://{NAME}/jwks")
    assert failed.reason is Cause.TIMEOUT
    assert "through the proxy" in str(failed)


# --------------------------------------------------------------------------- the whole of it


def configured(folder: Path, authority: Authority, base: str, outbound: dict[str, Any]) -> Settings:
    """Return the settings of a daemon whose one organization has a provider at a URL."""
    idp = {
        "issuer": base,
        "client_id": "syncd",
        "client_secret": SECRET,
        "authorization_url": f"{base}/authorize",
        "token_url": f"{base}/token",
        "jwks_url": f"{base}/jwks",
    }
    organization = {
        "organization": {"id": "acme", "name": "Acme"},
        "provider": "idp",
        "certificates": [str(authority.certificate)],
        "idp": idp,
    }
    (folder / "acme.yaml").write_text(json.dumps(organization))
    daemon = {"organizations": "acme.yaml", "outbound": outbound}
    (folder / "syncd.yaml").write_text(json.dumps(daemon))
    return load(str(folder / "syncd.yaml"), {})


def test_check_says_through_which_proxy_it_asked(
    proxy: AnsweringServer, server: AnsweringServer, authority: Authority, tmp_path: Path
) -> None:
    """The configured proxy is used, and `check --connect` names it without its password."""
    proxy.answer = tunnel({f"{NAME}:{server.port}": server.port}, wants=CREDENTIALS)
    (tmp_path / "proxy.secret").write_text(proxy.url("").replace("://", f"://{USER}"))
    outbound: dict[str, Any] = {"proxy_file": "proxy.secret"}
    if proxy.certificate is not None:
        outbound["certificates"] = [str(authority.certificate)]
    settings = configured(tmp_path, authority, f"https://{NAME}:{server.port}", outbound)
    report = check(settings, connect=True, clock=lambda: datetime.now(UTC))
    (found,) = report["organizations"]
    assert found["faults"] == []
    assert found["connect"]["proxy"] == f"127.0.0.1:{proxy.port}"
    assert {each.target for each in proxy.asked} == {f"{NAME}:{server.port}"}
    assert server.asked[0].target == "/jwks"
    assert f"through the proxy 127.0.0.1:{proxy.port}" in str(provider_blocks(found["connect"]))
    assert PASSWORD not in json.dumps(report, default=str)
    assert "p%3A" not in json.dumps(report, default=str)


def test_a_changed_proxy_is_taken_when_the_settings_are_read_again(
    authority: Authority, tmp_path: Path
) -> None:
    """What is known of a provider is kept over a reload, unless the way to it is another one."""
    base, first = f"https://{NAME}", {"proxy": "http://one.test:3128"}
    old = Identifying(configured(tmp_path, authority, base, first))
    known = old.provider("acme")
    same = Identifying(configured(tmp_path, authority, base, first))
    same.keep_providers(old)
    assert same.provider("acme") is known
    other = Identifying(configured(tmp_path, authority, base, {"proxy": "http://two.test:3128"}))
    other.keep_providers(old)
    assert other.provider("acme") is not known


def test_a_provider_is_discovered_through_a_proxy(
    proxy: AnsweringServer, server: AnsweringServer, authority: Authority
) -> None:
    """Without a configuration the proxy is named by whoever asks; a bad one is not repeated."""
    base = f"https://{NAME}:{server.port}"
    names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    told: dict[str, Any] = {
        "issuer": base,
        "response_types_supported": ["code"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }
    told |= {name: f"{base}/{name}" for name in names}
    server.answer = answer(json.dumps(told).encode())
    found = App.idp_discover(base, certificates=[authority.pem], proxy=proxy.url(""))
    assert found["issuer"] == base
    assert len(proxy.asked) == len(server.asked)
    with pytest.raises(UsageError, match="the proxy's URL must be http") as caught:
        App.idp_discover(base, proxy=f"ftp://u:{SECRET}@proxy:21")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "proxy:3128",
        "http://proxy",
        "http://proxy:0",
        "http://proxy:x",
        "http://:1",
        "socks5://proxy:1080",
        "http://proxy:1/x",
        f"http://u:{SECRET}/@proxy:1",
    ],
)
def test_urls_that_are_no_proxy(url: str) -> None:
    """What is no URL of a proxy is refused, and not repeated."""
    with pytest.raises(ValueError, match="must be http") as caught:
        Proxy.read(url)
    assert SECRET not in str(caught.value)
