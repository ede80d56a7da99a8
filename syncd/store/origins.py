"""By which change set a person came to have a field, a role or a group, as the journal knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select

from syncd.store import schema
from syncd.store.change_sets import change_set_name, parsed
from syncd.store.runs import run_name
from syncd.store.sides import SIDES
from syncd.store.standing import FIELDS, field_value, pairs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

J, CS = schema.journal, schema.change_sets
KINDS = {side.journal_kind: side.kind for side in SIDES}


class Origin(NamedTuple):
    """A change set, and the run that made it, if one did."""

    change_set: str
    run: str | None


class Origins(NamedTuple):
    """Where one person's values come from; what the journal has forgotten is left out."""

    # By field; of attributes ``attributes.<name>``.
    fields: dict[str, Origin]
    # By "role" or "group", its id, and the source.
    held: dict[tuple[str, int, str | None], Origin]


def origins(connection: Connection, organization_id: str, user_id: int) -> Origins:
    """Return by which change sets somebody has what he has."""
    found = Origins({}, {})
    query = (
        select(J.c.change_set_id, CS.c.run_id, J.c.kind, J.c.before, J.c.after)
        .join(CS, CS.c.id == J.c.change_set_id)
        .where(J.c.organization_id == organization_id, J.c.user_id == user_id)
        .order_by(J.c.change_set_id)
    )
    for change_set_id, run_id, kind, before, after in connection.execute(query):
        run = None if run_id is None else run_name(run_id)
        origin = Origin(change_set_name(change_set_id), run)
        if kind == "create":
            # Whatever was not changed since is as it was then.
            found.fields.update(dict.fromkeys((*FIELDS, "dn"), origin))
        elif kind == "update":
            for name in _changed(parsed(before), parsed(after)):
                found.fields[name] = origin
        elif kind in KINDS:
            told = parsed(after)
            for target_id, source in pairs(told.get("revoked")):
                found.held.pop((KINDS[kind], target_id, source), None)
            for target_id, source in pairs(told.get("granted")):
                found.held[KINDS[kind], target_id, source] = origin
    return found


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    """Return the fields that an update changed, attribute by attribute."""
    found = {name for name in after if name != "attributes"}
    if "attributes" in after:
        was = field_value("attributes", before.get("attributes"))
        now = field_value("attributes", after["attributes"])
        found |= {
            f"attributes.{name}"
            for name in was.keys() | now.keys()
            if was.get(name) != now.get(name)
        }
    return found


def field_origin(found: Origins, field: str) -> Origin | None:
    """Return where a field comes from; an attribute that never changed came with its person."""
    if field in found.fields:
        return found.fields[field]
    return found.fields.get("attributes") if field.startswith("attributes.") else None
