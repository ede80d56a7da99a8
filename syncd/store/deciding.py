"""Who may do what: up to a hundred questions at once, answered as of now.

Two reads for all of them: who the people are and what keeps them out at this moment, and what
those who may sign in may do. Somebody whom anything keeps out may do nothing.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, exists, or_, select

from syncd.errors import Refused
from syncd.permissions import SECTIONS, Level
from syncd.records import fold
from syncd.store import schema
from syncd.store.among import among_given
from syncd.store.effective import levels
from syncd.store.leases import clock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Select

    from syncd.permissions import Principal
    from syncd.store.database import Database

U, X = schema.users, schema.restrictions
MOST = 100
LARGEST = 2**63 - 1
KEYS = {"user", "section", "level"}
GRANTED, LACKS, RESTRICTED, MISSING, UNKNOWN = (
    "granted",
    "lacks_permission",
    "restricted",
    "missing",
    "unknown_user",
)


class Question(NamedTuple):
    """May somebody do this in that section? Somebody is an id or a folded username."""

    user: int | str
    section: str
    level: Level


class Person(NamedTuple):
    """Somebody who was asked about."""

    user_id: int
    living: bool
    shut: bool


def decide(
    database: Database,
    organization_id: str,
    principal: Principal,
    questions: Sequence[Mapping[str, object]],
) -> list[dict[str, Any]]:
    """Answer each question ``{"user", "section", "level"}``, in their order.

    ``user`` is a username, or an id as an integer. An answer is ``{"allowed", "because"}``;
    because is one of granted, lacks_permission, restricted, missing, unknown_user.

    Raises:
        Refused: A question is none, there are too many (invalid), or the principal may not view
            users (not_allowed).

    """
    if not principal.may("users", Level.VIEW):
        raise Refused(
            f"{principal.name} may not ask what people may do; a role that views users allows it",
            "not_allowed",
        )
    if len(questions) > MOST:
        raise Refused(f"ask at most {MOST} questions at once", "invalid")
    asked = [_read(number, question) for number, question in enumerate(questions, 1)]
    with database.of(organization_id).read_by_key() as connection:
        people = _people(connection, organization_id, {each.user for each in asked})
        let_in = {each.user_id for each in people.values() if each.living and not each.shut}
        allowed = levels(connection, let_in) if let_in else {}
    answers = []
    for question in asked:
        because = _because(people.get(question.user), question, allowed)
        answers.append({"allowed": because == GRANTED, "because": because})
    return answers


def _because(
    person: Person | None, question: Question, allowed: Mapping[int, Mapping[str, Level]]
) -> str:
    if person is None:
        return UNKNOWN
    if not person.living:
        return MISSING
    if person.shut:
        return RESTRICTED
    held = allowed[person.user_id].get(question.section, Level.NONE)
    return GRANTED if held >= question.level else LACKS


def _read(number: int, question: Mapping[str, object]) -> Question:
    def wrong(what: str) -> Refused:
        return Refused(f"question {number} {what}", "invalid")

    if not isinstance(question, dict) or question.keys() != KEYS:
        raise wrong("must have user, section and level, and nothing else")
    user, section, word = question["user"], question["section"], question["level"]
    if section not in SECTIONS:
        raise wrong(f"must name one of the sections {', '.join(SECTIONS)}")
    if word not in ("view", "edit"):
        raise wrong("must ask for the level view or edit")
    if isinstance(user, str):
        if "\0" in user or any("\ud800" <= sign <= "\udfff" for sign in user):
            raise wrong("must name a user by what can be a username")
        user = fold(user)
    elif type(user) is not int or abs(user) > LARGEST:
        raise wrong("must name a user by username or id")
    return Question(user, str(section), Level.of(str(word)))


def _people(
    connection: Connection, organization_id: str, users: set[int | str]
) -> dict[int | str, Person]:
    """Return who is meant; of several with one username the one who is there."""
    ids = sorted(user for user in users if isinstance(user, int))
    names = sorted(user for user in users if isinstance(user, str))
    given: dict[str, Any] = {"organization": organization_id, "now": clock(connection)}
    rows: list[Any] = []
    if ids:
        rows += connection.execute(_asked_for(by_name=False), given | {"people": ids}).all()
    if names:
        rows += connection.execute(_asked_for(by_name=True), given | {"people": names}).all()
    found: dict[int | str, Person] = {}
    # The last of a username is the one who counts.
    for user_id, key, living, is_shut in sorted(rows, key=lambda row: (row.living, row.id)):
        found[user_id] = found[key] = Person(user_id, bool(living), bool(is_shut))
    return found


@cache
def _asked_for(*, by_name: bool) -> Select[Any]:
    """Return (id, username key, living, shut) of people who are given; made once."""
    now = bindparam("now", type_=schema.UtcTime())
    shut = exists().where(
        X.c.user_id == U.c.id, X.c.since <= now, or_(X.c.until.is_(None), X.c.until > now)
    )
    meant: ColumnElement[bool] = among_given(U.c.id, "people")
    if by_name:
        meant = U.c.username_key.in_(bindparam("people", expanding=True))
    return select(U.c.id, U.c.username_key, U.c.living, shut).where(
        U.c.organization_id == bindparam("organization"), meant
    )
