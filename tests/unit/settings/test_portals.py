"""The portals of an organization and what sign-in allows, as they are configured."""

from __future__ import annotations

import json

import pytest

from syncd.errors import ConfigurationError
from syncd.settings import masked
from tests.unit.settings.conftest import LDAP, Place

SECRET = "planted-" + "0123456789abcdef" * 2
PORTAL = f"""\
  - client_id: intranet
    client_secret: {SECRET}
    redirect_uris: https://intranet.example.org/signed-in
"""


def _portals(place: Place, *portals: str) -> None:
    place.organization(LDAP + "portals:\n" + "".join(portals))


def _faults(place: Place) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        place.load()
    found = [f"{fault.key}: {fault.message}" for fault in caught.value.faults]
    return [each.replace(f"{place.folder}/", "") for each in found]


def test_a_portal_is_found_by_its_client_id_alone(place: Place) -> None:
    """One URI may stand alone, and an unknown portal is nobody."""
    _portals(place, PORTAL)
    organization = place.load().organizations["acme"]
    portal = organization.portal("intranet")
    assert portal is not None
    assert portal.redirect_uris == ("https://intranet.example.org/signed-in",)
    assert portal.post_logout_redirect_uris == ()
    assert [organization.portal(name) for name in ("Intranet", "intranet ", "")] == [None] * 3


@pytest.mark.rule("H4", server="pure")
@pytest.mark.parametrize(
    ("uri", "found"),
    [
        ("https://portal.example.org:8443/a/b?next=1%2F2", None),
        ("http://127.0.0.1:9000/", None),
        ("http://localhost/", None),
        ("http://[::1]:80/", None),
        ("http://portal.example.org/", "must be a URL that starts with https://"),
        ("https:///signed-in", "must be a URL that starts with https://"),
        ("https://portal.example.org:port/", "must be a URL that starts with https://"),
        ("javascript://%0aalert(1)", "must be a URL that starts with https://"),
        ("/signed-in", "must be a URL that starts with https://"),
        ("//portal.example.org/", "must be a URL that starts with https://"),
        ("https://portal.example.org/#there", "without blanks, #, @"),
        ("https://portal.example.org@evil.example/", "without blanks, #, @"),
        ("https://portal.example.org\\\\@evil.example/", "without blanks, #, @"),
        ("https://portal.example.org/\\u00e4", "without blanks, #, @"),
        ("https://portal.example.org/\\n", "without blanks, #, @"),
        ("https://portal.example.org/*", None),
        ("https://portal.example.org/?a=1&code=2", "must not have code in its query"),
        ("https://portal.example.org/?iss", "must not have iss in its query"),
        ("https://portal.example.org/" + "a" * 2000, "must be at most 2000 characters long"),
    ],
    ids=str,
)
def test_return_uris_are_whole_and_safe(place: Place, uri: str, found: str | None) -> None:
    """Only https, or http on this machine; nothing that two readers could take differently."""
    text = PORTAL.replace("https://intranet.example.org/signed-in", f'["{uri}"]')
    _portals(place, text + f'    post_logout_redirect_uris: ["{uri}"]\n')
    if found is None:
        place.load()
        return
    faults = _faults(place)
    assert {fault.partition(":")[0] for fault in faults} == {
        "portals[0].redirect_uris",
        "portals[0].post_logout_redirect_uris",
    }
    assert all(found in fault for fault in faults)


@pytest.mark.parametrize(
    ("portals", "faults"),
    [
        (
            ["  - {client_id: a:b, client_secret: " + SECRET + ", redirect_uris: 'https://a/'}\n"],
            [
                "portals[0].client_id: must be a name of 1 to 63 of a-z, A-Z, 0-9, ., _ and -; "
                'found "a:b"'
            ],
        ),
        (
            ["  - client_id: intranet\n    redirect_uris: https://intranet.example.org/\n"],
            ["portals[0].client_secret: is required (or client_secret_file)"],
        ),
        (
            [PORTAL.replace(SECRET, SECRET[:31])],
            [
                "portals[0].client_secret: has fewer than 32 characters; `openssl rand -hex 32` "
                "makes a good one"
            ],
        ),
        (
            [PORTAL, PORTAL],
            [
                'portals[1].client_id: is "intranet", as that of portals[0]; every portal of an '
                "organization has its own"
            ],
        ),
        (
            [PORTAL + "    client_secret_file: other.secret\n"],
            [
                "portals[0].client_secret_file: contradicts portals[0].client_secret "
                "(organizations/acme.yaml:11); keep one of them"
            ],
        ),
        (
            [PORTAL + "    redirect_uri: https://intranet.example.org/\n"],
            [
                "portals[0].redirect_uri: there is no such key (did you mean redirect_uris?); "
                "allowed: client_id, client_secret, client_secret_file, redirect_uris, "
                "post_logout_redirect_uris, api_access"
            ],
        ),
        (
            [PORTAL.replace("https://intranet.example.org/signed-in", "[]")],
            ["portals[0].redirect_uris: must have at least one value; found an empty list"],
        ),
    ],
    ids=["name", "no secret", "short secret", "twice", "two secrets", "unknown key", "no uri"],
)
def test_what_is_wrong_with_portals_is_said_at_its_place(
    place: Place, portals: list[str], faults: list[str]
) -> None:
    """Each fault names the portal's key, and none repeats a secret."""
    _portals(place, *portals)
    found = _faults(place)
    assert found == faults
    assert "planted" not in "".join(found)


