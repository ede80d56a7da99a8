"""Owns the keys of each mapper type; names equal the fields of the mappers' own options."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Discriminator, Field, Tag

from syncd import naming
from syncd.settings.account_state import AccountState
from syncd.settings.claims import (
    ClaimToAttribute,
    ClaimToGroup,
    ClaimToRole,
    EssentialClaim,
    SyncedByMode,
    UsernameTemplate,
)
from syncd.settings.conflict import Conflict, conflict
from syncd.settings.groups import GroupImport, GroupName
from syncd.settings.roles import RoleImport
from syncd.settings.values import AnyText, Flag, Section, Text

# What people here give is no mapper's, whatever a mapper was called before.
NOT_MAPPERS = ("manual", "default")
RESERVED_NAMES = (*NOT_MAPPERS, "import roles")
MODIFIED = "modifyTimestamp"
PREDEFINED_NAMES = (
    "username",
    "first name",
    "last name",
    "email",
    "createTimestamp",
    MODIFIED,
)
# Those of them that an identity provider has as well.
PREDEFINED_CLAIM_NAMES = ("username", "first name", "last name", "email")
# What is mapped of directories only, and of identity providers only; other types are for both.
DIRECTORY_TYPES = frozenset({"user-attribute", "full-name", "role", "group", "account-state"})
CLAIM_TYPES = frozenset(
    {
        "claim-to-attribute",
        "claim-to-role",
        "claim-to-group",
        "username-template",
        "essential-claim",
    }
)
SWITCHED_OFF = "switched-off"


class MapperSettings(Section):
    """What every mapper has."""

    name: Text = Field(
        max_length=100,
        examples=["department"],
        description="Unique in the organization; grants and reports carry it.",
    )
    enabled: Flag = Field(default=True, description="Switched off, a mapper does nothing.")
    renamed_from: Text | None = Field(
        default=None,
        examples=["dept"],
        description="Its former name: what that mapper had granted belongs to this one.",
    )


class UserAttributeMapper(MapperSettings):
    """One directory attribute to one property or attribute of a person."""

    type: Literal["user-attribute"]
    user_attribute: Text = Field(
        examples=["department"],
        description="username, email, first_name, last_name or any attribute name.",
    )
    ldap_attribute: Text = Field(
        examples=["departmentNumber"], description="The directory's attribute."
    )
    mandatory: Flag = Field(
        default=False, description="An entry without a value goes to quarantine."
    )
    default_value: AnyText | None = Field(
        default=None, description="The value of entries that have none."
    )
    binary: Flag = Field(default=False, description="Values are bytes and are kept as Base64.")
    multivalued: Flag | None = Field(
        default=None,
        examples=[True],
        description="Keep all values; default: for attributes yes, for properties the first.",
    )


class FullNameMapper(MapperSettings):
    """First and last name from one attribute, parted at its last space."""

    type: Literal["full-name"]
    ldap_attribute: Text = Field(
        default="cn", description="The directory's attribute that holds the full name."
    )


class HardcodedAttributeMapper(SyncedByMode, MapperSettings):
    """The same value for everybody of this directory or identity provider."""

    type: Literal["hardcoded-attribute"]
    user_attribute: Text = Field(examples=["company"], description="The person's attribute.")
    value: AnyText = Field(examples=["Acme"], description="Its value.")


class HardcodedRoleMapper(SyncedByMode, MapperSettings):
    """One role for everybody of this directory or identity provider."""

    type: Literal["hardcoded-role"]
    role: Text = Field(examples=["Employee"], description="The role's name.")
    may_grant_privileged: Flag = Field(
        default=False, description="Allow `role` to be one of the preconfigured roles."
    )

    def conflicts(self) -> Iterator[Conflict]:
        """Yield what contradicts itself."""
        if naming.is_preconfigured_role(self.role) and not self.may_grant_privileged:
            yield conflict(
                "role",
                "may_grant_privileged",
                because=f'gives everybody the preconfigured role "{self.role}"; set '
                "may_grant_privileged: true if that is meant",
            )


class HardcodedGroupMapper(SyncedByMode, MapperSettings):
    """One group for everybody of this directory or identity provider."""

    type: Literal["hardcoded-group"]
    group: GroupName = Field(
        examples=["/Directory/Everybody"],
        description="The group's name, or its path, which starts with `/`; made when not there.",
    )


class RoleMapper(RoleImport, MapperSettings):
    """A further role import, with the keys of `ldap.import_roles`."""

    type: Literal["role"]


class GroupMapper(GroupImport, MapperSettings):
    """Groups, their hierarchy and who is in them, from entries of the directory."""

    type: Literal["group"]


class AccountStateMapper(AccountState, MapperSettings):
    """Whether people may use their accounts, as the directory's own attributes say."""

    type: Literal["account-state"]


