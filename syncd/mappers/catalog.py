"""Every mapper type with its options and an example, for ``syncd mappers`` and the documentation.

Names, types and defaults come from the option classes themselves; only the sentences stand here.
"""

from __future__ import annotations

from dataclasses import MISSING, asdict, dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from syncd.mappers.account_options import AccountStateOptions
from syncd.mappers.claim_catalog import MAPPER_NAME as _MAPPER_NAME
from syncd.mappers.claim_catalog import TYPES as CLAIM_TYPES
from syncd.mappers.options import (
    FullNameOptions,
    GroupImportOptions,
    RoleImportOptions,
    UserAttributeOptions,
)
from syncd.mappers.reasons import SENTENCES

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class MapperOption:
    """One key of a mapper type."""

    name: str
    type: str
    required: bool
    default: Any
    doc: str


@dataclass(frozen=True, slots=True)
class MapperType:
    """What a mapper type does and how it is written."""

    name: str
    summary: str
    options: tuple[MapperOption, ...]
    example: str

    def to_json(self) -> dict[str, Any]:
        """Return the type as ``syncd mappers --json`` prints it."""
        return asdict(self)


_NESTED = (
    "Whether members of a member group count too: `none`; `expand`, where syncd follows the groups;"
    " `in_chain`, where Active Directory does."
)
_PRIMARY_GROUP = (
    "Count a person's primary group, which no list of members holds: on Active Directory by"
    " objectSid and primaryGroupID (and by default, with `dn`), elsewhere by gidNumber."
)
_USER_ATTRIBUTE = (
    "For `uid`: the person's attribute whose value is listed; by default the username attribute."
)

_TYPES: tuple[tuple[str, type, str, dict[str, str], str], ...] = (
    (
        "user-attribute",
        UserAttributeOptions,
        "One directory attribute to one property or attribute of a person.",
        {
            "name": _MAPPER_NAME,
            "user_attribute": (
                "What it fills: `username`, `email`, `email_verified`, `first_name`, `last_name`,"
                " `source_created_at`, `source_modified_at` (`firstName`, `createTimestamp` and"
                " the like are accepted), or any other name for a plain attribute."
            ),
            "ldap_attribute": "The directory's attribute, in any letter case.",
            "mandatory": "Without a value and without a default the entry goes to quarantine.",
            "default_value": "What a person has for whom the directory has no value.",
            "binary": (
                "The value is bytes; it is stored as Base64 text. Only for plain attributes, and"
                " only for small values."
            ),
            "multivalued": (
                "Take every value or one; by default every value for a plain attribute, one for a"
                " property."
            ),
        },
        """\
mappers:
  - name: department
    type: user-attribute
    user_attribute: department
    ldap_attribute: departmentNumber
    default_value: unknown
""",
    ),
    (
        "full-name",
        FullNameOptions,
        "First and last name from one attribute that holds both, split at the last space.",
        {
            "name": _MAPPER_NAME,
            "ldap_attribute": "The attribute that holds the whole name.",
        },
        """\
mappers:
  - name: full name
    type: full-name
    ldap_attribute: displayName
""",
    ),
    (
        "role",
        RoleImportOptions,
        (
            "Roles and who holds them, from entries of the directory. The first one stands under"
            " `ldap.import_roles` and is called `import roles`; further ones are mappers with the"
            " same keys."
        ),
        {
            "name": _MAPPER_NAME,
            "roles_dn": "The base below which the role entries are.",
            "role_name_ldap_attribute": (
                "The attribute that holds the role's name, if the vendor sets no other."
            ),
            "role_object_class": (
                "The object classes that a role entry has, if the vendor sets no others."
            ),
            "ldap_filter": "A further filter for role entries, in parentheses, or empty.",
            "user_roles_retrieve_strategy": (
                "Which side says who holds a role: the role's members, or each person's memberOf."
            ),
            "membership_attribute_type": (
                "What a value names: a member by `dn` or `uid` with the first strategy, a role by"
                " `member_of` with the second. By default `dn` and `member_of`."
            ),
            "membership_ldap_attribute": (
                "The role's attribute that lists its members, if the vendor sets no other."
            ),
            "membership_user_ldap_attribute": _USER_ATTRIBUTE,
            "member_of_ldap_attribute": "The person's attribute that lists the DNs of his roles.",
            "nested_membership": _NESTED,
            "primary_group": _PRIMARY_GROUP,
            "name_map": "From the directory role's name, in any letter case, to another name.",
            "name_patterns": (
                "Regular expressions for whole names that `name_map` does not have, in any letter"
                " case; the first that matches counts."
            ),
            "role_prefix": "Put before names that neither map nor pattern named.",
            "unknown_roles": "What to do with a name that no role here has yet.",
            "drop_non_existing_roles": (
                "Remove roles that this mapper made when a complete listing has them no more."
            ),
            "may_grant_privileged": (
                "Allow `name_map` and `name_patterns` to reach the preconfigured roles."
            ),
        },
        """\
ldap:
  import_roles:
    roles_dn: ou=roles,dc=example,dc=org
    role_object_class: [groupOfNames]
    name_map: {it-admins: Admin}
    name_patterns: [{match: "^app-(.+)$", role: '\\1'}]
    role_prefix: "LDAP "
    may_grant_privileged: true
""",
    ),
    (
        "group",
        GroupImportOptions,
        "Groups, their hierarchy and who is in them, from entries of the directory.",
        {
            "name": _MAPPER_NAME,
            "groups_dn": "The base below which the group entries are.",
            "group_name_ldap_attribute": (
                "The attribute that holds the group's name, if the vendor sets no other."
            ),
            "group_object_classes": (
                "The object classes that a group entry has, if the vendor sets no others."
            ),
            "ldap_filter": "A further filter for group entries, in parentheses, or empty.",
            "preserve_group_inheritance": (
                "Groups that are members of a group become its child groups; by default `true` for"
                " `dn` and `member_of`, `false` for `uid` and with `in_chain`."
            ),
            "user_groups_retrieve_strategy": (
                "Which side says who is in a group: its members, or each person's memberOf."
            ),
            "membership_attribute_type": (
                "What a value names: a member by `dn` or `uid` with the first strategy, a group by"
                " `member_of` with the second. By default `dn` and `member_of`."
            ),
            "membership_ldap_attribute": (
                "The group's attribute that lists its members, if the vendor sets no other."
            ),
            "membership_user_ldap_attribute": _USER_ATTRIBUTE,
            "member_of_ldap_attribute": (
                "The attribute of people, and of groups in groups, that lists the DNs of their"
                " groups."
            ),
            "nested_membership": _NESTED,
            "primary_group": _PRIMARY_GROUP,
            "mapped_group_attributes": (
                "The directory's attributes that a group keeps; one that is missing there goes here"
                " too."
            ),
            "groups_path": (
                "The group below which these stand, made when it is not there; a `/` in a name is"
                " written `\\/`."
            ),
            "drop_non_existing_groups_during_sync": (
                "Remove groups that this mapper made when a complete listing has them no more."
            ),
        },
        """\
mappers:
  - name: staff groups
    type: group
    groups_dn: ou=groups,dc=example,dc=org
    group_object_classes: [groupOfNames]
    nested_membership: expand
    mapped_group_attributes: [description]
    groups_path: /Directory/Staff
    drop_non_existing_groups_during_sync: true
""",
    ),
    (
        "account-state",
        AccountStateOptions,
        (
            "Whether people may use their accounts, from the directory's attributes: disabled,"
            " locked, expired, not valid yet. One of them is enough to keep somebody out; one that"
            " cannot be read puts the entry into quarantine and changes nothing."
        ),
        {
            "name": "The mapper's name, unique in the organization.",
            "attributes": "Which attributes count; by default those of the vendor.",
            "attribute_names": "What this directory calls one of them, if not by its usual name.",
            "lockout_duration": (
                "How long a lockout lasts after `lockoutTime` or `pwdAccountLockedTime`; `0` is"
                " until somebody resets it. Without it those times say nothing."
            ),
            "trust_absence": (
                "A missing attribute lifts its restriction at once, and not only when the entry's"
                " modification time has moved as well."
            ),
        },
        """\
mappers:
  - name: account state
    type: account-state
    attributes: [nsAccountLock, shadowExpire]
""",
    ),
)

