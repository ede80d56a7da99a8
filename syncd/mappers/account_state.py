"""``account-state``: whether an account may be used, from a directory's own attributes.

Each attribute has a rule that reads its values into a statement: not usable, usable, or from or
until when. Statements of several attributes combine as OR: one that forbids is enough. What cannot
be read puts the entry into quarantine (``bad_account_state``), so that nothing changes for that
person.

An attribute that is missing says one of two things. ``userAccountControl`` is on every account of
its directory: without it nothing is said, and what is known stays. A server that unlocks an account
by deleting an attribute (``nsAccountLock``, ``pwdAccountLockedTime``, and whatever has no value for
"never") says by its absence that the restriction is over; but so does everybody's entry once the
bind account may not read the attribute any more. The two are told apart by the entry's own time of
change: unlocking changes an entry, losing a right does not. The record only says that the attribute
is absent, and the store lifts the restriction when the entry's modification time has moved since it
was stored (or was so fresh then that a later change may bear the same second). ``trust_absence``
takes absence at its word, for attributes that are computed (by roles or classes of service) or
deleted by the server without a new time.

A reason that no attribute of the configuration speaks of does not hold: taking an attribute, or the
mapper, out of the configuration lifts what came from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncd.errors import MappingError
from syncd.mappers.account_options import COMPUTED_CONTROL, LOCKOUT_TIME, REASONS
from syncd.mappers.account_rules import FIELDS, FREE, NOTHING_SAID, compile_rules, strictest
from syncd.mappers.origins import FieldOrigin, readable
from syncd.mappers.reasons import Reason
from syncd.records import NEVER, AccountState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from syncd.mappers.account_options import AccountStateOptions
    from syncd.mappers.account_rules import Rule, Statement
    from syncd.mappers.codec import Codec
    from syncd.records import Entry


STATES_KEPT = 4096


class AccountMapping:
    """Reads an entry's account state."""

    __slots__ = (
        "_kept",
        "_keys",
        "_lockout",
        "_mapper",
        "_rules",
        "_trust_absence",
        "_uncovered",
        "attributes",
    )

    def __init__(self, options: AccountStateOptions, codec: Codec) -> None:
        rules = compile_rules(options.lockout_duration, codec)
        names = {name: options.attribute_names.get(name, name) for name in options.attributes}
        self._mapper = options.name
        self._trust_absence = options.trust_absence
        # The LDAP attributes that the listing has to ask for by name: many are operational.
        self.attributes = tuple(names.values())
        self._rules = [(names[name], rules[name]) for name in names if name in rules]
        self._keys = [name.lower() for name in self.attributes]
        # Nearly everybody has the same values as somebody else.
        self._kept: dict[tuple[tuple[bytes, ...] | None, ...], AccountState] = {}
        lockout = (COMPUTED_CONTROL, LOCKOUT_TIME)
        # Two words of one lockout, where both count.
        self._lockout = (
            [names[name] for name in lockout] if {*lockout} <= names.keys() & rules.keys() else []
        )
        covered = {reason for _, rule in self._rules for reason in rule.reasons}
        self._uncovered = {
            FIELDS[reason]: FREE[reason] for reason in REASONS if reason not in covered
        }

    def __call__(self, entry: Entry) -> AccountState:
        """Return what an entry says; raise MappingError for what cannot be read."""
        found = entry.attributes.get
        values = tuple([tuple(each) if (each := found(key)) else None for key in self._keys])
        state = self._kept.get(values)
        if state is None:
            state = self._read(entry)
            if len(self._kept) >= STATES_KEPT:
                self._kept.clear()
            self._kept[values] = state
        return state

    def _read(self, entry: Entry) -> AccountState:
        said: dict[str, list[bool | str]] = {}
        silent: set[str] = set()
        absent: set[str] = set()
        for attribute, values, rule in self._of(entry):
            if values:
                for value in values:
                    for reason, statement in _read(rule, attribute, value):
                        said.setdefault(reason, []).append(statement)
            elif rule.absent_lifts and self._trust_absence:
                for reason in rule.reasons:
                    said.setdefault(reason, []).append(FREE[reason])
            elif rule.absent_lifts:
                absent.update(rule.reasons)
            else:
                silent.update(rule.reasons)
        fields: dict[str, bool | str] = dict(self._uncovered)
        for reason, statements in said.items():
            stated = strictest(reason, statements)
            # The word of one attribute that nothing holds is not the word of the other.
            if stated != FREE[reason] or reason not in silent | absent:
                fields[FIELDS[reason]] = stated
                absent.discard(reason)
        lifted = sorted(absent - silent)
        return AccountState(**fields, absent=tuple(lifted))  # type: ignore[arg-type]

    def origins(self, entry: Entry) -> list[FieldOrigin]:
        """Return what each attribute says of each of its reasons."""
        absent = self(entry).absent
        found = []
        for attribute, values, rule in self._of(entry):
            said = [each for value in values for each in rule.read(value)]
            for reason in rule.reasons:
                of_reason = [statement for name, statement in said if name == reason]
                if of_reason:
                    shown = _shown(reason, strictest(reason, of_reason))
                else:
                    lifts = reason in absent or (rule.absent_lifts and self._trust_absence)
                    shown = "no, by its absence" if lifts else NOTHING_SAID
                raw = sorted(map(readable, values))
                name = f"account.{reason}"
                found.append(FieldOrigin(name, shown, self._mapper, attribute, raw))
        return found

    def _of(self, entry: Entry) -> Iterator[tuple[str, list[bytes], Rule]]:
        """Yield the attributes that count for an entry, with their values."""
        passed_over = self._passed_over(entry) if self._lockout else None
        for attribute, rule in self._rules:
            if attribute != passed_over:
                yield attribute, entry.attributes.get(attribute.lower(), []), rule

    def _passed_over(self, entry: Entry) -> str:
        """Return which of the two words of one lockout does not count for an entry.

        The computed one knows whether there is a lockout, the time when it ends.
        """
        computed, time = self._lockout
        flags, times = (entry.attributes.get(name.lower(), []) for name in self._lockout)
        if not flags:
            return computed
        rules = dict(self._rules)
        is_locked = any(_read(rules[computed], computed, each)[0][1] == NEVER for each in flags)
        has_time = any(_read(rules[time], time, each)[0][1] != FREE["locked"] for each in times)
        return computed if is_locked and has_time else time


def _shown(reason: str, value: bool | str) -> str:  # noqa: FBT001
    if value == FREE[reason]:
        return "no"
    if value is True:
        return "yes"
    if value == NEVER:
        return "until the directory says otherwise"
    return f"from {value}" if reason == "expired" else f"until {value}"


def _read(rule: Rule, attribute: str, value: bytes) -> Sequence[Statement]:
    try:
        return rule.read(value)
    except (ValueError, MappingError) as error:
        detail = error.detail if isinstance(error, MappingError) else str(error)
        reason = Reason.BAD_ACCOUNT_STATE
        raise MappingError(reason, f"{attribute}: {detail}", attribute) from error
