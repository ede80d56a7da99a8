"""What the reverse of a change is made of: what is to be done to one person, and what is left."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from syncd.records import fold
from syncd.store.account_journal import OPEN, shut
from syncd.store.accounts import BEGINNING, DISABLED, LOCKED
from syncd.store.change_sets import change_set_name
from syncd.store.kinds import WRITES_ACCOUNT, Kind
from syncd.store.standing import Pair, Reason, Standing, account_change

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_TOLD = 1_000
# Somebody's later rows, newest first: change set, kind, before, after.
Later = list[tuple[int, str, dict[str, Any], dict[str, Any]]]


@dataclass
class Left:
    """What an undo leaves as it is, and why; the first of it by name, the rest counted."""

    told: list[dict[str, str]] = field(default_factory=list)
    count: int = 0

    def tell(self, what: str, why: str) -> None:
        """Add something."""
        self.count += 1
        if len(self.told) < MOST_TOLD:
            self.told.append({"what": what, "why": why})


@dataclass
class Reverse:
    """What is to be done to one person."""

    now: Standing
    fields: dict[str, Any] = field(default_factory=dict)
    kinds: Kind = field(default_factory=lambda: Kind(0))
    # The attributes as they were stored, where all of them are set back.
    attributes: str | None = None
    account: dict[str, Any] = field(default_factory=dict)
    # Restrictions of other sources that are set, or lifted.
    others: dict[Reason, bool] = field(default_factory=dict)
    # By the journal's kinds: what is given, or taken.
    held: dict[str, dict[Pair, bool]] = field(default_factory=lambda: defaultdict(dict))

    @property
    def empty(self) -> bool:
        """Whether nothing is to be done."""
        return not (
            self.fields or self.kinds or self.account or self.others or any(self.held.values())
        )


def holds_by(now: Standing, name: str) -> bool:
    """Return whether a restriction that no directory made keeps somebody out."""
    source, _, reason = name.partition(":")
    return (source, reason) in now.others


def accounts_told(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what one side of a journal's row says of the account."""
    if "account" in told:
        return {name: told["account"].get(name, value) for name, value in OPEN.items()}
    found: dict[str, Any] = {}
    for name in (DISABLED, LOCKED):
        if name in told:
            found |= account_change(name, held=bool(told[name]))
    return found


def planned_columns(account: Mapping[str, Any]) -> dict[str, Any]:
    """Return an account as the columns of a plan want it."""
    times = {
        name: None if account[name] is None else datetime.fromisoformat(account[name])
        for name in ("locked_until", "expires_at", "starts_at")
    }
    return {
        "disabled": DISABLED if account["disabled"] else "",
        "locked_until": times["locked_until"] or BEGINNING,
        "expires_at": times["expires_at"],
        "starts_at": times["starts_at"] or BEGINNING,
    }


def changed_since(name: str, later: Later) -> str:
    """Return that a field was changed since, and by what where that is known."""
    for change_set_id, kind, _, after in later:
        if kind == "update" and name in after:
            return f"changed since by {change_set_name(change_set_id)}"
    return "changed since"


def folded(text: str | None) -> str | None:
    """Return an address as it is compared."""
    return None if text is None else fold(text)


def attributes_text(reverse: Reverse) -> str:
    """Return the attributes as they are to be stored."""
    if "attributes" not in reverse.fields:
        return reverse.now.stored_attributes
    if reverse.attributes is not None:
        return reverse.attributes
    wanted = reverse.fields["attributes"]
    return json.dumps(wanted, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def kinds_of(
    reverse: Reverse, fields: Mapping[str, Any], account: Mapping[str, Any], at: datetime
) -> Kind:
    """Return what a reverse does to somebody who has these fields and this account then."""
    now, kinds = reverse.now, Kind(0)
    if reverse.kinds & Kind.DELETE:
        return kinds
    before = now.fields
    if fold(fields["username"]) != fold(before["username"]):
        kinds |= Kind.RENAME
    if folded(fields["email"]) != folded(before["email"]):
        kinds |= Kind.EMAIL
    plain = ("first_name", "last_name", "attributes", "email_verified")
    if any(fields[each] != before[each] for each in plain) or (reverse.fields and not kinds):
        kinds |= Kind.UPDATE
    missing = (now.missing or bool(reverse.kinds & Kind.MISSING)) and not (
        reverse.kinds & Kind.RETURN
    )
    if reverse.others:
        kinds |= Kind.RESTRICT
    if reverse.account or reverse.others:
        others = {*now.others} | {each for each, held in reverse.others.items() if held}
        others -= {each for each, held in reverse.others.items() if not held}
        was = now.missing or bool(now.others) or shut(now.account, at)
        then = missing or bool(others) or shut(account, at)
        if was != then:
            kinds |= Kind.DISABLE if then else Kind.ENABLE
        locked, locks = now.account["locked_until"], account["locked_until"]
        if (locked is None) != (locks is None):
            kinds |= Kind.UNLOCK if locks is None else Kind.LOCK
        if reverse.account:
            kinds |= Kind.RESTRICT
            if not kinds & WRITES_ACCOUNT:
                kinds |= Kind.ACCOUNT
    return kinds or (Kind(0) if reverse.kinds else Kind.GRANTS)
