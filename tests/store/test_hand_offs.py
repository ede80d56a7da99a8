"""States, codes and logout tokens: each works once, for whom it was made, in its time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from syncd.access.throttling import Limits, Throttle
from syncd.access.visits import hash_of, new_secret
from syncd.permissions import Level
from syncd.store import handoffs, logout_tokens, schema, sessions, sign_ins
from syncd.store.attempts import Attempts
from syncd.store.bearers import session_bearer
from syncd.store.editing.accounts import Accounts
from syncd.store.organizations import Organizations
from syncd.store.shutting_out import Sweep
from tests.store.signed_in import ISSUER, Town

if TYPE_CHECKING:
    from collections.abc import Callable

    from syncd.store.database import Database
    from syncd.store.handoffs import Redeemed
    from tests.store.signed_in import Opened

T = TypeVar("T")
CLIENT, ADDRESS = "intranet", "https://intranet.example.test/in"
AT_ONCE = 6
LATER = datetime(2099, 1, 1, tzinfo=UTC)
OWNER = 1


@pytest.fixture
def town(shared: Database) -> Town:
    """An organization of this test's own."""
    return Town(shared)


def beside_each_other(do: Callable[[], T]) -> list[T]:
    """Do one thing in several threads at the same moment."""
    gate = Barrier(AT_ONCE)

    def one(_: int) -> T:
        gate.wait(30)
        return do()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, range(AT_ONCE)))


def late(town: Town, table: str, column: str = "expires_at") -> None:
    """Let the time of everything be over."""
    town.execute(
        f"UPDATE {table} SET {column} = :then WHERE organization_id = :org",
        then="2026-01-01 00:00:00.000000"
        if town.database.dialect == "sqlite"
        else "2026-01-01T00:00:00Z",
        org=town.id,
    )


# --- states -----------------------------------------------------------------------------------


def started(town: Town, destination: sign_ins.Destination | None = None) -> dict[str, bytes]:
    """Begin a sign-in; return by what it is taken."""
    by = {"state": hash_of(new_secret()), "browser": hash_of(new_secret())}
    sign_ins.start(town.database, town.id, **by, destination=destination)
    return by


@pytest.mark.parametrize("destination", [None, (CLIENT, ADDRESS, "s"), (CLIENT, ADDRESS, None)])
def test_a_sign_in_comes_back_once(town: Town, destination: sign_ins.Destination | None) -> None:
    """With where its portal wants it; the second time there is none."""
    by = started(town, destination)
    taken = sign_ins.take(town.database, town.id, **by)
    assert taken is not None
    assert taken.destination == destination
    assert sign_ins.take(town.database, town.id, **by) is None


@pytest.mark.rule("H2", server="sqlite postgresql")
def test_a_sign_in_comes_back_to_its_own_browser_and_organization(town: Town) -> None:
    """Another browser, state or organization gets nothing, and takes it from nobody."""
    by, other = started(town), Town(town.database)
    for changed in ({"browser": hash_of("x")}, {"state": hash_of("x")}):
        assert sign_ins.take(town.database, town.id, **(by | changed)) is None
    assert sign_ins.take(town.database, other.id, **by) is None
    assert sign_ins.take(town.database, town.id, **by) is not None


@pytest.mark.rule("H2", server="sqlite postgresql")
def test_a_sign_in_that_took_too_long_is_none(town: Town) -> None:
    """And is not there the next time either."""
    by = started(town)
    late(town, "sign_ins")
    assert sign_ins.take(town.database, town.id, **by) is None
    assert not town.rows(schema.sign_ins, organization_id=town.id)


@pytest.mark.rule("H2", server="sqlite postgresql")
def test_two_tabs_and_many_replays(town: Town) -> None:
    """Two sign-ins of one browser come back, in any order; of replays at once one is taken."""
    first = started(town)
    second = {"state": hash_of(new_secret()), "browser": first["browser"]}
    sign_ins.start(town.database, town.id, **second, destination=None)
    assert sign_ins.take(town.database, town.id, **second) is not None
    found = beside_each_other(lambda: sign_ins.take(town.database, town.id, **first))
    assert [each is not None for each in found].count(True) == 1


