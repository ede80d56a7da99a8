"""Who may do what: many questions at once, answered as of now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from syncd.errors import Refused
from syncd.permissions import SECTIONS, Level, Principal, operator, preconfigured
from syncd.store.deciding import MOST, decide
from tests.store.townspeople import (
    ACME,
    BEFORE,
    LATER,
    LONG_BEFORE,
    OTHER,
    Townspeople,
    made_up,
    restrict,
    store,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from syncd.store.database import Database

OPERATOR = operator("tester")
WORDS = ("view", "edit")


@pytest.fixture
def town() -> Townspeople:
    """People whom nobody else touches."""
    return made_up(11)


@pytest.fixture
def database(store_url: str, town: Townspeople) -> Iterator[Database]:
    """The store that they are in."""
    opened = store(town, store_url)
    yield opened
    opened.close()


def meant(town: Townspeople, one: dict[str, Any], section: str, word: str) -> str:
    """Return what plain Python says."""
    if not one["living"]:
        return "missing"
    if town.held_now(one["id"]):
        return "restricted"
    by_default = preconfigured()["User"].get(section, Level.NONE)
    level = max(town.level(one["id"], section), by_default)
    return "granted" if level >= Level.of(word) else "lacks_permission"


def test_each_answer_is_what_plain_python_says(town: Townspeople, database: Database) -> None:
    """Of everybody, by id and by username, in every section: roles by any way, times by clock."""
    questions: list[dict[str, object]] = []
    expected: list[str] = []
    people = town.of(ACME)
    # Of a username that several had, the one who is there is meant.
    by_name = {one["username_key"]: one for one in sorted(people, key=lambda one: one["living"])}
    for number, one in enumerate(people):
        for section in SECTIONS[number % 3 :: 3]:
            word = WORDS[number % 2]
            questions.append({"user": one["id"], "section": section, "level": word})
            expected.append(meant(town, one, section, word))
            named = by_name[one["username_key"]]
            if named["living"]:
                user = one["username"].upper() if number % 2 else one["username"]
                questions.append({"user": user, "section": section, "level": word})
                expected.append(meant(town, named, section, word))
    found = []
    for start in range(0, len(questions), MOST):
        found += decide(database, ACME, OPERATOR, questions[start : start + MOST])
    assert [answer["because"] for answer in found] == expected
    assert [answer["allowed"] for answer in found] == [each == "granted" for each in expected]
    # The town has all kinds of people, or this would say little.
    assert set(expected) == {"missing", "restricted", "granted", "lacks_permission"}


TIMES: dict[str, tuple[str, datetime, datetime | None, bool | None, str]] = {
    "disabled": ("disabled", LONG_BEFORE, None, None, "restricted"),
    "locked until later": ("locked", LONG_BEFORE, LATER, None, "restricted"),
    "locked until just now": ("locked", LONG_BEFORE, BEFORE, None, "granted"),
    "will expire": ("expired", LATER, None, True, "granted"),
    "has expired since the last run": ("expired", BEFORE, None, True, "restricted"),
    "not valid until just now": ("not_yet_valid", LONG_BEFORE, BEFORE, None, "granted"),
}


def test_times_are_judged_by_the_clock(store_url: str) -> None:
    """What a run has stored of who may sign in is not asked: times pass without a run."""
    town = Townspeople()
    template = made_up(1, 10).of(ACME)[0]
    for number, (reason, since, until, waiting, because) in enumerate(TIMES.values(), 1):
        name = f"person{number}"
        town.people[number] = template | {
            "id": number,
            "username": name,
            "username_key": name,
            "living": True,
            # Stored the wrong way round.
            "enabled": because != "granted",
        }
        restrict(town, number, reason, since, until, waiting)
    opened = store(town, store_url)
    asked = [
        {"user": number, "section": "personal_profile", "level": "edit"} for number in town.people
    ]
    answers = decide(opened, ACME, OPERATOR, asked)
    opened.close()
    found = dict(zip(TIMES, (each["because"] for each in answers), strict=True))
    assert found == {name: row[-1] for name, row in TIMES.items()}


def test_nobody_of_another_organization_is_known(town: Townspeople, database: Database) -> None:
    """Neither by id nor by a username that only they have, nor is anybody who never was."""
    theirs = town.of(OTHER)[0]
    names = {one["username_key"] for one in town.of(ACME)}
    foreign = next(one for one in town.of(OTHER) if one["username_key"] not in names)
    users = (theirs["id"], foreign["username"], 999_999, "never.was", "", -1)
    asked = [{"user": user, "section": "clients", "level": "view"} for user in users]
    answers = decide(database, ACME, OPERATOR, asked)
    assert answers == [{"allowed": False, "because": "unknown_user"}] * len(users)


def test_a_hundred_questions_cost_as_many_statements_as_one(
    town: Townspeople, database: Database
) -> None:
    """One look at the people and one at what they may do, however many are asked for."""
    counted = []
    people = [one["id"] for one in town.of(ACME) if one["living"] and not town.held_now(one["id"])]
    for several in (people[:1], people[:50]):
        asked = [{"user": user, "section": "clients", "level": "view"} for user in several * 2]
        statements: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            statements.append(statement)  # noqa: B023 - called within this round

        event.listen(database.engine, "before_cursor_execute", note)
        assert decide(database, ACME, OPERATOR, asked)[0]["allowed"]
        event.remove(database.engine, "before_cursor_execute", note)
        counted.append(len(statements))
    assert counted[0] == counted[1] <= 4


BAD: dict[str, Any] = {
    "nothing": {},
    "no section": {"user": 1, "level": "view"},
    "more": {"user": 1, "section": "users", "level": "view", "why": "x"},
    "an unknown section": {"user": 1, "section": "everything", "level": "view"},
    "an unknown level": {"user": 1, "section": "users", "level": "admin"},
    "the level none": {"user": 1, "section": "users", "level": "none"},
    "true": {"user": True, "section": "users", "level": "view"},
    "nobody": {"user": None, "section": "users", "level": "view"},
    "a large number": {"user": 2**63, "section": "users", "level": "view"},
    "a zero": {"user": "a\0", "section": "users", "level": "view"},
    "half a sign": {"user": "\ud800", "section": "users", "level": "view"},
    "a list for a section": {"user": 1, "section": ["users"], "level": "view"},
    "a list for a level": {"user": 1, "section": "users", "level": ["view"]},
}


def test_what_is_no_question_is_refused(database: Database) -> None:
    """As invalid, and so is one question too many; none at all is answered by nothing."""
    good = {"user": 1, "section": "users", "level": "view"}
    for asked in [*([good, bad] for bad in BAD.values()), [good] * (MOST + 1)]:
        with pytest.raises(Refused) as refused:
            decide(database, ACME, OPERATOR, asked)
        assert refused.value.reason == "invalid", asked
    assert decide(database, ACME, OPERATOR, []) == []


def test_only_those_who_view_users_may_ask(database: Database) -> None:
    """What people may do is something about people."""
    asked = [{"user": 1, "section": "users", "level": "view"}]
    with pytest.raises(Refused) as refused:
        decide(database, ACME, Principal("token 1", {"groups": Level.EDIT}), asked)
    assert refused.value.reason == "not_allowed"
    assert decide(database, ACME, Principal("token 1", {"users": Level.VIEW}), asked)
