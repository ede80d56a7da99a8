"""Sessions hold while their people may sign in, and end in every way that there is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from syncd.access.visits import Session, hash_of, new_secret
from syncd.errors import SignInRefused
from syncd.store import logout_tokens, schema, sessions
from syncd.store.bearers import session_bearer
from syncd.store.held_sessions import HeldSessions
from tests.store.signed_in import ISSUER, Town, new_session

if TYPE_CHECKING:
    from syncd.store.database import Database

PERSON = "ended_by_person"
HOUR = timedelta(hours=1)
PAST, FUTURE = datetime(2026, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)


@pytest.fixture
def town(shared: Database) -> Town:
    """An organization of this test's own."""
    return Town(shared)


@pytest.mark.rule("H14", server="sqlite postgresql")
def test_a_session_is_found_by_its_secret_alone(town: Town) -> None:
    """It tells whose it is, and fits what the pages show; another secret leads nowhere."""
    user_id = town.person("ada", email="ada@example.test", first_name="Ada")
    opened = town.open(user_id)
    found = sessions.find(town.database, hash_of(opened.secret))
    assert found == opened.session
    shown = Session(**opened.session.shown())
    assert (shown.username, shown.first_name, shown.way) == ("ada", "Ada", "admin")
    assert shown.idle_until - shown.started_at == timedelta(minutes=30)
    assert shown.expires_at - shown.started_at == timedelta(hours=12)
    assert sessions.find(town.database, hash_of(new_secret())) is None
    (row,) = town.rows(schema.sessions, id=opened.id)
    assert opened.secret.encode() not in repr(row).encode()


def test_a_sign_in_is_written_down_without_a_change(town: Town) -> None:
    """The person's last sign-in is known, and neither version nor journal say that he changed."""
    user_id = town.person("ada")
    opened = town.open(user_id)
    (row,) = town.rows(schema.users, id=user_id)
    assert row["last_sign_in"] == opened.session.started_at
    assert row["version"] == 1
    assert not town.rows(schema.journal, organization_id=town.id)


@pytest.mark.parametrize(
    ("shut", "reason"),
    [
        ("UPDATE users SET living = false WHERE id = :id", "disabled"),
        ("UPDATE users SET provider = 'ldap' WHERE id = :id", "other_provider"),
        ("UPDATE organizations SET deleted_at = created_at WHERE id = :org", "deleted"),
        ("DELETE FROM users WHERE id = :id", "disabled"),
        (None, "disabled"),
    ],
    ids=["missing", "of another provider", "organization deleted", "gone", "restricted"],
)
def test_nobody_who_is_shut_out_gets_a_session(town: Town, shut: str | None, reason: str) -> None:
    """Whoever was let in by a password or a provider is asked about again, and leaves no trace."""
    user_id = town.person("ada")
    if shut is None:
        town.restrict(user_id, "disabled", since=PAST)
    else:
        values = {"id": user_id, "org": town.id}
        town.execute(shut, **{name: each for name, each in values.items() if f":{name}" in shut})
    with pytest.raises(SignInRefused) as caught:
        town.open(user_id)
    assert caught.value.reason == reason
    assert not town.rows(schema.sessions, organization_id=town.id)
    assert all(row["last_sign_in"] is None for row in town.rows(schema.users, id=user_id))


def test_the_session_of_another_organizations_person_cannot_be_opened(town: Town) -> None:
    """The id of somebody elsewhere is nobody's here."""
    elsewhere = Town(town.database)
    with pytest.raises(SignInRefused):
        town.open(elsewhere.person("ada"))


@pytest.mark.parametrize(
    ("times", "holds"),
    [
        ({"since": PAST}, False),
        ({"since": PAST, "until": FUTURE}, False),
        ({"since": PAST, "until": PAST + HOUR}, True),
        ({"since": FUTURE}, True),
    ],
    ids=["since ever", "until a time", "until a time that is over", "from a time on"],
)
def test_a_restriction_shuts_out_while_it_holds(
    town: Town, times: dict[str, Any], *, holds: bool
) -> None:
    """Its times are asked, and not whether a sync has noticed that they have come."""
    opened = town.open(town.person("ada"))
    town.restrict(opened.session.user_id, "locked", **times)
    assert town.holds(opened) is holds
    assert bool(sessions.of_person(town.database, town.id, opened.session.user_id)) is holds
    assert bool(sessions.page(town.database, town.id, limit=9)) is holds


