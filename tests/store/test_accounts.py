"""Account states in the store: statements, silence, absence, and times that come by themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from syncd.records import EVER, NEVER, AccountState, Shapes
from syncd.store import schema
from syncd.store.accounts import parsed
from syncd.store.run_reads import run_changes
from tests.store.organization import OPEN, SHUT, Organization, record

if TYPE_CHECKING:
    from syncd.records import UserRecord

PAST, LATER = "2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"
LATEST = "2100-01-01T00:00:00Z"
NOTHING = AccountState()
FREE = AccountState(False, EVER, NEVER, EVER)


def locked(until: str = NEVER) -> AccountState:
    """Return the state of somebody who is locked out."""
    return AccountState(locked_until=until)


def expires(at: str) -> AccountState:
    """Return the state of somebody whose account ends."""
    return AccountState(expires_at=at)


def starts(at: str) -> AccountState:
    """Return the state of somebody whose account begins."""
    return AccountState(starts_at=at)


# What was said, what is said then; the kinds of change, and what holds in the end.
CASES: list[tuple[AccountState | None, AccountState | None, set[str], set[str]]] = [
    (NOTHING, NOTHING, set(), set()),
    (NOTHING, FREE, set(), set()),
    (NOTHING, SHUT, {"disable"}, {"disabled"}),
    (SHUT, SHUT, set(), {"disabled"}),
    (SHUT, OPEN, {"enable"}, set()),
    (SHUT, NOTHING, set(), {"disabled"}),
    (SHUT, None, {"enable"}, set()),
    (None, SHUT, {"disable"}, {"disabled"}),
    (None, None, set(), set()),
    # A lockout is told apart, and one reason does not lift the other.
    (NOTHING, locked(), {"lock"}, {"locked"}),
    (NOTHING, locked(LATER), {"lock"}, {"locked"}),
    (NOTHING, locked(PAST), set(), set()),
    (locked(), locked(LATER), {"account"}, {"locked"}),
    (locked(LATER), locked(EVER), {"unlock"}, set()),
    (locked(), OPEN, set(), {"locked"}),
    (locked(), SHUT, {"disable"}, {"disabled", "locked"}),
    (AccountState(True, NEVER), OPEN, {"enable"}, {"locked"}),
    (AccountState(True, NEVER), FREE, {"enable", "unlock"}, set()),
    # Expiry: past, to come, moved, and gone.
    (NOTHING, expires(PAST), {"disable"}, {"expired"}),
    (NOTHING, expires(LATER), {"account"}, set()),
    (expires(LATER), expires(LATER), set(), set()),
    (expires(LATER), expires(LATEST), {"account"}, set()),
    (expires(LATER), expires(PAST), {"disable"}, {"expired"}),
    (expires(PAST), expires(LATER), {"enable"}, set()),
    (expires(PAST), expires(NEVER), {"enable"}, set()),
    (expires(LATER), expires(NEVER), {"account"}, set()),
    (expires(PAST), NOTHING, set(), {"expired"}),
    (expires(PAST), AccountState(True, None, PAST), {"account"}, {"disabled", "expired"}),
    (AccountState(True, None, PAST), expires(NEVER), {"account"}, {"disabled"}),
    # The beginning.
    (NOTHING, starts(LATER), {"disable"}, {"not_yet_valid"}),
    (NOTHING, starts(PAST), set(), set()),
    (starts(LATER), starts(LATEST), {"account"}, {"not_yet_valid"}),
    (starts(LATER), starts(PAST), {"enable"}, set()),
    (starts(LATER), None, {"enable"}, set()),
]


def held(user: dict[str, Any]) -> set[str]:
    """Return the reasons for which somebody may not sign in; enabled is exactly without one."""
    reasons = {each["reason"] for each in user["disabled_because"]}
    assert user["enabled"] == (not reasons)
    return reasons


def numbered(number: int, account: AccountState | None) -> UserRecord:
    """Return one person of a case."""
    return record(f"p{number}", account=account)


@pytest.mark.rule("2.12.5", server="sqlite")
@pytest.mark.rule("2.12.5", server="postgresql")
def test_each_statement_changes_its_own_reason(acme: Organization) -> None:
    """A reason holds by itself; without a statement it stays; without a mapper nothing holds."""
    acme.sync(*(numbered(number, was) for number, (was, _, _, _) in enumerate(CASES)))
    planned = acme.plan(*(numbered(number, now) for number, (_, now, _, _) in enumerate(CASES)))
    found: dict[str, set[str]] = {}
    for each in run_changes(acme.database, planned.run_id):
        found.setdefault(each["username"], set()).add(each["kind"])
    acme.apply(planned)
    for number, (was, now, kinds, reasons) in enumerate(CASES):
        case = f"{number}: {was} -> {now}"
        assert found.get(f"p{number}", set()) == kinds, case
        assert held(acme.user(f"p{number}")) == reasons, case


def test_newcomers_are_created_as_they_are(acme: Organization) -> None:
    """Somebody new is shut out at once, and the guard's limit is about those who were let in."""
    states = [NOTHING, SHUT, locked(), expires(PAST), expires(LATER), starts(LATER), None]
    planned = acme.sync(*(numbered(number, state) for number, state in enumerate(states)))
    assert [held(acme.user(f"p{number}")) for number in range(len(states))] == [
        set(),
        {"disabled"},
        {"locked"},
        {"expired"},
        set(),
        {"not_yet_valid"},
        set(),
    ]
    counts = acme.store.counts(planned.run_id)
    assert (counts.kinds["create"], counts.kinds["disable"], counts.kinds["lock"]) == (7, 3, 1)
    assert counts.newcomers_disabled == 3


