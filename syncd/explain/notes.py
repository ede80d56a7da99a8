"""What the books may not know that would let somebody hold what he lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from syncd.store.people import People
    from syncd.store.sides import Side
    from syncd.store.target_reads import Container


class Reason(NamedTuple):
    """Why somebody lacks something: a code, a sentence, and what to do about it."""

    reason: str
    detail: str
    next: str | None = None
    run: str | None = None


def notes(
    people: People,
    side: Side,
    user: dict[str, Any],
    givers: Sequence[Container],
    of_kind: Sequence[str],
) -> list[Reason]:
    """Return what may be otherwise than the books have it.

    ``givers`` are the entries that give the role or group, ``of_kind`` the mappers that could.
    """
    mappers = {each.mapper for each in givers} or set(of_kind)
    return [
        *_about_person(people, user),
        *(
            Reason(
                "members_unknown",
                f"the members of {each.dn or each.mapper} were not all read; it may have more",
            )
            for each in givers
            if not each.whole
        ),
        *_about_listings(people, mappers),
        *_about_quarantine(people, side, givers, mappers),
    ]


def _about_person(people: People, user: dict[str, Any]) -> list[Reason]:
    found = []
    row = people.quarantined(user["username"], user["dn"], user["external_id"])
    if row is not None:
        found.append(
            Reason(
                "person_quarantined",
                f"the person's entry is in quarantine ({row.reason}: {row.detail}), so what it"
                " says by now is not taken",
                f"`syncd quarantine {people.organization_id}`",
            )
        )
    if not user["enabled"]:
        found.append(
            Reason(
                "restricted",
                "the account is disabled; that takes nothing away, and gives nothing",
                f"`syncd show {people.organization_id} {user['username']}`",
            )
        )
    return found


def _about_listings(people: People, mappers: Iterable[str]) -> list[Reason]:
    return [
        Reason(
            "listing_incomplete",
            f"the last listing of {source} was {verdict}"
            f"{f' ({because})' if because else ''}, so entries may be unknown here",
            f"`syncd runs show {run}`",
            run,
        )
        for source, verdict, because, run in people.incomplete_listings(sorted(mappers))
    ]


def _about_quarantine(
    people: People, side: Side, givers: Sequence[Container], mappers: Iterable[str]
) -> list[Reason]:
    known = {each.dn for each in givers}
    rows = [row for row in people.quarantine() if row["source"] in set(mappers)]
    found = [
        Reason(
            "container_quarantined",
            f"{row['dn']} is in quarantine ({row['reason']}: {row['detail']}), so its members"
            " are those of the last time that it could be read",
        )
        for row in rows
        if row["dn"] in known
    ]
    others = len(rows) - len(found)
    if others and not known:
        entries = "entry is" if others == 1 else "entries are"
        found.append(
            Reason(
                "entries_quarantined",
                f"{others} {side.kind} {entries} in quarantine and may be of this name",
                f"`syncd quarantine {people.organization_id}`",
            )
        )
    return found
