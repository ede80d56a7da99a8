"""What the tests of bad networks, bad stores and sudden ends share.

A small company, a way to change it, stores to start from as often as one likes, and what stands in
a store afterwards, told without the ids that differ from run to run.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import create_engine, func, make_url, select

from syncd.store import schema
from tests.acceptance.preloaded import QuickWorld
from tests.acceptance.world import ORGANIZATION, PATIENCE_SECONDS, Answer, member_dn, role
from tests.conftest import _migrate
from tests.servers.slapd import PEOPLE, ROLES, person

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import ExitStack

    from sqlalchemy import Connection

    from tests.acceptance.preloaded import Commands
    from tests.acceptance.world import World
    from tests.servers.postgres import Postgres
    from tests.servers.slapd import Slapd

PAGE_SIZE = 10
# Takes from root the right to read and write everything: a file's mode then binds it too.
AS_ANYBODY = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
HIDDEN = "hidden"
SETTINGS: dict[str, Any] = {
    # Their entries stay where they are when their names change hands.
    "username_ldap_attribute": "employeeNumber",
    "user_search_filter": f"(!(employeeType={HIDDEN}))",
    "page_size": PAGE_SIZE,
    "batch_size": 10,
    "read_timeout": 1,
}


def uid(number: int) -> str:
    """Return the uid of a numbered person."""
    return f"u{number:05}"


def company() -> str:
    """Return the LDIF of 38 people whom a listing has, two whom it has not, and three roles."""
    entries = [
        person(
            uid(number),
            employeeNumber=uid(number),
            employeeType=HIDDEN if number in {1, 2} else "staff",
        )
        for number in range(40)
    ]
    roles = [
        role("staff", *(uid(number) for number in range(3, 33))),
        role("crew", *(uid(number) for number in range(5, 10))),
        role("temporary", uid(5), uid(6)),
    ]
    return "".join(entries + roles)


def change(slapd: Slapd) -> None:
    """Change the company: early and late joiners, leavers, a swap, new fields, other roles."""
    for number in (1, 2):
        slapd.modify(member_dn(uid(number)), {"employeeType": ["staff"]})
    slapd.add(
        f"uid={uid(90)},{PEOPLE}",
        objectClass="inetOrgPerson",
        uid=uid(90),
        employeeNumber=uid(90),
        cn="Late Joiner",
        sn="Joiner",
    )
    for number in (35, 36):
        slapd.delete(member_dn(uid(number)))
    for number, other in ((10, 11), (11, 10)):
        slapd.modify(member_dn(uid(number)), {"employeeNumber": [uid(other)]})
    for number in (3, 30):
        slapd.modify(member_dn(uid(number)), {"sn": ["Changed"]})
    slapd.modify(member_dn(uid(12)), {"mail": ["other@example.test"]})
    staff = [uid(1), uid(90), *(uid(number) for number in range(3, 33) if number != 20)]
    slapd.modify(f"cn=staff,{ROLES}", {"member": [member_dn(each) for each in staff]})
    slapd.delete(f"cn=temporary,{ROLES}")
    slapd.add(f"cn=new,{ROLES}", objectClass="groupOfNames", cn="new", member=member_dn(uid(4)))


class Stores(Protocol):
    """Stores of one kind of database."""

    kind: str

    def new(self) -> str:
        """Return the URL of a store with nobody in it."""

    def copy(self, url: str) -> str:
        """Return the URL of another store with the same content; nobody may be using it."""


class SqliteStores:
    """SQLite stores, each in its own folder."""

    kind = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._first = self._next()
        _migrate(self._first)

    def _next(self) -> str:
        self._count += 1
        folder = self._folder / str(self._count)
        folder.mkdir()
        return f"sqlite:///{folder}/store.db"

    def new(self) -> str:
        """Return the URL of a store with nobody in it."""
        return self.copy(self._first)

    def copy(self, url: str) -> str:
        """Return the URL of another store with the same content; nobody may be using it."""
        copied = self._next()
        shutil.copytree(_folder(url), _folder(copied), dirs_exist_ok=True)
        return copied


class PostgresStores:
    """PostgreSQL stores, each a database of one cluster."""

    kind = "postgresql"

    def __init__(self, cluster: Postgres, template: str, stack: ExitStack) -> None:
        self.cluster, self._template, self._stack = cluster, template, stack

    def new(self) -> str:
        """Return the URL of a store with nobody in it."""
        return self._stack.enter_context(self.cluster.database(self._template))

    def copy(self, url: str) -> str:
        """Return the URL of another store with the same content; nobody may be using it."""
        name = make_url(url).database
        return self._stack.enter_context(self.cluster.database(name))


def _folder(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///").partition("?")[0]).parent


class Worlds:
    """Worlds over one directory and any store."""

    def __init__(self, slapd: Slapd, commands: Commands, folder: Path) -> None:
        self.slapd, self._commands, self._folder = slapd, commands, folder
        self._count = 0

    def world(self, store_url: str, *, url: str | None = None) -> QuickWorld:
        """Return a world that is configured for the company."""
        self._count += 1
        world = QuickWorld(self._folder / str(self._count), self.slapd, store_url, url)
        world.commands = self._commands
        world.configure(ldap=SETTINGS)
        return world


class Started:
    """A store with the company in it, a changed company, and what a quiet sync makes of both."""

    def __init__(self, worlds: Worlds, stores: Stores) -> None:
        self.worlds, self.stores = worlds, stores
        self.first = stores.new()
        worlds.world(self.first).sync()
        self.before = content(self.first)

    def finish(self) -> None:
        """Find out what an undisturbed sync makes of the changed company."""
        quiet = self.stores.copy(self.first)
        self.worlds.world(quiet).sync()
        self.after = content(quiet)

    def again(self) -> str:
        """Return the URL of a fresh copy of the store with the company as it was."""
        return self.stores.copy(self.first)


def content(url: str) -> dict[str, Any]:
    """Return what a store knows, by the names that the directory gave."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return _content(connection)
    finally:
        engine.dispose()


