"""What an administrator may set on each mapper; field names are the YAML keys.

Plain frozen values without a library: ``from_keys`` builds them from validated configuration, the
mappers are compiled from them. What cannot be said by a type, such as two keys that contradict
each other, is found by ``checks.contradictions``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from syncd.mappers.account_options import AccountStateOptions
from syncd.mappers.claim_options import (
    CONFIGURABLE,
    ClaimOptions,
    ConditionOptions,
    StandardClaimOptions,
    SyncMode,
)
from syncd.mappers.fingerprints import LEFT_OUT

if TYPE_CHECKING:
    from collections.abc import Mapping

# Every spelling under which a property of a person may be named as ``user_attribute``.
PROPERTIES: Mapping[str, str] = {
    "username": "username",
    "email": "email",
    "email_verified": "email_verified",
    "emailverified": "email_verified",
    "first_name": "first_name",
    "firstname": "first_name",
    "last_name": "last_name",
    "lastname": "last_name",
    "source_created_at": "source_created_at",
    "createtimestamp": "source_created_at",
    "source_modified_at": "source_modified_at",
    "modifytimestamp": "source_modified_at",
}
# Properties that no attribute mapper may set.
UNMAPPABLE = frozenset(
    {"id", "organization", "provider", "external_id", "dn", "enabled", "roles", "groups"}
)


class RetrieveStrategy(StrEnum):
    """Which side says who holds a role."""

    LOAD_BY_MEMBER_ATTRIBUTE = "load_by_member_attribute"
    GET_FROM_USER_MEMBER_OF = "get_from_user_member_of"


class MembershipType(StrEnum):
    """What a membership attribute's value is."""

    DN = "dn"
    UID = "uid"
    MEMBER_OF = "member_of"


class Nested(StrEnum):
    """Whether the members of a member group count, and who follows them."""

    NONE = "none"
    EXPAND = "expand"
    # The directory's own rule: what it lists is expanded already.
    IN_CHAIN = "in_chain"


class PrimaryGroupBy(StrEnum):
    """How a directory says which group a person is in that does not list him."""

    # The person's own SID with its last part replaced by primaryGroupID; the group's objectSid.
    OBJECT_SID = "object_sid"
    # RFC 2307: the same number on both.
    GID_NUMBER = "gid_number"


@dataclass(frozen=True, slots=True, kw_only=True)
class UserAttributeOptions:
    """``user-attribute``: one directory attribute to one property or attribute of a person."""

    type: ClassVar[str] = "user-attribute"
    name: str
    user_attribute: str
    ldap_attribute: str
    mandatory: bool = False
    default_value: str | None = None
    binary: bool = False
    # None: every value for an attribute, one for a property.
    multivalued: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FullNameOptions:
    """``full-name``: first and last name from one attribute that holds both."""

    type: ClassVar[str] = "full-name"
    name: str
    ldap_attribute: str = "cn"


