"""Who gets and loses which role: each way in which a directory says it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from syncd.records import Quarantined
from syncd.store import schema
from tests.store.organization import (
    MAPPER,
    Organization,
    container,
    dn_of,
    member_keys,
    member_of,
    record,
)

if TYPE_CHECKING:
    from syncd.records import ContainerRecord, UserRecord


def person(name: str, how: str = "dn", *, member: bool = True, **fields: Any) -> UserRecord:
    """Return somebody whom roles may name in one of three ways."""
    if how == "uid":
        fields["member_keys"] = member_keys("uid", name)
    if how == "of" and member:
        fields["memberships"] = member_of("staff")
    return record(name, **fields)


def staff(how: str, *names: str, **more: Any) -> ContainerRecord:
    """Return a role entry that names people, or leaves that to them."""
    if how == "dn":
        return container("staff", *names, **more)
    return container("staff", uids=names if how == "uid" else (), **more)


WAYS = pytest.mark.parametrize("how", ["dn", "uid", "of"])


@WAYS
def test_new_people_get_the_roles_of_new_containers(acme: Organization, how: str) -> None:
    """Both arrive in one run; the role is made with them."""
    planned = acme.sync(
        person("p1", how), person("p2", how, member=False), containers=[staff(how, "p1")]
    )
    counts = acme.store.counts(planned.run_id)
    assert (counts.granted, counts.granted_to_known, counts.roles["create"]) == (1, 0, 1)
    assert (acme.roles_of("p1"), acme.roles_of("p2")) == (["staff"], [])


@WAYS
def test_a_newcomer_gets_the_role_of_an_unchanged_container(acme: Organization, how: str) -> None:
    """A role that lists somebody before he arrives is his when he comes, two runs later."""
    acme.sync(containers=[staff(how, "p1")])
    acme.sync(person("p2", how, member=False))
    planned = acme.sync(person("p1", how))
    assert acme.store.counts(planned.run_id).granted == 1
    assert acme.roles_of("p1") == ["staff"]
    assert acme.store.unresolved() == 0


@pytest.mark.parametrize("how", ["dn", "uid"])
def test_unchanged_people_follow_a_changed_container(acme: Organization, how: str) -> None:
    """A container that names others grants and takes without anybody's entry having changed."""
    acme.sync(person("p1", how), person("p2", how), containers=[staff(how, "p1")])
    planned = acme.sync(containers=[staff(how, "p2")])
    assert acme.kinds(planned) == {"p1": {"revoke"}, "p2": {"grant"}}
    assert (acme.roles_of("p1"), acme.roles_of("p2")) == ([], ["staff"])


@WAYS
def test_a_changed_person_keeps_the_role_of_an_unchanged_container(
    acme: Organization, how: str
) -> None:
    """Another field of a member changes: nothing is granted twice, nothing taken."""
    acme.sync(person("p1", how), containers=[staff(how, "p1")])
    planned = acme.sync(person("p1", how, last_name="Changed"))
    assert acme.kinds(planned) == {"p1": {"update"}}
    assert acme.roles_of("p1") == ["staff"]


@WAYS
def test_a_person_who_is_named_no_more_loses_the_role(acme: Organization, how: str) -> None:
    """A DN or number that changed, or a container that is not named any more, takes the role."""
    acme.sync(person("p1", how), containers=[staff(how, "p1")])
    changed = {
        "dn": record("p1", dn="cn=elsewhere"),
        "uid": record("p1", member_keys=member_keys("uid", "other")),
        "of": record("p1"),
    }[how]
    acme.sync(changed)
    assert acme.roles_of("p1") == []
    acme.sync(person("p1", how))
    assert acme.roles_of("p1") == ["staff"]


def test_unchanged_people_who_name_a_container_follow_its_role(acme: Organization) -> None:
    """A container named by people stands for another role: they change roles with it."""
    acme.sync(person("p1", "of"), containers=[staff("of", role="one")])
    acme.sync(containers=[staff("of", role="two")])
    assert acme.roles_of("p1") == ["two"]


def test_a_role_of_several_containers_is_lost_with_the_last(acme: Organization) -> None:
    """Two containers grant one role: leaving one of them changes nothing, leaving both does."""
    two = [container("a", "p1", role="staff"), container("b", "p1", "p2", role="Staff")]
    acme.sync(record("p1"), record("p2"), containers=two)
    planned = acme.sync(containers=[container("a", "nobody", role="staff")])
    assert acme.kinds(planned) == {}
    planned = acme.sync(gone=["b"])
    assert acme.kinds(planned) == {"p1": {"revoke"}, "p2": {"revoke"}}
    assert (acme.roles_of("p1"), acme.roles_of("p2")) == ([], [])
    assert [role["name"] for role in acme.rows(schema.roles, kind="imported")] == ["Staff"]


