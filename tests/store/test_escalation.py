"""Detours to more than one may: each ends in a refusal, and leaves the model as it was."""

from __future__ import annotations

import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import TYPE_CHECKING

import pytest

from syncd.errors import LastOwner, Refused, StoreError, UsageError
from syncd.permissions import EVERYTHING, Level, Principal
from syncd.store import runs, schema
from syncd.store.editing.owners import has_owner
from tests.store.managed import Managed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from syncd.managing import Management

OWNER, ADMIN = 1, 2
# Edits people, roles, groups and sets, and may nothing else: what a help desk may be given.
DESK = dict.fromkeys(("users", "roles", "groups", "permission_sets"), Level.EDIT)


class Town:
    """An organization with somebody strong in each place that could be abused."""

    def __init__(self, acme: Managed) -> None:
        self.acme = acme
        by = acme.by()
        self.owner = acme.made("owner@example.org", roles=(OWNER,))
        self.admin = acme.made("admin@example.org", roles=(ADMIN,))
        self.desk = acme.made("desk@example.org")
        self.builds = by.permission_sets.create("Builds", sections={"builds": "edit"})["id"]
        self.weak_set = by.permission_sets.create("Looks", sections={"users": "view"})["id"]
        self.strong = by.roles.create("Strong", permission_sets=[self.builds])["id"]
        self.weak = by.roles.create("Weak", permission_sets=[self.weak_set])["id"]
        by.users.grant(self.desk, self.weak)
        self.owners = by.groups.create("Owners", roles=[OWNER])["id"]
        self.above = by.groups.create("Above", roles=[self.strong])["id"]
        self.below = by.groups.create("Below")["id"]
        by.groups.add_child(self.above, self.below)
        self.mine = by.groups.create("Mine")["id"]
        by.groups.add_member(self.mine, self.desk)
        by.groups.add_member(self.owners, self.admin)

    def as_desk(self) -> Management:
        """Return what the help desk may do."""
        return self.acme.by(Principal("user desk@example.org", levels={**DESK}, user_id=self.desk))

    def held(self) -> object:
        """Return who may do what, and how everybody is called."""
        people = self.acme.by().permissions.of_all()
        return [(each["id"], each["username"], each["permissions"]) for each in people]


@pytest.fixture
def town(store_url: str, tmp_path: Path) -> Iterator[Town]:
    """A town that somebody wants to take over."""
    managed = Managed(tmp_path, store_url, "admin")
    yield Town(managed)
    managed.app.close()


