"""What directories say of accounts, attribute by attribute, and what several of them amount to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from syncd.errors import MappingError
from syncd.ldap.vendors import VENDORS
from syncd.mappers.account_options import ATTRIBUTES, AccountStateOptions
from syncd.mappers.checks import contradictions
from syncd.mappers.pipeline import compile_users
from syncd.mappers.reasons import Reason
from syncd.records import EVER, NEVER, AccountState
from syncd.settings import account_state
from syncd.sync.collected import fingerprint_of
from tests.unit.mappers.directory import CODEC, PREDEFINED, anna

if TYPE_CHECKING:
    from syncd.mappers.pipeline import UserMapping

COMPUTED = "msDS-User-Account-Control-Computed"
MOST = str(0x7FFF_FFFF_FFFF_FFFF)
# 2026-01-02T03:04:05Z in ticks, and an odd one within that second.
TICKS = 134_117_966_450_000_000
HALF_HOUR = 1800.0


def accounts(*attributes: str, **more: object) -> UserMapping:
    """Compile the predefined mappers and an account-state mapper over these attributes."""
    options = AccountStateOptions(name="account", attributes=attributes, **more)  # type: ignore[arg-type]
    return compile_users(
        codec=CODEC,
        uuid_attribute="entryUUID",
        username_attribute="uid",
        trust_email=False,
        mappers=PREDEFINED,
        account=options,
    )


def state(mapping: UserMapping, **values: Any) -> AccountState:
    """Return what a mapping makes of Anna's account with these attributes."""
    found = mapping(anna(**{name.replace("-", "_"): value for name, value in values.items()}))
    assert found.account is not None
    return found.account


def said(attribute: str, value: object, *, duration: float | None = None) -> AccountState:
    """Return what one attribute says, of the reasons that it speaks of."""
    mapping = accounts(attribute, lockout_duration=duration)
    entry = anna()
    values = value if isinstance(value, list) else [value]
    entry.attributes[attribute.lower()] = [str(each).encode() for each in values]
    found = mapping(entry).account
    assert found is not None
    return found


DISABLED: dict[str, object] = {"disabled": True}
ENABLED: dict[str, object] = {"disabled": False}
SAID: list[tuple[str, object, dict[str, object]]] = [
    ("userAccountControl", 512, ENABLED),
    ("userAccountControl", 514, DISABLED),
    ("userAccountControl", 66050, DISABLED),
    ("userAccountControl", 2, DISABLED),
    # The lockout bit is not kept there, and a password that must be changed is no restriction.
    ("userAccountControl", 528, ENABLED),
    ("userAccountControl", -2147483136, ENABLED),
    ("userAccountControl", -2147483134, DISABLED),
    ("accountExpires", 0, {"expires_at": NEVER}),
    ("accountExpires", MOST, {"expires_at": NEVER}),
    ("accountExpires", TICKS, {"expires_at": "2026-01-02T03:04:05Z"}),
    ("accountExpires", TICKS + 9_999_999, {"expires_at": "2026-01-02T03:04:05Z"}),
    ("accountExpires", 1, {"expires_at": "1601-01-01T00:00:00Z"}),
    ("accountExpires", 2_650_467_743_990_000_000, {"expires_at": NEVER}),
    ("accountExpires", 2_650_467_743_980_000_000, {"expires_at": "9999-12-31T23:59:58Z"}),
    ("accountExpires", int(MOST) - 1, {"expires_at": NEVER}),
    (COMPUTED, 0, {"locked_until": EVER}),
    (COMPUTED, 16, {"locked_until": NEVER}),
    (COMPUTED, 8388608, {"locked_until": EVER}),
    (COMPUTED, 8388624, {"locked_until": NEVER}),
    ("nsAccountLock", "TRUE", DISABLED),
    ("nsAccountLock", "true", DISABLED),
    ("nsAccountLock", "True", DISABLED),
    ("nsAccountLock", " fAlSe ", ENABLED),
    ("nsAccountLock", ["FALSE", "TRUE"], DISABLED),
    ("accountUnlockTime", "20260102030405Z", {"locked_until": "2026-01-02T03:04:05Z"}),
    ("accountUnlockTime", "19700101000000Z", {"locked_until": NEVER}),
    ("krbPrincipalExpiration", "20260102030405Z", {"expires_at": "2026-01-02T03:04:05Z"}),
    ("krbPrincipalExpiration", "19700101000000Z", {"expires_at": NEVER}),
    ("pwdAccountLockedTime", "000001010000Z", DISABLED),
    ("pwdAccountLockedTime", "00000101000000Z", DISABLED),
    ("pwdAccountLockedTime", "20260102030405Z", ENABLED),
    ("pwdStartTime", "20260102040405+0100", {"starts_at": "2026-01-02T03:04:05Z"}),
    ("pwdEndTime", "20260102030405.9Z", {"expires_at": "2026-01-02T03:04:05Z"}),
    ("shadowExpire", -1, {"expires_at": NEVER}),
    # The day itself is fine; a zero is the first day of 1970.
    ("shadowExpire", 20455, {"expires_at": "2026-01-03T00:00:00Z"}),
    ("shadowExpire", 0, {"expires_at": "1970-01-02T00:00:00Z"}),
    ("shadowExpire", 99999999, {"expires_at": NEVER}),
    ("shadowExpire", ["20455", "-1"], {"expires_at": "2026-01-03T00:00:00Z"}),
    ("loginDisabled", "TRUE", DISABLED),
    ("loginExpirationTime", "20260102030405Z", {"expires_at": "2026-01-02T03:04:05Z"}),
    ("ds-pwp-account-disabled", "true", DISABLED),
    ("ds-pwp-account-expiration-time", "20260102030405Z", {"expires_at": "2026-01-02T03:04:05Z"}),
]