def _content(connection: Connection) -> dict[str, Any]:
    users, identities = schema.users, schema.identities
    names: dict[int, str] = {
        row.user_id: row.external_id for row in connection.execute(select(identities))
    }
    dns = {row.user_id: row.dn for row in connection.execute(select(identities))}
    roles: dict[int, str] = {row.id: row.name for row in connection.execute(select(schema.roles))}
    fields = ("username", "username_key", "email", "email_key", "first_name", "last_name")
    people = {
        names.get(row.id, f"nobody {row.id}"): {
            "dn": dns.get(row.id),
            "living": bool(row.living),
            "enabled": bool(row.enabled),
            "version": row.version,
            "attributes": json.loads(row.attributes),
            **{name: getattr(row, name) for name in fields},
        }
        for row in connection.execute(select(users))
    }
    containers = {
        (row.mapper, bytes(row.container_key)): row.dn
        for row in connection.execute(select(schema.containers))
    }
    return {
        "people": people,
        "identities": sorted(
            (row.external_id, row.dn, row.digest is not None, len(row.fingerprint))
            for row in connection.execute(select(identities))
        ),
        "keys": sorted(
            (names.get(row.user_id, "nobody"), row.kind, bytes(row.key))
            for row in connection.execute(select(schema.identity_keys))
        ),
        "restrictions": sorted(
            (names.get(row.user_id, "nobody"), row.source, row.reason)
            for row in connection.execute(select(schema.restrictions))
        ),
        "roles": sorted(roles.values()),
        "grants": sorted(
            (names.get(row.user_id, "nobody"), roles.get(row.role_id, "no role"), row.source)
            for row in connection.execute(select(schema.grants))
        ),
        "containers": sorted(
            (row.mapper, row.dn, row.name, roles[row.role_id], row.digest is not None)
            for row in connection.execute(select(schema.containers))
        ),
        "references": sorted(
            (
                row.mapper,
                containers.get((row.mapper, bytes(row.container_key)), "no container"),
                row.kind,
                row.value,
                names.get(row.user_id, "nobody"),
            )
            for row in connection.execute(select(schema.membership_refs))
        ),
        "journal": sorted(
            (
                names.get(row.user_id, "nobody"),
                row.kind,
                row.before or "",
                _named(row.after, roles) if row.kind == "grants" else row.after or "",
            )
            for row in connection.execute(select(schema.journal))
        ),
        "orphans": connection.execute(
            select(func.count()).where(
                schema.journal.c.change_set_id.not_in(select(schema.change_sets.c.id))
            )
        ).scalar_one(),
        "watermark": sorted(tuple(row) for row in connection.execute(select(schema.watermarks))),
        "runs": [row.status for row in connection.execute(select(schema.runs).order_by("id"))],
    }


