"""The second wall between organizations on PostgreSQL, and attempts to get over it."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import inspect, text
from sqlalchemy.engine import make_url

from syncd.errors import StoreError
from syncd.permissions import SECTIONS
from syncd.store import migrate, privileges, schema
from syncd.store.database import Database
from syncd.store.editing.change import change
from tests.servers.postgres import APPLICATION, Postgres
from tests.store.organization import Organization, container, record

if TYPE_CHECKING:
    from collections.abc import Iterator

ACME, OTHER = "acme", "umbrella"
OWN = [
    table.name
    for table in schema.metadata.sorted_tables
    if {"organization_id", "run_id"} & {*table.columns.keys()} or table.name == "organizations"
]
PRODUCT = {"roles", "permission_sets", "permission_set_sections", "role_permission_sets"}
SQL = psycopg.errors


@pytest.fixture(scope="module")
def store(postgres: Postgres) -> Iterator[str]:
    """The owner's URL of a store with two organizations, upgraded for the application's role."""
    with postgres.database() as url:
        with closing(Database(url.replace("syncd@", f"{APPLICATION}@"))) as own:
            application = privileges.account(own)
        with closing(Database(url)) as database:
            migrate.upgrade(database, application)
        for name in (ACME, OTHER):
            one = Organization(url, name)
            with one.leased():
                one.sync(
                    record(f"{name}-1", "ada"),
                    record(f"{name}-2", "bob"),
                    containers=[container(f"staff of {name}", "ada", "bob")],
                )
                one.plan(record(f"{name}-3", "cora"))
            with change(one.database, name, actor="somebody") as opened:
                opened.of_object("role", 1, f"secret of {name}", before=None, after={"x": 1})
            one.database.close()
        yield url


@pytest.fixture
def application(store: str) -> Iterator[psycopg.Connection[Any]]:
    """A session of the application's role, without any setting."""
    url = make_url(store)
    host = str(url.query["host"])
    with psycopg.connect(host=host, dbname=url.database, user=APPLICATION, autocommit=True) as made:
        yield made


def of(session: psycopg.Connection[Any], organization: str) -> psycopg.Connection[Any]:
    """Let a session work for an organization."""
    session.execute("SELECT set_config('syncd.organization', %s, false)", (organization,))
    return session


def values(session: psycopg.Connection[Any], query: str) -> list[Any]:
    """Return the first column."""
    return [row[0] for row in session.execute(query.encode())]


def test_every_table_with_an_organization_has_the_wall(store: str) -> None:
    """Enabled and forced on all tables but the stage, the schema's own and the counters of ids."""
    with closing(Database(store)) as database, database.read() as connection:
        query = (
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relrowsecurity AND"
            " relforcerowsecurity AND relnamespace = current_schema()::regnamespace"
        )
        walled = set(connection.scalars(text(query)))
        tables = {*inspect(connection).get_table_names()}
    stage = {table.name for table in schema.stage_metadata.sorted_tables}
    assert walled == {*OWN}
    assert tables - walled == {*stage, "allocators", "schema_needs", migrate.VERSIONS}


@pytest.mark.parametrize("table", OWN)
def test_nothing_is_seen_without_the_setting(
    application: psycopg.Connection[Any], table: str
) -> None:
    """A session that does not say whose work it does sees what the product brings, and no more."""
    query = f"SELECT count(*) FROM {table}"
    if table in PRODUCT:
        query += " WHERE organization_id IS NOT NULL"
    for setting in (None, "", "nobody", "%", "acme,umbrella", "ACME"):
        if setting is not None:
            of(application, setting)
        assert values(application, query) == [0]


def test_a_program_that_does_not_say_whose_work_it_does_writes_nothing(
    application: psycopg.Connection[Any],
) -> None:
    """A version of before knows no such setting: it takes the store for empty and is refused."""
    assert values(application, "SELECT id FROM organizations") == []
    statement = "INSERT INTO organizations (id, name, provider, digest_key, created_at)"
    with pytest.raises(SQL.InsufficientPrivilege, match="violates row-level security policy"):
        application.execute(f"{statement} VALUES ('new', 'New', 'ldap', '', now())".encode())
    with pytest.raises(SQL.InsufficientPrivilege, match="violates row-level security policy"):
        application.execute(b"INSERT INTO grants VALUES (1, 1, 'manual', 'acme', NULL)")