DETOURS: dict[str, tuple[str, Callable[[Management, Town], object]]] = {
    "a strong role for oneself": (
        "exceeds_own",
        lambda m, t: m.users.grant(t.desk, t.strong),
    ),
    "Owner for oneself": ("owner_only", lambda m, t: m.users.grant(t.desk, OWNER)),
    "somebody new with a strong role": (
        "exceeds_own",
        lambda m, t: m.users.create(email="new@example.org", roles=(t.strong,), invite=False),
    ),
    "into a group with a strong role": (
        "exceeds_own",
        lambda m, t: m.groups.add_member(t.above, t.desk),
    ),
    "into a group below one with a strong role": (
        "exceeds_own",
        lambda m, t: m.groups.add_member(t.below, t.desk),
    ),
    "into the owners' group": ("owner_only", lambda m, t: m.groups.add_member(t.owners, t.desk)),
    "one's own group below a strong one": (
        "exceeds_own",
        lambda m, t: m.groups.add_child(t.above, t.mine),
    ),
    "one's own group below the child of a strong one": (
        "exceeds_own",
        lambda m, t: m.groups.add_child(t.below, t.mine),
    ),
    "one's own group below the owners'": (
        "owner_only",
        lambda m, t: m.groups.add_child(t.owners, t.mine),
    ),
    "a strong role for one's own group": (
        "exceeds_own",
        lambda m, t: m.groups.add_role(t.mine, t.strong),
    ),
    "Owner for one's own group": ("owner_only", lambda m, t: m.groups.add_role(t.mine, OWNER)),
    "a new group with a strong role": (
        "exceeds_own",
        lambda m, t: m.groups.create("New", roles=[t.strong]),
    ),
    "more sections in a set of one's own role": (
        "exceeds_own",
        lambda m, t: m.permission_sets.edit(t.weak_set, sections={"builds": "edit"}),
    ),
    "a strong set for one's own role": (
        "exceeds_own",
        lambda m, t: m.roles.edit(t.weak, permission_sets=[t.weak_set, t.builds]),
    ),
    "the set of owners for one's own role": (
        "exceeds_own",
        lambda m, t: m.roles.edit(t.weak, permission_sets=[OWNER]),
    ),
    "a new strong set, given to one's own role": (
        "exceeds_own",
        lambda m, t: m.permission_sets.create("New", sections={"invoices": "edit"}, roles=[t.weak]),
    ),
    "a preconfigured set changed": (
        "preconfigured",
        lambda m, _: m.permission_sets.edit(6, sections={"users": "view"}),
    ),
    "a preconfigured role with another set": (
        "preconfigured",
        lambda m, t: m.roles.edit(6, permission_sets=[t.weak_set]),
    ),
    "a role that reads like Owner": ("name_taken", lambda m, t: m.roles.edit(t.weak, name="OWNER")),
    "a strong role under a name that a mapper gives everybody": (
        "exceeds_own",
        lambda m, t: m.roles.edit(t.strong, name="Staff"),
    ),
    "an owner's address": (
        "owner_only",
        lambda m, t: m.users.edit(t.owner, {"email": "desk+1@example.org"}),
    ),
    "a stronger person's address": (
        "owner_only",
        lambda m, t: m.users.edit(t.admin, {"email": "desk+1@example.org"}),
    ),
    "an owner's password": ("owner_only", lambda m, t: m.invitations.send(t.owner)),
    "an owner disabled": ("owner_only", lambda m, t: m.users.disable(t.owner)),
    "an owner deleted": ("owner_only", lambda m, t: m.users.delete(t.owner)),
    "Owner taken from an owner": ("owner_only", lambda m, t: m.users.revoke(t.owner, OWNER)),
    "the owners' group deleted": ("owner_only", lambda m, t: m.groups.delete(t.owners)),
    "Owner taken from a group": (
        "owner_only",
        lambda m, t: m.groups.remove_role(t.owners, OWNER),
    ),
    "an owner taken out of a group": (
        "owner_only",
        lambda m, t: m.groups.remove_member(t.owners, t.admin),
    ),
    "an undo": ("not_allowed", lambda m, _: m.undo.take_back("c-000001")),
    "the organization deleted": ("owner_only", lambda m, _: m.organization.delete("Acme Corp")),
    "a token for more": (
        "exceeds_own",
        lambda m, _: m.tokens.create("x", {"builds": Level.EDIT}, lifetime=timedelta(days=1)),
    ),
    "a token for somebody else": (
        "not_allowed",
        lambda m, t: m.tokens.create(
            "x", {"users": Level.VIEW}, lifetime=timedelta(days=1), user_id=t.owner
        ),
    ),
}


def test_no_detour_leads_to_more(town: Town) -> None:
    """Whoever edits people, roles, groups and sets and nothing else stays where he is."""
    before = town.held()
    reasons: dict[str, str | None] = dict.fromkeys(DETOURS)
    for detour, (_, attempt) in DETOURS.items():
        try:
            attempt(town.as_desk(), town)
        except Refused as refused:
            reasons[detour] = refused.reason
    assert reasons == {detour: reason for detour, (reason, _) in DETOURS.items()}
    assert town.held() == before


@pytest.mark.parametrize("fields", [{"username": "desk2"}, {"email": "desk+1@example.org"}])
def test_by_what_a_stronger_person_signs_in_is_not_changed(
    town: Town, fields: dict[str, str]
) -> None:
    """Neither the address, to which links go, nor the name by which a provider's people are found.

    Of somebody who may do no more, both are changed as ever.
    """
    strong = town.acme.made("strong@example.org", roles=(town.strong,))
    weak = town.acme.made("weak@example.org")
    with pytest.raises(Refused) as refused:
        town.as_desk().users.edit(strong, fields)
    assert refused.value.reason == "exceeds_own"
    shape = town.as_desk().users.edit(weak, fields)
    assert fields.items() <= shape.items()


def test_a_role_is_renamed_by_whoever_holds_what_it_allows(town: Town) -> None:
    """Renaming is giving, where mappers give roles by name; letter case is no other name."""
    desk = town.as_desk().roles
    assert desk.edit(town.weak, name="Feeble")["name"] == "Feeble"
    assert desk.edit(town.strong, name="STRONG")["name"] == "STRONG"
    assert town.acme.by().roles.edit(town.strong, name="Mighty")["name"] == "Mighty"