# --- codes ------------------------------------------------------------------------------------


def handed(town: Town, opened: Opened) -> bytes:
    """Make a code for the portal."""
    code = hash_of(new_secret())
    handoffs.make(
        town.database,
        town.id,
        hash=code,
        session_id=opened.id,
        user_id=opened.session.user_id,
        client_id=CLIENT,
        redirect_uri=ADDRESS,
    )
    return code


def redeemed(town: Town, code: bytes, **more: Any) -> Redeemed | None:
    """Redeem a code as its portal does."""
    values: dict[str, Any] = {
        "client_id": CLIENT,
        "redirect_uri": ADDRESS,
        "organization_ids": {town.id, "another"},
    }
    return handoffs.redeem(town.database, code, **(values | more))


def test_a_code_is_for_its_portal_and_address(town: Town) -> None:
    """To whoever else shows it, or elsewhere, it stays as it is; then it says whose it is."""
    opened = town.open(town.person("ada"))
    code = handed(town, opened)
    for wrong in (
        {"client_id": "other"},
        {"redirect_uri": f"{ADDRESS}/"},
        {"organization_ids": {"another"}},
        {"organization_ids": ()},
    ):
        assert redeemed(town, code, **wrong) is None
    assert redeemed(town, hash_of("x")) is None
    assert not handoffs.is_known(town.database, town.id, opened.id, CLIENT)
    assert redeemed(town, code) == (town.id, opened.session.user_id, opened.id, False)
    assert handoffs.is_known(town.database, town.id, opened.id, CLIENT)
    assert not handoffs.is_known(town.database, town.id, opened.id, "other")
    assert not handoffs.is_known(town.database, "another", opened.id, CLIENT)
    assert town.holds(opened)


def test_a_code_that_comes_again_ends_its_session(town: Town) -> None:
    """However often it comes at once, it is good once, and nobody goes on by it."""
    opened = town.open(town.person("ada"))
    other = town.open(opened.session.user_id)
    code = handed(town, opened)
    found = beside_each_other(lambda: redeemed(town, code))
    assert sorted(each is not None and each.reused for each in found) == [False] + [True] * 5
    assert (town.holds(opened), town.ended(opened)) == (False, "code_reused")
    assert town.holds(other)


def test_a_code_that_took_too_long_is_none(town: Town) -> None:
    """Nothing happens to the session; the code goes, and one that was used stays with it."""
    opened = town.open(town.person("ada"))
    code, used = handed(town, opened), handed(town, opened)
    assert redeemed(town, used) is not None
    late(town, "handoffs")
    assert redeemed(town, code) is None
    assert town.holds(opened)
    Sweep(town.database).tidy()
    assert [row["hash"] for row in town.rows(schema.handoffs, organization_id=town.id)] == [used]
    sessions.end(town.database, town.id, "signed_out", session_id=opened.id)
    Sweep(town.database).tidy()
    assert not town.rows(schema.handoffs, organization_id=town.id)


def test_a_portals_token_is_the_person_while_the_session_holds(town: Town) -> None:
    """With what he may do at that moment; not once the session is over or he is shut out."""
    user_id = town.person("ada")
    opened = town.open(user_id)
    token = hash_of(new_secret())
    redeemed(town, handed(town, opened), token=token)
    found = session_bearer(town.database, token)
    assert found is not None
    assert found[:3] == (town.id, opened.id, CLIENT)
    assert (found.bearer.username, found.bearer.owner) == ("ada", False)
    assert found.bearer.levels.get("users", Level.NONE) < Level.EDIT
    town.execute(
        "INSERT INTO grants (user_id, role_id, source, organization_id) "
        "VALUES (:user_id, :role_id, 'manual', :org)",
        user_id=user_id,
        role_id=OWNER,
        org=town.id,
    )
    found = session_bearer(town.database, token)
    assert found is not None
    assert (found.bearer.owner, found.bearer.levels["users"]) == (True, Level.EDIT)
    town.restrict(user_id, "disabled", since=datetime(2026, 1, 1, tzinfo=UTC))
    assert session_bearer(town.database, token) is None
    town.execute("DELETE FROM restrictions WHERE user_id = :id", id=user_id)
    assert session_bearer(town.database, token) is not None
    sessions.end(town.database, town.id, "signed_out", session_id=opened.id)
    assert session_bearer(town.database, token) is None