# Behind the reading, as in the second of it: the entry may change once more without another time.
AHEAD = "2098-01-01T00:00:00Z"
ABSENT = AccountState(absent=("disabled", "locked"))


@pytest.mark.parametrize(
    ("stored", "now", "lifted"),
    [
        (PAST, LATER, True),
        (PAST, PAST, False),
        (PAST, None, False),
        (AHEAD, AHEAD, True),
        (None, PAST, False),
        (None, None, False),
    ],
    ids=("later", "same", "none", "within_the_second", "first", "never"),
)
def test_an_absent_attribute_lifts_only_from_an_entry_that_changed(
    acme: Organization, stored: str | None, now: str | None, *, lifted: bool
) -> None:
    """Where the entry's own time stands still the account may have lost its right to read."""
    shut = AccountState(disabled=True, locked_until=NEVER)
    acme.sync(record("p", account=shut, source_modified_at=stored))
    acme.sync(record("p", account=ABSENT, source_modified_at=now))
    assert held(acme.user("p")) == (set() if lifted else {"disabled", "locked"})
    # Whom that did not convince is looked at again, and let in once the entry has changed.
    (identity,) = acme.rows(schema.identities)
    assert (bytes(identity["fingerprint"]) == b"", identity["digest"] is None) == (
        not lifted,
        not lifted,
    )
    if now:
        acme.sync(record("p", account=ABSENT, source_modified_at=LATEST))
        assert held(acme.user("p")) == set()


def move(acme: Organization, column: str, by: timedelta) -> None:
    """Let time pass: move all stored times of one kind."""
    table = schema.restrictions
    with acme.database.write() as connection:
        for row in connection.execute(table.select()).mappings():
            if row[column] is not None:
                connection.execute(
                    table.update()
                    .where(table.c.user_id == row["user_id"], table.c.reason == row["reason"])
                    .values({column: row[column] + by})
                )


def soon() -> str:
    """Return a time an hour from now."""
    return f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"