def test_a_token_makes_no_token_that_outlives_it(town: Town) -> None:
    """Nor does one that has been revoked meanwhile make any."""
    first = town.acme.by().tokens.create("first", {"users": Level.VIEW}, lifetime=timedelta(days=2))
    _, principal = town.acme.app.authenticate(first["token"])
    mine = town.acme.by(principal).tokens
    for lifetime in (timedelta(days=2), timedelta(days=30)):
        with pytest.raises(Refused) as refused:
            mine.create("x", {"users": Level.VIEW}, lifetime=lifetime)
        assert refused.value.reason == "exceeds_own"
    made = mine.create("second", {"users": Level.VIEW}, lifetime=timedelta(days=1))
    assert made["expires_at"] < first["expires_at"]
    town.acme.by().tokens.revoke(first["id"])
    with pytest.raises(Refused):
        mine.create("third", {"users": Level.VIEW}, lifetime=timedelta(hours=1))


@pytest.mark.parametrize("mode", ["undo", "switch", "rekey", "full"])
def test_who_approves_from_elsewhere(town: Town, mode: str) -> None:
    """A sync's plan whoever edits the organization; what can make owners an owner alone."""
    database = town.acme.app.database()
    run_id = runs.begin(database, "acme", mode, dry=False)
    with database.write() as connection:
        runs.set_status(connection, run_id, "blocked")
    name = runs.run_name(run_id)
    admin = town.acme.as_role("Admin")
    if mode == "full":
        admin.ask_approval(name)
    else:
        with pytest.raises(Refused) as refused:
            admin.ask_approval(name)
        assert refused.value.reason == "owner_only"
        assert town.acme.app.asked_approvals() == []
        town.acme.as_role("Owner").ask_approval(name)
    assert town.acme.app.asked_approvals() == ["acme"]


def test_what_a_failed_statement_was_about_is_not_told(town: Town) -> None:
    """Neither the sentence nor the traceback that goes to the log has its values in it."""
    with pytest.raises(StoreError) as told, town.acme.app.database().write() as connection:
        connection.execute(
            schema.passwords.insert().values(user_id=town.owner, hash="$argon2id$precious")
        )
    whole = "".join(traceback.format_exception(told.value))
    assert "INSERT INTO passwords" in whole
    assert "precious" not in whole


def test_what_is_no_text_is_refused_and_not_a_fault(town: Town) -> None:
    """An argument in another encoding than UTF-8 is told in a sentence, whatever it was for."""
    by, bad = town.acme.by(), "x\udcff"
    for attempt in (
        lambda: by.users.grant(town.desk, town.strong, why=bad),
        lambda: by.users.id_of(bad),
        lambda: by.roles.named(bad),
        lambda: by.journal.page(filters={"person": bad}),
        lambda: by.permissions.of(bad),
    ):
        with pytest.raises(UsageError, match="not in UTF-8"):
            attempt()


WAYS: dict[str, Callable[[Management, int], object]] = {
    "revoke": lambda m, other: m.users.revoke(other, OWNER),
    "disable": lambda m, other: m.users.disable(other),
    "delete": lambda m, other: m.users.delete(other),
}


@pytest.mark.parametrize("way", sorted(WAYS))
def test_two_owners_who_remove_each_other_leave_one(town: Town, way: str) -> None:
    """Whoever comes second is refused, however close together they are."""
    owners = {
        name: town.acme.verified(f"{name}@example.org", roles=(OWNER,)) for name in ("ann", "bob")
    }
    town.acme.by().users.delete(town.owner)
    met = Barrier(len(owners))

    def remove(name: str, other: int) -> type[Exception] | None:
        management = town.acme.by(Principal(f"user {name}", EVERYTHING, owner=True))
        met.wait(30)
        try:
            WAYS[way](management, other)
        except LastOwner as error:
            return type(error)
        return None

    with ThreadPoolExecutor(len(owners)) as threads:
        others = {"ann": owners["bob"], "bob": owners["ann"]}
        ended = list(threads.map(remove, others, others.values()))
    assert ended in ([None, LastOwner], [LastOwner, None])
    with town.acme.app.database().of("acme").read() as connection:
        assert has_owner(connection, "acme")
