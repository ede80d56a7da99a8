"""A management store with very many people, filled by the database itself in a minute or two.

Everything follows from a person's number, so that the same size is the same store. Memberships: two
a person. Groups stand in trees six deep; besides them one holds a fifth of all people, and one a
hundredth. Roles: one that everybody was granted, one that ten people were, and a hundred others.
"""

# ruff: noqa: S608 - every part of these statements is a constant of ours

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from syncd.permissions import SECTIONS
from syncd.store.migrate import upgrade

if TYPE_CHECKING:
    from syncd.store.database import Database

ORGANIZATION = "bench"
FIRST_ROLE, ROLES = 1_000, 100
EVERYBODYS, RARE = 900, 901
FIRST_SET, SETS = 1_000, 50
LARGE, MIDDLE = 2_000, 2_001
FIRST_GROUP = 10_000
A_TREE, CHILDREN = 1_000, 4
PER_CHANGE_SET = 1_000

GIVEN = ("Ada", "Ben", "Chloe", "David", "Elena", "Farid", "Grace", "Hugo", "Ines", "Jonas")
FAMILY = ("Adler", "Becker", "Conti", "Duval", "Eriksen", "Fischer", "Garcia", "Horvath", "Ivanov")
# Coprime to every size: spreads numbers evenly.
STRIDE, OTHER_STRIDE = 7_919, 104_729


