"""One organization in a store, driven as the sync engine drives it, with made-up people."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from syncd.records import (
    AccountState,
    ContainerRecord,
    Member,
    MemberOf,
    Shapes,
    UserRecord,
    fold,
    key_of,
)
from syncd.store import schema
from syncd.store.database import Database
from syncd.store.people import People
from syncd.store.run_reads import run_changes
from syncd.store.sync_store import SyncStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import Table

    from syncd.records import Quarantined, Remark
    from syncd.store.planning import NameConflict

ORGANIZATION = "acme"
MAPPER = "import roles"
BATCH = 1_000
SHUT, OPEN = AccountState(disabled=True), AccountState(disabled=False)


def dn_of(username: str) -> str:
    """Return the DN of a made-up person."""
    return f"uid={username},ou=people,dc=example,dc=test"


def record(external_id: str, username: str | None = None, **fields: Any) -> UserRecord:
    """Return a person; keywords replace fields, ``attributes`` is a dictionary."""
    username = external_id if username is None else username
    dn = fields.get("dn", dn_of(username))
    email = fields.get("email", f"{username}@example.test")
    values: dict[str, Any] = {
        "external_id": external_id,
        "dn": dn,
        "dn_key": key_of(dn),
        "username": username,
        "username_key": fold(username),
        "email": email,
        "email_key": None if email is None else fold(email),
        "email_verified": False,
        "first_name": "Person",
        "last_name": external_id,
        "account": AccountState(),
        "source_created_at": None,
        "source_modified_at": None,
        "member_keys": (),
        "memberships": (),
    }
    values |= fields
    attributes = json.dumps(fields.get("attributes", {}), ensure_ascii=False, sort_keys=True)
    return UserRecord(**(values | {"attributes": attributes}))


def member_keys(attribute: str, *values: str) -> tuple[tuple[str, bytes], ...]:
    """Return by what UID-type containers name a person."""
    return tuple((attribute, key_of(value)) for value in values)


def member_of(*names: str, mapper: str = MAPPER) -> tuple[MemberOf, ...]:
    """Return what a person says of the containers that hold him."""
    return tuple(MemberOf(mapper, key_of(name), f"cn={name}") for name in names)


def container(
    name: str,
    *members: str,
    uids: Sequence[str] = (),
    role: str | None = None,
    mapper: str = MAPPER,
    whole: bool = True,
) -> ContainerRecord:
    """Return a role entry that names usernames by DN, and ``uids`` by the attribute ``uid``."""
    by_dn = [Member("dn", key_of(dn_of(each)), dn_of(each)) for each in members]
    by_uid = [Member("uid:uid", key_of(each), each) for each in uids]
    dn = f"cn={name},ou=roles,dc=example,dc=test"
    return ContainerRecord(
        mapper=mapper,
        container_key=key_of(name),
        external_id=f"id-{name}",
        dn=dn,
        dn_key=key_of(dn),
        name=name,
        target=role or name,
        members=(*by_dn, *by_uid),
        whole=whole,
    )


def fingerprint(person: UserRecord) -> bytes:
    """Return a fingerprint of everything in a record."""
    return blake2b(repr(person).encode(), digest_size=16).digest()


def digest(entry: object) -> int:
    """Return a digest of an entry."""
    return int.from_bytes(blake2b(repr(entry).encode(), digest_size=8).digest(), "big", signed=True)


@dataclass
class Planned:
    """A plan as it was made."""

    run_id: int
    conflicts: list[NameConflict]
    remarks: list[Remark] = field(default_factory=list)
    shapes: Shapes = field(default_factory=Shapes)


@dataclass
class Organization:
    """An organization, and the shortest ways to plan and apply something in it."""

    url: str
    id: str = ORGANIZATION
    database: Database = field(init=False)
    store: SyncStore = field(init=False)
    people: People = field(init=False)

    def __post_init__(self) -> None:
        self.database = Database(self.url, stage=f"stage-{self.id}")
        self.people = People(self.database, self.id)
        self.people.create_organization("Acme Corp", "ldap")
        self.store = SyncStore(self.database, self.id)

    def begin(self, mode: str = "full", *, dry: bool = False) -> int:
        """Begin a run."""
        return self.store.begin_run(mode, dry=dry)

    def stage(
        self,
        run_id: int,
        people: Sequence[UserRecord] = (),
        containers: Sequence[ContainerRecord] = (),
    ) -> dict[str, int]:
        """Stage people and containers as changed; return the people's ids by external id."""
        stored = self.store.stored_people([person.external_id for person in people])
        rows = []
        for person in people:
            known = stored.get(person.external_id)
            user_id = known.user_id if known else self.store.new_user_id()
            rows.append((user_id, known is not None, person, fingerprint(person), digest(person)))
        self.store.stage_people(run_id, rows, ())
        if containers:
            self.store.stage_containers(
                run_id,
                [
                    (
                        number,
                        each,
                        fold(each.target) if each.kind == "role" else each.container_key.hex(),
                        digest(each),
                    )
                    for number, each in enumerate(containers, 1)
                ],
            )
        return {row[2].external_id: row[0] for row in rows}

    def plan(
        self,
        *people: UserRecord,
        absent: Sequence[str] = (),
        containers: Sequence[ContainerRecord] = (),
        gone: Sequence[str] = (),
        bad: Sequence[Quarantined] = (),
        mappers: tuple[str, ...] = (MAPPER,),
        revoking: tuple[str, ...] = (MAPPER,),
        purge_before: datetime | None = None,
        dry: bool = False,
        shapes: Shapes | None = None,
        gone_of: str = MAPPER,
    ) -> Planned:
        """Plan a run in which these people and containers were found changed, others absent.

        ``absent`` are external ids, ``gone`` names of containers.
        """
        run_id = self.begin(dry=dry)
        self.stage(run_id, people, containers)
        self.store.protect(run_id, bad)
        if absent:
            stored = self.store.stored_people(absent)
            self.absent(run_id, [stored[external_id].user_id for external_id in absent])
        if gone:
            self.store.stage_absent_containers(run_id, gone_of, [key_of(name) for name in gone])
        shapes = shapes or Shapes(creating=frozenset(mappers))
        conflicts, remarks = self.store.plan(
            run_id, mappers=mappers, revoking=revoking, purge_before=purge_before, shapes=shapes
        )
        return Planned(run_id, conflicts, remarks, shapes)

    def absent(self, run_id: int, unseen: Sequence[int]) -> int:
        """Stage people as absent with a cause; return how many."""
        count = self.store.stage_absent_people(run_id, unseen)
        found = self.store.absent_people(run_id)
        self.store.settle_absent(run_id, {user_id: "gone: looked up" for user_id, _, _ in found})
        return count

    def apply(self, planned: Planned, *, batch_size: int = BATCH) -> list[tuple[int, int]]:
        """Apply a plan with its books to the end; return the progress."""
        store = self.store
        store.begin_apply(planned.run_id, "sync", None, settles=True)
        progress = list(store.apply(planned.run_id, batch_size))
        store.settle(planned.run_id)
        store.finish(planned.run_id, "done", {}, digests=True)
        return progress

    @contextmanager
    def leased(self) -> Iterator[None]:
        """Hold the organization."""
        with self.store.lease:
            yield

    def sync(self, *people: UserRecord, batch_size: int = BATCH, **more: Any) -> Planned:
        """Plan and apply."""
        planned = self.plan(*people, **more)
        self.apply(planned, batch_size=batch_size)
        return planned

    # --- looking ----------------------------------------------------------------------------

    def changes(self, planned: Planned) -> list[tuple[str, str, str | None, Any, Any]]:
        """Return a plan's changes as (kind, username, field, old, new)."""
        return [
            (each["kind"], each["username"], each["field"], each["old"], each["new"])
            for each in run_changes(self.database, planned.run_id)
        ]

    def kinds(self, planned: Planned) -> dict[str, set[str]]:
        """Return the kinds of change that a plan brings, by username."""
        found: dict[str, set[str]] = {}
        for kind, username, *_ in self.changes(planned):
            found.setdefault(username, set()).add(kind)
        return found

    def user(self, username: str) -> dict[str, Any]:
        """Return a person who must be there."""
        user = self.people.user(username)
        assert user is not None, username
        return user

    def roles_of(self, username: str) -> list[str]:
        """Return a person's roles but the default one."""
        return [role["name"] for role in self.user(username)["roles"] if role["name"] != "User"]

    def rows(self, table: Table, **wanted: object) -> list[dict[str, Any]]:
        """Return a table's rows with these values, as they are stored."""
        query = table.select().where(*(table.c[name] == value for name, value in wanted.items()))
        with self.database.read() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def journal(self, username: str, kind: str) -> list[tuple[Any, Any]]:
        """Return (before, after) of a person's journal rows of one kind, oldest first."""
        rows = self.rows(schema.journal, user_id=self.user(username)["id"], kind=kind)
        return [
            (json.loads(row["before"] or "null"), json.loads(row["after"] or "null"))
            for row in sorted(rows, key=lambda row: int(row["change_set_id"]))
        ]

    def execute(self, statement: str, **values: object) -> None:
        """Do what another writer would do."""
        with self.database.write() as connection:
            connection.execute(text(statement), values)

    def execute_all(self, *statements: str) -> None:
        """Do several things in one transaction."""
        with self.database.write() as connection:
            for statement in statements:
                connection.execute(text(statement))
