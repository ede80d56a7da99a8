"""The keys of the account-state mapper: spellings, the vendor's attributes, contradictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from syncd.compose import directory_parts

if TYPE_CHECKING:
    from tests.unit.settings.conftest import Place


def configured(place: Place, vendor: str, *mappers: str) -> None:
    """Write an organization with these account-state mappers."""
    place.ldap(f"vendor: {vendor}")
    path = place.folder / "organizations/acme.yaml"
    lines = [f"  - {{name: state {number}, {keys}}}" for number, keys in enumerate(mappers)]
    path.write_text("\n".join([path.read_text(), "mappers:", *lines, ""]))


@pytest.mark.parametrize(
    ("vendor", "keys", "asked"),
    [
        ("389ds", "type: account-state", {"nsAccountLock", "accountUnlockTime"}),
        ("openldap", "type: account-state, attributes: SHADOWEXPIRE", {"shadowExpire"}),
        (
            "other",
            "type: account-state, attributes: [loginDisabled, nsaccountlock],"
            " attribute_names: {NSACCOUNTLOCK: locked}",
            {"loginDisabled", "locked"},
        ),
    ],
)
def test_the_listing_asks_for_what_counts(
    place: Place, vendor: str, keys: str, asked: set[str]
) -> None:
    """The vendor's attributes are the default; names are taken in any letter case."""
    configured(place, vendor, keys)
    attributes = set(directory_parts(place.acme()).user_mapping.attributes)
    assert asked <= attributes
    assert not {"nsAccountLock", "pwdAccountLockedTime", "shadowExpire"} & (attributes - asked)


@pytest.mark.parametrize(
    ("vendor", "mappers", "fault"),
    [
        ("other", ["type: account-state"], "has no attributes of its own"),
        ("389ds", ["type: account-state", "type: account-state"], "an organization has one"),
        ("389ds", ["type: account-state, attributes: [shoeSize]"], "whose meaning is known"),
        ("389ds", ["type: account-state, lockout_duration: soon"], "seconds, or a number"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    place: Place, vendor: str, mappers: list[str], fault: str
) -> None:
    """Each fault names its key and what is allowed."""
    configured(place, vendor, *mappers)
    assert any(fault in each and "mappers[" in each for each in place.faults())


def test_what_has_no_effect_is_a_warning(place: Place) -> None:
    """A duration without lockout times, and a name for what does not count, are told."""
    configured(
        place,
        "389ds",
        "type: account-state, lockout_duration: 5m, attribute_names: {shadowExpire: x}",
    )
    warnings = " ".join(str(each) for each in place.load().warnings)
    assert "lockout_duration" in warnings
    assert "shadowExpire" in warnings


def test_a_second_one_may_be_switched_off(place: Place) -> None:
    """Of two mappers the one that is enabled counts."""
    configured(place, "389ds", "type: account-state, enabled: false", "type: account-state")
    assert [each.name for each in place.acme().active_mappers] == ["state 1"]


WITHOUT_TIME = "  - {name: modifyTimestamp, enabled: false}\n"


def without_time(place: Place, vendor: str, keys: str) -> None:
    """Write an organization whose modification times are switched off."""
    configured(place, vendor, keys)
    path = place.folder / "organizations/acme.yaml"
    path.write_text(f"{path.read_text()}{WITHOUT_TIME}")


@pytest.mark.parametrize(
    ("vendor", "keys"),
    [
        ("389ds", "type: account-state"),
        ("active_directory", "type: account-state, attributes: [nsAccountLock]"),
    ],
)
def test_what_is_told_by_the_modification_time_needs_it(
    place: Place, vendor: str, keys: str
) -> None:
    """Who is unlocked by taking an attribute away would stay disabled for ever without it."""
    without_time(place, vendor, keys)
    (fault,) = place.faults()
    assert "switches modifyTimestamp off" in fault


@pytest.mark.parametrize(
    ("vendor", "keys"),
    [
        ("389ds", "type: account-state, trust_absence: true"),
        ("389ds", "type: account-state, enabled: false"),
        ("active_directory", "type: account-state"),
    ],
)
def test_what_is_set_to_unlock_needs_no_modification_time(
    place: Place, vendor: str, keys: str
) -> None:
    """Absence at its word, and attributes that unlocking does not take away, do without it."""
    without_time(place, vendor, keys)
    assert place.acme().id == "acme"