def test_each_sees_its_own(application: psycopg.Connection[Any]) -> None:
    """People, plans and the journal are those of the organization that the setting names."""
    for name, other in ((ACME, OTHER), (OTHER, ACME)):
        of(application, name)
        assert values(application, "SELECT DISTINCT organization_id FROM users") == [name]
        plan = values(application, "SELECT external_id FROM plan_people")
        assert f"{name}-3" in plan
        assert not [each for each in plan if each.startswith(other)]
        assert values(application, "SELECT name FROM object_journal WHERE object_id = 1") == [
            f"secret of {name}"
        ]
        roles = values(application, "SELECT name FROM roles ORDER BY id")
        assert roles[0] == "Owner"
        assert roles[-1] == f"staff of {name}"
    assert len(values(of(application, "*"), "SELECT id FROM users")) == 4


REFUSED = {
    "insert for another": "INSERT INTO exclusions (organization_id, source, external_id, username,"
    " since, actor) VALUES ('umbrella', 'ldap', 'x', 'x', now(), 'x')",
    "move to another": "UPDATE users SET organization_id = 'umbrella'",
    "upsert to another": "INSERT INTO feed_heads VALUES ('acme', 1) ON CONFLICT (organization_id)"
    " DO UPDATE SET organization_id = 'umbrella'",
    "take over by upsert": "INSERT INTO feed_heads VALUES ('umbrella', 1)"
    " ON CONFLICT (organization_id) DO UPDATE SET position = 99",
    "make it the product's": "UPDATE roles SET organization_id = NULL WHERE id >= 100",
    "a role of the product": "INSERT INTO roles VALUES (50, NULL, 'x', 'x', 'preconfigured',"
    " NULL, '')",
    "plan for another's run": "INSERT INTO plan_keys (run_id, user_id, kind, key)"
    " VALUES (4, 1, 'dn', 'x')",
}


@pytest.mark.parametrize("name", REFUSED)
def test_no_row_gets_to_another_organization(
    application: psycopg.Connection[Any], store: str, name: str
) -> None:
    """Neither new rows nor changed ones; nor does anything become the product's."""
    other = of(application, OTHER)
    theirs = values(other, "SELECT max(id) FROM runs")[0]
    of(application, ACME)
    statement = REFUSED[name].replace("(4,", f"({theirs},")
    with pytest.raises(SQL.InsufficientPrivilege, match="violates row-level security policy"):
        application.execute(statement.encode())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE users SET username = 'x' WHERE organization_id = 'umbrella'",
        "DELETE FROM users WHERE organization_id = 'umbrella'",
        "DELETE FROM journal WHERE organization_id <> 'acme'",
        "UPDATE roles SET name = 'x' WHERE organization_id IS NULL",
        "DELETE FROM permission_set_sections WHERE organization_id IS NULL",
        "DELETE FROM plan_people p USING runs r WHERE r.id = p.run_id AND"
        " r.organization_id = 'umbrella'",
    ],
)
def test_rows_of_others_and_of_the_product_cannot_be_changed(
    application: psycopg.Connection[Any], statement: str
) -> None:
    """They are not there for whoever would change or delete them."""
    assert of(application, ACME).execute(statement.encode()).rowcount == 0


