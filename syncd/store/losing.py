"""The journal of what people lose because a role or group ends that they still had."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, insert, select, update

from syncd.records import batched
from syncd.store import schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from syncd.store.sides import Side

J = schema.journal
IN_LIST = 500


def journal_lost(
    connection: Connection,
    organization_id: str,
    *,
    change_set_id: int,
    commit_id: int,
    side: Side,
    lost: Mapping[int, Sequence[tuple[int, str]]],
) -> None:
    """Journal the (role or group, source) that each of these people lost.

    Whoever has a row of the change set already keeps it, with this added.
    """
    mine = and_(
        J.c.organization_id == organization_id,
        J.c.change_set_id == change_set_id,
        J.c.kind == side.journal_kind,
    )
    for part in batched(sorted(lost), IN_LIST):
        theirs = select(J.c.user_id, J.c.after).where(mine, J.c.user_id.in_(part))
        there: dict[int, dict[str, Any]] = {
            user_id: json.loads(after) for user_id, after in connection.execute(theirs)
        }
        rows = []
        for user_id in part:
            told = there.get(user_id, {"granted": [], "revoked": []})
            told["revoked"] += [list(pair) for pair in lost[user_id]]
            after = json.dumps(told, ensure_ascii=False)
            if user_id in there:
                row = update(J).where(mine, J.c.user_id == user_id)
                connection.execute(row.values(after=after, commit_id=commit_id))
                continue
            rows.append(
                {
                    "organization_id": organization_id,
                    "user_id": user_id,
                    "change_set_id": change_set_id,
                    "kind": side.journal_kind,
                    "after": after,
                    "commit_id": commit_id,
                }
            )
        if rows:
            connection.execute(insert(J), rows)