@pytest.mark.rule("2.12.1", server="pure")
@pytest.mark.rule("2.12.2", server="pure")
@pytest.mark.rule("2.12.3", server="pure")
@pytest.mark.rule("2.12.4", server="pure")
@pytest.mark.rule("2.12.5", server="pure")
@pytest.mark.rule("K47", server="pure")
@pytest.mark.parametrize(("attribute", "value", "expected"), SAID)
def test_each_attribute_in_its_own_words(
    attribute: str, value: object, expected: dict[str, object]
) -> None:
    """One attribute says what its product means by it; of what none speaks nothing holds."""
    nothing_else = AccountState(False, EVER, NEVER, EVER)
    assert said(attribute, value) == nothing_else._replace(**expected)  # type: ignore[arg-type]


def test_every_attribute_has_a_case() -> None:
    """Whatever can be configured is in the table above or among the lockouts below."""
    assert {attribute for attribute, _, _ in SAID} | {"lockoutTime"} == set(ATTRIBUTES)


LOCKED: list[tuple[str, object, float | None, str]] = [
    ("lockoutTime", TICKS, None, EVER),
    ("lockoutTime", TICKS, HALF_HOUR, "2026-01-02T03:34:05Z"),
    ("lockoutTime", TICKS, 0.0, NEVER),
    ("lockoutTime", 0, HALF_HOUR, EVER),
    ("lockoutTime", 0, 0.0, EVER),
    ("pwdAccountLockedTime", "20260102030405Z", None, EVER),
    ("pwdAccountLockedTime", "20260102030405Z", HALF_HOUR, "2026-01-02T03:34:05Z"),
    ("pwdAccountLockedTime", "20260102030405Z", 0.0, NEVER),
    ("pwdAccountLockedTime", "000001010000Z", HALF_HOUR, EVER),
    ("pwdAccountLockedTime", "99991231235900Z", HALF_HOUR, NEVER),
]


@pytest.mark.rule("2.12.1", server="pure")
@pytest.mark.rule("2.12.4", server="pure")
@pytest.mark.parametrize(("attribute", "value", "duration", "until"), LOCKED)
def test_a_lockout_lasts_as_long_as_the_policy_says(
    attribute: str, value: object, duration: float | None, until: str
) -> None:
    """The time of a lockout stays after its end, so without the duration it says nothing."""
    assert said(attribute, value, duration=duration).locked_until == until


BOTH: list[tuple[dict[str, object], str | None]] = [
    ({COMPUTED: 16, "lockoutTime": TICKS}, "2026-01-02T03:34:05Z"),
    ({COMPUTED: 16}, NEVER),
    ({COMPUTED: 16, "lockoutTime": 0}, NEVER),
    # It stays after an end that somebody brought about.
    ({COMPUTED: 0, "lockoutTime": TICKS}, EVER),
    ({COMPUTED: 0}, EVER),
    ({"lockoutTime": TICKS}, "2026-01-02T03:34:05Z"),
    ({"lockoutTime": 0}, EVER),
    ({}, None),
]


