"""Owns what contradicts itself in an organization's list of mappers.

Mappers of directories and of claims stand in one list. Their names are unique in it; what they fill
is looked at for each kind of provider by itself, because one is active at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

from syncd.settings.claims import ClaimConditions
from syncd.settings.conflict import Conflict, conflict, warning
from syncd.settings.mappers import (
    CLAIM_TYPES,
    DIRECTORY_TYPES,
    MODIFIED,
    NOT_MAPPERS,
    PREDEFINED_CLAIM_NAMES,
    PREDEFINED_NAMES,
    RESERVED_NAMES,
    AccountStateMapper,
    ActiveMapper,
    ClaimToAttributeMapper,
    EssentialClaimMapper,
    GroupMapper,
    HardcodedAttributeMapper,
    HardcodedRoleMapper,
    RoleMapper,
    SwitchedOff,
    UserAttributeMapper,
    UsernameTemplateMapper,
)
from syncd.settings.targets import target_conflicts

_Filling = UserAttributeMapper | HardcodedAttributeMapper | ClaimToAttributeMapper
AnyMapper: TypeAlias = ActiveMapper | SwitchedOff
_Source: TypeAlias = Literal["ldap", "idp"]
# What providers of one kind do not use.
_FOREIGN = {"ldap": CLAIM_TYPES, "idp": DIRECTORY_TYPES}
_PREDEFINED_TARGETS = {
    "username": "username",
    "first name": "firstname",
    "last name": "lastname",
    "email": "email",
}


def replaced(mappers: Sequence[AnyMapper], source: _Source) -> frozenset[str]:
    """Return the predefined mappers of directories (ldap) or claims (idp) that an entry replaces.

    An entry switches one off by its name, or takes its place if it is of a type for that kind.
    """
    names = PREDEFINED_NAMES if source == "ldap" else PREDEFINED_CLAIM_NAMES
    return frozenset(m.name for m in _used(mappers, source).values()) & frozenset(names)


def mapper_conflicts(
    mappers: Sequence[AnyMapper],
    vendor: str | None = None,
    *,
    sources: Sequence[_Source] = ("ldap",),
    sync_mode: str = "force",
) -> Iterator[Conflict]:
    """Yield what contradicts itself in a mapper or between mappers, keys starting at the list.

    ``vendor`` is the directory's, if there is one; ``sources`` are the kinds of providers that the
    organization has, ``sync_mode`` the identity provider's.
    """
    names: dict[str, int] = {}
    for index, mapper in enumerate(mappers):
        here = f"mappers.{index}"
        name = mapper.name.casefold()
        if name in RESERVED_NAMES:
            listed = ", ".join(RESERVED_NAMES)
            yield conflict(f"{here}.name", because=f"is reserved ({listed}); choose another name")
        if name in names:
            yield conflict(
                f"{here}.name",
                f"mappers.{names[name]}.name",
                because=f'is "{mapper.name}", as in mappers[{names[name]}]; names must be unique',
            )
        names.setdefault(name, index)
        if isinstance(mapper, RoleMapper | GroupMapper | AccountStateMapper):
            yield from (found.below(here) for found in mapper.conflicts(vendor))
        elif isinstance(mapper, HardcodedRoleMapper | ClaimConditions):
            yield from (found.below(here) for found in mapper.conflicts())
        elif isinstance(mapper, _Filling):
            yield from (found.below(here) for found in target_conflicts(mapper))
        if mapper.type in CLAIM_TYPES and mapper.enabled and "idp" not in sources:
            yield conflict(
                f"{here}.type",
                "idp",
                because=f"is {mapper.type}, which maps what an identity provider says, and there "
                "is no idp section; add it, or switch the mapper off",
            )
    yield from _open_gates(mappers, sync_mode)
    said: set[str] = set()
    for source in sources:
        for found in _targets(mappers, source):
            if found.keys[0] not in said:
                said.add(found.keys[0])
                yield found
    yield from _renames(mappers)
    yield from _second_account_state(mappers)
    yield from _timeless_account_state(mappers, vendor)


def _used(mappers: Sequence[AnyMapper], source: _Source) -> dict[int, AnyMapper]:
    return {
        index: mapper for index, mapper in enumerate(mappers) if mapper.type not in _FOREIGN[source]
    }


def _targets(mappers: Sequence[AnyMapper], source: _Source) -> Iterator[Conflict]:
    """Yield fields that two mappers fill, and a username that none does."""
    used = _used(mappers, source)
    named = {mapper.name for mapper in used.values()}
    targets = {
        target: f'the predefined mapper "{name}"'
        for name, target in _PREDEFINED_TARGETS.items()
        if name not in named
    }
    for index, mapper in used.items():
        target, key = _target(mapper)
        if target is None:
            continue
        if target in targets:
            other = targets[target]
            yield conflict(
                f"mappers.{index}.{key}",
                *([other] if "." in other else []),
                because=f"is set by {_shown(other)} too; keep one, or switch a "
                "predefined mapper off with {name: …, enabled: false}",
            )
        targets.setdefault(target, f"mappers.{index}.{key}")
    if "username" in targets:
        return
    index, mapper = next((i, m) for i, m in used.items() if m.name == "username")
    if isinstance(mapper, SwitchedOff) or not mapper.enabled:
        yield conflict(
            f"mappers.{index}.enabled",
            because="switches the username off and no other mapper sets it; people need one",
        )
    elif source == "idp":
        yield conflict(
            f"mappers.{index}.name",
            because="takes the place of the predefined mapper that sets the username, and no "
            "mapper sets it; choose another name",
        )


def _target(mapper: AnyMapper) -> tuple[str | None, str]:
    """Return what a mapper fills, and the key that says so."""
    if isinstance(mapper, UsernameTemplateMapper) and mapper.enabled:
        return "username", "template"
    if isinstance(mapper, _Filling) and mapper.enabled:
        target = mapper.user_attribute.lower()
        compact = target.replace("_", "")
        known = compact in _PREDEFINED_TARGETS.values()
        return compact if known else target, "user_attribute"
    return None, ""


def _shown(where: str) -> str:
    head, _, rest = where.partition("mappers.")
    return head or f"mappers[{rest.partition('.')[0]}]"


def _open_gates(mappers: Sequence[AnyMapper], sync_mode: str) -> Iterator[Conflict]:
    for index, mapper in enumerate(mappers):
        if not isinstance(mapper, EssentialClaimMapper):
            continue
        mode = sync_mode if mapper.sync_mode == "inherit" else mapper.sync_mode
        if mode == "import":
            yield warning(
                f"mappers.{index}.sync_mode",
                because="is import: whoever came in once comes in without the claim as well; "
                "use force",
            )


def _renames(mappers: Sequence[AnyMapper]) -> Iterator[Conflict]:
    former = [None if isinstance(m, SwitchedOff) else m.renamed_from for m in mappers]
    taken = {m.name for m in mappers}
    times = Counter(name for name in former if name)
    for index, name in enumerate(former):
        key = f"mappers.{index}.renamed_from"
        if name is not None and name.casefold() in NOT_MAPPERS:
            yield conflict(
                key, because=f'names "{name}", which no mapper was: its grants would be taken over'
            )
        elif name is not None and name in taken:
            yield conflict(
                key, because=f'names "{name}", which is still a mapper here; a name has one owner'
            )
        elif name is not None and times[name] > 1:
            yield conflict(
                key, because=f'names "{name}" as another mapper does; a name has one heir'
            )


def _second_account_state(mappers: Sequence[AnyMapper]) -> Iterator[Conflict]:
    found = [
        index
        for index, mapper in enumerate(mappers)
        if isinstance(mapper, AccountStateMapper) and mapper.enabled
    ]
    for index in found[1:]:
        yield conflict(
            f"mappers.{index}.type",
            f"mappers.{found[0]}.type",
            because="is account-state, of which an organization has one; name all attributes there",
        )


def _timeless_account_state(mappers: Sequence[AnyMapper], vendor: str | None) -> Iterator[Conflict]:
    off = {m.name: i for i, m in enumerate(mappers) if isinstance(m, SwitchedOff) or not m.enabled}
    if MODIFIED not in off:
        return
    for index, mapper in enumerate(mappers):
        if isinstance(mapper, AccountStateMapper) and mapper.enabled and mapper.needs_time(vendor):
            yield conflict(
                f"mappers.{off[MODIFIED]}.enabled",
                f"mappers.{index}.trust_absence",
                because=f"switches {MODIFIED} off, which tells that a missing attribute was taken "
                "away: who was unlocked would stay disabled; keep it, or set trust_absence: true",
            )
