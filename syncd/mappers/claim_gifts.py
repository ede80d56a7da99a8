"""What mappers give by what claims say: roles, groups, and the right to come in at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from syncd.errors import SignInRefused
from syncd.mappers.claim_conditions import Verdict, compile_conditions
from syncd.mappers.claim_fields import overage
from syncd.mappers.claim_options import (
    ClaimToGroupOptions,
    ClaimToRoleOptions,
    EssentialClaimOptions,
)
from syncd.mappers.claim_reading import Reading
from syncd.mappers.options import HardcodedGroupOptions, HardcodedRoleOptions
from syncd.records import Granted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syncd.mappers.claim_conditions import Judge
    from syncd.mappers.claim_options import WhenAbsent
    from syncd.records import Claims

GiftOptions: TypeAlias = (
    ClaimToRoleOptions
    | ClaimToGroupOptions
    | EssentialClaimOptions
    | HardcodedRoleOptions
    | HardcodedGroupOptions
)
Outcome: TypeAlias = Literal[
    "matches", "no_match", "absent", "elsewhere", "slow", "always", "not_now"
]


class Finding(NamedTuple):
    """What the claims say to one mapper that gives something, or that lets people in."""

    mapper: str
    # The mapper's type, as in the configuration.
    type: str
    # The role's or group's name; None for a mapper that gives nothing.
    target: str | None
    # The claim as the configuration names it, several with commas; None where none is looked at.
    claim: str | None
    # always: without a condition; not_now: an import mapper, of somebody who is known; slow: its
    # pattern takes too long.
    outcome: Outcome
    # None: nothing is said, and what is stored stays.
    gives: bool | None


@dataclass(frozen=True, slots=True)
class Gift:
    """A mapper that gives a role or a group, or, without one, lets people in."""

    mapper: str
    type: str
    granted: Granted | None
    # Speaks of newcomers only.
    first_only: bool
    # None: it always does.
    judge: Judge | None = None
    keep_absent: bool = False
    claim: str | None = None

    def verdict(self, reading: Reading) -> Verdict:
        """Return what the claims say; raises SignInRefused (slow_pattern)."""
        return Verdict.MATCHES if self.judge is None else self.judge(reading)

    def gives(self, verdict: Verdict) -> bool | None:
        """Return whether it is given; None when nothing is said, and what was given stays."""
        if verdict == Verdict.MATCHES:
            return True
        if verdict == Verdict.ELSEWHERE or (verdict == Verdict.ABSENT and self.keep_absent):
            return None
        return False

    def finding(self, claims: Claims, *, newcomer: bool) -> Finding:
        """Return what the claims say to this mapper alone; refuses nobody."""
        outcome: Outcome
        gives: bool | None = None
        if self.first_only and not newcomer:
            outcome = "not_now"
        elif self.judge is None:
            outcome, gives = "always", True
        else:
            try:
                verdict = self.judge(Reading(claims))
            except SignInRefused:
                outcome = "slow"
            else:
                outcome, gives = verdict.value, self.gives(verdict)
        target = None if self.granted is None else self.granted.name
        return Finding(self.mapper, self.type, target, self.claim, outcome, gives)


def compile_gift(options: GiftOptions, *, first_only: bool) -> Gift:
    """Return what a mapper gives."""
    name = options.name
    if isinstance(options, HardcodedRoleOptions):
        granted = Granted(name, "role", options.role, create=True)
        return Gift(name, options.type, granted, first_only)
    if isinstance(options, HardcodedGroupOptions):
        granted = Granted(name, "group", options.group, create=True)
        return Gift(name, options.type, granted, first_only)
    given: Granted | None = None
    when_absent: WhenAbsent = "take_back"
    if isinstance(options, ClaimToRoleOptions):
        create = options.unknown_role == "create"
        given = Granted(name, "role", options.role, create=create)
        when_absent = options.when_absent
    elif isinstance(options, ClaimToGroupOptions):
        given = Granted(name, "group", options.group, create=True)
        when_absent = options.when_absent
    return Gift(
        name,
        options.type,
        given,
        first_only,
        judge=compile_conditions(options.conditions, name, when_absent),
        keep_absent=when_absent == "keep",
        claim=", ".join(dict.fromkeys(each.claim for each in options.conditions)),
    )


def refuse_at_gates(gates: Sequence[Gift], reading: Reading, *, newcomer: bool) -> None:
    """Raise SignInRefused (essential_claim, groups_overage) unless every gate lets in."""
    for gate in gates:
        if gate.first_only and not newcomer:
            continue
        verdict = gate.verdict(reading)
        if verdict == Verdict.ELSEWHERE:
            raise overage(gate.mapper, str(gate.claim))
        if verdict != Verdict.MATCHES:
            raise SignInRefused(
                "essential_claim",
                f"the claim {gate.claim} is not what the mapper {gate.mapper!r} demands of "
                "everybody; change it at the provider if this person is to come in",
            )


def gifts_of(
    gifts: Sequence[Gift], reading: Reading, *, newcomer: bool
) -> tuple[tuple[Granted, ...], frozenset[str]]:
    """Return what is given, and the mappers that say all of what they give.

    Raises SignInRefused (groups_overage) for a newcomer of whom one cannot be told.
    """
    granted, speaking = [], set()
    for gift in gifts:
        if gift.first_only and not newcomer:
            continue
        verdict = gift.verdict(reading)
        if verdict == Verdict.ELSEWHERE and newcomer:
            raise overage(gift.mapper, str(gift.claim))
        gives = gift.gives(verdict)
        if gives is not None:
            speaking.add(gift.mapper)
        if gives and gift.granted is not None:
            granted.append(gift.granted)
    return tuple(granted), frozenset(speaking)