def test_a_number_that_several_have_names_all_of_them(acme: Organization) -> None:
    """One UID on two people grants both, and neither loses it for the other's or a role's sake."""
    both = [record(name, member_keys=member_keys("uid", "7")) for name in ("p1", "p2")]
    acme.sync(*both, containers=[container("a", uids=["7"], role="staff")])
    acme.sync(containers=[container("b", role="staff")])
    assert (acme.roles_of("p1"), acme.roles_of("p2")) == (["staff"], ["staff"])
    acme.sync(absent=["p1"])
    acme.sync(containers=[container("b", "nobody", role="staff")])
    assert acme.roles_of("p2") == ["staff"]
    assert acme.store.unresolved() == 1


@pytest.mark.parametrize("batch_size", [1, 1_000])
def test_a_reused_dn_is_the_newcomers(acme: Organization, batch_size: int) -> None:
    """Under a leaver's DN comes another person: the role entry means the new one from then on."""
    acme.sync(record("old", dn="cn=same"), containers=[_naming("cn=same")])
    acme.sync(record("new", dn="cn=same"), absent=["old"], batch_size=batch_size)
    assert acme.roles_of("new") == ["staff"]
    acme.sync(containers=[container("other", role="staff")])
    assert acme.roles_of("new") == ["staff"]
    (source,) = [role for role in _sources(acme, "new") if role["name"] == "staff"]
    assert source["sources"][0]["member_value"] == "cn=same"


def _naming(dn: str) -> ContainerRecord:
    made = container("staff", "x")
    person_there = record("x", dn=dn)
    member = made.members[0]._replace(key=person_there.dn_key, value=dn)
    return made._replace(members=(member,))


def _sources(acme: Organization, username: str) -> list[dict[str, Any]]:
    return acme.people.role_sources(acme.user(username)["id"])


def test_somebody_back_has_the_roles_of_today(acme: Organization) -> None:
    """A return brings what the directory gives now, and none of what he had before he left."""
    acme.sync(record("p1"), containers=[container("old", "p1"), container("new")])
    acme.sync(absent=["p1"])
    acme.sync(containers=[container("old"), container("new", "p1")])
    assert acme.kinds(acme.sync(record("p1")))["p1"] >= {"return", "grant", "revoke"}
    assert acme.roles_of("p1") == ["new"]


def test_somebody_missing_keeps_his_roles_until_he_is_back(acme: Organization) -> None:
    """Who cannot sign in needs no revocation: an outage read as absence loses nothing."""
    acme.sync(record("p1"), containers=[container("a", "p1")])
    planned = acme.sync(absent=["p1"])
    assert acme.kinds(planned) == {"p1": {"missing"}}
    assert acme.roles_of("p1") == ["a"]
    acme.sync(record("p1"))
    assert acme.roles_of("p1") == ["a"]


def test_a_container_not_read_whole_takes_nothing(acme: Organization) -> None:
    """Members that did not come are unknown, not gone; those that came are granted."""
    acme.sync(record("p1"), record("p2"), record("p3"), containers=[container("a", "p1", "p2")])
    planned = acme.sync(containers=[container("a", "p3", whole=False)])
    assert acme.kinds(planned) == {"p3": {"grant"}}
    assert [acme.roles_of(f"p{n}") for n in (1, 2, 3)] == [["a"]] * 3
    (row,) = acme.rows(schema.containers)
    assert row["digest"] is None
    planned = acme.sync(containers=[container("a", "p3")])
    assert acme.kinds(planned) == {"p1": {"revoke"}, "p2": {"revoke"}}


def test_a_listing_that_may_not_revoke_only_grants(acme: Organization) -> None:
    """A mapper whose listing was not complete gives and takes nothing away."""
    acme.sync(record("p1"), record("p2"), containers=[container("a", "p1")])
    planned = acme.sync(containers=[container("a", "p2")], revoking=())
    assert acme.kinds(planned) == {"p2": {"grant"}}
    assert (acme.roles_of("p1"), acme.roles_of("p2")) == (["a"], ["a"])


