"""The keys of the way out: what is taken, refused, warned about, and never shown."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from syncd.compose_idp import proxy_of
from syncd.settings import masked

if TYPE_CHECKING:
    from tests.unit.settings.conftest import Place

DEPLOY = Path(__file__).parents[3] / "docs/deploy.md"
EXAMPLE = re.compile(r"^```yaml\n(outbound:.*?)^```", re.DOTALL | re.MULTILINE)
SECRET = "s3cret"
WITH_PASSWORD = f"https://syncd:{SECRET}@proxy.example.org:3128"


def test_there_is_no_proxy_unless_one_is_named(place: Place) -> None:
    """Neither an empty file nor the variables that other programs follow bring one."""
    place.organization()
    environ = {"HTTPS_PROXY": "http://h:1", "https_proxy": "http://h:1", "ALL_PROXY": "http://h:1"}
    assert proxy_of(place.load(environ).daemon.outbound) is None


@pytest.mark.parametrize("given", ["inline", "file", "credential", "environment"])
def test_the_proxy_comes_from_where_secrets_do_and_is_masked(place: Place, given: str) -> None:
    """Its URL may hold a password: it may stand in a file, and is never shown whole."""
    place.organization()
    environ = {}
    text = "outbound: {no_proxy: ['.Intra.example.org', 10.0.0.0/8, 192.0.2.7]"
    match given:
        case "inline":
            text += f", proxy: '{WITH_PASSWORD}'"
        case "file":
            place.write("proxy.secret", f"{WITH_PASSWORD}\n")
            text += ", proxy_file: proxy.secret"
        case "credential":
            place.write("run-secrets/outbound_proxy", WITH_PASSWORD)
        case _:
            environ["SYNCD_OUTBOUND__PROXY"] = WITH_PASSWORD
    place.daemon(text + "}\n")
    settings = place.load(environ)
    assert settings.warnings == ()
    proxy = proxy_of(settings.daemon.outbound)
    assert proxy is not None
    assert (proxy.scheme, str(proxy)) == ("https", "proxy.example.org:3128")
    assert proxy.authorization == "Basic c3luY2Q6czNjcmV0"
    assert proxy.names == {".intra.example.org"}
    assert [str(each) for each in proxy.networks] == ["10.0.0.0/8", "192.0.2.7/32"]
    shown = json.dumps(masked(settings))
    assert "https://syncd:********@proxy.example.org:3128" in shown
    for text in (shown, repr(settings), repr(proxy)):
        assert SECRET not in text
        assert "c3luY2Q6" not in text


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("proxy: 'proxy:3128'", "outbound.proxy: must be http://HOST:PORT"),
        ("proxy: 'http://proxy'", "outbound.proxy: must be http://HOST:PORT"),
        ("proxy: 'socks5://proxy:1080'", "outbound.proxy: must be http://HOST:PORT"),
        ("proxy: 'http://proxy:1/path'", "outbound.proxy: must be http://HOST:PORT"),
        (f"proxy: 'http://u:{SECRET}/x@proxy:1'", "with USER:PASSWORD@ before the host"),
        (f"proxy: 'http://u:{SECRET}@x@proxy:1'", "signs than letters and digits there as %XX"),
        ("proxy: 3128", "outbound.proxy: must be http://HOST:PORT"),
        ("no_proxy: ['*.example.org']", "must be a host (sso.example.org), a domain"),
        ("no_proxy: [10.0.0.300]", "or a network (10.0.0.0/8)"),
        ("no_proxy: ['https://sso.example.org']", "must be a host (sso.example.org)"),
    ],
)
def test_what_is_no_proxy_and_no_exception(place: Place, keys: str, said: str) -> None:
    """What cannot be meant is refused with what can, and without what was written."""
    place.organization()
    place.daemon(f"outbound: {{{keys}}}\n")
    (fault,) = place.faults()
    assert said in fault
    assert SECRET not in fault


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (f"proxy: 'http://u:{SECRET}@proxy:1'", "its password travels in the clear"),
        (f"proxy: 'http://u:{SECRET}@127.0.0.1:1'", None),
        ("proxy: 'http://proxy:1'", None),
        ("no_proxy: [sso.example.org]", "has no effect without outbound.proxy"),
        ("proxy: 'http://proxy:1', certificates: [ca.pem]", "URL is not https://"),
    ],
)
def test_what_costs_something_is_a_warning(place: Place, keys: str, said: str | None) -> None:
    """Passwords in the clear, and keys that do nothing, are told."""
    place.organization()
    place.write("ca.pem", "-----BEGIN CERTIFICATE-----\nMAAwAAAA\n-----END CERTIFICATE-----\n")
    place.daemon(f"outbound: {{{keys}}}\n")
    told = " ".join(place.load().warnings)
    assert (said in told) if said else told == ""
    assert SECRET not in told


def test_only_a_url_with_a_password_is_a_secret_in_the_file(place: Place) -> None:
    """A daemon's file that everybody can read is no matter while nothing secret stands in it."""
    place.organization()
    path = place.daemon("outbound: {proxy: 'https://proxy:1'}\n")
    path.chmod(0o644)
    assert place.load().warnings == ()
    path.write_text(f"outbound: {{proxy: '{WITH_PASSWORD}'}}\n")
    (warning,) = place.load().warnings
    assert "everybody on this machine can read" in warning


def test_the_example_of_the_page_is_taken(place: Place) -> None:
    """What docs/deploy.md says to write behind a proxy is valid, and means what it says."""
    place.organization()
    (example,) = EXAMPLE.findall(DEPLOY.read_text())
    place.daemon(example)
    settings = place.load()
    assert settings.warnings == ()
    proxy = proxy_of(settings.daemon.outbound)
    assert proxy is not None
    assert str(proxy) == "proxy.example.org:3128"
    assert proxy.spares("sso.corp.example.org")
    assert proxy.spares("login.intra.example.org")
    assert not proxy.spares("intra.example.org")
    assert not proxy.spares("login.microsoftonline.com")