def test_times_come_by_themselves(acme: Organization) -> None:
    """A run with nothing else to do shuts out and lets in whose time has come, and says so."""
    acme.sync(record("ends", account=expires(soon())), record("locked", account=locked(soon())))
    acme.sync(record("starts", account=starts(soon())), record("other", account=expires(LATER)))
    assert acme.kinds(acme.plan()) == {}
    move(acme, "since", timedelta(hours=-2))
    move(acme, "until", timedelta(hours=-2))
    # Readers know at once.
    truth = {"ends": {"expired"}, "locked": set(), "starts": set(), "other": set()}
    assert {name: held(acme.user(name)) for name in truth} == truth
    assert acme.people.status()["users"] == {"enabled": 3, "disabled": 1}

    planned = acme.plan()
    assert acme.kinds(planned) == {"ends": {"disable"}, "locked": {"unlock"}, "starts": {"enable"}}
    causes = {
        each["username"]: each["cause"] for each in run_changes(acme.database, planned.run_id)
    }
    assert causes["ends"].startswith("expired at 20")
    assert causes["locked"] == "the lockout is over"
    acme.apply(planned)
    assert {row["username"]: bool(row["enabled"]) for row in acme.rows(schema.users)} == {
        name: not reasons for name, reasons in truth.items()
    }
    before, after = acme.journal("ends", "restrictions")[-1]
    assert (before["disabled"], after["disabled"]) == (False, True)
    assert after["because"].startswith("expired at ")
    assert acme.kinds(acme.plan()) == {}
    # Nobody has to be read for it, and nothing else of them is touched.
    versions = {row["username"]: row["version"] for row in acme.rows(schema.users)}
    assert versions == {"ends": 2, "locked": 2, "starts": 2, "other": 1}


def test_times_come_beside_other_changes(acme: Organization) -> None:
    """Who is changed in the same run is planned once, who is missing not at all."""
    acme.sync(*(record(name, account=expires(soon())) for name in ("changed", "gone", "quiet")))
    acme.sync(absent=["gone"])
    move(acme, "since", timedelta(hours=-2))
    planned = acme.plan(record("changed", last_name="New"))
    assert acme.kinds(planned) == {"changed": {"disable", "update"}, "quiet": {"disable"}}
    acme.apply(planned)
    assert held(acme.user("changed")) == held(acme.user("quiet")) == {"expired"}
    assert held(acme.user("gone")) == {"expired", "missing"}
    acme.sync(record("gone", account=expires(NEVER)))
    assert held(acme.user("gone")) == set()


def test_a_sync_of_one_person_leaves_the_others_times_alone(acme: Organization) -> None:
    """The time of somebody else has come, and the next sync of everybody sees to it."""
    acme.sync(record("p", account=expires(soon())))
    move(acme, "since", timedelta(hours=-2))
    run_id = acme.begin("user")
    acme.stage(run_id, [record("q")])
    acme.store.plan(run_id, mappers=(), revoking=(), purge_before=None, shapes=Shapes())
    assert [each["username"] for each in run_changes(acme.database, run_id)] == ["q"]


def test_since_when_somebody_is_disabled_stays(acme: Organization) -> None:
    """Another statement about an account does not make an old restriction a new one."""
    acme.sync(record("p", account=SHUT))
    move(acme, "since", timedelta(days=-30))
    since = acme.user("p")["disabled_because"][0]["since"]
    acme.sync(record("p", account=AccountState(True, None, LATER)))
    user = acme.user("p")
    assert [(each["reason"], each["since"]) for each in user["disabled_because"]] == [
        ("disabled", since)
    ]
    assert [(each["reason"], each["since"]) for each in user["upcoming"]] == [("expired", LATER)]


def test_the_times_of_all_calendars(acme: Organization) -> None:
    """The first and last times that a directory can say are stored and read back."""
    early = "0001-01-01T00:00:00Z"
    acme.sync(
        record("p", account=expires(early)), record("q", account=expires("9999-12-31T23:59:58Z"))
    )
    assert held(acme.user("p")) == {"expired"}
    assert held(acme.user("q")) == set()
    with acme.database.read() as connection:
        query = schema.restrictions.select().order_by(schema.restrictions.c.since)
        found = [row["since"] for row in connection.execute(query).mappings()]
    assert found == [parsed(early), parsed("9999-12-31T23:59:58Z")]