@pytest.mark.rule("2.12.1", server="pure")
@pytest.mark.parametrize(("values", "until"), BOTH)
@pytest.mark.parametrize("order", [(COMPUTED, "lockoutTime"), ("lockoutTime", COMPUTED)])
def test_whether_and_until_when_there_is_a_lockout(
    values: dict[str, object], until: str | None, order: tuple[str, str]
) -> None:
    """The computed attribute knows whether there is a lockout, the other one when it ends."""
    entry = anna()
    for name, value in values.items():
        entry.attributes[name.lower()] = [str(value).encode()]
    account = accounts(*order, lockout_duration=HALF_HOUR)(entry).account
    assert account is not None
    assert account.locked_until == until
    assert account.absent == (() if values else ("locked",))


BAD = [
    ("userAccountControl", "yes"),
    ("userAccountControl", ""),
    ("userAccountControl", "0x202"),
    ("userAccountControl", ["512", "off"]),
    ("accountExpires", "never"),
    ("accountExpires", "-1"),
    ("accountExpires", "9223372036854775808"),
    ("accountExpires", "1" * 30),
    (COMPUTED, "locked"),
    ("lockoutTime", "-5"),
    ("nsAccountLock", "maybe"),
    ("nsAccountLock", "1"),
    ("nsAccountLock", b"\xff\xfe"),
    ("accountUnlockTime", "soon"),
    ("krbPrincipalExpiration", "20261301000000Z"),
    ("pwdAccountLockedTime", "000001010001Z"),
    ("pwdStartTime", "2026"),
    ("pwdEndTime", "20260102"),
    ("shadowExpire", "-2"),
    ("shadowExpire", "1.5"),
    ("loginDisabled", "on"),
]


@pytest.mark.rule("2.12.2", server="pure")
@pytest.mark.parametrize(("attribute", "value"), BAD)
def test_what_cannot_be_read_enables_nobody(attribute: str, value: object) -> None:
    """The entry goes to quarantine with the attribute's name, so that nothing changes."""
    mapping = accounts(attribute, lockout_duration=HALF_HOUR)
    entry = anna()
    values = value if isinstance(value, list) else [value]
    entry.attributes[attribute.lower()] = [
        each if isinstance(each, bytes) else str(each).encode() for each in values
    ]
    with pytest.raises(MappingError) as caught:
        mapping(entry)
    assert (caught.value.reason, caught.value.attribute) == (Reason.BAD_ACCOUNT_STATE, attribute)
    assert caught.value.detail.startswith(f"{attribute}: ")
    # Whose account it is can be told all the same.
    assert mapping.identify(entry) == ("6f0c1e2a-1111-4222-8333-abcdefabcdef", "anna")


FREE = AccountState(False, EVER, NEVER, EVER)
TOGETHER: list[tuple[tuple[str, ...], dict[str, object], AccountState]] = [
    # OR: one that forbids is enough, the earliest end counts.
    (
        ("userAccountControl", "nsAccountLock"),
        {"userAccountControl": 512, "nsAccountLock": "TRUE"},
        FREE._replace(disabled=True),
    ),
    (
        ("accountExpires", "shadowExpire", "pwdEndTime"),
        {"accountExpires": 0, "shadowExpire": 20455, "pwdEndTime": "20270101000000Z"},
        FREE._replace(expires_at="2026-01-03T00:00:00Z"),
    ),
    # Nothing is said where the attribute is on every account of its directory.
    (("userAccountControl",), {}, FREE._replace(disabled=None)),
    ((COMPUTED,), {}, FREE._replace(locked_until=None)),
    # Nor does another attribute's word stand for it, unless that forbids.
    (
        ("userAccountControl", "nsAccountLock"),
        {"nsAccountLock": "FALSE"},
        FREE._replace(disabled=None),
    ),
    (("userAccountControl", "nsAccountLock"), {}, FREE._replace(disabled=None)),
    (
        ("userAccountControl", "nsAccountLock"),
        {"nsAccountLock": "TRUE"},
        FREE._replace(disabled=True),
    ),
    # Absence that means "not" is told apart from a word.
    (("nsAccountLock",), {}, FREE._replace(disabled=None, absent=("disabled",))),
    (
        ("nsAccountLock", "loginDisabled"),
        {"loginDisabled": "FALSE"},
        FREE._replace(disabled=None, absent=("disabled",)),
    ),
    (
        ("nsAccountLock", "loginDisabled"),
        {"loginDisabled": "TRUE"},
        FREE._replace(disabled=True),
    ),
    (
        ("accountExpires", "shadowExpire"),
        {"shadowExpire": 20455},
        FREE._replace(expires_at="2026-01-03T00:00:00Z"),
    ),
    (
        ("pwdAccountLockedTime", "pwdStartTime", "pwdEndTime"),
        {},
        AccountState(None, EVER, None, None, ("disabled", "expired", "not_yet_valid")),
    ),
]


