"""What the mappers give somebody who signs in, and what they take back.

Each mapper owns what it gave. One that speaks says all of what it gives; of one that is silent
everything stays, and of one that is not configured any more nothing does.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, literal, select, union_all, update

from syncd.records import Remark
from syncd.store import schema
from syncd.store.arriving_targets import Targets, make, targets
from syncd.store.editing import groups, roles
from syncd.store.editing.belonging import hold
from syncd.store.editing.opening import Look
from syncd.store.editing.owners import OWNER_ROLE
from syncd.store.sides import GROUPS, MANUAL, ROLES, SIDES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import CompoundSelect, Connection

    from syncd.records import Arrival
    from syncd.store.arriving_targets import Several, Target
    from syncd.store.editing.change import Change
    from syncd.store.sides import Side

R, GRP, GP, CT = schema.roles, schema.groups, schema.group_parents, schema.containers
RESERVED = frozenset({MANUAL, "default", "import roles"})


@dataclass(slots=True)
class Given:
    """What an arrival changes of roles and groups."""

    # By source what is given and what is taken, those in neither left out.
    given: dict[Side, Several] = field(default_factory=lambda: {side: {} for side in SIDES})
    taken: dict[Side, dict[str, set[int]]] = field(
        default_factory=lambda: {side: {} for side in SIDES}
    )
    targets: Targets = field(default_factory=Targets)
    # Former to present names of mappers of which this person has something.
    renamed: dict[str, str] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)

    @property
    def idle(self) -> bool:
        """Whether nothing is to be written."""
        return self.targets.idle and not any((*self.given.values(), *self.taken.values()))

    @property
    def takes(self) -> bool:
        """Whether something is taken."""
        return any(self.taken.values())


# What every arrival asks, made once.


@cache
def _holdings() -> CompoundSelect[Any]:
    return union_all(
        *(
            select(literal(side.kind), side.held.c.source, side.of(side.held)).where(
                side.held.c.user_id == bindparam("user_id")
            )
            for side in SIDES
        )
    )


def grants(
    connection: Connection,
    organization_id: str,
    arrival: Arrival,
    user_id: int | None,
    *,
    keep_owner: bool,
) -> Given:
    """Return what an arrival changes of what somebody holds; ``user_id`` is None for a newcomer.

    With ``keep_owner`` nothing is taken that makes him an owner, and a remark says so.
    """
    found = Given(targets=targets(connection, organization_id, arrival))
    found.remarks += found.targets.remarks
    held = _held(connection, user_id)
    sources = {source for several in held.values() for source in several}
    found.renamed = {
        former: now
        for former, now in arrival.renamed.items()
        if former in sources and former not in arrival.mappers and now in arrival.mappers
    }
    stays = {
        source: _stays(connection, organization_id, source, arrival)
        for source in sources - found.renamed.keys()
    }
    for side in SIDES:
        _compare(
            arrival,
            side,
            held=held[side],
            wanted=found.targets.wanted[side],
            stays=stays,
            found=found,
        )
    if keep_owner:
        _keep_owner(connection, organization_id, found)
    return found


def _held(connection: Connection, user_id: int | None) -> dict[Side, dict[str, set[int]]]:
    found: dict[Side, dict[str, set[int]]] = {side: defaultdict(set) for side in SIDES}
    if user_id is not None:
        by_kind = {side.kind: found[side] for side in SIDES}
        for kind, source, target in connection.execute(_holdings(), {"user_id": user_id}):
            by_kind[kind][source].add(target)
    return found


def _stays(connection: Connection, organization_id: str, source: str, arrival: Arrival) -> bool:
    """Return whether what a source gave stays as far as it does not say otherwise."""
    if source in arrival.speaking:
        return False
    if source in arrival.mappers or source in RESERVED:
        return True
    # What a directory's mapper gave is a sync's to take.
    query = select(CT.c.mapper).where(
        CT.c.organization_id == organization_id, CT.c.mapper == source
    )
    return connection.execute(query.limit(1)).first() is not None


def _compare(
    arrival: Arrival,
    side: Side,
    *,
    held: Mapping[str, set[int]],
    wanted: Several,
    stays: Mapping[str, bool],
    found: Given,
) -> None:
    former: dict[str, set[int]] = defaultdict(set)
    for name, now in found.renamed.items():
        former[now] |= held.get(name, set())
    for source in {*held, *wanted, *former}:
        has = held.get(source, set())
        if source in found.renamed:
            shall: set[Target] = set()
        elif source in arrival.speaking or not stays.get(source, True):
            shall = set(wanted.get(source, ()))
        else:
            shall = {*has, *former[source], *wanted.get(source, ())}
        if new := shall - has:
            found.given[side][source] = new
        if gone := has - shall:
            found.taken[side][source] = gone


def _keep_owner(connection: Connection, organization_id: str, found: Given) -> None:
    at = Look(connection, organization_id)
    conferring: dict[Side, Callable[[int], bool]] = {
        ROLES: lambda role_id: role_id == OWNER_ROLE,
        GROUPS: lambda group_id: OWNER_ROLE in groups.conferred(at, group_id),
    }
    for side, confers in conferring.items():
        for source, losing in list(found.taken[side].items()):
            kept = {target for target in losing if confers(target)}
            if not kept:
                continue
            found.remarks.append(
                Remark(
                    "last_owner",
                    source,
                    "",
                    "he is the last owner, so what makes him one is not taken; make somebody else "
                    f"an owner: `syncd owners add {organization_id}`",
                )
            )
            found.taken[side][source] = losing - kept
            if not found.taken[side][source]:
                del found.taken[side][source]


# --- writing ----------------------------------------------------------------------------------


def write(change: Change, found: Given, user_id: int, *, new_id: Callable[[], int]) -> None:
    """Make what is missing, and give and take what the mappers say."""
    if found.renamed:
        _hand_over(change, found.renamed)
    made = make(change, found.targets, new_id)
    for side in SIDES:
        for source in sorted({*found.given[side], *found.taken[side]}):
            hold(
                change,
                side,
                user_id,
                granted=[
                    each if isinstance(each, int) else made[each]
                    for each in found.given[side].get(source, ())
                ],
                revoked=found.taken[side].get(source, ()),
                source=source,
            )


def _hand_over(change: Change, renamed: Mapping[str, str]) -> None:
    """Let roles, groups and the places of groups that a mapper made be those of its new name.

    What people hold by the former name is handed over as each of them arrives.
    """
    connection, mine = change.connection, change.organization_id
    for former, now in sorted(renamed.items()):
        for object_, table, rows in (("role", R, roles), ("group", GRP, groups)):
            owned = and_(table.c.organization_id == mine, table.c.mapper == former)
            ids = list(connection.scalars(select(table.c.id).where(owned).order_by(table.c.id)))
            before = {each: rows.snapshot(change, each) for each in ids}
            connection.execute(update(table).where(owned).values(mapper=now))
            for each, was in before.items():
                after = rows.snapshot(change, each)
                name = str((after or was or {})["name"])
                change.of_object(object_, each, name, before=was, after=after)
        of_former = and_(GP.c.organization_id == mine, GP.c.source == former)
        for child in sorted(set(connection.scalars(select(GP.c.group_id).where(of_former)))):
            group = groups.snapshot(change, child)
            if group is not None:
                parents = {
                    (parent, now if source == former else source)
                    for parent, source in group["parents"]
                }
                groups.write(change, child, {**group, "parents": sorted(map(list, parents))})
