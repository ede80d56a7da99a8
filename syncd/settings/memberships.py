"""Owns what the imports of roles and of groups share: who says who is in them, and how far."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from syncd.settings.conflict import Conflict, conflict, warning
from syncd.settings.values import Section, spelled
from syncd.settings.vendors import IN_CHAIN_VENDORS

LOAD = "load_by_member_attribute"
LOAD_RECURSIVELY = "load_by_member_attribute_recursively"
GET = "get_from_user_member_of"

StrategyName = Literal[
    "load_by_member_attribute",
    "get_from_user_member_of",
    "load_by_member_attribute_recursively",
]
STRATEGY_DESCRIPTION = (
    "Which side says who is in it: the entry's member attribute, or the person's memberOf "
    "attribute. `load_by_member_attribute_recursively` is the first one with nested_membership "
    "`in_chain` on Active Directory and `expand` elsewhere. Keycloak's spellings are accepted."
)
MembershipName = Literal["dn", "uid", "member_of"]
read_membership_type = spelled(dn="dn", uid="uid", memberof="member_of", member_of="member_of")
TYPE_DESCRIPTION = (
    "What the values are: `dn` or `uid` with load_by_member_attribute, `member_of` with "
    "get_from_user_member_of (and then the default)."
)
USER_ATTRIBUTE_DESCRIPTION = (
    "With `uid`: the person's attribute that the values name; default: the username attribute."
)
NestedName = Literal["none", "expand", "in_chain"]
read_nested = spelled(none="none", expand="expand", in_chain="in_chain")
PRIMARY_DESCRIPTION = (
    "Count a person's primary group, which no list of members holds: on Active Directory by "
    "objectSid and primaryGroupID, elsewhere by gidNumber. Default: `true` for Active Directory "
    "with load_by_member_attribute and `dn`, else `false`."
)


def strategies_of(kind: str) -> dict[str, str]:
    """Return the spellings of the strategies; ``kind`` is ``roles`` or ``groups``."""
    return {
        LOAD: LOAD,
        f"load_{kind}_by_member_attribute": LOAD,
        LOAD_RECURSIVELY: LOAD_RECURSIVELY,
        f"load_{kind}_by_member_attribute_recursively": LOAD_RECURSIVELY,
        GET: GET,
        f"get_{kind}_from_user_memberof_attribute": GET,
    }


def type_follows_strategy(tree: Any, key: str, strategies: Mapping[str, str]) -> Any:  # noqa: ANN401
    """Return the keys with the membership type that the strategy implies, if none is given."""
    if isinstance(tree, dict) and "membership_attribute_type" not in tree:
        strategy = tree.get(key)
        if isinstance(strategy, str) and strategies.get(strategy.lower()) == GET:
            return {**tree, "membership_attribute_type": "member_of"}
    return tree


def membership_conflicts(
    strategy_key: str,
    strategy: str,
    kind: str,
    *,
    user_attribute: str | None,
    nested: str | None,
    primary_group: bool | None,
    vendor: str | None,
) -> Iterator[Conflict]:
    """Yield what contradicts itself in the keys that say who is in a role or group.

    ``nested`` and ``primary_group`` are None where nothing is written, ``vendor`` where there is no
    directory.
    """
    type_key, nested_key = "membership_attribute_type", "nested_membership"
    loads = strategy in {LOAD, LOAD_RECURSIVELY}
    if strategy == GET and kind != "member_of":
        yield conflict(type_key, strategy_key, because=f"is {kind}, but {GET} needs member_of")
    if loads and kind == "member_of":
        yield conflict(
            type_key, strategy_key, because=f"is member_of, but {strategy} needs dn or uid"
        )
    if user_attribute is not None and kind != "uid":
        yield warning(
            "membership_user_ldap_attribute",
            type_key,
            because="has no effect: it belongs to membership_attribute_type: uid",
        )
    if strategy == LOAD_RECURSIVELY and kind == "uid":
        yield conflict(
            strategy_key,
            type_key,
            because="cannot be with membership_attribute_type: uid, which names people and never "
            "a group; use dn",
        )
    if strategy == LOAD_RECURSIVELY and nested is not None:
        yield conflict(
            nested_key,
            strategy_key,
            because=f"contradicts {LOAD_RECURSIVELY}, which says it already; keep one of them",
        )
    elif nested == "expand" and kind == "uid":
        yield conflict(
            nested_key,
            type_key,
            because="is expand, but values of membership_attribute_type: uid name people and "
            "never a group; use dn or member_of",
        )
    elif nested == "in_chain" and not (loads and kind == "dn"):
        yield conflict(
            nested_key,
            type_key,
            strategy_key,
            because=f"is in_chain, which needs {LOAD} with membership_attribute_type: dn; use "
            "those, or expand",
        )
    elif nested == "in_chain" and vendor is not None and vendor not in IN_CHAIN_VENDORS:
        yield conflict(
            nested_key,
            because=f"is in_chain, a matching rule that only Active Directory has, but vendor is "
            f"{vendor}; use expand",
        )
    if primary_group and not loads:
        yield conflict(
            "primary_group",
            strategy_key,
            because=f"is true, but with {GET} people name their groups themselves, and nobody "
            f"names his primary one; use {LOAD}",
        )


def given(section: Section, key: str) -> Any:  # noqa: ANN401 - the value of any key
    """Return the value of a key that somebody wrote; None for a default."""
    return getattr(section, key) if key in section.model_fields_set else None
