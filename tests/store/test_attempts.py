"""What may be tried how often: limits by account, address and organization, in the store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import TYPE_CHECKING

import pytest

from syncd.access.throttling import Limit, Limits, Throttle
from syncd.errors import TooManyAttempts
from syncd.store import schema
from syncd.store.attempts import Attempts, Counter
from syncd.store.database import Database
from syncd.store.shutting_out import Sweep
from tests.store.signed_in import Town

if TYPE_CHECKING:
    from collections.abc import Iterable

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WINDOW = 15 * MINUTE
HOME, AWAY = "192.0.2.1", "198.51.100.7"
FEW = Limits(account=4, address=6, organization=9)
ACCOUNT = Limit("account", b"", 4, WINDOW, renewed=True, strangers=False)
ADDRESS = Limit("address", b"", 4, WINDOW)


@pytest.fixture
def town(shared: Database) -> Town:
    """An organization of this test's own."""
    return Town(shared)


def throttle(town: Town, limits: Limits = FEW) -> Throttle:
    """Return the organization's limits."""
    return Throttle(Attempts(town.database, town.id), limits, town.id)


def passed(at: Throttle, tries: Iterable[tuple[str, str]]) -> list[bool]:
    """Try so often by a name from an address, in vain; return which of them may be made."""
    found = []
    for name, address in tries:
        with suppress(TooManyAttempts):
            at.attempt(name, address)
            found.append(True)
            continue
        found.append(False)
    return found


# --- the rule of one counter ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "minutes", "lets_through", "free_at"),
    [
        (ACCOUNT, [0, 0, 0, 0, 0], [1, 1, 1, 1, 0], 15),
        (ACCOUNT, [0, 4, 8, 12, 26], [1, 1, 1, 1, 0], 27),
        (ACCOUNT, [0, 14, 28, 42, 43, 57], [1, 1, 1, 1, 0, 1], 57),
        (ACCOUNT, [0, 15, 30, 45, 60], [1, 1, 1, 1, 1], 60),
        (ACCOUNT, [0] * 4 + [15] * 5, [1] * 8 + [0], 45),
        (ACCOUNT, [0] * 4 + [15] * 4 + [45] * 4 + [100], [1] * 12 + [0], 105),
        (ACCOUNT, [0] * 4 + [15] * 4 + [45] * 4 + [105] * 5, [1] * 16 + [0], 165),
        (ACCOUNT, [0] * 4 + [1500] * 5, [1] * 8 + [0], 1515),
        (ADDRESS, [0, 4, 8, 12, 14, 15], [1, 1, 1, 1, 0, 1], 15),
        (ADDRESS, [0, 5, 10, 15, 20, 25], [1, 1, 1, 1, 1, 1], 25),
    ],
    ids=[
        "at once",
        "the time begins anew with each",
        "slowly",
        "more slowly than the window",
        "the second time in a row takes twice as long",
        "the third time four times",
        "and never longer",
        "after a day nothing is known",
        "a window of an address begins with the first",
        "and not anew",
    ],
)
def test_a_counter_is_full_and_empties(
    limit: Limit, minutes: list[int], lets_through: list[int], free_at: int
) -> None:
    """By minutes at which somebody tries in vain; then when the next may be made."""
    counter = Counter(0, 0, NOON, NOON)
    found = []
    for minute in minutes:
        now = NOON + minute * MINUTE
        found.append(int(not counter.full(limit, now)))
        if found[-1]:
            counter = counter.counted(limit, now)
    assert found == lets_through
    free = NOON + max(free_at, minutes[-1]) * MINUTE
    assert not counter.full(limit, free)
    if free_at > minutes[-1]:
        assert counter.full(limit, free - timedelta(seconds=1))


# --- the limits together ----------------------------------------------------------------------


@pytest.mark.rule("H11", server="sqlite postgresql")
def test_an_account_stands_four_failures_from_wherever(town: Town) -> None:
    """Below a directory's lockout; its names are one, others go on, and it is said how long."""
    at = throttle(town)
    names = ["ada", "ADA", " a d\u00ada ", "Àda", "\uff41\uff44\uff41"]
    places = [HOME, AWAY, "2001:db8::1", "203.0.113.1", "203.0.113.2"]
    assert passed(at, zip(names, places, strict=True)) == [True] * 4 + [False]
    with pytest.raises(TooManyAttempts, match="this account") as caught:
        at.attempt("ada", "203.0.113.9")
    assert 0 < caught.value.retry_after <= WINDOW.total_seconds()
    assert passed(at, [("bob", HOME)]) == [True]


@pytest.mark.rule("H11", server="sqlite postgresql")
def test_an_address_and_an_organization_stand_more(town: Town) -> None:
    """Of many names from one address, and of many addresses, some; IPv6 counts by its network."""
    six = [(f"user-{number}", f"2001:db8::{number}") for number in range(7)]
    assert passed(throttle(town), six) == [True] * 6 + [False]
    more = [(f"other-{number}", f"203.0.113.{number}") for number in range(4)]
    assert passed(throttle(town), more) == [True] * 3 + [False]
    mapped = [
        (f"name-{number}", address) for number, address in enumerate((HOME, f"::ffff:{HOME}"))
    ]
    assert passed(throttle(Town(town.database), Limits(address=1)), mapped) == [True, False]