FORBIDDEN = {
    "ALTER TABLE users DISABLE ROW LEVEL SECURITY": SQL.InsufficientPrivilege,
    "ALTER TABLE users NO FORCE ROW LEVEL SECURITY": SQL.InsufficientPrivilege,
    "DROP POLICY organization ON users": SQL.InsufficientPrivilege,
    "CREATE POLICY mine ON users USING (true)": SQL.InsufficientPrivilege,
    "CREATE TABLE mine (x int)": SQL.InsufficientPrivilege,
    "CREATE VIEW mine AS SELECT * FROM users": SQL.InsufficientPrivilege,
    "ALTER VIEW syncd_v1_users SET (security_invoker = false)": SQL.InsufficientPrivilege,
    "TRUNCATE users": SQL.InsufficientPrivilege,
    "DROP TABLE users": SQL.InsufficientPrivilege,
    "SET ROLE syncd": SQL.InsufficientPrivilege,
    "SET SESSION AUTHORIZATION syncd": SQL.InsufficientPrivilege,
    "ALTER ROLE syncd_app BYPASSRLS": SQL.InsufficientPrivilege,
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'": (
        SQL.InsufficientPrivilege
    ),
    "UPDATE schema_versions SET version_num = '0001'": SQL.InsufficientPrivilege,
    "COPY users TO PROGRAM 'cat'": SQL.InsufficientPrivilege,
    # Then a statement that policies would cut fails whole.
    "SET row_security = off; SELECT * FROM users": SQL.InsufficientPrivilege,
    "COPY users FROM STDIN": SQL.FeatureNotSupported,
}


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_the_wall_cannot_be_taken_down_from_within(
    application: psycopg.Connection[Any], statement: str
) -> None:
    """The application's role may neither change what it has no share in nor step around it."""
    with pytest.raises(FORBIDDEN[statement]):
        of(application, ACME).execute(statement.encode())


@pytest.mark.parametrize(
    "query",
    [
        "SELECT organization FROM syncd_v1_users",
        "SELECT organization FROM syncd_v1_user_roles",
        "SELECT organization FROM syncd_v1_user_permissions",
        "SELECT organization FROM syncd_v1_group_members",
        "SELECT organization FROM syncd_v1_address_books",
        "SELECT u.organization_id FROM organizations o JOIN users u ON true",
        "SELECT organization_id FROM users UNION SELECT organization_id FROM journal",
        "WITH x AS (UPDATE users SET version = version RETURNING organization_id) SELECT * FROM x",
        "SELECT organization_id FROM users WHERE organization_id = 'umbrella' OR true",
    ],
)
def test_no_way_of_asking_shows_another(application: psycopg.Connection[Any], query: str) -> None:
    """Views, joins, unions and returned rows stand behind the wall, too."""
    assert set(values(of(application, ACME), query)) <= {ACME, None}
    assert set(values(of(application, ""), query)) <= {None}


def test_copying_out_copies_ones_own(application: psycopg.Connection[Any]) -> None:
    """COPY TO gives the rows that a query would give."""
    with of(application, ACME).cursor().copy("COPY users (organization_id) TO STDOUT") as copy:
        assert {row[0] for row in copy.rows()} == {ACME}


@pytest.mark.parametrize(
    "condition",
    [
        # Each would fail, and so tell, on a row of the other organization.
        "1 / (CASE WHEN organization_id = 'umbrella' THEN 0 ELSE 1 END) = 1",
        "(CASE WHEN organization_id = 'umbrella' THEN username ELSE '1' END)::int = 1",
        "raised(organization_id)",
    ],
)
@pytest.mark.parametrize("view", ["users", "syncd_v1_users"])
def test_a_condition_that_fails_on_others_rows_never_sees_them(
    application: psycopg.Connection[Any], condition: str, view: str
) -> None:
    """An error's text would leak a value; whatever may fail is asked behind the policy."""
    of(application, ACME).execute(
        "CREATE FUNCTION pg_temp.raised(x text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS"
        " $$BEGIN IF x <> 'acme' THEN RAISE 'leaked %', x; END IF; RETURN true; END$$"
    )
    condition = condition.replace("raised", "pg_temp.raised")
    if view != "users":
        condition = condition.replace("organization_id", "organization")
    assert len(values(application, f"SELECT 1 FROM {view} WHERE {condition}")) == 2


