"""Where secrets come from, and that they go nowhere else."""

from __future__ import annotations

import json
import os
import traceback
from typing import TYPE_CHECKING

import pytest

from syncd.errors import ConfigurationError
from syncd.settings import masked

if TYPE_CHECKING:
    from tests.unit.settings.conftest import Place

WITHOUT = """\
organization: {id: acme, name: A}
provider: ldap
ldap:
  connection_url: ldaps://h
  certificate_trust: with_system
  bind_dn: cn=x
  users_dn: ou=x
"""
PLANTED = "pl4nted-S3cret"


def credential(place: Place, environ: dict[str, str] | None = None) -> str:
    """Return the bind credential that comes out."""
    ldap = place.acme(environ).ldap
    assert ldap is not None
    assert ldap.bind_credential is not None
    return ldap.bind_credential.get_secret_value()


@pytest.mark.parametrize("content", ["s3cret", "s3cret\n", "s3cret\r\n", "\ufeffs3cret\n\n"])
def test_a_secret_file_loses_the_newline_at_its_end(place: Place, content: str) -> None:
    """Editors write one; a directory does not want it."""
    place.write("organizations/x.secret", content)
    place.organization(WITHOUT + "  bind_credential_file: x.secret\n")
    assert credential(place) == "s3cret"


def test_spaces_belong_to_a_secret(place: Place) -> None:
    """Only newlines are taken off."""
    place.write("organizations/x.secret", " s3 cret \n")
    place.organization(WITHOUT + "  bind_credential_file: x.secret\n")
    assert credential(place) == " s3 cret "


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "gone",
            None,
            "cannot be read (No such file or directory); check the path and its permissions",
        ),
        ("../organizations", None, "is not a file; name the file that holds the secret"),
        ("x", b"", "is empty; write the secret into it"),
        ("x", b"\n\n", "is empty; write the secret into it"),
        ("x", b"one\ntwo\n", "holds more than one line; keep the secret alone"),
        ("x", b"\xff\xfe", "is not UTF-8 text; save it as UTF-8"),
        ("x", b"y" * 65_537, "is larger than 65536 bytes; this is no secret"),
    ],
)
def test_a_secret_file_that_cannot_be_used_is_a_fault(
    place: Place, name: str, content: bytes | None, message: str
) -> None:
    """The path is named, the content is not."""
    if content is not None:
        place.write(f"organizations/{name}", "").write_bytes(content)
    place.organization(WITHOUT + f"  bind_credential_file: {name}\n")
    (fault,) = place.faults()
    assert fault.startswith("organizations/acme.yaml:8: ldap.bind_credential_file: ")
    assert fault.endswith(message)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_secret_file_without_permission_is_a_fault(place: Place) -> None:
    """Another account's file is named with what to do."""
    place.write("organizations/x", "s3cret", mode=0)
    place.organization(WITHOUT + "  bind_credential_file: x\n")
    assert "cannot be read (Permission denied)" in place.faults()[0]


def test_a_secret_that_everybody_can_read_is_a_warning(place: Place) -> None:
    """It works, and is said."""
    place.write("organizations/x.secret", "s3cret", mode=0o644)
    place.organization(WITHOUT + "  bind_credential_file: x.secret\n")
    (warning,) = place.load().warnings
    assert "x.secret can be read by everybody on this machine; chmod o-r it" in warning


def test_an_inline_secret_in_a_file_that_everybody_can_read_is_a_warning(place: Place) -> None:
    """The organization's file itself is the secret then."""
    place.organization(WITHOUT + "  bind_credential: s3cret\n").chmod(0o644)
    (warning,) = place.load().warnings
    assert "stands in a file that everybody on this machine can read" in warning


def test_credentials_of_systemd_and_of_containers_are_found_by_name(place: Place) -> None:
    """$CREDENTIALS_DIRECTORY comes before the container's directory; neither needs a key."""
    place.daemon("smtp: {host: h, from: a@b, username: u}\n")
    place.organization(WITHOUT)
    place.write("run-secrets/acme.bind_credential", "container")
    place.write("run-secrets/smtp_password", "mail\n")
    place.write("run-secrets/store_url", "postgresql://u:pw@h/d")
    place.write("systemd/acme.bind_credential", "systemd")
    settings = place.load()
    assert settings.daemon.store.url.get_secret_value() == "postgresql+psycopg://u:pw@h/d"
    assert settings.daemon.smtp is not None
    assert settings.daemon.smtp.password is not None
    assert settings.daemon.smtp.password.get_secret_value() == "mail"
    assert credential(place) == "container"
    assert credential(place, {"CREDENTIALS_DIRECTORY": f"{place.folder}/systemd"}) == "systemd"


