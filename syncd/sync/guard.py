"""The guard: holds a plan's amounts against the organization's limits. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from syncd.records import Limit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# What an operator reads for each kind.
PHRASES = {
    "create": "people would be created",
    "update": "people would be updated",
    "rename": "people would be renamed",
    "email_change": "people would get another e-mail address",
    "missing": "people would count as missing",
    "disable": "people would be disabled",
    "enable": "people would be enabled",
    "delete": "people would be deleted for good",
    "grant": "roles would be granted to people who are already here",
    "revoke": "roles would be taken away",
}
# Kinds whose share is of the roles held, not of the people.
OF_GRANTS = frozenset({"grant", "revoke"})
# Kinds that rest on somebody's absence; evidence that is in doubt holds them.
DESTRUCTIVE = ("missing", "delete", "revoke")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """An organization's limits; a percentage counts from ``minimum_population`` on."""

    minimum_population: int = 20
    kinds: Mapping[str, Limit] = field(default_factory=dict)


def exceeded(
    amounts: Mapping[str, int],
    *,
    people: int,
    grants: int,
    limits: Limits,
    doubts: Sequence[str] = (),
    shrinking: Sequence[tuple[str, int, int]] = (),
) -> list[str]:
    """Return a sentence for each reason why a person has to look at the plan first.

    Args:
        amounts: How many changes of each kind the plan brings.
        people: Living people of this source before the run.
        grants: Roles granted by the mappers of this run before it.
        limits: What the organization allows.
        doubts: Sentences on why an absence may not be one (an empty answer, a shifted ground).
        shrinking: (role, members that would go, members now).

    """
    reasons: list[str] = []
    if any(amounts.get(kind) for kind in DESTRUCTIVE):
        reasons += doubts
    for kind, phrase in PHRASES.items():
        amount = amounts.get(kind, 0)
        limit = limits.kinds.get(kind)
        if not amount or limit is None:
            continue
        population = grants if kind in OF_GRANTS else people
        if limit.count is not None and amount > limit.count:
            reasons.append(f"{amount} {phrase}; the limit is {limit.count} (limits.{kind}.count)")
        elif _share_exceeded(amount, population, limit, limits.minimum_population):
            share = 100 * amount / population
            reasons.append(
                f"{amount} of {population} {phrase} ({share:.0f} %); the limit is "
                f"{limit.percent:g} % (limits.{kind}.percent)"
            )
    limit = limits.kinds.get("members_per_group", Limit())
    for role, going, now in shrinking:
        if _share_exceeded(going, now, limit, limits.minimum_population) or (
            limit.count is not None and going > limit.count
        ):
            reasons.append(
                f"the role {role} would lose {going} of its {now} members "
                "(limits.members_per_group)"
            )
    return reasons


def _share_exceeded(amount: int, population: int, limit: Limit, minimum: int) -> bool:
    if limit.percent is None or population < max(minimum, 1):
        return False
    return 100 * amount > limit.percent * population