@dataclass(frozen=True, slots=True, kw_only=True)
class HardcodedAttributeOptions:
    """``hardcoded-attribute``: the same value for everybody of this directory."""

    type: ClassVar[str] = "hardcoded-attribute"
    name: str
    user_attribute: str
    value: str
    # With an identity provider; a directory is always followed.
    sync_mode: SyncMode = field(default="inherit", metadata=LEFT_OUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class HardcodedRoleOptions:
    """``hardcoded-role``: one role for everybody of this directory."""

    type: ClassVar[str] = "hardcoded-role"
    name: str
    role: str
    may_grant_privileged: bool = False
    sync_mode: SyncMode = field(default="inherit", metadata=LEFT_OUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class HardcodedGroupOptions:
    """``hardcoded-group``: one group for everybody of this directory."""

    type: ClassVar[str] = "hardcoded-group"
    name: str
    # A name, or a path of groups that starts with a slash.
    group: str
    sync_mode: SyncMode = field(default="inherit", metadata=LEFT_OUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamePatternOptions:
    """One of ``name_patterns``: a regular expression, and the role that it names."""

    match: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerImportOptions:
    """What imports of roles and of groups share."""

    name: str
    ldap_filter: str = ""
    # None: dn with the first strategy, member_of with the second.
    membership_attribute_type: MembershipType | None = None
    membership_ldap_attribute: str = "member"
    # For uid; None: the username attribute.
    membership_user_ldap_attribute: str | None = None
    member_of_ldap_attribute: str = "memberOf"
    nested_membership: Nested = Nested.NONE
    # None: where a directory counts them by SID and entries list their members by DN.
    primary_group: bool | None = None
    primary_group_by: PrimaryGroupBy = PrimaryGroupBy.GID_NUMBER
    # None: the directory has no id for such entries, their DN stands for them.
    uuid_attribute: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleImportOptions(ContainerImportOptions):
    """``import_roles``: roles and who holds them, from entries of the directory."""

    type: ClassVar[str] = "role"
    name: str = "import roles"
    roles_dn: str
    role_name_ldap_attribute: str = "cn"
    role_object_class: tuple[str, ...] = ("groupOfNames",)
    user_roles_retrieve_strategy: RetrieveStrategy = RetrieveStrategy.LOAD_BY_MEMBER_ATTRIBUTE
    name_map: Mapping[str, str] = field(default_factory=dict)
    name_patterns: tuple[NamePatternOptions, ...] = ()
    role_prefix: str = ""
    unknown_roles: Literal["create", "ignore"] = "create"
    drop_non_existing_roles: bool = False
    may_grant_privileged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupImportOptions(ContainerImportOptions):
    """``group``: groups, their hierarchy and who is in them, from entries of the directory."""

    type: ClassVar[str] = "group"
    groups_dn: str
    group_name_ldap_attribute: str = "cn"
    group_object_classes: tuple[str, ...] = ("groupOfNames",)
    # None: true where values name groups as well as people.
    preserve_group_inheritance: bool | None = None
    user_groups_retrieve_strategy: RetrieveStrategy = RetrieveStrategy.LOAD_BY_MEMBER_ATTRIBUTE
    mapped_group_attributes: tuple[str, ...] = ()
    groups_path: str = "/"
    drop_non_existing_groups_during_sync: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberOfOptions:
    """What the mapping of people needs of an import whose people say what they are in."""

    # The name of the import that the statements belong to.
    mapper: str
    ldap_attribute: str = "memberOf"
    # Values outside of this base name containers that the import does not read.
    base_dn: str = ""


MapperOptions: TypeAlias = (
    UserAttributeOptions
    | FullNameOptions
    | HardcodedAttributeOptions
    | HardcodedRoleOptions
    | HardcodedGroupOptions
)
ImportOptions: TypeAlias = RoleImportOptions | GroupImportOptions
# What an identity provider's claims are mapped with.
IdpOptions: TypeAlias = (
    ClaimOptions
    | StandardClaimOptions
    | HardcodedAttributeOptions
    | HardcodedRoleOptions
    | HardcodedGroupOptions
)

AnyOptions: TypeAlias = MapperOptions | ImportOptions | AccountStateOptions | ClaimOptions

OPTIONS: Mapping[str, type[AnyOptions]] = {
    cls.type: cls
    for cls in (
        UserAttributeOptions,
        FullNameOptions,
        HardcodedAttributeOptions,
        HardcodedRoleOptions,
        HardcodedGroupOptions,
        RoleImportOptions,
        GroupImportOptions,
        AccountStateOptions,
        *CONFIGURABLE,
    )
}
# The types that an identity provider's claims are mapped with.
FOR_CLAIMS = frozenset(
    cls.type
    for cls in (
        *CONFIGURABLE,
        HardcodedAttributeOptions,
        HardcodedRoleOptions,
        HardcodedGroupOptions,
    )
)


def from_keys(type_: str, keys: Mapping[str, Any]) -> AnyOptions:
    """Return the options of a mapper from its configured keys.

    Keys that every mapper has and no mapping depends on (``enabled``, ``renamed_from``) are left
    out here.
    """
    cls = OPTIONS[type_]
    own = {each.name for each in fields(cls)}
    known: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in keys.items()
        if key in own
    }
    if "all_of" in known:
        known["all_of"] = tuple(ConditionOptions(**each) for each in keys["all_of"])
    if "name_patterns" in known:
        known["name_patterns"] = tuple(NamePatternOptions(**each) for each in keys["name_patterns"])
    return cls(**known)


def property_of(user_attribute: str) -> str | None:
    """Return the property that ``user_attribute`` names, or None for a plain attribute."""
    return PROPERTIES.get(user_attribute.lower())


def predefined(
    *,
    username_attribute: str,
    first_name_attribute: str = "givenName",
    last_name_attribute: str = "sn",
    email_attribute: str = "mail",
    created_attribute: str = "createTimestamp",
    modified_attribute: str = "modifyTimestamp",
) -> tuple[UserAttributeOptions, ...]:
    """Return the six mappers that every directory has unless they are switched off."""
    table = (
        ("username", "username", username_attribute),
        ("first name", "first_name", first_name_attribute),
        ("last name", "last_name", last_name_attribute),
        ("email", "email", email_attribute),
        ("createTimestamp", "source_created_at", created_attribute),
        ("modifyTimestamp", "source_modified_at", modified_attribute),
    )
    return tuple(
        UserAttributeOptions(name=name, user_attribute=target, ldap_attribute=attribute)
        for name, target, attribute in table
    )
