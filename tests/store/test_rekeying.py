"""New ids: who is paired with whom, and what hangs on an id."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from syncd.records import Member, Shapes, key_of
from syncd.store import schema
from syncd.store.rekeying import RekeyStore
from tests.store.organization import (
    MAPPER,
    Organization,
    container,
    dn_of,
    record,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syncd.records import ContainerRecord, UserRecord
    from syncd.store.rekeying import Paired


@pytest.fixture
def store(acme: Organization) -> RekeyStore:
    """Ann, Bob and Cem under their old ids, and the store that gives them new ones."""
    acme.sync(record("old-ann", "ann"), record("old-bob", "bob"), record("old-cem", "cem"))
    store = RekeyStore(acme.database, acme.id)
    store.lease = acme.store.lease
    acme.store = store
    return store


def _listed(
    store: RekeyStore,
    acme: Organization,
    by: str,
    people: Sequence[UserRecord],
    containers: Sequence[ContainerRecord] = (),
) -> tuple[int, Paired]:
    """Plan new ids for a listing that shows exactly these people."""
    run_id = store.begin_run("rekey", dry=False)
    acme.stage(run_id, people, containers)
    store.stage_absent_people(run_id, store.digests().unseen())
    return run_id, store.plan_rekey(run_id, by)


def _apply(store: RekeyStore, run_id: int) -> dict[str, int]:
    store.begin_apply(run_id, "operator", None, settles=False)
    list(store.apply(run_id, 100))
    done = store.complete_rekey(run_id)
    store.finish(run_id, "done", {})
    return done


def test_people_get_the_ids_of_the_entries_of_their_username(
    store: RekeyStore, acme: Organization
) -> None:
    """Each keeps all that is his; the next sync knows him by the new id."""
    people = [
        record(f"new-{each}", each, dn=f"uid={each},ou=moved", last_name=f"old-{each}")
        for each in ("ann", "bob")
    ]
    run_id, paired = _listed(store, acme, "username", people)
    assert paired == (2, 1, 0, 0)
    assert [each["username"] for each in store.unpaired(run_id)] == ["cem"]
    before = acme.user("ann")
    _apply(store, run_id)
    after = acme.user("ann")
    assert (after["id"], after["external_id"]) == (before["id"], "new-ann")
    assert acme.user("cem")["external_id"] == "old-cem"
    assert acme.journal("ann", "identity") == [
        (
            {"source": "ldap", "external_id": "old-ann"},
            {"source": "ldap", "external_id": "new-ann"},
        )
    ]
    assert set(store.stored_people(["new-ann", "new-bob"])) == {"new-ann", "new-bob"}
    assert acme.kinds(acme.plan(*people)) == {"ann": {"move"}, "bob": {"move"}}


def test_by_dn_a_username_may_be_another(store: RekeyStore, acme: Organization) -> None:
    """Paired by DN, whoever got another username is still the same person."""
    people = [record("new-ann", "anna", dn=dn_of("ann")), record("new-x", "cem", dn=dn_of("x"))]
    run_id, paired = _listed(store, acme, "dn", people)
    assert paired == (1, 2, 0, 1)
    _apply(store, run_id)
    assert acme.user("ann")["external_id"] == "new-ann"
    assert acme.user("cem")["external_id"] == "old-cem"


def test_what_is_ambiguous_is_left_alone(store: RekeyStore, acme: Organization) -> None:
    """Two entries of one username may be either person: nobody gets an id of them."""
    people = [record("x", "ann"), record("y", "ANN", dn=dn_of("ann2")), record("z", "bob")]
    _, paired = _listed(store, acme, "username", people)
    assert paired == (1, 1, 1, 2)


def test_who_is_listed_under_his_own_id_is_nobodys_pair(
    store: RekeyStore, acme: Organization
) -> None:
    """A newcomer who has somebody's username does not get that person, who is still there."""
    people = [record("old-ann", "ann2"), record("new", "ann")]
    _, paired = _listed(store, acme, "username", people)
    assert (paired.paired, paired.newcomers) == (0, 1)


def test_exclusions_and_groups_keep_whom_they_mean(store: RekeyStore, acme: Organization) -> None:
    """An excluded person stays excluded, and an imported group is the same group under its DN."""
    shapes = Shapes(groups=frozenset({MAPPER}), dropping=frozenset({MAPPER}))
    group = container("staff")._replace(
        kind="group", attributes="{}", members=(Member("dn", key_of(dn_of("ann")), dn_of("ann")),)
    )
    acme.sync(containers=[group], shapes=shapes)
    acme.execute(
        "INSERT INTO exclusions (organization_id, source, external_id, username, since, actor) "
        "VALUES ('acme', 'ldap', 'old-dee', 'Dee', '2026-01-01 00:00:00', 'somebody')"
    )
    rebuilt = group._replace(container_key=key_of("new"), external_id="id-new")
    people = [record(f"new-{each}", each) for each in ("ann", "bob", "cem", "dee")]
    run_id, _ = _listed(store, acme, "username", people, [rebuilt])
    assert _apply(store, run_id) == {"groups": 1, "exclusions": 1}
    (excluded,) = acme.rows(schema.exclusions)
    assert excluded["external_id"] == "new-dee"
    (before,) = acme.rows(schema.groups)
    assert before["external_id"] == "id-new"
    planned = acme.plan(containers=[rebuilt], gone=["staff"], shapes=shapes)
    assert acme.changes(planned) == []
    acme.apply(planned)
    assert [each["id"] for each in acme.rows(schema.groups)] == [before["id"]]
    assert [each["name"] for each in acme.user("ann")["groups"]] == ["staff"]
