"""The guard: holds a plan's amounts against the organization's limits. Pure."""

from __future__ import annotations

import math
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
    "grant": "roles and groups would be given to people who are already here",
    "revoke": "roles and groups would be taken from people",
    "remove": "roles and groups would be deleted",
}
# Kinds whose share is of the roles held, not of the people.
OF_GRANTS = frozenset({"grant", "revoke"})
# Kinds that rest on somebody's absence; evidence that is in doubt holds them.
DESTRUCTIVE = ("missing", "delete", "revoke", "remove")
# Of the owners who would be lost, as many as a sentence can name.
NAMED = 3


@dataclass(frozen=True, slots=True)
class Excess:
    """One reason why a person has to look at a plan first, and the kinds of change it concerns."""

    kinds: tuple[str, ...]
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """An organization's limits; a percentage counts from ``minimum_population`` on."""

    minimum_population: int = 20
    # Let the other kinds through when one is over its limit.
    hold_kind: bool = False
    kinds: Mapping[str, Limit] = field(default_factory=dict)


def exceeded(
    amounts: Mapping[str, int],
    *,
    people: int,
    grants: int,
    limits: Limits,
    doubts: Sequence[str] = (),
    shrinking: Sequence[tuple[str, int, int]] = (),
) -> list[Excess]:
    """Return each reason why a person has to look at the plan first.

    Args:
        amounts: How many changes of each kind the plan brings.
        people: Living people of this source before the run.
        grants: Roles granted by the mappers of this run before it.
        limits: What the organization allows.
        doubts: Sentences on why an absence may not be one (an empty answer, a shifted ground).
        shrinking: (role or group, members that would go, members now).

    """
    reasons: list[Excess] = []
    if any(amounts.get(kind) for kind in DESTRUCTIVE):
        reasons += [Excess(DESTRUCTIVE, doubt) for doubt in doubts]
    for kind, phrase in PHRASES.items():
        amount = amounts.get(kind, 0)
        limit = limits.kinds.get(kind)
        if not amount or limit is None:
            continue
        population = grants if kind in OF_GRANTS else people
        if limit.count is not None and amount > limit.count:
            because = f"{amount} {phrase}; the limit is {limit.count} (limits.{kind}.count)"
            reasons.append(Excess((kind,), because))
        elif _share_exceeded(amount, population, limit, limits.minimum_population):
            share = 100 * amount / population
            because = (
                f"{amount} of {population} {phrase} ({share:.0f} %); the limit is "
                f"{limit.percent:g} % (limits.{kind}.percent)"
            )
            reasons.append(Excess((kind,), because))
    limit = limits.kinds.get("members_per_group", Limit())
    for role, going, now in shrinking:
        if _share_exceeded(going, now, limit, limits.minimum_population) or (
            limit.count is not None and going > limit.count
        ):
            because = f"{role} would lose {going} of its {now} members (limits.members_per_group)"
            reasons.append(Excess(("revoke",), because))
    return reasons


def enough(amounts: Mapping[str, int], limits: Limits) -> int:
    """Return how many people or grants have to be counted to judge these amounts.

    An amount is no share worth a look of a population beyond this, however large that is.
    """
    needed = [
        math.ceil(100 * amount / limit.percent) + 1
        if limit.percent
        # No share at all is allowed: that holds wherever shares count.
        else max(limits.minimum_population, 1)
        for kind, amount in amounts.items()
        if amount and (limit := limits.kinds.get(kind)) is not None and limit.percent is not None
    ]
    return max(needed, default=0)


def too_many_bad(bad: int, people: int, limits: Limits) -> str | None:
    """Return the sentence that ends a run in which too many entries cannot be taken."""
    limit = limits.kinds.get("quarantine")
    if not bad or limit is None:
        return None
    if limit.count is not None and bad > limit.count:
        found = f"{bad} entries"
        allowed = f"{limit.count} (limits.quarantine.count)"
    elif _share_exceeded(bad, people, limit, limits.minimum_population):
        found = f"{bad} of {people} entries"
        allowed = f"{limit.percent:g} % (limits.quarantine.percent)"
    else:
        return None
    return (
        f"{found} cannot be taken; the limit is {allowed}. Nothing was changed; the quarantine "
        "lists them with their reasons, and a wrong mapper or UUID attribute is the usual cause"
    )


def last_owner(organization_id: str, owners: Sequence[tuple[int, str]]) -> str:
    """Return the sentence on a plan that would take the last of an organization's owners."""
    names = ", ".join(username for _, username in owners[:NAMED])
    if len(owners) > NAMED:
        names += f" and {len(owners) - NAMED} more"
    return (
        f"last_owner: {organization_id} would be left without an owner, because {names} would be "
        "shut out or lose the role; make somebody else an owner first (`syncd owners add "
        f"{organization_id}`), then sync again"
    )


def _share_exceeded(amount: int, population: int, limit: Limit, minimum: int) -> bool:
    if limit.percent is None or population < max(minimum, 1):
        return False
    return 100 * amount > limit.percent * population
