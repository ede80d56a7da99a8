from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from syncd.settings.cron import check_cron
from syncd.settings.values import SecretUrl, masked_url, read_duration

if TYPE_CHECKING:
    from tests.unit.settings.conftest import Place


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (5, 5),
        (0.5, 0.5),
        ("90", 90),
        ("90s", 90),
        ("15m", 900),
        ("12h", 43_200),
        ("30d", 2_592_000),
        ("1.5h", 5400),
        (" 2 m ", 120),
        (0, 0),
    ],
)
def test_durations_are_seconds_or_have_a_unit(written: object, seconds: float) -> None:
    """Seconds, minutes, hours and days are read; whole ones come out as whole numbers."""
    assert read_duration(written) == seconds
    assert isinstance(read_duration(written), int) == (seconds == int(seconds))


@pytest.mark.parametrize(
    "written", [-1, "-1s", "1w", "", "h", "1h30m", True, None, [1], float("inf"), "1e3", "\u0661s"]
)
def test_what_is_no_duration_is_refused(written: object) -> None:
    """Negative, unitless words and foreign digits are no durations."""
    with pytest.raises(ValueError, match="must be"):
        read_duration(written)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://syncd:pw@db/x", "postgresql+psycopg://syncd:********@db/x"),
        ("postgresql+psycopg://syncd:p/w@x@db/x", "postgresql+psycopg://syncd:********@db/x"),
        (
            "postgresql+psycopg://db/x?user=a&password=pw",
            "postgresql+psycopg://db/x?user=a&password=********",
        ),
        ("postgresql+psycopg://syncd@db/x", "postgresql+psycopg://syncd@db/x"),
        ("sqlite:////var/x@y.db", "sqlite:////var/x@y.db"),
    ],
)
def test_database_urls_are_shown_without_their_password(url: str, shown: str) -> None:
    """Neither the user part nor a parameter shows a password."""
    secret = SecretUrl(url)
    assert secret.masked() == shown
    assert str(secret) == shown
    assert "pw" not in repr(secret)


def test_a_url_without_a_password_is_left_alone() -> None:
    """An at sign in a path is no user part."""
    assert masked_url("https://h:443/a@b?x=1") == "https://h:443/a@b?x=1"


@pytest.mark.parametrize(
    "line", ["30 2 * * *", "*/5 0-23/2 1,15 jan-mar mon", "0 0 * * 7", "  0  0 * * SUN "]
)
def test_cron_lines_are_taken(line: str) -> None:
    """Numbers, ranges, lists, steps and names are cron."""
    assert check_cron(line) == " ".join(line.lower().split())


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("60 * * * *", "minute"),
        ("0 24 * * *", "hour"),
        ("0 0 0 * *", "day of month"),
        ("0 0 * 13 *", "month"),
        ("0 0 * * 8", "day of week"),
        ("*/0 * * * *", "minute"),
        ("5-1 * * * *", "minute"),
        ("0 0 * * funday", "day of week"),
    ],
)
def test_a_wrong_cron_field_is_named(line: str, name: str) -> None:
    """The message says which of the five fields is wrong."""
    with pytest.raises(ValueError, match=f"as its {name}"):
        check_cron(line)


def test_lists_may_be_text_with_commas(place: Place) -> None:
    """Object classes, URLs and scopes are read from a list or from text; DNs keep their commas."""
    place.ldap(
        "user_object_classes: inetOrgPerson, organizationalPerson",
        "sentinels: uid=a,dc=x",
        "import_roles: {roles_dn: 'ou=r,dc=x', role_object_class: groupOfNames}",
    )
    text = (place.folder / "organizations/acme.yaml").read_text()
    place.organization(text.replace("ldaps://ldap.example.org", "ldaps://a, ldaps://b:1636/"))
    ldap = place.acme().ldap
    assert ldap is not None
    assert ldap.import_roles is not None
    assert ldap.connection_url == ("ldaps://a", "ldaps://b:1636")
    assert ldap.user_object_classes == ("inetOrgPerson", "organizationalPerson")
    assert ldap.sentinels == ("uid=a,dc=x",)
    assert ldap.users_dn == ("ou=users,dc=example,dc=org",)
    assert ldap.import_roles.role_object_class == ("groupOfNames",)
