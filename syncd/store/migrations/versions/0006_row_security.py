"""The store as other services see it: row-level security on PostgreSQL, and stable views.

Policies ask the transaction's setting ``syncd.organization``, which holds an organization's id or
``*``. Without it nothing is seen, also by the tables' owner: a program of a revision before, which
does not set it, is shut out until it is upgraded too.
"""

# ruff: noqa: S608 - all of it is constants
from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# The setting is asked once a statement and not once a row, by a subquery; and the whole is a NULL
# test, of which the planner believes that nearly all rows pass. They do: statements name their
# organization themselves, and an equality here would be counted a second time.
SETTING = "(SELECT current_setting('syncd.organization', true))"
VISIBLE = f"CASE {SETTING} WHEN {{column}} THEN true WHEN '*' THEN true END IS NOT NULL"
# What the product brings has no organization: read by all, written by migrations alone.
PRODUCT = ("roles", "permission_sets", "permission_set_sections", "role_permission_sets")

ANALYZE = """
CREATE FUNCTION syncd_analyze(names text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    one regclass;
BEGIN
    -- The caller may not ANALYZE what it does not own; nor does it here but the store's tables.
    FOR one IN
        SELECT c.oid FROM pg_catalog.pg_class c
        WHERE c.relname = ANY (names) AND c.relkind = 'r'
            AND c.relnamespace = (
                SELECT p.pronamespace FROM pg_catalog.pg_proc p
                WHERE p.proname = 'syncd_analyze' AND p.proowner = c.relowner LIMIT 1
            )
            AND pg_catalog.pg_get_userbyid(c.relowner) = current_user
        -- Always in one order: two that analyze wait for each other and do not block each other.
        ORDER BY c.relname
    LOOP
        EXECUTE pg_catalog.format('ANALYZE (SKIP_LOCKED) %s', one);
    END LOOP;
END
$$
"""

# Those of a person's roles by whatever way: himself, by groups, by groups above them, by default.
# Types that differ would keep PostgreSQL from taking a condition into each of the three.
DEFAULT_ROLE_ID = 6
WAYS = f"""
    SELECT g.organization_id, g.user_id, g.role_id, g.source,
        CAST(NULL AS bigint) AS group_id, CAST(NULL AS bigint) AS member_group_id
    FROM grants g
    UNION ALL
    SELECT m.organization_id, m.user_id, r.role_id, r.source, r.group_id, m.group_id
    FROM group_members m
    JOIN group_ancestors a ON a.group_id = m.group_id
    JOIN group_roles r ON r.group_id = a.ancestor_id
    UNION ALL
    SELECT u.organization_id, u.id, CAST({DEFAULT_ROLE_ID} AS bigint), 'default', NULL, NULL
    FROM users u
"""
LEVEL = "CASE {level} WHEN 2 THEN 'edit' ELSE 'view' END"
# SQLite would group everybody's before it looks for one person's: there each section is asked for.
PERMISSIONS = {
    "postgresql": f"""
        SELECT w.organization_id AS organization, w.user_id, s.section,
            {LEVEL.format(level="MAX(s.level)")} AS level
        FROM ({WAYS}) w
        JOIN role_permission_sets p ON p.role_id = w.role_id
        JOIN permission_set_sections s ON s.permission_set_id = p.permission_set_id
        GROUP BY w.organization_id, w.user_id, s.section""",
    "sqlite": f"""
        SELECT organization, user_id, section, {LEVEL.format(level="level")} AS level
        FROM (
            SELECT u.organization_id AS organization, u.id AS user_id, x.section,
                (
                    SELECT MAX(s.level)
                    FROM (
                        SELECT {DEFAULT_ROLE_ID} AS role_id
                        UNION ALL
                        SELECT g.role_id FROM grants g WHERE g.user_id = u.id
                        UNION ALL
                        SELECT r.role_id
                        FROM group_members m
                        JOIN group_ancestors a ON a.group_id = m.group_id
                        JOIN group_roles r ON r.group_id = a.ancestor_id
                        WHERE m.user_id = u.id
                    ) w
                    JOIN role_permission_sets p ON p.role_id = w.role_id
                    JOIN permission_set_sections s
                        ON s.permission_set_id = p.permission_set_id AND s.section = x.section
                ) AS level
            FROM users u
            CROSS JOIN (SELECT DISTINCT section FROM permission_set_sections) x
        )
        WHERE level IS NOT NULL""",
}
# Where the databases differ: the time, and lists and objects as JSON in a text.
WORDS = {
    "postgresql": {
        "now": "CURRENT_TIMESTAMP",
        "list": "CAST(COALESCE(json_agg({each} ORDER BY {each}), '[]') AS text)",
        "object": "CAST(COALESCE(json_object_agg({key}, {value} ORDER BY {key}), '{{}}') AS text)",
        "from": "{table} WHERE {where}",
    },
    "sqlite": {
        "now": "strftime('%Y-%m-%d %H:%M:%f', 'now')",
        "list": "json_group_array({each})",
        "object": "json_group_object({key}, {value})",
        "from": "(SELECT * FROM {table} WHERE {where} ORDER BY {order})",
    },
}