class ClaimToAttributeMapper(ClaimToAttribute, MapperSettings):
    """One claim to one property or attribute of a person."""

    type: Literal["claim-to-attribute"]


class ClaimToRoleMapper(ClaimToRole, MapperSettings):
    """A role for whoever's claims say so."""

    type: Literal["claim-to-role"]


class ClaimToGroupMapper(ClaimToGroup, MapperSettings):
    """A group for whoever's claims say so."""

    type: Literal["claim-to-group"]


class UsernameTemplateMapper(UsernameTemplate, MapperSettings):
    """A username put together of claims and texts."""

    type: Literal["username-template"]


class EssentialClaimMapper(EssentialClaim, MapperSettings):
    """Nobody is let in whose claims do not say so."""

    type: Literal["essential-claim"]


class SwitchedOff(Section):
    """Switches a predefined mapper off: `{name: email, enabled: false}`."""

    type: ClassVar[str] = SWITCHED_OFF
    name: Literal[
        "username", "first name", "last name", "email", "createTimestamp", "modifyTimestamp"
    ] = Field(examples=["email"], description="The predefined mapper.")
    enabled: Literal[False] = Field(examples=[False], description="Always false.")


def _type_of(tree: Any) -> str | None:  # noqa: ANN401 - input is of any type
    if isinstance(tree, Section):
        return str(getattr(tree, "type", SWITCHED_OFF))
    if not isinstance(tree, dict):
        return None
    if "type" not in tree and tree.get("name") in PREDEFINED_NAMES and tree.get("enabled") is False:
        return SWITCHED_OFF
    kind = tree.get("type")
    return kind if isinstance(kind, str) and kind != SWITCHED_OFF else None


ActiveMapper: TypeAlias = (
    UserAttributeMapper
    | FullNameMapper
    | HardcodedAttributeMapper
    | HardcodedRoleMapper
    | HardcodedGroupMapper
    | RoleMapper
    | GroupMapper
    | AccountStateMapper
    | ClaimToAttributeMapper
    | ClaimToRoleMapper
    | ClaimToGroupMapper
    | UsernameTemplateMapper
    | EssentialClaimMapper
)
MAPPER_MODELS: dict[str, type[MapperSettings]] = {
    "user-attribute": UserAttributeMapper,
    "full-name": FullNameMapper,
    "hardcoded-attribute": HardcodedAttributeMapper,
    "hardcoded-role": HardcodedRoleMapper,
    "hardcoded-group": HardcodedGroupMapper,
    "role": RoleMapper,
    "group": GroupMapper,
    "account-state": AccountStateMapper,
    "claim-to-attribute": ClaimToAttributeMapper,
    "claim-to-role": ClaimToRoleMapper,
    "claim-to-group": ClaimToGroupMapper,
    "username-template": UsernameTemplateMapper,
    "essential-claim": EssentialClaimMapper,
}
Mapper = Annotated[
    Annotated[UserAttributeMapper, Tag("user-attribute")]
    | Annotated[FullNameMapper, Tag("full-name")]
    | Annotated[HardcodedAttributeMapper, Tag("hardcoded-attribute")]
    | Annotated[HardcodedRoleMapper, Tag("hardcoded-role")]
    | Annotated[HardcodedGroupMapper, Tag("hardcoded-group")]
    | Annotated[RoleMapper, Tag("role")]
    | Annotated[GroupMapper, Tag("group")]
    | Annotated[AccountStateMapper, Tag("account-state")]
    | Annotated[ClaimToAttributeMapper, Tag("claim-to-attribute")]
    | Annotated[ClaimToRoleMapper, Tag("claim-to-role")]
    | Annotated[ClaimToGroupMapper, Tag("claim-to-group")]
    | Annotated[UsernameTemplateMapper, Tag("username-template")]
    | Annotated[EssentialClaimMapper, Tag("essential-claim")]
    | Annotated[SwitchedOff, Tag(SWITCHED_OFF)],
    Discriminator(_type_of),
]
