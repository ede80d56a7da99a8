"""The rule of the last owner for plans of syncs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from syncd.records import NEVER, AccountState
from syncd.store import schema
from tests.store.organization import SHUT, Organization, container, dn_of, record

if TYPE_CHECKING:
    from syncd.records import UserRecord
    from tests.store.organization import Planned

OWNER = 1


@pytest.fixture
def owned(acme: Organization) -> Organization:
    """Ann and Bob, of whom Ann is an owner by hand, and Cem in a group whose role nobody has."""
    acme.sync(record("ann"), record("bob"), record("cem"))
    _grant(acme, "ann")
    return acme


def _id(acme: Organization, username: str) -> int:
    return int(acme.user(username)["id"])


def _grant(acme: Organization, username: str, source: str = "manual") -> None:
    acme.execute(
        "INSERT INTO grants (user_id, role_id, source, organization_id) "
        "VALUES (:user_id, 1, :source, 'acme')",
        user_id=_id(acme, username),
        source=source,
    )


def _by_group(acme: Organization, username: str, *, below: bool) -> None:
    """Make somebody an owner by a group, or by one below it."""
    acme.execute_all(
        "INSERT INTO groups (id, organization_id, name, name_key, kind, description, attributes) "
        "VALUES (900, 'acme', 'Board', 'board', 'custom', '', '{}'), "
        "(901, 'acme', 'Chairs', 'chairs', 'custom', '', '{}')",
        "INSERT INTO group_roles (group_id, role_id, source, organization_id) "
        "VALUES (900, 1, 'manual', 'acme')",
        "INSERT INTO group_ancestors (group_id, ancestor_id, depth, organization_id) "
        "VALUES (900, 900, 0, 'acme'), (901, 901, 0, 'acme'), (901, 900, 1, 'acme')",
    )
    acme.execute(
        "INSERT INTO group_members (user_id, group_id, source, organization_id) "
        "VALUES (:user_id, :group_id, 'import', 'acme')",
        user_id=_id(acme, username),
        group_id=901 if below else 900,
    )


def _lost(acme: Organization, planned: Planned) -> list[str]:
    return [username for _, username in acme.store.lost_owners(planned.run_id)]


@pytest.mark.parametrize(
    ("people", "absent", "lost"),
    [
        ((), ("ann",), ["ann"]),
        ((record("ann", account=SHUT),), (), ["ann"]),
        ((), ("bob",), []),
        ((record("ann", "anna"),), (), []),
        ((record("bob", account=SHUT),), (), []),
    ],
    ids=["missing", "disabled", "another-missing", "renamed", "another-disabled"],
)
def test_a_plan_tells_whether_it_takes_the_last_owner(
    owned: Organization, people: tuple[UserRecord, ...], absent: tuple[str, ...], lost: list[str]
) -> None:
    """Only a plan that shuts the last owner out takes her; others and other changes do not."""
    assert _lost(owned, owned.plan(*people, absent=absent)) == lost


def test_a_second_owner_lets_the_first_one_go(owned: Organization) -> None:
    """With another enabled owner a plan may take the first; with a disabled one it may not."""
    _grant(owned, "bob")
    assert _lost(owned, owned.plan(absent=["ann"])) == []
    owned.execute(
        "INSERT INTO restrictions (user_id, source, reason, organization_id, since) "
        "VALUES (:user_id, 'admin', 'disabled', 'acme', '2026-01-01 00:00:00')",
        user_id=_id(owned, "bob"),
    )
    assert _lost(owned, owned.plan(absent=["ann"])) == ["ann"]
    assert _lost(owned, owned.plan(absent=["ann", "bob"])) == ["ann"]


def test_nobody_is_bound_where_there_is_no_owner(acme: Organization) -> None:
    """An organization without an owner has none to lose."""
    acme.sync(record("ann"))
    assert _lost(acme, acme.plan(absent=["ann"])) == []


@pytest.mark.parametrize("below", [False, True], ids=["in-it", "below-it"])
def test_an_owner_by_a_group_counts(acme: Organization, *, below: bool) -> None:
    """Who owns by a group, or by a group below one, is an owner like any other."""
    acme.sync(record("ann"), record("bob"))
    _by_group(acme, "ann", below=below)
    assert _lost(acme, acme.plan(absent=["ann"])) == ["ann"]
    assert _lost(acme, acme.plan(absent=["bob"])) == []


def test_a_role_that_a_sync_revokes_is_lost_too(acme: Organization) -> None:
    """The directory's own grant goes: held, unless the same plan gives the role to another."""
    wanted = container("board", "ann", role="Owner")
    acme.sync(record("ann"), record("bob"), containers=[wanted])
    assert acme.roles_of("ann") == ["Owner"]
    assert _lost(acme, acme.plan(containers=[container("board", role="Owner")])) == ["ann"]
    moved = acme.plan(containers=[container("board", "bob", role="Owner")])
    assert _lost(acme, moved) == []
    shut = acme.plan(
        record("bob", account=SHUT), containers=[container("board", "bob", role="Owner")]
    )
    assert _lost(acme, shut) == ["ann"]


def test_somebody_new_may_be_the_next_owner(owned: Organization) -> None:
    """A newcomer whom the plan makes an owner stands in for the one who goes."""
    new = record("dee")
    planned = owned.plan(new, absent=["ann"], containers=[container("board", "dee", role="Owner")])
    assert _lost(owned, planned) == []


def test_applying_leaves_the_last_owner_out_who_became_it_since(owned: Organization) -> None:
    """A plan was allowed while there were two owners; one is gone by hand when it is applied."""
    _grant(owned, "bob")
    planned = owned.plan(absent=["ann", "cem"])
    assert _lost(owned, planned) == []
    owned.execute("DELETE FROM grants WHERE user_id = :user_id", user_id=_id(owned, "bob"))
    owned.apply(planned)
    assert owned.user("ann")["enabled"]
    assert not owned.user("cem")["enabled"]
    assert owned.store.conflicts(planned.run_id) == 1


def test_held_with_their_kind_are_only_the_owners(owned: Organization) -> None:
    """Holding the owner's row lets the others through, and leaves nobody lost."""
    planned = owned.plan(absent=["ann", "cem"])
    lost = owned.store.lost_owners(planned.run_id)
    last, held = owned.store.hold(planned.run_id, (), [user_id for user_id, _ in lost])
    assert (last, held) == (2, 1)
    assert owned.store.lost_owners(planned.run_id) == []
    owned.store.begin_apply(planned.run_id, "sync", None, settles=True)
    list(owned.store.apply(planned.run_id, 100, last=last))
    assert [owned.user(name)["enabled"] for name in ("ann", "cem")] == [True, False]


def test_the_rows_of_a_lockout_are_none_of_this(owned: Organization) -> None:
    """A lockout ends by itself and takes no owner away."""
    locked = record("ann", account=AccountState(locked_until=NEVER))
    assert _lost(owned, owned.plan(locked)) == []
    assert dn_of("ann") in {row["dn"] for row in owned.rows(schema.identities)}
