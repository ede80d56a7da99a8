"""An organization whose change sets are undone, and its state as it is compared."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from syncd.store import schema
from syncd.store.change_sets import change_set_name, find_change_set
from syncd.store.runs import run_name
from syncd.store.snapshots import group_snapshots, role_snapshots
from syncd.store.standing import standings
from syncd.sync.guard import Limits
from syncd.sync.undo import UndoRun

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syncd.records import Limit
    from syncd.store.sync_store import SyncStore
    from tests.store.organization import Organization

NO_LIMITS = Limits()


def undo_run(acme: Organization, *, batch_size: int = 1_000, limits: Limits = NO_LIMITS) -> UndoRun:
    """Return what undoes."""
    return UndoRun(
        store=_Held(acme.store),
        organization_id=acme.id,
        batch_size=batch_size,
        limits=limits,
        run_name=run_name,
        change_set_name=change_set_name,
    )


class _Held:
    """The store under a lease that the test holds already."""

    class _Lease:
        def __enter__(self) -> None:
            return None

        def __exit__(self, *_: object) -> None:
            return None

    lease = _Lease()

    def __init__(self, store: SyncStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def newest(acme: Organization) -> int:
    """Return the newest change set."""
    return max(int(row["id"]) for row in acme.rows(schema.change_sets))


def undo(
    acme: Organization,
    change_set: int | None = None,
    *,
    dry: bool = False,
    batch_size: int = 1_000,
    limits: Mapping[str, Limit] | None = None,
    why: str | None = None,
) -> dict[str, Any]:
    """Undo a change set, the newest unless it is said which."""
    number = newest(acme) if change_set is None else change_set
    undone = find_change_set(acme.database, change_set_name(number), acme.id)
    assert undone is not None
    guarded = Limits(kinds=limits or {})
    run = undo_run(acme, batch_size=batch_size, limits=guarded)
    return run.undo(undone, actor="operator tester", why=why, dry=dry)


def state(acme: Organization) -> dict[str, Any]:
    """Return people, roles, groups, sets and books as they are compared, ids and times apart."""
    with acme.database.of(acme.id).read() as connection:
        ids = [row["id"] for row in acme.rows(schema.users, organization_id=acme.id)]
        people = {
            user_id: (
                {**each.fields, "dn": None},
                each.living,
                each.missing,
                each.account,
                sorted(each.others),
                {kind: sorted(held, key=str) for kind, held in each.held.items()},
            )
            for user_id, each in standings(connection, ids).items()
        }
        enabled = {row["id"]: row["enabled"] for row in acme.rows(schema.users)}
        roles = role_snapshots(
            connection, [row["id"] for row in acme.rows(schema.roles, organization_id=acme.id)]
        )
        groups = group_snapshots(
            connection, [row["id"] for row in acme.rows(schema.groups, organization_id=acme.id)]
        )
    sets = sorted(
        (row["id"], row["name"], row["description"])
        for row in acme.rows(schema.permission_sets, organization_id=acme.id)
    )
    sections = sorted(
        (row["permission_set_id"], row["section"], row["level"])
        for row in acme.rows(schema.permission_set_sections, organization_id=acme.id)
    )
    return {
        "people": people,
        "enabled": enabled,
        "roles": roles,
        "groups": groups,
        "sets": sets,
        "sections": sections,
        "closure": sorted(
            (row["group_id"], row["ancestor_id"], row["depth"])
            for row in acme.rows(schema.group_ancestors, organization_id=acme.id)
        ),
    }


def shown(value: dict[str, Any]) -> str:
    """Return a state as text, so that a difference can be read."""
    return json.dumps(value, indent=1, sort_keys=True, default=str)