def _named(after: str, roles: dict[int, str]) -> str:
    """Return a journal row of grants with the names of the roles in their order."""
    found = json.loads(after)
    return json.dumps(
        {
            kind: sorted((roles.get(role_id, "no role"), source) for role_id, source in pairs)
            for kind, pairs in sorted(found.items())
        }
    )


LASTING = ("people", "identities", "keys", "restrictions", "roles", "grants", "containers")


def lasting(found: dict[str, Any], *more: str) -> dict[str, Any]:
    """Return what has to be the same on whatever way a store came there."""
    return {name: found[name] for name in (*LASTING, "references", *more)}


def check_invariants(url: str, after: dict[str, Any]) -> dict[str, Any]:
    """Check what holds at every moment; return what stands in the store."""
    found = content(url)
    people = found["people"]
    assert not [name for name in people if name.startswith("nobody")], "people without identity"
    ids = {row[0] for row in found["identities"]}
    assert ids == set(people), "identities without people"
    for part in ("keys", "restrictions", "grants", "journal"):
        assert ids.issuperset(row[0] for row in found[part]), f"{part} of nobody"
    assert "no role" not in {row[1] for row in found["grants"]}
    living = [person["username_key"] for person in people.values() if person["living"]]
    assert len(living) == len(set(living)), "two living people with one name"
    missing = {row[0] for row in found["restrictions"] if row[2] == "missing"}
    assert missing == {name for name, person in people.items() if not person["living"]}
    there = {name for name, person in after["people"].items() if person["living"]}
    assert not missing & there, "missing, but in the directory"
    assert not found["orphans"], "journal rows of no change set"
    return found


def run_as_anybody(world: World, *words: str) -> Answer:
    """Run the installed command as somebody whom a file's mode binds, which it does not root."""
    prefix = AS_ANYBODY if os.geteuid() == 0 else ()
    return run_program([*prefix, *world.command(*words)], world.folder, words)


def run_program(program: Sequence[str], folder: Path, words: tuple[str, ...]) -> Answer:
    """Run a program that runs the command."""
    process = subprocess.run(
        program,
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        cwd=folder,
    )
    return Answer(process.returncode, process.stdout, process.stderr, words)


def told(error: str) -> list[str]:
    """Return the lines of standard error that are for people, without those of the log."""
    return [line for line in error.splitlines() if not line.startswith("{")]


def sentence(answer: Answer) -> str:
    """Check that standard error is one sentence; return it."""
    lines = told(answer.err)
    assert len(lines) == 1, answer.err
    assert lines[0].startswith("syncd: "), answer.err
    assert lines[0].endswith((".", "?")), answer.err
    assert "Traceback" not in answer.err
    assert "internal error" not in answer.err
    return lines[0]


def as_json(*words: str) -> tuple[str, ...]:
    """Return the words of a full sync that reports as JSON."""
    return ("--json", "sync", ORGANIZATION, *words)
