"""Owns the keys of group import: mappers of type ``group`` and ``hardcoded-group``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from syncd import naming
from syncd.settings import memberships as shared
from syncd.settings.addresses import Dn
from syncd.settings.conflict import Conflict, conflict
from syncd.settings.filters import Filter
from syncd.settings.values import CommaList, Flag, Kind, Section, Text, spelled
from syncd.settings.vendors import IN_CHAIN_VENDORS

_STRATEGIES = shared.strategies_of("groups")
_KEY = "user_groups_retrieve_strategy"


def _check_path(path: str) -> str:
    naming.path_names(path)
    return path


def _check_group(group: str) -> str:
    naming.group_names(group)
    return group


GroupPath = Annotated[Text, AfterValidator(_check_path), Kind("path of groups")]
GroupName = Annotated[Text, AfterValidator(_check_group), Kind("name or path of a group")]


class GroupImport(Section):
    """Groups, their hierarchy and who is in them, from entries of the directory."""

    groups_dn: Dn = Field(
        examples=["ou=groups,dc=example,dc=org"],
        description="Groups DN: the tree whose entries become groups.",
    )
    group_name_ldap_attribute: Text | None = Field(
        default=None, examples=["cn"], description="The attribute that holds a group's name."
    )
    group_object_classes: CommaList | None = Field(
        default=None,
        examples=[["groupOfNames"]],
        description="Object classes, all of which a group entry has.",
    )
    ldap_filter: Filter = Field(
        default="",
        examples=["(!(cn=test-*))"],
        description="Further filter for group entries: empty, or a filter in parentheses.",
    )
    preserve_group_inheritance: Flag | None = Field(
        default=None,
        examples=[False],
        description=(
            "Groups that are members of a group become its child groups. Default: `true` for the "
            "types `dn` and `member_of`, `false` for `uid` and with `in_chain`."
        ),
    )
    user_groups_retrieve_strategy: Annotated[shared.StrategyName, spelled(**_STRATEGIES)] = Field(
        default="load_by_member_attribute", description=shared.STRATEGY_DESCRIPTION
    )
    membership_attribute_type: Annotated[shared.MembershipName, shared.read_membership_type] = (
        Field(default="dn", description=shared.TYPE_DESCRIPTION)
    )
    membership_ldap_attribute: Text | None = Field(
        default=None, examples=["member"], description="The group's attribute that lists members."
    )
    membership_user_ldap_attribute: Text | None = Field(
        default=None, examples=["uid"], description=shared.USER_ATTRIBUTE_DESCRIPTION
    )
    member_of_ldap_attribute: Text | None = Field(
        default=None,
        examples=["memberOf"],
        description="With `member_of`: the attribute of people and groups that lists their groups.",
    )
    nested_membership: Annotated[shared.NestedName, shared.read_nested] = Field(
        default="none",
        description=(
            "Whether members of a member group are members too: `none`, `expand` "
            "(syncd follows the groups, on any directory), or `in_chain` (the directory's own "
            "rule, Active Directory only)."
        ),
    )
    primary_group: Flag | None = Field(
        default=None, examples=[False], description=shared.PRIMARY_DESCRIPTION
    )
    mapped_group_attributes: CommaList | None = Field(
        default=None,
        examples=[["description", "mail"]],
        description="The directory's attributes that a group keeps.",
    )
    groups_path: GroupPath = Field(
        default="/",
        examples=["/Directory/Staff"],
        description=(
            "Groups Path: the group below which these groups stand, made when it is not there; "
            "a `/` in a name is written `\\/`."
        ),
    )
    drop_non_existing_groups_during_sync: Flag = Field(
        default=False,
        description=(
            "Remove groups that this mapper made when a complete listing no longer has them."
        ),
    )

    @model_validator(mode="before")
    @classmethod
    def _type_follows_strategy(cls, tree: Any) -> Any:  # noqa: ANN401 - input is of any type
        return shared.type_follows_strategy(tree, _KEY, _STRATEGIES)

    def conflicts(self, vendor: str | None = None) -> Iterator[Conflict]:
        """Yield what contradicts itself; ``vendor`` is the directory's, if there is one."""
        kind, strategy = self.membership_attribute_type, self.user_groups_retrieve_strategy
        yield from shared.membership_conflicts(
            _KEY,
            strategy,
            kind,
            user_attribute=self.membership_user_ldap_attribute,
            nested=shared.given(self, "nested_membership"),
            primary_group=self.primary_group,
            vendor=vendor,
        )
        if not self.preserve_group_inheritance:
            return
        if kind == "uid":
            yield conflict(
                "preserve_group_inheritance",
                "membership_attribute_type",
                because="is true, but values of membership_attribute_type: uid name people and "
                "never a group, so there is no hierarchy to preserve; use dn or member_of, or "
                "remove the key",
            )
        elif self.nested_membership == "in_chain":
            yield conflict(
                "preserve_group_inheritance",
                "nested_membership",
                because="is true, but with nested_membership: in_chain the directory tells who is "
                "in a group and not through which one; use expand, or remove the key",
            )
        elif strategy == shared.LOAD_RECURSIVELY and vendor in IN_CHAIN_VENDORS:
            yield conflict(
                "preserve_group_inheritance",
                _KEY,
                because=f"is true, but with {strategy} Active Directory tells who is in a group "
                f"and not through which one; use {shared.LOAD} with nested_membership: expand, "
                "or remove the key",
            )
