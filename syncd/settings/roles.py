"""Owns the keys of role import, which a mapper of type ``role`` shares."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from syncd.settings.addresses import Dn
from syncd.settings.conflict import Conflict, conflict, warning
from syncd.settings.filters import Filter
from syncd.settings.values import CommaList, Flag, Kind, Section, Text, spelled

PRECONFIGURED_ROLES = (
    "Owner",
    "Admin",
    "Support agent",
    "Data protection officer",
    "Accountant",
    "User",
)
LOAD = "load_by_member_attribute"
GET = "get_from_user_member_of"

_STRATEGIES = {
    LOAD: LOAD,
    "load_roles_by_member_attribute": LOAD,
    GET: GET,
    "get_roles_from_user_memberof_attribute": GET,
}
Strategy = Annotated[
    Literal["load_by_member_attribute", "get_from_user_member_of"],
    spelled(**_STRATEGIES),
]
MembershipType = Annotated[
    Literal["dn", "uid", "member_of"],
    spelled(dn="dn", uid="uid", memberof="member_of", member_of="member_of"),
]


def is_preconfigured_role(name: str) -> bool:
    """Tell whether a name reads like one of the preconfigured roles, invisible signs dropped."""
    return role_key(name) in _RESERVED


def role_key(name: str) -> str:
    """Return the text by which role names are compared."""
    visible = "".join(sign for sign in name if unicodedata.category(sign) != "Cf")
    return unicodedata.normalize("NFC", " ".join(visible.split())).casefold()


_RESERVED = frozenset(role_key(name) for name in PRECONFIGURED_ROLES)


class RoleImport(Section):
    """Roles and who holds them, from entries of the directory."""

    roles_dn: Dn = Field(
        examples=["ou=roles,dc=example,dc=org"],
        description="Roles DN: the tree whose entries become roles.",
    )
    role_name_ldap_attribute: Text | None = Field(
        default=None, examples=["cn"], description="The attribute that holds a role's name."
    )
    role_object_class: CommaList | None = Field(
        default=None,
        examples=[["groupOfNames"]],
        description="Object classes, all of which a role entry has.",
    )
    ldap_filter: Filter = Field(
        default="",
        examples=["(cn=support-*)"],
        description="Further filter for role entries: empty, or a filter in parentheses.",
    )
    user_roles_retrieve_strategy: Strategy = Field(
        default="load_by_member_attribute",
        description=(
            "Which side says who holds a role: the role's member attribute, or the person's "
            "memberOf attribute. Keycloak's spellings are accepted."
        ),
    )
    membership_attribute_type: MembershipType = Field(
        default="dn",
        description=(
            "What the values are: `dn` or `uid` with load_by_member_attribute, `member_of` with "
            "get_from_user_member_of (and then the default)."
        ),
    )
    membership_ldap_attribute: Text | None = Field(
        default=None, examples=["member"], description="The role's attribute that lists members."
    )
    membership_user_ldap_attribute: Text | None = Field(
        default=None,
        examples=["uid"],
        description="With `uid`: the person's attribute that the values name; default: the "
        "username attribute.",
    )
    member_of_ldap_attribute: Text | None = Field(
        default=None,
        examples=["memberOf"],
        description="With `member_of`: the person's attribute that lists his roles.",
    )
    name_map: Annotated[dict[Text, Text], Kind("mapping of name to name")] = Field(
        default_factory=dict,
        examples=[{"support-tier-2": "Second level"}],
        description=(
            "Directory role name to role name; other roles keep their names. Only so can a "
            "directory reach a preconfigured role."
        ),
    )
    may_grant_privileged: Flag = Field(
        default=False,
        description="Allow `name_map` to reach the preconfigured roles "
        f"({', '.join(PRECONFIGURED_ROLES)}).",
    )

    @model_validator(mode="before")
    @classmethod
    def _type_follows_strategy(cls, tree: Any) -> Any:  # noqa: ANN401 - input is of any type
        if isinstance(tree, dict) and "membership_attribute_type" not in tree:
            strategy = tree.get("user_roles_retrieve_strategy")
            if isinstance(strategy, str) and _STRATEGIES.get(strategy.lower()) == GET:
                return {**tree, "membership_attribute_type": "member_of"}
        return tree

    def conflicts(self) -> Iterator[Conflict]:
        """Yield what contradicts itself."""
        strategy, kind = self.user_roles_retrieve_strategy, self.membership_attribute_type
        both = ("membership_attribute_type", "user_roles_retrieve_strategy")
        if strategy == GET and kind != "member_of":
            yield conflict(*both, because=f"is {kind}, but {GET} needs member_of")
        if strategy == LOAD and kind == "member_of":
            yield conflict(*both, because=f"is member_of, but {LOAD} needs dn or uid")
        if self.membership_user_ldap_attribute is not None and kind != "uid":
            yield warning(
                "membership_user_ldap_attribute",
                "membership_attribute_type",
                because="has no effect: it belongs to membership_attribute_type: uid",
            )
        for source, role in self.name_map.items():
            if is_preconfigured_role(role) and not self.may_grant_privileged:
                yield conflict(
                    "name_map",
                    "may_grant_privileged",
                    because=f'gives the preconfigured role "{role}" to "{source}"; set '
                    "may_grant_privileged: true if the directory's admins may decide that",
                )