_TYPE_NAMES = {
    "str": "text",
    "str | None": "text",
    "bool": "true or false",
    "bool | None": "true or false",
    "tuple[str, ...]": "list",
    "Mapping[str, str]": "map",
    "RetrieveStrategy": "load_by_member_attribute or get_from_user_member_of",
    "MembershipType | None": "dn, uid or member_of",
    "float | None": "duration",
    "Nested": "none, expand or in_chain",
    "Literal['create', 'ignore']": "create or ignore",
    "tuple[NamePatternOptions, ...]": "list of {match, role}",
    "SyncMode": "import, force or inherit",
    "WhenAbsent": "take_back or keep",
    "UnknownRole": "create or ignore",
    "Scalar | None": "text, number, or true or false",
    "tuple[ConditionOptions, ...]": "list of {claim, equals, contains or matches}",
}


def render_catalog() -> str:
    """Return the reference of all types as Markdown."""
    return "\n".join(_render_type(mapper_type) for mapper_type in CATALOG.values())


def render_reasons() -> str:
    """Return the table of quarantine reasons as Markdown."""
    rows = "".join(f"| `{reason}` | {sentence} |\n" for reason, sentence in SENTENCES.items())
    return f"| reason | meaning |\n|---|---|\n{rows}"


def _render_type(mapper_type: MapperType) -> str:
    rows = "".join(
        f"| `{option.name}` | {option.type} | {_shown(option)} | {_escaped(option.doc)} |\n"
        for option in mapper_type.options
    )
    return (
        f"### {mapper_type.name}\n\n{mapper_type.summary}\n\n"
        f"| key | type | default | meaning |\n|---|---|---|---|\n{rows}\n"
        f"```yaml\n{mapper_type.example}```\n"
    )


def _escaped(doc: str) -> str:
    return doc.replace("|", "\\|")


def _shown(option: MapperOption) -> str:
    if option.required:
        return "required"
    match option.default:
        case None | "" | [] | {}:
            return "none"
        case bool(value):
            return f"`{str(value).lower()}`"
        case list(values):
            return f"`[{', '.join(values)}]`"
        case value:
            return f"`{value}`"


def _options(cls: type, docs: Mapping[str, str]) -> tuple[MapperOption, ...]:
    by_name = {each.name: each for each in fields(cls)}
    found = []
    for name, doc in docs.items():
        each = by_name[name]
        default: Any = None
        if each.default is not MISSING:
            default = each.default
        elif each.default_factory is not MISSING:
            default = each.default_factory()
        required = each.default is MISSING and each.default_factory is MISSING
        found.append(
            MapperOption(name, _TYPE_NAMES[str(each.type)], required, _plain(default), doc)
        )
    return tuple(found)


def _plain(default: Any) -> Any:  # noqa: ANN401
    """Return a default as JSON and YAML write it."""
    if isinstance(default, tuple):
        return list(default)
    return str(default) if isinstance(default, StrEnum) else default


CATALOG: Mapping[str, MapperType] = {
    name: MapperType(name, summary, _options(cls, docs), example)
    for name, cls, summary, docs, example in (*_TYPES, *CLAIM_TYPES)
}