def views(dialect: str) -> dict[str, str]:
    """Return the views' queries by name."""
    words = WORDS[dialect]

    def gathered(what: str, table: str, where: str, order: str) -> str:
        source = words["from"].format(table=table, where=where, order=order)
        return f"(SELECT {what} FROM {source})"

    sections = gathered(
        words["object"].format(key="section", value=LEVEL.format(level="level")),
        "permission_set_sections",
        "permission_set_id = p.id",
        "section",
    )
    sets = gathered(
        words["list"].format(each="permission_set_id"),
        "role_permission_sets",
        "role_id = r.id",
        "permission_set_id",
    )
    parents = gathered(
        words["list"].format(each="parent_id"), "group_parents", "group_id = g.id", "parent_id"
    )
    tags = gathered(words["list"].format(each="tag"), "address_book_tags", "entry_id = e.id", "tag")
    return {
        "syncd_v1_users": f"""
            SELECT u.organization_id AS organization, u.id, u.provider,
                (
                    SELECT MAX(i.external_id) FROM identities i
                    WHERE i.user_id = u.id AND i.source = u.provider
                ) AS external_id,
                u.username, u.username_key, u.email, u.email_verified, u.first_name, u.last_name,
                NOT EXISTS (
                    SELECT 1 FROM restrictions x
                    WHERE x.user_id = u.id AND x.since <= {words["now"]}
                        AND (x.until IS NULL OR x.until > {words["now"]})
                ) AS enabled,
                NOT u.living AS missing,
                u.attributes, u.last_sign_in
            FROM users u""",
        "syncd_v1_roles": f"""
            SELECT r.organization_id AS organization, r.id, r.name, r.kind, r.description,
                {sets} AS permission_sets
            FROM roles r""",
        "syncd_v1_permission_sets": f"""
            SELECT p.organization_id AS organization, p.id, p.name, p.kind, p.description,
                {sections} AS sections
            FROM permission_sets p""",
        "syncd_v1_groups": f"""
            SELECT g.organization_id AS organization, g.id, g.name, g.kind, g.description,
                g.attributes, {parents} AS parents
            FROM groups g""",
        "syncd_v1_group_members": """
            SELECT m.organization_id AS organization, a.ancestor_id AS group_id, m.user_id,
                m.source, m.group_id AS member_group_id, a.depth > 0 AS inherited
            FROM group_members m
            JOIN group_ancestors a ON a.group_id = m.group_id""",
        "syncd_v1_user_roles": f"""
            SELECT w.organization_id AS organization, w.user_id, w.role_id, r.name AS role,
                w.source, w.group_id, w.member_group_id
            FROM ({WAYS}) w
            JOIN roles r ON r.id = w.role_id""",
        "syncd_v1_user_permissions": PERMISSIONS[dialect],
        "syncd_v1_address_books": """
            SELECT b.organization_id AS organization, b.id, b.name
            FROM address_books b
            WHERE b.owner_id IS NULL""",
        "syncd_v1_address_book_entries": f"""
            SELECT e.organization_id AS organization, e.id, e.address_book_id, e.nickname,
                e.address, e.comment, {tags} AS tags
            FROM address_book_entries e
            JOIN address_books b ON b.id = e.address_book_id AND b.owner_id IS NULL""",
    }


def upgrade() -> None:
    """Put up the walls, and the views that look through them."""
    dialect = op.get_bind().dialect.name
    option = ""
    if dialect == "postgresql":
        option = "WITH (security_invoker = true) "
        _secure()
        op.execute(ANALYZE)
        op.execute("REVOKE ALL ON FUNCTION syncd_analyze(text[]) FROM PUBLIC")
    for name, query in views(dialect).items():
        op.execute(sa.text(f"CREATE VIEW {name} {option}AS {query}".replace(":", "\\:")))


def downgrade() -> None:
    """Take all of it away again."""
    dialect = op.get_bind().dialect.name
    for name in views(dialect):
        op.execute(f"DROP VIEW {name}")
    if dialect == "postgresql":
        op.execute("DROP FUNCTION syncd_analyze(text[])")
        for table, policy in _policies():
            op.execute(f"DROP POLICY {policy} ON {table}")
        for table in {table for table, _ in _policies()} | {*_columns()}:
            op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
            op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")


def _columns() -> dict[str, str]:
    """Return by table which column says whose a row is: the organization, or a run of its.

    The stage is left out: COPY does not fill a table with row-level security.
    """
    inspector = sa.inspect(op.get_bind())
    found = {"organizations": "id"}
    for table in inspector.get_table_names():
        names = {column["name"] for column in inspector.get_columns(table)}
        if "organization_id" in names:
            found[table] = "organization_id"
        elif "run_id" in names and not table.startswith("stage_"):
            found[table] = "run_id"
    return found


def _secure() -> None:
    for table, column in _columns().items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        visible = VISIBLE.format(column=column)
        if column == "run_id":
            visible = f"EXISTS (SELECT 1 FROM runs WHERE runs.id = {table}.run_id)"
        elif table in PRODUCT:
            visible = f"{column} IS NOT NULL AND {visible}"
            everybody = f"CREATE POLICY product ON {table} FOR SELECT USING ({column} IS NULL)"
            op.execute(everybody)
        op.execute(f"CREATE POLICY organization ON {table} USING ({visible})")


def _policies() -> list[tuple[str, str]]:
    query = sa.text(
        "SELECT tablename, policyname FROM pg_policies WHERE schemaname = current_schema()"
    )
    return [(row[0], row[1]) for row in op.get_bind().execute(query)]