@pytest.mark.rule("2.12.5", server="pure")
@pytest.mark.parametrize(("attributes", "values", "expected"), TOGETHER)
def test_statements_add_up(
    attributes: tuple[str, ...], values: dict[str, object], expected: AccountState
) -> None:
    """Several attributes combine as OR, silence is no statement, and absence has its own mark."""
    assert state(accounts(*attributes), **values) == expected


def test_absence_can_be_taken_at_its_word() -> None:
    """With trust_absence a missing attribute says that its reason does not hold."""
    mapping = accounts("nsAccountLock", "accountExpires", trust_absence=True)
    assert state(mapping) == FREE
    assert state(mapping, nsAccountLock="TRUE") == FREE._replace(disabled=True)


def test_a_directory_may_call_an_attribute_otherwise() -> None:
    """The listing asks for the directory's own name, and the vendor's meaning stays."""
    mapping = accounts("nsAccountLock", attribute_names={"nsAccountLock": "accountLocked"})
    assert "accountLocked" in mapping.attributes
    assert "nsAccountLock" not in mapping.attributes
    assert state(mapping, accountLocked="TRUE").disabled
    assert not state(mapping, accountLocked="FALSE", nsAccountLock="TRUE").disabled


@pytest.mark.parametrize("vendor", VENDORS)
def test_what_the_vendors_name_can_be_read(vendor: str) -> None:
    """Each attribute of a vendor is one whose meaning is known, and is asked for by name."""
    attributes = VENDORS[vendor].state_attributes
    mapping = accounts(*attributes)
    assert set(attributes) <= set(mapping.attributes) & set(ATTRIBUTES)


def test_the_settings_know_the_same_attributes() -> None:
    """What may be configured is what the mapper can read; contradictions have sentences."""
    assert account_state.ATTRIBUTES == ATTRIBUTES
    options = AccountStateOptions(
        name="x", attributes=("shoeSize",), attribute_names={"hat": "a b"}, lockout_duration=-1.0
    )
    assert {key for key, _ in contradictions(options)} == {
        "attributes",
        "attribute_names",
        "lockout_duration",
    }


def test_where_the_state_comes_from() -> None:
    """Explaining names the attribute, its value and the mapper for each reason."""
    mapping = accounts("userAccountControl", "accountExpires", "pwdAccountLockedTime")
    entry = anna(userAccountControl=514, accountExpires=TICKS)
    found = {each.field: each for each in mapping.explain(entry) if "account" in each.field}
    disabled = [each for each in mapping.explain(entry) if each.field == "account.disabled"]
    assert [(each.value, each.attribute, each.raw) for each in disabled] == [
        ("yes", "userAccountControl", ["514"]),
        ("no statement", "pwdAccountLockedTime", []),
    ]
    assert found["account.expired"].value == "from 2026-01-02T03:04:05Z"
    assert {each.mapper for each in found.values()} == {"account"}
    (lock,) = [
        each
        for each in accounts("nsAccountLock").explain(anna())
        if each.field.startswith("account.")
    ]
    assert (lock.value, lock.raw) == ("no, by its absence", [])


def test_what_makes_an_account_another() -> None:
    """A statement is part of the fingerprint; where one holds, the entry's own time is as well."""
    mapping, without = accounts("nsAccountLock"), accounts()
    free, shut = mapping(anna()), mapping(anna(nsAccountLock="TRUE"))
    later = {"modifyTimestamp": "20250101000000Z"}
    assert fingerprint_of(free) == fingerprint_of(mapping(anna(**later)))
    assert fingerprint_of(shut) != fingerprint_of(mapping(anna(nsAccountLock="TRUE", **later)))
    assert len({fingerprint_of(each) for each in (free, shut, without(anna()))}) == 3
    assert fingerprint_of(without(anna())) != fingerprint_of(without(anna())._replace(account=None))