@pytest.mark.rule("H1", server="sqlite postgresql")
def test_a_session_ends_idle_or_old(town: Town) -> None:
    """Use goes on with it for the idle time, never longer than in any case."""
    user_id = town.person("ada")
    idle = town.open(user_id, idle=timedelta(microseconds=1))
    assert not town.holds(idle)
    sessions.note_seen(town.database, town.id, idle.id)
    assert not town.holds(idle), "what is over does not begin anew by being used"
    used = town.open(user_id)
    town.execute(
        "UPDATE sessions SET seen_at = started_at, idle_until = :soon WHERE id = :id",
        id=used.id,
        soon=_text(town, used.session.started_at + timedelta(minutes=1)),
    )
    sessions.note_seen(town.database, town.id, used.id)
    found = sessions.get(town.database, town.id, used.id)
    assert found is not None
    assert found.idle_until - found.seen_at == timedelta(minutes=30)
    short = town.open(user_id, idle=HOUR, absolute=timedelta(minutes=5))
    assert short.session.idle_until == short.session.expires_at
    sessions.note_seen(town.database, town.id, short.id)
    found = sessions.get(town.database, town.id, short.id)
    assert found is not None
    assert found.idle_until == short.session.expires_at


def _text(town: Town, at: datetime) -> Any:
    """Return a time as a plain statement takes it."""
    return at.replace(tzinfo=None).isoformat(" ") if town.database.dialect == "sqlite" else at


def test_use_is_written_down_from_time_to_time(town: Town) -> None:
    """Not at each look: once a minute is often enough, more often where the idle time is short."""
    user_id = town.person("ada")
    often, rare = town.open(user_id, idle=timedelta(seconds=20)), town.open(user_id)
    for opened in (often, rare):
        town.execute(
            "UPDATE sessions SET seen_at = :then WHERE id = :id",
            id=opened.id,
            then=_text(town, opened.session.seen_at - timedelta(seconds=2)),
        )
    due = {each.id: each.touch_due for each in sessions.of_person(town.database, town.id, user_id)}
    assert due == {often.id: True, rare.id: False}


@pytest.mark.rule("H1", server="sqlite postgresql")
def test_the_next_sign_in_in_a_browser_replaces_the_last(town: Town) -> None:
    """The session that the browser had ends, of whomever and wherever it is; others go on."""
    ada, bob, elsewhere = town.person("ada"), town.person("bob"), Town(town.database)
    first, other = town.open(ada), town.open(ada)
    second = town.open(bob, replaced=first.hash)
    assert (town.holds(first), town.ended(first)) == (False, "replaced")
    assert town.holds(other)
    assert town.holds(second)
    third = elsewhere.open(elsewhere.person("cyd"), replaced=second.hash)
    assert (town.holds(second), town.ended(second)) == (False, "replaced")
    assert elsewhere.holds(third)


def test_somebody_ends_what_is_his(town: Town) -> None:
    """One session, all of them, or all but the one that he is in; tokens go with each."""
    ada, bob = town.person("ada"), town.person("bob")
    a1, a2, a3 = (town.open(ada, sealed=b"tokens") for _ in range(3))
    b1 = town.open(bob)
    assert sessions.end(town.database, town.id, PERSON, session_id=b1.id, user_id=ada) == 0
    assert sessions.end(town.database, town.id, PERSON) == 0, "nobody is meant"
    assert sessions.end(town.database, town.id, PERSON, session_id=a1.id, user_id=ada) == 1
    assert sessions.end(town.database, town.id, PERSON, session_id=a1.id) == 0, "it has ended"
    assert sessions.end(town.database, town.id, "signed_out", user_id=ada, but=a3.id) == 1
    assert [town.holds(each) for each in (a1, a2, a3, b1)] == [False, False, True, True]
    assert [town.ended(each) for each in (a1, a2)] == ["ended_by_person", "signed_out"]
    tokens = {row["id"]: row["sealed"] for row in town.rows(schema.sessions, user_id=ada)}
    assert tokens == {a1.id: None, a2.id: None, a3.id: b"tokens"}
    assert sessions.end_by_hash(town.database, b1.hash, "signed_out") == 1
    assert not town.holds(b1)


@pytest.mark.parametrize(
    ("named", "ends"),
    [
        ({"sid": "s1"}, {"ada s1"}),
        ({"subject": "ada"}, {"ada s1", "ada s2", "ada"}),
        ({"sid": "s1", "subject": "ada"}, {"ada s1", "ada"}),
        ({"sid": "s1", "subject": "bob"}, set()),
        ({"sid": "s9"}, set()),
        ({"subject": "Ada"}, set()),
        ({}, set()),
    ],
    ids=["a session", "a subject", "both", "of another subject", "unknown", "in case", "nothing"],
)
@pytest.mark.rule("L2", server="sqlite postgresql")
def test_a_provider_ends_what_it_names(town: Town, named: dict[str, str], ends: set[str]) -> None:
    """A session, or all of a subject; other subjects, issuers and organizations are not touched."""
    user_id, elsewhere = town.person("ada"), Town(town.database)
    mine = {
        f"{subject} {sid}".removesuffix(" None"): town.open(
            user_id, way="idp", issuer=ISSUER, subject=subject, sid=sid
        )
        for subject, sid in (("ada", "s1"), ("ada", "s2"), ("ada", None), ("bob", "s3"))
    }
    others = {
        "issuer": town.open(user_id, issuer="https://other.test/", subject="ada", sid="s1"),
        "by password": town.open(user_id),
    }
    far = elsewhere.open(elsewhere.person("ada"), issuer=ISSUER, subject="ada", sid="s1")
    count = logout_tokens.end_once(
        town.database,
        town.id,
        issuer=ISSUER,
        jti="j1",
        expires_at=FUTURE,
        sid=named.get("sid"),
        subject=named.get("subject"),
    )
    assert count == len(ends)
    assert {name for name, each in mine.items() if not town.holds(each)} == ends
    assert {town.ended(mine[name]) for name in ends} <= {"ended_by_provider"}
    assert all(town.holds(each) for each in (*others.values(), far))