def test_the_owner_is_bound_too(store: str) -> None:
    """Where one account does both, the policies are forced on it."""
    with closing(Database(store)) as database:
        with database.of(ACME).read() as connection:
            query = text("SELECT DISTINCT organization_id FROM users")
            assert list(connection.scalars(query)) == [ACME]
        with (
            pytest.raises(StoreError, match="violates row-level security policy"),
            database.of(ACME).write() as connection,
        ):
            connection.execute(text("UPDATE users SET organization_id = 'umbrella'"))


def test_a_setting_ends_with_its_transaction(store: str) -> None:
    """The next who gets the connection from the pool is not taken for the one before."""
    with closing(Database(store)) as database:
        setting = text("SELECT current_setting('syncd.organization')")
        seen = []
        for one in (database.of(ACME), database, database.of(OTHER), database.of("o'neil%")):
            with suppress(ZeroDivisionError), one.write() as connection:
                seen.append(connection.scalar(setting))
                raise ZeroDivisionError
        assert seen == [ACME, "*", OTHER, "o'neil%"]
        with closing(database.engine.raw_connection()) as raw:
            cursor = raw.cursor()
            cursor.execute("RESET syncd.organization")
            cursor.execute("SELECT current_setting('syncd.organization', true)")
            # What the owner's role has as its own in these tests; never an organization.
            assert cursor.fetchone() == ("*",)


def test_statistics_are_gathered_for_who_may_not(application: psycopg.Connection[Any]) -> None:
    """The owner's function analyzes the store's tables, and no others."""
    application.execute("CREATE TEMP TABLE mine (x int)")
    application.execute(
        "SELECT syncd_analyze(ARRAY['users', 'mine', 'pg_class', 'users; DROP TABLE users'])"
    )
    with pytest.raises(SQL.InsufficientPrivilege):
        application.execute("SELECT pg_catalog.pg_stat_reset()")
    analyzed = "SELECT count(*) FROM pg_stats WHERE tablename = %s"
    # Whoever is bound by a policy does not see the values of rows that he may not see, either.
    assert application.execute(analyzed, ("users",)).fetchone() == (0,)
    assert application.execute(analyzed, ("mine",)).fetchone() == (0,)


def test_product_permissions_are_everybodys(application: psycopg.Connection[Any]) -> None:
    """Preconfigured roles are read under every setting, with what they allow."""
    of(application, ACME)
    query = "SELECT section FROM permission_set_sections WHERE permission_set_id = 1"
    assert set(values(application, query)) == {*SECTIONS}


def test_an_account_can_be_bound_to_one_organization_for_good(
    store: str, postgres: Postgres
) -> None:
    """A policy of its own, beside the others, holds whatever the account sets."""
    url = make_url(store)
    database = str(url.database)
    for statement in (
        "CREATE ROLE portal LOGIN",
        "ALTER ROLE portal SET syncd.organization = 'acme'",
        "GRANT SELECT ON syncd_v1_users, users, identities, restrictions, roles TO portal",
        "CREATE POLICY portal ON users AS RESTRICTIVE TO portal"
        " USING (organization_id = 'acme' OR organization_id IS NULL)",
        "CREATE POLICY portal ON roles AS RESTRICTIVE TO portal"
        " USING (organization_id = 'acme' OR organization_id IS NULL)",
    ):
        postgres.sql(statement, database)
    host = str(url.query["host"])
    with psycopg.connect(host=host, dbname=database, user="portal", autocommit=True) as portal:
        for setting in (None, "umbrella", "*", "acme"):
            if setting is not None:
                of(portal, setting)
            found = {*values(portal, "SELECT organization FROM syncd_v1_users")}
            assert found == ({ACME} if setting != "umbrella" else set())
            assert "Owner" in values(portal, "SELECT name FROM roles")
            assert "staff of umbrella" not in values(portal, "SELECT name FROM roles")
        with pytest.raises(SQL.InsufficientPrivilege):
            portal.execute("SELECT digest_key FROM organizations")
        with pytest.raises(SQL.InsufficientPrivilege):
            portal.execute("UPDATE users SET username = 'x'")
