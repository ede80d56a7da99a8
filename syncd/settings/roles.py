"""Owns the keys of role import, which a mapper of type ``role`` shares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic import ValidationInfo as Info

from syncd import naming
from syncd.settings import memberships as shared
from syncd.settings.addresses import Dn
from syncd.settings.conflict import Conflict, conflict
from syncd.settings.filters import Filter
from syncd.settings.values import AnyText, CommaList, Flag, Kind, Section, Text, spelled

_STRATEGIES = shared.strategies_of("roles")


class NamePattern(Section):
    """One rule from a directory's names to role names."""

    match: Text = Field(
        examples=["^app-(.+)$"],
        description="A regular expression for the whole name, letter case ignored.",
    )
    role: Text = Field(
        examples=[r"\1"], description="The role's name; `\\1` is what the first group matched."
    )

    @field_validator("match")
    @classmethod
    def _is_affordable(cls, match: str) -> str:
        naming.compile_pattern(match, "")
        return match

    @field_validator("role")
    @classmethod
    def _names_groups_of_the_match(cls, role: str, info: Info) -> str:
        # Without a match there is a fault already, at the match.
        if "match" in info.data:
            naming.compile_pattern(info.data["match"], role)
        return role


NamePatterns = Annotated[
    tuple[NamePattern, ...],
    BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value),
    Kind("list of {match, role}"),
]


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
    user_roles_retrieve_strategy: Annotated[shared.StrategyName, spelled(**_STRATEGIES)] = Field(
        default="load_by_member_attribute", description=shared.STRATEGY_DESCRIPTION
    )
    membership_attribute_type: Annotated[shared.MembershipName, shared.read_membership_type] = (
        Field(default="dn", description=shared.TYPE_DESCRIPTION)
    )
    membership_ldap_attribute: Text | None = Field(
        default=None, examples=["member"], description="The role's attribute that lists members."
    )
    membership_user_ldap_attribute: Text | None = Field(
        default=None, examples=["uid"], description=shared.USER_ATTRIBUTE_DESCRIPTION
    )
    member_of_ldap_attribute: Text | None = Field(
        default=None,
        examples=["memberOf"],
        description="With `member_of`: the person's attribute that lists his roles.",
    )
    nested_membership: Annotated[shared.NestedName, shared.read_nested] = Field(
        default="none",
        description=(
            "Whether members of a member group hold the role too: `none`, `expand` "
            "(syncd follows the groups, on any directory), or `in_chain` (the directory's own "
            "rule, Active Directory only)."
        ),
    )
    primary_group: Flag | None = Field(
        default=None, examples=[False], description=shared.PRIMARY_DESCRIPTION
    )
    name_map: Annotated[dict[Text, Text], Kind("mapping of name to name")] = Field(
        default_factory=dict,
        examples=[{"support-tier-2": "Second level"}],
        description=(
            "Directory role name to role name. Only so, or by name_patterns, can a directory "
            "reach a preconfigured role."
        ),
    )
    name_patterns: NamePatterns = Field(
        default=(),
        examples=[[{"match": "^app-(.+)$", "role": r"\1"}]],
        description=(
            "The same by pattern, for names that name_map does not have; the first that matches "
            "counts."
        ),
    )
    role_prefix: AnyText = Field(
        default="",
        examples=["AD "],
        description="Put before names that neither map nor pattern named.",
    )
    unknown_roles: Literal["create", "ignore"] = Field(
        default="create", description="What to do with a name that no role here has yet."
    )
    drop_non_existing_roles: Flag = Field(
        default=False,
        description=(
            "Remove roles that this mapper made when a complete listing no longer has them."
        ),
    )
    may_grant_privileged: Flag = Field(
        default=False,
        description="Allow `name_map` and `name_patterns` to reach the preconfigured roles "
        f"({', '.join(naming.PRECONFIGURED_ROLES)}).",
    )

    @model_validator(mode="before")
    @classmethod
    def _type_follows_strategy(cls, tree: Any) -> Any:  # noqa: ANN401 - input is of any type
        return shared.type_follows_strategy(tree, "user_roles_retrieve_strategy", _STRATEGIES)

    def conflicts(self, vendor: str | None = None) -> Iterator[Conflict]:
        """Yield what contradicts itself; ``vendor`` is the directory's, if there is one."""
        yield from shared.membership_conflicts(
            "user_roles_retrieve_strategy",
            self.user_roles_retrieve_strategy,
            self.membership_attribute_type,
            user_attribute=self.membership_user_ldap_attribute,
            nested=shared.given(self, "nested_membership"),
            primary_group=self.primary_group,
            vendor=vendor,
        )
        if self.may_grant_privileged:
            return
        for source, role in self.name_map.items():
            if naming.is_preconfigured_role(role):
                yield conflict(
                    "name_map",
                    "may_grant_privileged",
                    because=f'gives the preconfigured role "{role}" to "{source}"; set '
                    "may_grant_privileged: true if the directory's admins may decide that",
                )
        for index, pattern in enumerate(self.name_patterns):
            always = naming.fixed_name(pattern.match, pattern.role)
            if always is not None and naming.is_preconfigured_role(always):
                yield conflict(
                    f"name_patterns.{index}.role",
                    "may_grant_privileged",
                    because=f'gives the preconfigured role "{always}"; set '
                    "may_grant_privileged: true if the directory's admins may decide that",
                )
