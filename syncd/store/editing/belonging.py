"""Giving people roles and groups by hand, and taking them away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from syncd.store import schema
from syncd.store.sides import GROUPS, MANUAL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from syncd.store.editing.change import Change
    from syncd.store.editing.opening import Scope
    from syncd.store.sides import Side

RUNS, U, GM = schema.runs, schema.users, schema.group_members
# Of runs whose plan may still be applied.
UNDER_WAY = ("running", "applying", "planned", "blocked")


def hold(
    change: Change,
    side: Side,
    user_id: int,
    *,
    granted: Iterable[int] = (),
    revoked: Iterable[int] = (),
    source: str = MANUAL,
) -> None:
    """Give somebody roles or groups of one source, and take others of it away.

    What is so already stays as it is and is not journaled. The rules are the caller's.
    """
    held = side.held
    of_source = (held.c.user_id == user_id, held.c.source == source)
    before = set(change.connection.scalars(select(side.of(held)).where(*of_source)))
    gone = sorted(before & set(revoked))
    new = sorted(set(granted) - before)
    if gone:
        change.connection.execute(delete(held).where(*of_source, side.of(held).in_(gone)))
    if new:
        of_person = select(U.c.username_key).where(U.c.id == user_id)
        key = change.connection.execute(of_person).scalar_one_or_none()
        change.connection.execute(
            insert(held),
            [
                {
                    "user_id": user_id,
                    side.column: each,
                    "source": source,
                    "organization_id": change.organization_id,
                    "run_id": None,
                    "username_key": key,
                }
                for each in new
            ],
        )
    if gone or new:
        change.of_person(
            user_id,
            side.journal_kind,
            after={
                "granted": [[each, source] for each in new],
                "revoked": [[each, source] for each in gone],
            },
        )


def hold_no_more(change: Change, side: Side, target_id: int) -> None:
    """Take a role or group that ends from everybody who has it, from whomever."""
    held = side.held
    rows = change.connection.execute(
        select(held.c.user_id, held.c.source)
        .where(side.of(held) == target_id)
        .order_by(held.c.user_id, held.c.source)
    ).all()
    change.connection.execute(delete(held).where(side.of(held) == target_id))
    for user_id, source in rows:
        change.of_person(
            user_id, side.journal_kind, after={"granted": [], "revoked": [[target_id, source]]}
        )


def plan_no_more(change: Change, side: Side, target_id: int) -> None:
    """Let no plan that is under way or waits give anybody a role or group that ends."""
    planned = side.planned
    runs = select(RUNS.c.id).where(
        RUNS.c.organization_id == change.organization_id, RUNS.c.status.in_(UNDER_WAY)
    )
    change.connection.execute(
        delete(planned).where(planned.c.run_id.in_(runs), side.of(planned) == target_id)
    )


def person(at: Scope, user_id: int) -> str | None:
    """Return the username of somebody of the organization who is there."""
    query = select(U.c.username).where(
        U.c.id == user_id, U.c.organization_id == at.organization_id, U.c.living
    )
    found: str | None = at.connection.execute(query).scalar_one_or_none()
    return found


def join(change: Change, group_id: int, user_id: int) -> None:
    """Put somebody into a group by hand."""
    hold(change, GROUPS, user_id, granted=[group_id])


def leave(change: Change, group_id: int, user_id: int) -> None:
    """Take somebody out of a group into which he was put by hand."""
    hold(change, GROUPS, user_id, revoked=[group_id])


def sources_of(at: Scope, group_id: int, user_id: int) -> list[str]:
    """Return who says that somebody is in a group."""
    query = select(GM.c.source).where(GM.c.group_id == group_id, GM.c.user_id == user_id)
    return sorted(at.connection.scalars(query))
