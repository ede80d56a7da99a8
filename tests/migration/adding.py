"""Tells whether a migration only adds, by what the database says of itself before and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect, text

from syncd.store import migrate

if TYPE_CHECKING:
    from sqlalchemy import Connection

# Whatever else a statement of an older program may meet, by database: kind, table, what it is.
OTHERS = {
    "sqlite": "SELECT 'trigger', tbl_name, name, sql FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": """
        SELECT 'trigger', CAST(tgrelid AS regclass) || '', tgname || '', pg_get_triggerdef(oid)
        FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL
        SELECT 'policy', tablename || '', policyname || '', concat_ws(' ', cmd, roles, permissive,
            qual, with_check)
        FROM pg_policies WHERE schemaname = current_schema()
        UNION ALL
        SELECT 'row security', relname || '', '', concat_ws(' ', relrowsecurity,
            relforcerowsecurity)
        FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
    """,
}


@dataclass(frozen=True)
class Column:
    """A table's column."""

    type: str
    nullable: bool
    default: str | None


@dataclass(frozen=True)
class Table:
    """A table: its columns, indexes with whether they are unique, and whatever else binds it."""

    columns: dict[str, Column]
    indexes: dict[str, tuple[bool, str]]
    rules: set[tuple[str, ...]]


@dataclass(frozen=True)
class Described:
    """A schema: its tables, and the views by name."""

    tables: dict[str, Table]
    views: dict[str, str]


def described(connection: Connection) -> Described:
    """Return the schema as the database has it."""
    inspector, dialect = inspect(connection), connection.dialect
    found: dict[str, Table] = {}
    for (_, name), columns in inspector.get_multi_columns().items():
        found[name] = Table(
            {
                each["name"]: Column(
                    each["type"].compile(dialect), each["nullable"], each.get("default")
                )
                for each in columns
            },
            {},
            set(),
        )
    for (_, name), indexes in inspector.get_multi_indexes().items():
        found[name].indexes.update(
            {str(each["name"]): (bool(each["unique"]), _text(each)) for each in indexes}
        )
    constrained: dict[str, Any] = {
        "primary key": inspector.get_multi_pk_constraint(),
        "unique": inspector.get_multi_unique_constraints(),
        "foreign key": inspector.get_multi_foreign_keys(),
        "check": inspector.get_multi_check_constraints(),
    }
    for kind, several in constrained.items():
        for (_, name), constraints in several.items():
            listed = constraints if isinstance(constraints, list) else [constraints]
            found[name].rules.update((kind, _text(each)) for each in listed if each)
    for row in connection.execute(text(OTHERS[dialect.name])):
        kind, name, *rest = map(str, row)
        found[name].rules.add((kind, *rest))
    found.pop(migrate.VERSIONS, None)
    names = inspector.get_view_names()
    return Described(found, {name: str(inspector.get_view_definition(name)) for name in names})


def _text(reflected: Any) -> str:
    # Conditions of partial indexes are objects that say what they are by their text alone.
    parts = {**reflected, **reflected.get("dialect_options", {})}
    return repr(sorted((key, str(part)) for key, part in parts.items() if key != "dialect_options"))


def taken_away(before: Described, after: Described) -> list[str]:
    """Return all in which a program of before would not find its tables as they were."""
    found = [f"view {each}" for each in before.views if after.views.get(each) != before.views[each]]
    for name, old in before.tables.items():
        new = after.tables.get(name)
        if new is None:
            found.append(f"table {name}")
            continue
        found += [f"column {name}.{column}" for column in _changed(old, new)]
        found += [f"rules of {name}"] * (old.rules != new.rules)
        for index in old.indexes.keys() | new.indexes.keys():
            is_new, (unique, _) = index not in old.indexes, new.indexes.get(index, (False, ""))
            # An older program may write twice what is to be there once by now.
            if unique if is_new else old.indexes[index] != new.indexes.get(index):
                found.append(f"index {index}")
    return sorted(found)


def _changed(old: Table, new: Table) -> list[str]:
    changed = [name for name in old.columns if new.columns.get(name) != old.columns[name]]
    for name in new.columns.keys() - old.columns.keys():
        added = new.columns[name]
        if not added.nullable and added.default is None:
            changed.append(name)
    return changed