def test_whoever_hides_behind_a_bad_entry_keeps_his_roles(acme: Organization) -> None:
    """A protected person is not read, so a changed container takes nothing from him."""
    acme.sync(record("p1"), record("p2"), containers=[container("a", "p1", "p2")])
    bad = [Quarantined("users", "unreadable", dn_of("p1"), "p1", None, "")]
    planned = acme.sync(containers=[container("a")], bad=bad)
    assert acme.kinds(planned) == {"p2": {"revoke"}}
    assert (acme.roles_of("p1"), acme.roles_of("p2")) == (["a"], [])


@pytest.mark.rule("K45", server="sqlite")
@pytest.mark.rule("K45", server="postgresql")
@pytest.mark.rule("2.15.5", server="sqlite")
@pytest.mark.rule("2.15.5", server="postgresql")
def test_a_sync_touches_only_what_its_mappers_own(acme: Organization) -> None:
    """Roles by hand and those of other mappers stay, also beside the same role of this one."""
    acme.sync(record("p1"), containers=[container("a", "p1")])
    (role,) = acme.rows(schema.roles, kind="imported")
    for source in ("manual", "other mapper"):
        acme.execute(
            "INSERT INTO grants (user_id, role_id, source, organization_id)"
            " VALUES (:user, :role, :source, 'acme')",
            user=acme.user("p1")["id"],
            role=role["id"],
            source=source,
        )
    acme.sync(containers=[container("a")])
    (held,) = [each for each in acme.user("p1")["roles"] if each["name"] == "a"]
    assert held["sources"] == ["manual", "other mapper"]
    assert acme.roles_of("p1") == ["a"]


def test_two_mappers_may_grant_one_role(acme: Organization) -> None:
    """Each owns its grant; the role stays until the last of them takes its own away."""
    mappers = (MAPPER, "second")
    acme.sync(
        record("p1"),
        containers=[container("a", "p1"), container("a", "p1", mapper="second")],
        mappers=mappers,
        revoking=mappers,
    )
    acme.sync(containers=[container("a")], mappers=mappers, revoking=mappers)
    (held,) = [each for each in acme.user("p1")["roles"] if each["name"] == "a"]
    assert held["sources"] == ["second"]


def test_a_container_called_otherwise_moves_its_people(acme: Organization) -> None:
    """A renamed role entry grants the new role and takes the old one; the old role stays."""
    acme.sync(record("p1"), record("p2"), containers=[container("a", "p1", "p2", role="old")])
    acme.sync(containers=[container("a", "p2", role="new")])
    assert (acme.roles_of("p1"), acme.roles_of("p2")) == ([], ["new"])
    members = {role["name"]: role["members"] for role in acme.people.roles()}
    assert (members["old"], members["new"]) == (0, 1)


def test_a_known_role_is_used_whatever_its_letter_case(acme: Organization) -> None:
    """A container whose role exists already makes no second one."""
    acme.sync(record("p1"), containers=[container("a", "p1", role="Staff")])
    planned = acme.sync(containers=[container("b", "p1", role="STAFF")])
    assert acme.store.counts(planned.run_id).roles["create"] == 0
    assert acme.roles_of("p1") == ["Staff"]


def test_members_that_nobody_knows_are_counted(acme: Organization) -> None:
    """Unresolved members are those of containers whom no key names; they are not an error."""
    acme.sync(record("p1"), containers=[container("a", "p1", "x", "y")])
    assert acme.store.unresolved() == 2
    acme.sync(record("x"))
    assert acme.store.unresolved() == 1


def test_roles_that_shrink_are_told(acme: Organization) -> None:
    """The guard learns how many of how many members a role would lose."""
    names = [f"p{number}" for number in range(4)]
    acme.sync(*map(record, names), containers=[container("a", *names), container("b", "p0")])
    planned = acme.plan(containers=[container("a", "p0")])
    assert acme.store.shrinking_targets(planned.run_id) == [("the role a", 3, 4)]


def test_a_mapper_can_be_left_out_of_a_plan(acme: Organization) -> None:
    """Dropping a mapper's role changes leaves the other changes to be applied."""
    acme.sync(record("p1"))
    planned = acme.plan(record("p1", last_name="X"), containers=[container("a", "p1")])
    assert acme.store.drop_grants(planned.run_id, "nobody's") == 0
    assert acme.store.drop_grants(planned.run_id, MAPPER) == 1
    acme.apply(planned)
    assert (acme.user("p1")["last_name"], acme.roles_of("p1")) == ("X", [])
