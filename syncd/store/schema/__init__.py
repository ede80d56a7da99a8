"""The tables of the management store, as SQLAlchemy Core knows them.

Rows carry their organization. Ids are integers handed out in blocks (see ``allocate``), so that a
plan can name people who do not exist yet. Comparison keys (username, e-mail, DN) are computed in
Python and are the same on every database. The bulk tables have no foreign keys: the road is their
only writer, checking every row twice over cost a third of a first sync, and a test looks for
orphans.
"""

from __future__ import annotations

from syncd.store.schema.belonging import (
    FIRST_FREE_ROLE_ID,
    PRECONFIGURED_ROLES,
    container_ancestors,
    containers,
    grants,
    group_ancestors,
    group_members,
    group_parents,
    groups,
    membership_refs,
    roles,
)
from syncd.store.schema.books import (
    allocators,
    change_sets,
    journal,
    leases,
    listings,
    quarantine,
    runs,
    schedules,
    watermarks,
)
from syncd.store.schema.columns import (
    NAMES,
    STAGE,
    Id,
    UtcTime,
    metadata,
    stage_metadata,
)
from syncd.store.schema.people import (
    identities,
    identity_keys,
    organizations,
    restrictions,
    users,
)
from syncd.store.schema.plans import (
    plan_grants,
    plan_groups,
    plan_keys,
    plan_members,
    plan_people,
    plan_refs,
    plan_roles,
)
from syncd.store.schema.stage import (
    stage_absent,
    stage_ancestors,
    stage_containers,
    stage_desired,
    stage_edges,
    stage_keys,
    stage_marks,
    stage_refs,
    stage_seen,
    stage_targets,
    stage_users,
)

__all__ = [
    "FIRST_FREE_ROLE_ID",
    "NAMES",
    "PRECONFIGURED_ROLES",
    "STAGE",
    "Id",
    "UtcTime",
    "allocators",
    "change_sets",
    "container_ancestors",
    "containers",
    "grants",
    "group_ancestors",
    "group_members",
    "group_parents",
    "groups",
    "identities",
    "identity_keys",
    "journal",
    "leases",
    "listings",
    "membership_refs",
    "metadata",
    "organizations",
    "plan_grants",
    "plan_groups",
    "plan_keys",
    "plan_members",
    "plan_people",
    "plan_refs",
    "plan_roles",
    "quarantine",
    "restrictions",
    "roles",
    "runs",
    "schedules",
    "stage_absent",
    "stage_ancestors",
    "stage_containers",
    "stage_desired",
    "stage_edges",
    "stage_keys",
    "stage_marks",
    "stage_metadata",
    "stage_refs",
    "stage_seen",
    "stage_targets",
    "stage_users",
    "users",
    "watermarks",
]