def test_portals_take_their_secrets_from_files_and_credentials_alike(place: Place) -> None:
    """Beside the key: a file that is named, or one in a credentials directory."""
    place.write("organizations/wiki.secret", f"{SECRET}wiki\n")
    place.write("run-secrets/acme.intranet.client_secret", f"{SECRET}intranet\n")
    place.write("run-secrets/acme.client_secret", f"{SECRET}nobody's\n")
    _portals(
        place,
        "  - client_id: wiki\n    client_secret_file: wiki.secret\n    redirect_uris: https://w/\n",
        "  - client_id: intranet\n    redirect_uris: https://i/\n",
    )
    portals = place.load().organizations["acme"].portals
    secrets = [each.client_secret.get_secret_value() for each in portals if each.client_secret]
    assert secrets == [f"{SECRET}wiki", f"{SECRET}intranet"]


def test_a_client_id_is_no_path(place: Place) -> None:
    """A name that is refused anyway does not lead out of the credentials directory."""
    place.write("acme.secret", SECRET)
    _portals(place, "  - client_id: ../../acme\n    redirect_uris: https://i/\n")
    assert [fault.partition(":")[0] for fault in _faults(place)] == ["portals[0].client_id"]


def test_portals_may_come_from_the_environment(place: Place) -> None:
    """As one line of YAML or JSON, and no file is blamed for the secret in it."""
    place.organization().chmod(0o644)
    value = [{"client_id": "wiki", "client_secret": SECRET, "redirect_uris": ["https://w/"]}]
    settings = place.load({"SYNCD_ORG_ACME__PORTALS": json.dumps(value)})
    assert [each.client_id for each in settings.organizations["acme"].portals] == ["wiki"]
    assert not [each for each in settings.warnings if ": portals" in each]


def test_a_portal_secret_is_shown_to_nobody(place: Place) -> None:
    """Neither the text of the settings nor the masked ones have it; the place of it is told."""
    _portals(place, PORTAL)
    settings = place.load()
    shown = masked(settings)
    assert SECRET not in repr(settings) + json.dumps(shown)
    assert shown["organizations"]["acme"]["portals"][0]["client_secret"] == "********"


def test_an_inline_portal_secret_that_everybody_can_read_is_a_warning(place: Place) -> None:
    """As with the other secrets."""
    _portals(place, PORTAL)
    (place.folder / "organizations/acme.yaml").chmod(0o644)
    (warning,) = [each for each in place.load().warnings if ": portals" in each]
    assert "organizations/acme.yaml:11: portals[0].client_secret: stands in a file that" in warning


@pytest.mark.parametrize(
    ("keys", "faults"),
    [
        ("attempts_per_account: 10, attempts_per_address: 10, window: 1h", []),
        (
            "attempts_per_account: 41",
            ["sign_in.attempts_per_account: must not be above sign_in.attempts_per_address"],
        ),
        (
            "attempts_per_address: 1001",
            ["sign_in.attempts_per_address: must not be above sign_in.attempts_per_organization"],
        ),
        (
            "attempts_per_account: 0",
            [
                "sign_in.attempts_per_account: must be a whole number from 1; found the number 0",
            ],
        ),
        (
            "window: 0",
            ["sign_in.window: must be longer than 0 seconds; found the number 0"],
        ),
    ],
)
def test_attempts_are_counted_from_narrow_to_wide(
    place: Place, keys: str, faults: list[str]
) -> None:
    """An account has no more than an address, and that no more than the organization."""
    place.daemon(f"sign_in: {{{keys}}}\n")
    place.organization()
    if faults:
        assert _faults(place) == faults
    else:
        assert place.load().daemon.sign_in.window == 3600
