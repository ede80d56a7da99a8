"""Making many people at once, with a report row by row.

A few hundred people are one transaction: what is written stays, whatever becomes of the rest, and
the same file given again finds those who are there.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from syncd.people.accounts import require_admin_provider
from syncd.people.table import rows_of
from syncd.records import batched, fold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syncd.people.invitations import Invitations
    from syncd.people.ports import AccountStore, Shape, W
    from syncd.people.table import Row
    from syncd.records import NewPerson

BATCH = 500
CREATED, EXISTS, INVALID = "created", "exists", "invalid"


def create_many(
    store: AccountStore[W],
    invitations: Invitations[W],
    text: str | bytes,
    *,
    dry: bool,
    invite: bool,
    why: str | None,
) -> Shape:
    """Make the people of a CSV file or of a list of e-mail addresses, and invite them.

    Args:
        store: The organization's people.
        invitations: By which they are invited.
        text: The file.
        dry: Only tell what would be made.
        invite: Whether each gets a mail.
        why: For the journal.

    Returns:
        ``rows`` with ``row``, ``email``, ``username``, ``status`` (created, exists, invalid),
        ``reason``, ``id`` and ``mail``; ``counts`` of the statuses and of mails.

    Raises:
        Refused: ``source_rules`` where another provider makes the people, ``invalid`` for a file
            that cannot be read at all.

    """
    require_admin_provider(store)
    rows = rows_of(text)
    told = [_told(row) for row in rows]
    wanted = _distinct(rows, told)
    for part in batched(wanted, BATCH):
        _create(store, invitations, part, dry=dry, invite=invite, why=why)
    counts = Counter(each["status"] for each in told)
    mails = [each["mail"] for each in told if each["mail"]]
    return {
        "organization": store.organization_id,
        "dry": dry,
        "rows": told,
        "counts": {status: counts[status] for status in (CREATED, EXISTS, INVALID)},
        "mails": {
            "sent": sum(mail["sent"] for mail in mails),
            "not_sent": sum(not mail["sent"] for mail in mails),
        },
    }


def _told(row: Row) -> dict[str, Any]:
    return {
        "row": row.number,
        "email": row.email,
        "username": row.person.username if row.person else None,
        "status": CREATED if row.person else INVALID,
        "reason": row.reason,
        "id": None,
        "mail": None,
    }


def _distinct(
    rows: Sequence[Row], told: Sequence[dict[str, Any]]
) -> list[tuple[NewPerson, dict[str, Any]]]:
    """Return the people whom no earlier row has already, each with his row of the report."""
    names: dict[str, int] = {}
    emails: dict[str, int] = {}
    found = []
    for row, answer in zip(rows, told, strict=True):
        person = row.person
        if person is None:
            continue
        name, email = fold(person.username), fold(person.email)
        earlier = names.get(name, emails.get(email))
        if earlier is not None:
            answer |= {"status": EXISTS, "reason": f"as row {earlier}"}
            continue
        names[name] = emails[email] = row.number
        found.append((person, answer))
    return found


def _create(
    store: AccountStore[W],
    invitations: Invitations[W],
    part: Sequence[tuple[NewPerson, dict[str, Any]]],
    *,
    dry: bool,
    invite: bool,
    why: str | None,
) -> None:
    # A dry run takes none: it opens a change that changes nothing.
    first_id = 0 if dry else store.new_ids(len(part))
    letters: Sequence[Any] = ()
    with store.change(why) as change:
        names = store.names_taken(change, [person.username for person, _ in part])
        emails = store.addresses_taken(change, [person.email for person, _ in part])
        new = []
        for person, answer in part:
            holder = names.get(fold(person.username), emails.get(fold(person.email)))
            if holder is None:
                new.append((person, answer))
                continue
            what = "username" if fold(person.username) in names else "e-mail address"
            reason = f"somebody has this {what} already"
            answer |= {"status": EXISTS, "reason": reason, "id": holder}
        if not dry:
            ids = store.create(change, [person for person, _ in new], first_id=first_id)
            for user_id, (_, answer) in zip(ids, new, strict=True):
                answer["id"] = user_id
            if invite:
                people = [person for person, _ in new]
                letters = invitations.write(change, list(zip(ids, people, strict=True)))
    for (_, answer), mail in zip(new, invitations.post(letters), strict=False):
        answer["mail"] = mail