def test_the_providers_word_is_asked_for_when_it_is_old(town: Town) -> None:
    """One caller gets the tokens, nobody else until a time is over; what has ended has none."""
    user_id = town.person("ada")
    due = town.open(user_id, sealed=b"old", refresh_in=timedelta(0))
    later = town.open(user_id, sealed=b"later", refresh_in=HOUR)
    never = town.open(user_id)
    claim = {"again": timedelta(minutes=1)}
    assert [_due(town, each.id) for each in (due, later, never)] == [True, False, False]
    assert sessions.claim_refresh(town.database, town.id, due.id, **claim) == b"old"
    assert sessions.claim_refresh(town.database, town.id, due.id, **claim) is None
    assert sessions.claim_refresh(town.database, town.id, later.id, **claim) is None
    assert _due(town, due.id) is False
    assert sessions.set_sealed(town.database, town.id, due.id, b"new", refresh_in=timedelta(0))
    assert sessions.sealed(town.database, town.id, due.id) == b"new"
    assert _due(town, due.id) is True
    sessions.end(town.database, town.id, "signed_out", session_id=due.id)
    assert sessions.sealed(town.database, town.id, due.id) is None
    assert not sessions.set_sealed(town.database, town.id, due.id, b"late", refresh_in=None)
    assert town.rows(schema.sessions, id=due.id)[0]["sealed"] is None


def _due(town: Town, session_id: int) -> bool:
    found = sessions.get(town.database, town.id, session_id)
    assert found is not None
    return found.refresh_due


def test_lists_are_paged_and_counted(town: Town) -> None:
    """Each page goes on behind the last id; what has ended is in none, nor in the count."""
    ada, bob = town.person("ada"), town.person("bob")
    opened = [town.open(user_id) for user_id in (ada, bob, ada, bob, ada)]
    sessions.end(town.database, town.id, "signed_out", session_id=opened[1].id)
    pages, after = [], 0
    while part := sessions.page(town.database, town.id, limit=2, after=after):
        pages.append([each.id for each in part])
        after = pages[-1][-1]
    assert pages == [[opened[0].id, opened[2].id], [opened[3].id, opened[4].id]]
    of_bob = sessions.page(town.database, town.id, limit=9, user_id=bob)
    assert [each.username for each in of_bob] == ["bob"]
    newest = sessions.of_person(town.database, town.id, ada, limit=2)
    assert [each.id for each in newest] == [opened[4].id, opened[2].id]
    assert sessions.active(town.database)[town.id] == 4


def test_another_organization_sees_and_ends_nothing(town: Town) -> None:
    """Whatever is asked for by id is asked for in an organization."""
    opened, other = town.open(town.person("ada"), sealed=b"t", refresh_in=timedelta(0)), None
    other = Town(town.database)
    at = (other.database, other.id)
    assert sessions.get(*at, opened.id) is None
    assert sessions.of_person(*at, opened.session.user_id) == []
    assert sessions.page(*at, limit=9) == []
    assert sessions.sealed(*at, opened.id) is None
    assert sessions.claim_refresh(*at, opened.id, again=HOUR) is None
    assert not sessions.set_sealed(*at, opened.id, b"other", refresh_in=None)
    assert sessions.end(*at, "signed_out", session_id=opened.id) == 0
    assert sessions.end(*at, "signed_out", user_id=opened.session.user_id) == 0
    sessions.note_seen(*at, opened.id)
    assert HeldSessions(*at).holder(opened.session.user_id) is None
    if town.database.dialect == "postgresql":
        assert sessions.find(town.database.of(other.id), opened.hash) is None
    assert sessions.find(town.database, opened.hash) == opened.session
    assert sessions.sealed(town.database, town.id, opened.id) == b"t"


def test_two_sessions_of_one_secret_cannot_be(town: Town) -> None:
    """A secret that comes again, which chance does not do, opens nothing."""
    user_id, new = town.person("ada"), None
    new = new_session(user_id)
    sessions.open_session(town.database, town.id, new)
    with pytest.raises(Exception, match="another writer's row"):
        sessions.open_session(town.database, town.id, new)


def test_nobody_is_known_by_a_token_that_no_portal_has(town: Town) -> None:
    """A hash that was never given to a portal leads to no session."""
    town.open(town.person("ada"))
    assert session_bearer(town.database, hash_of(new_secret())) is None
