"""From when on changes are asked for by their times."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.errors import ChangesUnavailable, UsageError
from syncd.ldap import filters
from syncd.ldap.changes.detection import check_setting
from syncd.ldap.changes.modify_timestamp import Stamps, beginning
from syncd.ldap.filter_tree import Comparison, Or

NOON = "20260131120000Z"


@pytest.mark.rule("2.9.2", server="pure")
@pytest.mark.parametrize(
    ("since", "now", "expected"),
    [
        pytest.param(NOON, NOON, (11, 50), id="unchanged"),
        pytest.param(NOON, "20260301000000Z", (11, 50), id="later"),
        pytest.param(NOON, "20260131115500Z", (11, 45), id="lagging"),
        pytest.param(NOON, "20260131115000Z", (11, 40), id="lagging by the overlap"),
    ],
)
def test_an_overlap_is_asked_for_again(since: str, now: str, expected: tuple[int, int]) -> None:
    """Ten minutes before what was seen, or before where a lagging replica is."""
    assert beginning(since, now) == datetime(2026, 1, 31, *expected, tzinfo=UTC)


@pytest.mark.rule("2.9.2", server="pure")
@pytest.mark.parametrize(
    ("since", "now", "reason"),
    [
        (NOON, "20260131114959Z", "clock_backwards"),
        (NOON, "", "no_clock"),
        ("", NOON, "no_clock"),
        ("", "", "no_clock"),
        ('{"cookies":{}}', NOON, "no_clock"),
    ],
)
def test_a_time_that_cannot_be_is_not_asked_from(since: str, now: str, reason: str) -> None:
    """No time, or one that went back further than any replica lags, needs a full sync."""
    with pytest.raises(ChangesUnavailable) as raised:
        beginning(since, now)
    assert raised.value.reason == reason


@pytest.mark.rule("2.1.5", server="pure")
@pytest.mark.rule("2.9.3", server="pure")
@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        (
            Stamps("createTimestamp", "modifyTimestamp"),
            f"(|(modifyTimestamp>={NOON})(createTimestamp>={NOON}))",
        ),
        (
            Stamps("whenCreated", "whenChanged"),
            "(|(whenChanged>=20260131120000.0Z)(whenCreated>=20260131120000.0Z))",
        ),
        (Stamps("stamp", "stamp"), f"(stamp>={NOON})"),
    ],
)
def test_both_times_are_asked_for_in_the_vendor_s_words(stamps: Stamps, expected: str) -> None:
    """The boundary is included, and no negation stands in for "greater than"."""
    assert stamps.since(datetime(2026, 1, 31, 12, tzinfo=UTC)) == expected


@given(
    st.datetimes(
        min_value=datetime(1970, 1, 1),  # noqa: DTZ001 (the strategy adds the zone)
        max_value=datetime(2999, 1, 1),  # noqa: DTZ001
        timezones=st.just(UTC),
    )
)
def test_a_time_is_written_with_one_z(moment: datetime) -> None:
    """A doubled Z matches nobody, and nobody notices."""
    tree = filters.parse(Stamps("createTimestamp", "modifyTimestamp").since(moment))
    assert isinstance(tree, Or)
    for clause in tree.clauses:
        assert isinstance(clause, Comparison)
        assert re.fullmatch(rb"[0-9]{14}Z", clause.value)


@pytest.mark.parametrize(
    ("setting", "uuid_attribute", "sentence"),
    [
        ("usn_changed", "entryUUID", "set uuid_ldap_attribute: objectGUID"),
        ("dirsync", "sAMAccountName", "set uuid_ldap_attribute: objectGUID"),
        ("syncrepl", "uid", "set uuid_ldap_attribute: entryUUID"),
        ("retro_changelog", "entryUUID", "set uuid_ldap_attribute: nsUniqueId"),
        ("sometimes", "entryUUID", "there are: auto, dirsync, modify_timestamp"),
    ],
)
def test_a_setting_that_cannot_be_used_says_what_to_set(
    setting: str, uuid_attribute: str, sentence: str
) -> None:
    """What can be told without a directory is told without one."""
    with pytest.raises(UsageError, match=re.escape(sentence)):
        check_setting(setting, uuid_attribute)


@pytest.mark.parametrize(
    ("setting", "uuid_attribute"),
    [
        ("auto", "objectGUID"),
        ("modify_timestamp", "uid"),
        ("syncrepl", "ENTRYUUID"),
        ("syncrepl", "nsuniqueid"),
        ("retro_changelog", "nsUniqueId"),
        ("usn_changed", "objectguid"),
        ("dirsync", "objectGUID"),
    ],
)
def test_a_setting_that_can_be_used_passes(setting: str, uuid_attribute: str) -> None:
    """Everything else is up to the directory."""
    check_setting(setting, uuid_attribute)
