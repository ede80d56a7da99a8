"""What the types of the options cannot say: keys that contradict each other.

``contradictions`` names the key and says what is allowed, for the configuration check; compiling
options that contradict themselves raises the same sentences.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from syncd import naming
from syncd.mappers.account_options import ATTRIBUTES, AccountStateOptions
from syncd.mappers.claim_checks import claim_contradictions
from syncd.mappers.options import (
    UNMAPPABLE,
    FullNameOptions,
    GroupImportOptions,
    HardcodedAttributeOptions,
    HardcodedGroupOptions,
    HardcodedRoleOptions,
    MembershipType,
    Nested,
    RetrieveStrategy,
    RoleImportOptions,
    UserAttributeOptions,
    property_of,
)
from syncd.mappers.values import NAME_LIMIT, TEXT_LIMIT, has_control

if TYPE_CHECKING:
    from collections.abc import Iterator

    from syncd.mappers.options import AnyOptions, ImportOptions

_ATTRIBUTE = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9_-]*|[0-9]+(?:\.[0-9]+)*)(?:;[A-Za-z0-9_-]+)*", re.ASCII
)
_TIMES = frozenset({"source_created_at", "source_modified_at"})
_UNIQUE = frozenset({"username", "email"})


def contradictions(options: AnyOptions) -> list[tuple[str, str]]:
    """Return (key, sentence) for everything in ``options`` that does not go together."""
    found: Iterator[tuple[str, str]]
    match options:
        case UserAttributeOptions():
            found = _user_attribute(options)
        case FullNameOptions():
            found = _attribute_name("ldap_attribute", options.ldap_attribute)
        case HardcodedAttributeOptions():
            found = _hardcoded_attribute(options)
        case HardcodedRoleOptions():
            found = _hardcoded_role(options)
        case HardcodedGroupOptions():
            found = _hardcoded_group(options)
        case RoleImportOptions():
            found = _role_import(options)
        case GroupImportOptions():
            found = _group_import(options)
        case AccountStateOptions():
            found = _account_state(options)
        case _:
            found = claim_contradictions(options)
    return list(found)


def refuse_contradictions(options: AnyOptions) -> None:
    """Raise ValueError when ``options`` cannot be compiled."""
    found = contradictions(options)
    if found:
        said = "; ".join(f"{key}: {sentence}" for key, sentence in found)
        raise ValueError(f"mapper {options.name!r}: {said}")


def _attribute_name(key: str, attribute: str) -> Iterator[tuple[str, str]]:
    if _ATTRIBUTE.fullmatch(attribute) is None:
        yield key, f"{attribute!r} is not the name of a directory attribute"


def _target(user_attribute: str) -> Iterator[tuple[str, str]]:
    if (
        not user_attribute.strip()
        or len(user_attribute) > NAME_LIMIT
        or has_control(user_attribute)
    ):
        yield "user_attribute", "name the property or attribute that the mapper fills"
    elif user_attribute.lower() in UNMAPPABLE:
        yield "user_attribute", f"{user_attribute!r} cannot be set by an attribute mapper"


def _user_attribute(options: UserAttributeOptions) -> Iterator[tuple[str, str]]:
    yield from _attribute_name("ldap_attribute", options.ldap_attribute)
    yield from _target(options.user_attribute)
    target = property_of(options.user_attribute)
    default = options.default_value
    if target is not None and options.binary:
        yield "binary", f"{target} is text; only plain attributes can hold binary values"
    if target is not None and options.multivalued:
        yield "multivalued", f"{target} holds one value; remove the key"
    if default is None:
        return
    if target in _UNIQUE:
        yield "default_value", f"several people cannot have the same {target}; remove the key"
    elif target in _TIMES:
        yield "default_value", f"{target} comes from the directory or not at all; remove the key"
    elif not default.strip() or len(default) > TEXT_LIMIT or "\0" in default:
        yield "default_value", f"give a text of 1 to {TEXT_LIMIT} characters, or remove the key"
    elif target == "email_verified" and default.lower() not in ("true", "false"):
        yield "default_value", "email_verified is true or false"


def _hardcoded_attribute(options: HardcodedAttributeOptions) -> Iterator[tuple[str, str]]:
    yield from _target(options.user_attribute)
    target = property_of(options.user_attribute)
    value = options.value.strip()
    if target in _UNIQUE:
        yield "user_attribute", f"several people cannot have the same {target}"
    elif target in _TIMES:
        yield "user_attribute", f"{target} comes from the directory or not at all"
    elif not value or len(value) > TEXT_LIMIT or "\0" in value:
        yield "value", f"give a text of 1 to {TEXT_LIMIT} characters"
    elif target == "email_verified" and value.lower() not in ("true", "false"):
        yield "value", "email_verified is true or false"


def _role_name(key: str, name: str) -> Iterator[tuple[str, str]]:
    if not name.strip() or len(name) > NAME_LIMIT or has_control(name):
        yield key, f"a role's name has 1 to {NAME_LIMIT} characters and no control characters"


def _hardcoded_role(options: HardcodedRoleOptions) -> Iterator[tuple[str, str]]:
    yield from _role_name("role", options.role)
    if naming.is_preconfigured_role(options.role) and not options.may_grant_privileged:
        said = f"{options.role!r} is a preconfigured role; set may_grant_privileged: true if"
        yield "role", f"{said} everybody of the directory is to hold it, or name another role"


def _hardcoded_group(options: HardcodedGroupOptions) -> Iterator[tuple[str, str]]:
    try:
        naming.group_names(options.group)
    except ValueError as error:
        yield "group", str(error)


def _role_import(options: RoleImportOptions) -> Iterator[tuple[str, str]]:
    yield from _attribute_name("role_name_ldap_attribute", options.role_name_ldap_attribute)
    yield from _memberships(options, options.user_roles_retrieve_strategy)
    for name, role in options.name_map.items():
        yield from _role_name("name_map", role)
        if not name.strip():
            yield "name_map", "a directory role's name is missing"
    for pattern in options.name_patterns:
        try:
            naming.compile_pattern(pattern.match, pattern.role)
        except ValueError as error:
            yield "name_patterns", f"{pattern.match!r}: {error}"
    if options.role_prefix:
        yield from _role_name("role_prefix", f"{options.role_prefix}x")


def _group_import(options: GroupImportOptions) -> Iterator[tuple[str, str]]:
    yield from _attribute_name("group_name_ldap_attribute", options.group_name_ldap_attribute)
    for attribute in options.mapped_group_attributes:
        yield from _attribute_name("mapped_group_attributes", attribute)
    yield from _memberships(options, options.user_groups_retrieve_strategy)
    try:
        naming.path_names(options.groups_path)
    except ValueError as error:
        yield "groups_path", str(error)
    if not options.preserve_group_inheritance:
        return
    if options.membership_attribute_type == MembershipType.UID:
        yield "preserve_group_inheritance", "values of type uid name people and never a group"
    if options.nested_membership == Nested.IN_CHAIN:
        yield (
            "preserve_group_inheritance",
            "with in_chain the directory does not tell through which group somebody is a member",
        )


def _memberships(options: ImportOptions, strategy: RetrieveStrategy) -> Iterator[tuple[str, str]]:
    """Find what does not go together in the keys that both kinds of imports have."""
    yield from _attribute_name("membership_ldap_attribute", options.membership_ldap_attribute)
    yield from _attribute_name("member_of_ldap_attribute", options.member_of_ldap_attribute)
    if options.membership_user_ldap_attribute is not None:
        yield from _attribute_name(
            "membership_user_ldap_attribute", options.membership_user_ldap_attribute
        )
    type_, key = options.membership_attribute_type, "membership_attribute_type"
    loads = strategy == RetrieveStrategy.LOAD_BY_MEMBER_ATTRIBUTE
    if not loads and type_ not in (None, MembershipType.MEMBER_OF):
        yield key, "with get_from_user_member_of it is member_of"
    elif loads and type_ == MembershipType.MEMBER_OF:
        yield key, "with load_by_member_attribute it is dn or uid"
    if options.nested_membership == Nested.EXPAND and type_ == MembershipType.UID:
        yield "nested_membership", "values of type uid name people and never a group"
    if options.nested_membership == Nested.IN_CHAIN and not (
        loads and type_ in (None, MembershipType.DN)
    ):
        yield "nested_membership", "in_chain needs load_by_member_attribute and dn"
    if options.primary_group and not loads:
        yield "primary_group", "with get_from_user_member_of nobody names his primary group"


def _account_state(options: AccountStateOptions) -> Iterator[tuple[str, str]]:
    for name in options.attributes:
        if name not in ATTRIBUTES:
            listed = ", ".join(ATTRIBUTES)
            yield "attributes", f"what {name!r} means is not known; known are {listed}"
    for name, attribute in options.attribute_names.items():
        if name not in ATTRIBUTES:
            yield "attribute_names", f"{name!r} is none of the attributes that can count"
        yield from _attribute_name("attribute_names", attribute)
    if options.lockout_duration is not None and options.lockout_duration < 0:
        yield "lockout_duration", "a lockout lasts 0 seconds (until it is reset) or longer"