# --- logout tokens ----------------------------------------------------------------------------


def test_a_logout_token_works_once(town: Town) -> None:
    """Beside each other and later, in each organization for itself; it ends what it names."""
    user_id = town.person("ada")
    opened = town.open(user_id, issuer=ISSUER, subject="ada", sid="s1")
    token: dict[str, Any] = {
        "issuer": ISSUER,
        "jti": "j1",
        "expires_at": LATER,
        "sid": "s1",
        "subject": None,
    }
    found = beside_each_other(lambda: logout_tokens.end_once(town.database, town.id, **token))
    assert sorted(found, key=str) == [1] + [None] * 5
    assert town.ended(opened) == "ended_by_provider"
    again = town.open(user_id, issuer=ISSUER, subject="ada", sid="s1")
    assert logout_tokens.end_once(town.database, town.id, **token) is None
    assert town.holds(again)
    for other in ({"jti": "j2", "sid": "s9"}, {"issuer": "https://other.test/"}):
        assert logout_tokens.end_once(town.database, town.id, **(token | other)) == 0
    elsewhere = Town(town.database)
    assert logout_tokens.end_once(town.database, elsewhere.id, **token) == 0


# --- the provider itself ----------------------------------------------------------------------


def test_another_provider_is_told_in_the_journal(town: Town) -> None:
    """The first is none; the same again is nothing; another one is a change of the organization."""
    organization = Organizations(town.database, town.id)
    first = {"issuer": ISSUER, "client_id": "c", "jwks_url": None}
    assert not organization.note_idp(first)
    assert not organization.note_idp(dict(reversed(first.items())))
    assert not town.rows(schema.object_journal, organization_id=town.id)
    second = first | {"issuer": "https://other.test/"}
    assert sorted(beside_each_other(lambda: organization.note_idp(second))) == [False] * 5 + [True]
    (row,) = town.rows(schema.object_journal, organization_id=town.id)
    (change_set,) = town.rows(schema.change_sets, organization_id=town.id)
    assert (row["object"], ISSUER in row["before"], "other.test" in row["after"]) == (
        "organization",
        True,
        True,
    )
    assert change_set["actor"] == "configuration"
    assert not Organizations(town.database, "nobody").note_idp(first)


def test_nothing_stays_of_a_person_and_of_an_organization(town: Town) -> None:
    """Whoever is deleted takes his sessions and codes along, an organization all that was tried."""
    user_id = town.person("ada")
    redeemed(town, handed(town, town.open(user_id)), token=hash_of(new_secret()))
    accounts = Accounts(town.database, town.id, actor="tester")
    with accounts.change() as change:
        accounts.delete(change, user_id, "ada")
    for table in (schema.sessions, schema.handoffs):
        assert not town.rows(table, user_id=user_id)
    handed(town, town.open(town.person("bob"), issuer=ISSUER, subject="bob"))
    started(town)
    Throttle(Attempts(town.database, town.id), Limits(), town.id).attempt("bob", "192.0.2.1")
    token: dict[str, Any] = {"issuer": ISSUER, "jti": "j1", "expires_at": LATER}
    logout_tokens.end_once(town.database, town.id, **token, sid="s9", subject=None)
    organization = Organizations(town.database, town.id)
    organization.note_idp({"issuer": ISSUER})
    tables = (
        schema.sessions,
        schema.handoffs,
        schema.sign_ins,
        schema.sign_in_attempts,
        schema.used_logout_tokens,
    )
    assert all(town.rows(table, organization_id=town.id) for table in tables)
    organization.end()
    assert not any(town.rows(table, organization_id=town.id) for table in tables)
    assert town.rows(schema.organizations, id=town.id)[0]["idp"] is None