@pytest.mark.rule("H11", server="sqlite postgresql")
def test_parallel_guesses_do_not_pass(town: Town) -> None:
    """They are counted before they are made: of many at once so many go on as of one by one."""
    gate = Barrier(8)

    def one(_: int) -> list[bool]:
        gate.wait(30)
        return passed(throttle(town), [("ada", HOME)])

    with ThreadPoolExecutor(8) as pool:
        assert sorted(each for (each,) in pool.map(one, range(8))) == [False] * 4 + [True] * 4


@pytest.mark.rule("H11", server="sqlite postgresql")
def test_the_limits_survive_a_restart(town: Town) -> None:
    """They are the store's: another process counts on, and knows the account's hash alone."""
    passed(throttle(town), [("ada", HOME)] * 3)
    url = town.database.url.render_as_string(hide_password=False)
    with closing(Database(url)) as database:
        other = Throttle(Attempts(database, town.id), FEW, town.id)
        assert passed(other, [("ada", HOME)] * 2) == [True, False]
    stored = repr(town.rows(schema.sign_in_attempts, organization_id=town.id))
    assert "ada" not in stored
    assert HOME not in stored


def test_success_gives_back_what_was_counted(town: Town) -> None:
    """An office signs in from one address all day, and whoever mistyped begins anew."""
    at = throttle(town)
    assert passed(at, [("ada", HOME)] * 3) == [True] * 3
    at.succeeded(at.attempt("ada", HOME))
    assert passed(at, [("ada", AWAY)] * 5) == [True] * 4 + [False]
    office = throttle(Town(town.database))
    for number in range(20):
        office.succeeded(office.attempt(f"user-{number}", HOME))
    assert passed(office, [("bob", HOME)]) == [True]


def test_one_person_signs_in_at_several_places_at_once(town: Town) -> None:
    """Whoever counts and whoever gives back do not wait for each other."""
    at = throttle(town, Limits(account=1_000, address=1_000, organization=1_000))

    def sign_in(place: int) -> None:
        for _ in range(15):
            at.succeeded(at.attempt("ada", f"192.0.2.{place}"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(sign_in, range(4)))
    counters = town.rows(schema.sign_in_attempts, organization_id=town.id)
    assert {each["count"] for each in counters} == {0}


def test_whoever_is_known_gets_in_while_others_guess(town: Town) -> None:
    """Full limits of address and organization hold up strangers; the account's holds everybody."""
    at = throttle(town)
    at.succeeded(at.attempt("ada", HOME))
    guesses = [(f"user-{number}", HOME if number < 6 else AWAY) for number in range(12)]
    assert passed(at, guesses) == [True] * 9 + [False] * 3
    assert passed(at, [("bob", HOME), ("ada", AWAY)]) == [False, False]
    assert passed(at, [("ada", HOME)] * 5) == [True] * 4 + [False]


def test_without_a_directory_an_account_is_its_owner_s(town: Town) -> None:
    """Where nobody else locks accounts, no stranger keeps anybody out of his usual place."""
    at = Throttle(Attempts(town.database, town.id), FEW, town.id, lockout=False)
    at.succeeded(at.attempt("ada", HOME))
    assert passed(at, [("ada", AWAY)] * 6) == [True] * 4 + [False] * 2
    assert passed(at, [("ada", HOME)]) == [True]


def test_what_was_not_tried_is_not_counted(town: Town) -> None:
    """While the directory is away nobody's limit gets full."""
    at = throttle(town)
    for _ in range(8):
        at.forgive(at.attempt("ada", HOME))
    assert passed(at, [("ada", HOME)] * 5) == [True] * 4 + [False]


def test_sign_ins_at_the_provider_count_by_address(town: Town) -> None:
    """Those that come to no end; an address from which somebody has come in is not held up."""
    at = throttle(town)

    def begun(address: str, times: int) -> int:
        count = 0
        for _ in range(times):
            with suppress(TooManyAttempts):
                at.begin(address)
                count += 1
        return count

    at.begin(AWAY)
    at.finish(AWAY)
    assert begun(HOME, 8) == 6
    assert begun(AWAY, 8) == 8
    # Nothing can be guessed there: everybody may begin at the same minute.
    assert [begun(f"198.51.100.{number}", 1) for number in range(12)] == [1] * 12


def test_an_organization_that_does_not_exist_counts_alike(town: Town) -> None:
    """So that nobody learns from the limits which there are; each counts for itself."""
    nowhere, elsewhere = f"no-{town.id}", f"none-{town.id}"
    at = Throttle(Attempts(town.database, None), FEW, nowhere)
    assert passed(at, [("ada", HOME)] * 5) == [True] * 4 + [False]
    assert passed(throttle(town), [("ada", HOME)]) == [True]
    other = Throttle(Attempts(town.database, None), FEW, elsewhere)
    assert passed(other, [("ada", HOME)]) == [True]


def test_old_counters_go(town: Town) -> None:
    """A day after their time, so that one that was full is known the next time."""
    passed(throttle(town), [("ada", HOME)])
    Sweep(town.database).tidy()
    attempts = schema.sign_in_attempts
    assert len(town.rows(attempts, organization_id=town.id)) == 3
    with town.database.write() as connection:
        long_ago = datetime.now(UTC) - timedelta(days=2)
        old = attempts.update().where(attempts.c.organization_id == town.id)
        connection.execute(old.values(until=long_ago))
    Sweep(town.database).tidy()
    assert not town.rows(attempts, organization_id=town.id)