@dataclass(frozen=True, slots=True)
class Population:
    """How many people there are, and what they are in."""

    users: int

    @property
    def groups(self) -> int:
        """How many groups stand in trees."""
        return max(10, self.users // 100)

    @property
    def memberships(self) -> int:
        """Two for each person."""
        return 2 * self.users


def fill(database: Database, population: Population) -> None:
    """Migrate an empty store and fill it."""
    upgrade(database)
    for statements in (
        _people(database, population),
        _belonging(database, population),
        _allowed(),
        _books(database, population),
    ):
        with database.write() as connection:
            for statement in statements:
                connection.execute(text(statement))
    raw = database.engine.raw_connection()
    driver: Any = raw.driver_connection
    # Not in a transaction, which PostgreSQL's VACUUM takes none of.
    driver.execute("VACUUM ANALYZE" if database.dialect == "postgresql" else "ANALYZE")
    raw.close()


def _series(database: Database, count: int) -> str:
    """Return a table ``n`` of the numbers ``i`` from zero on."""
    if database.dialect == "postgresql":
        return f"generate_series(CAST(0 AS bigint), {count - 1}) AS n(i)"
    return (
        "(WITH RECURSIVE s(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM s"
        f" WHERE i < {count - 1}) SELECT i FROM s) AS n"
    )


def _one_of(words: tuple[str, ...], number: str) -> str:
    cases = " ".join(f"WHEN {place} THEN '{word}'" for place, word in enumerate(words))
    return f"CASE ({number}) % {len(words)} {cases} END"


def _digits(number: str) -> str:
    return f"substr(CAST(10000000 + ({number}) AS text), 2)"


def _people(database: Database, population: Population) -> list[str]:
    people = _series(database, population.users)
    given, family = _one_of(GIVEN, "i"), _one_of(FAMILY, "i / 10")
    # Names and numbers do not go together: neighbours in a group are none in the list.
    named = f"{given} || '.' || {family} || '.' || {_digits(f'i * {STRIDE} % 10000000')}"
    email = f"lower({named}) || '@bench.test'"
    yes, no = ("true", "false") if database.dialect == "postgresql" else ("1", "0")
    nothing = "'\\x00'::bytea" if database.dialect == "postgresql" else "x'00'"
    now = "CURRENT_TIMESTAMP"
    later = (
        "'2099-01-01 00:00:00+00'"
        if database.dialect == "postgresql"
        else "'2099-01-01 00:00:00.000000'"
    )
    ever = (
        "'2026-01-01 00:00:00+00'"
        if database.dialect == "postgresql"
        else "'2026-01-01 00:00:00.000000'"
    )
    if database.dialect == "postgresql":
        later, ever = f"CAST({later} AS timestamptz)", f"CAST({ever} AS timestamptz)"
    return [
        (
            "INSERT INTO organizations (id, name, provider, digest_key, created_at)"
            f" VALUES ('{ORGANIZATION}', 'Bench', 'ldap', {nothing}, {now})"
        ),
        (
            "INSERT INTO users (id, organization_id, version, provider, username, username_key,"
            " email,"
            " email_key, email_verified, first_name, last_name, attributes, living, enabled)"
            f" SELECT i + 1, '{ORGANIZATION}', 1,"
            " CASE WHEN i % 1000 = 1 THEN 'admin' ELSE 'ldap' END,"
            f" {named}, lower({named}), {email}, {email}, {no}, {given}, {family}, '{{}}',"
            f" CASE WHEN i % 1000 = 3 THEN {no} ELSE {yes} END,"
            f" CASE WHEN i % 1000 = 3 OR i % 50 = 7 THEN {no} ELSE {yes} END FROM {people}"
        ),
        (
            "INSERT INTO identities (organization_id, source, external_id, user_id, dn,"
            " fingerprint)"
            f" SELECT '{ORGANIZATION}', CASE WHEN i % 1000 = 1 THEN 'admin' ELSE 'ldap' END,"
            f" 'c0ffee00-0000-4000-8000-00000' || {_digits('i')}, i + 1,"
            f" 'uid=' || {_digits('i')} || ',ou=people,dc=bench,dc=test', {nothing} FROM {people}"
        ),
        # Nine of a hundred will expire one day: their time has not come.
        (
            "INSERT INTO restrictions (user_id, source, reason, organization_id, since, waiting)"
            f" SELECT i + 1, 'directory', 'missing', '{ORGANIZATION}', {ever}, NULL FROM {people}"
            " WHERE i % 1000 = 3"
            f" UNION ALL SELECT i + 1, 'account_state', 'disabled', '{ORGANIZATION}', {ever}, {no}"
            f" FROM {people} WHERE i % 50 = 7"
            f" UNION ALL SELECT i + 1, 'account_state', 'expired', '{ORGANIZATION}', {later}, {yes}"
            f" FROM {people} WHERE i % 100 < 9"
        ),
    ]


def _belonging(database: Database, population: Population) -> list[str]:
    people = _series(database, population.users)
    groups = _series(database, population.groups)
    first, count = FIRST_GROUP, population.groups
    several = _series(database, ROLES)
    return [
        (
            "INSERT INTO groups (id, organization_id, name, name_key, kind, description,"
            " attributes)"
            f" SELECT {first} + i, '{ORGANIZATION}', 'Group ' || {_digits('i')},"
            f" 'group ' || {_digits('i')}, 'custom', '', '{{}}' FROM {groups}"
        ),
        (
            "INSERT INTO groups (id, organization_id, name, name_key, kind, description,"
            " attributes)"
            f" VALUES ({LARGE}, '{ORGANIZATION}', 'Large', 'large', 'custom', '', '{{}}'),"
            f" ({MIDDLE}, '{ORGANIZATION}', 'Middle', 'middle', 'custom', '', '{{}}')"
        ),
        (
            "INSERT INTO group_parents (parent_id, group_id, source, organization_id)"
            f" SELECT {first} + i / {A_TREE} * {A_TREE} + (i % {A_TREE} - 1) / {CHILDREN},"
            f" {first} + i, 'manual', '{ORGANIZATION}' FROM {groups} WHERE i % {A_TREE} > 0"
        ),
        (
            "INSERT INTO group_ancestors (group_id, ancestor_id, depth, organization_id)"
            " WITH RECURSIVE above(group_id, ancestor_id, depth) AS ("
            " SELECT id, id, 0 FROM groups UNION ALL SELECT a.group_id, p.parent_id, a.depth + 1"
            " FROM above a JOIN group_parents p ON p.group_id = a.ancestor_id)"
            f" SELECT group_id, ancestor_id, depth, '{ORGANIZATION}' FROM above"
        ),
        (
            "INSERT INTO group_members (username_key, user_id, group_id, source, organization_id)"
            f" SELECT username_key, id, {first} + i * {STRIDE} % {count}, 'manual',"
            f" '{ORGANIZATION}' FROM {people} JOIN users ON id = i + 1"
        ),
        (
            "INSERT INTO group_members (username_key, user_id, group_id, source, organization_id)"
            f" SELECT username_key, id, CASE WHEN i % 5 = 0 THEN {LARGE}"
            f" WHEN i % 100 = 1 THEN {MIDDLE}"
            f" ELSE {first} + (i * {OTHER_STRIDE} + 17) % {count} END,"
            f" 'import groups', '{ORGANIZATION}' FROM {people} JOIN users ON id = i + 1"
        ),
        (
            "INSERT INTO roles (id, organization_id, name, name_key, kind, description)"
            f" SELECT {FIRST_ROLE} + i, '{ORGANIZATION}', 'Role ' || {_digits('i')},"
            f" 'role ' || {_digits('i')}, 'custom', '' FROM {several}"
        ),
        (
            "INSERT INTO roles (id, organization_id, name, name_key, kind, description)"
            f" VALUES ({EVERYBODYS}, '{ORGANIZATION}', 'Everybody''s', 'everybody''s', 'custom',"
            " ''),"
            f" ({RARE}, '{ORGANIZATION}', 'Rare', 'rare', 'custom', '')"
        ),
        # Of ten groups one was given a role, the roots among them.
        (
            "INSERT INTO group_roles (group_id, role_id, source, organization_id)"
            f" SELECT {first} + i, {FIRST_ROLE} + i / 10 % {ROLES}, 'manual', '{ORGANIZATION}'"
            f" FROM {groups} WHERE i % 10 = 0"
        ),
        (
            "INSERT INTO grants (username_key, user_id, role_id, source, organization_id)"
            f" SELECT username_key, id, {EVERYBODYS}, 'manual', '{ORGANIZATION}'"
            f" FROM {people} JOIN users ON id = i + 1"
        ),
        (
            "INSERT INTO grants (username_key, user_id, role_id, source, organization_id)"
            f" SELECT username_key, id, {FIRST_ROLE} + i * {STRIDE} % {ROLES}, 'import roles',"
            f" '{ORGANIZATION}' FROM {people} JOIN users ON id = i + 1 WHERE i % 4 = 0"
        ),
        (
            "INSERT INTO grants (username_key, user_id, role_id, source, organization_id)"
            f" SELECT username_key, id, {RARE}, 'manual', '{ORGANIZATION}'"
            f" FROM {_series(database, 10)}"
            f" JOIN users ON id = i * {max(1, population.users // 10)} + 1"
        ),
    ]


def _allowed() -> list[str]:
    sets, links = [], []
    sections = []
    for number in range(SETS):
        set_id = FIRST_SET + number
        sets.append(f"({set_id}, '{ORGANIZATION}', 'Set {number}', 'set {number}', 'custom', '')")
        for place in range(4):
            section = SECTIONS[(number + 3 * place) % len(SECTIONS)]
            sections.append(f"({set_id}, '{section}', {1 + number % 2}, '{ORGANIZATION}')")
    roles = [FIRST_ROLE + number for number in range(ROLES)] + [EVERYBODYS, RARE]
    for place, role_id in enumerate(roles):
        links += [
            f"({role_id}, {set_id}, '{ORGANIZATION}')"
            for set_id in {FIRST_SET + place % SETS, FIRST_SET + place * 7 % SETS}
        ]
    return [
        (
            "INSERT INTO permission_sets (id, organization_id, name, name_key, kind, description)"
            f" VALUES {', '.join(sets)}"
        ),
        (
            "INSERT INTO permission_set_sections (permission_set_id, section, level,"
            " organization_id)"
            f" VALUES {', '.join(sections)}"
        ),
        (
            "INSERT INTO role_permission_sets (role_id, permission_set_id, organization_id)"
            f" VALUES {', '.join(links)}"
        ),
    ]


def _books(database: Database, population: Population) -> list[str]:
    people = _series(database, population.users)
    sets = _series(database, -(-population.users // PER_CHANGE_SET))
    last = population.users + FIRST_GROUP + population.groups
    now = "CURRENT_TIMESTAMP"
    names = ", ".join(f"'{name}'" for name in ("users", "roles", "change_sets", "commits"))
    return [
        (
            "INSERT INTO change_sets (id, organization_id, actor, at)"
            f" SELECT i + 1, '{ORGANIZATION}', 'sync', {now} FROM {sets}"
        ),
        (
            "INSERT INTO feed_heads (organization_id, position)"
            f" SELECT '{ORGANIZATION}', count(*) FROM {sets}"
        ),
        (
            "INSERT INTO commits (organization_id, position, commit_id, change_set_id, at)"
            f" SELECT '{ORGANIZATION}', i + 1, i + 1, i + 1, {now} FROM {sets}"
        ),
        (
            "INSERT INTO journal (organization_id, user_id, change_set_id, kind, commit_id)"
            f" SELECT '{ORGANIZATION}', i + 1, i / {PER_CHANGE_SET} + 1, 'create',"
            f" i / {PER_CHANGE_SET} + 1 FROM {people}"
        ),
        f"UPDATE allocators SET next = {last} WHERE name IN ({names})",
    ]