def test_an_empty_credential_is_a_fault(place: Place) -> None:
    """A credential that is there but cannot be used is not passed over."""
    place.organization(WITHOUT)
    place.write("run-secrets/acme.bind_credential", "\n")
    (fault,) = place.faults()
    assert fault == (
        "credential run-secrets/acme.bind_credential: ldap.bind_credential: "
        "is empty; write the secret into it"
    )


def test_a_credential_for_a_section_that_is_not_there_is_left_alone(place: Place) -> None:
    """A directory shared by several services does not switch an identity provider on."""
    place.organization(WITHOUT + "  bind_credential: x\n")
    place.write("run-secrets/acme.client_secret", "x")
    assert place.acme().idp is None


def test_the_environment_takes_the_place_of_the_file_in_either_form(place: Place) -> None:
    """A secret from the environment does not contradict one in the file."""
    place.write("organizations/x.secret", "file")
    place.organization(WITHOUT + "  bind_credential_file: x.secret\n")
    assert credential(place, {"SYNCD_ORG_ACME__LDAP__BIND_CREDENTIAL": "12345"}) == "12345"
    place.organization(WITHOUT + "  bind_credential: inline\n")
    path = str(place.folder / "organizations/x.secret")
    assert credential(place, {"SYNCD_ORG_ACME__LDAP__BIND_CREDENTIAL_FILE": path}) == "file"


def planted(place: Place) -> None:
    """Write a valid configuration with the planted secret wherever a secret may stand."""
    place.daemon(
        f"store: {{url: 'postgresql://u:{PLANTED}@h/d', "
        f"migration_url: 'postgresql://h/d?password={PLANTED}'}}\n"
        f"smtp: {{host: h, from: a@b, username: u, password: '{PLANTED}'}}\n"
    )
    place.organization(
        WITHOUT + f"  bind_credential: {PLANTED}\n"
        "idp: {issuer: 'https://i', client_id: c, authorization_url: 'https://i/a', "
        f"token_url: 'https://i/t', jwks_url: 'https://i/j', client_secret: '{PLANTED}'}}\n"
    )


def test_no_secret_is_shown(place: Place) -> None:
    """Neither texts nor the masked settings hold a secret, and they are there all the same."""
    planted(place)
    settings = place.load()
    shown = json.dumps(masked(settings))
    for text in (shown, repr(settings), str(settings), str(settings.daemon.model_dump())):
        assert PLANTED not in text
    assert shown.count("********") == 5
    url = masked(settings)["daemon"]["store"]["url"]
    assert url == "postgresql+psycopg://u:********@h/d"
    assert PLANTED in settings.daemon.store.url.get_secret_value()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("provider: ldap", "provider: ldpa"),
        (f"bind_credential: {PLANTED}", f"bind_credentials: {PLANTED}"),
        (f"bind_credential: {PLANTED}", f"bind_credential: [{PLANTED}]"),
        (f"bind_credential: {PLANTED}", f"bind_credential: {{{PLANTED}: 1}}"),
        (f"bind_credential: {PLANTED}", f"bind_credential: *{PLANTED}"),
        (f"bind_credential: {PLANTED}", f"bind_credential: !{PLANTED}"),
        (f"bind_credential: {PLANTED}", f"bind_credential: {PLANTED}: x"),
        (f"bind_credential: {PLANTED}", f"bind_credential:{PLANTED}"),
        (f"bind_credential: {PLANTED}", f"bind_credential: '{PLANTED}"),
        (f"bind_credential: {PLANTED}", f"bind_credential: @{PLANTED}"),
        ("  users_dn: ou=x", f"  users_dn: ou=x\n  bind_credential_file: {PLANTED[:2]}"),
        ("ldap:\n", "ldap: |\n"),
        (f"client_secret: '{PLANTED}'", f"client_secret: {{a: '{PLANTED}'}}"),
    ],
)
def test_no_fault_repeats_a_secret(place: Place, old: str, new: str) -> None:
    """Whatever is wrong beside or at a secret, neither message nor traceback shows it."""
    planted(place)
    path = place.folder / "organizations/acme.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ConfigurationError) as caught:
        place.load()
    if f"{{{PLANTED}: 1}}" not in new:
        assert PLANTED not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert PLANTED not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://u:{PLANTED}@h/d",
        f"postgresql:/u:{PLANTED}@h/d",
        f"{PLANTED}",
        f"sqlite://u:{PLANTED}@h",
    ],
)
def test_no_wrong_database_url_is_repeated(place: Place, url: str) -> None:
    """Only its scheme is told."""
    place.organization()
    place.daemon(f"store: {{url: '{url}'}}\n")
    (fault,) = place.faults()
    assert fault.startswith("syncd.yaml:1: store.url: must ")
    assert PLANTED not in fault
