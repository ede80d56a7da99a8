"""Role import: an entry below the Roles DN to a container with a role's name and its members."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from syncd.errors import MappingError
from syncd.mappers.checks import refuse_contradictions
from syncd.mappers.fingerprints import fingerprint
from syncd.mappers.identity import distinct, external_id_reader, own_dn_key
from syncd.mappers.memberships import unreadable_key
from syncd.mappers.options import (
    MemberOfOptions,
    MembershipType,
    RetrieveStrategy,
    is_preconfigured_role,
)
from syncd.mappers.reasons import Reason
from syncd.mappers.values import NAME_LIMIT, has_control, joined_ranges, text_reader, value_chooser
from syncd.records import ContainerRecord, Member, fold, key_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from syncd.mappers.codec import Codec
    from syncd.mappers.options import RoleImportOptions
    from syncd.records import Entry

_NO_MEMBERS: tuple[Member, ...] = ()
# What directories that demand a member are given when a container has none.
PLACEHOLDER = "cn=empty-membership-placeholder"
# The bit string after a DN of the Name and Optional UID syntax (RFC 4517 section 3.3.21).
_OPTIONAL_UID = re.compile(r"#'[01]*'B\Z").sub


class ContainerMapping:
    """Makes a ContainerRecord of an Entry; raises MappingError for one that cannot be taken."""

    __slots__ = (
        "_dn_key",
        "_external_id",
        "_members",
        "_name",
        "_options",
        "_role_name",
        "attributes",
        "fingerprint",
        "member_attributes",
        "member_of",
    )

    def __init__(self, options: RoleImportOptions, codec: Codec, username_attribute: str) -> None:
        self._options = options
        kind = membership_type(options)
        user_attribute = options.membership_user_ldap_attribute or username_attribute
        self._dn_key = own_dn_key(codec)
        self._external_id = (
            external_id_reader(codec, options.uuid_attribute) if options.uuid_attribute else None
        )
        self._name = _name_reader(codec, options.role_name_ldap_attribute)
        self._role_name = _role_namer(options)
        self._members = (
            None
            if kind == MembershipType.MEMBER_OF
            else _member_reader(codec, options.membership_ldap_attribute, kind, user_attribute)
        )
        # The LDAP attributes that the listing has to ask for.
        self.attributes = distinct(
            options.uuid_attribute,
            options.role_name_ldap_attribute,
            options.membership_ldap_attribute if self._members else None,
        )
        self.fingerprint = fingerprint(options, username_attribute)
        # What the mapping of people has to bring for this import.
        self.member_attributes = (user_attribute,) if kind == MembershipType.UID else ()
        self.member_of = (
            (
                MemberOfOptions(
                    mapper=options.name,
                    ldap_attribute=options.member_of_ldap_attribute,
                    base_dn=options.roles_dn,
                ),
            )
            if kind == MembershipType.MEMBER_OF
            else ()
        )

    def __call__(self, entry: Entry) -> ContainerRecord:
        """Return the container that ``entry`` is."""
        dn_key, external_id, container_key = self._identity(entry)
        name = self._name(entry)
        members, whole = self._members(entry) if self._members is not None else (_NO_MEMBERS, True)
        return ContainerRecord(
            mapper=self._options.name,
            container_key=container_key,
            external_id=external_id,
            dn=entry.dn,
            dn_key=dn_key,
            name=name,
            target=self._role_name(name),
            members=members,
            whole=whole,
        )

    def key_of(self, entry: Entry) -> bytes | None:
        """Return the key of the container that an entry is, mappable or not; None if unreadable."""
        try:
            return self._identity(entry)[2]
        except MappingError:
            return None

    def _identity(self, entry: Entry) -> tuple[bytes, str, bytes]:
        dn_key = self._dn_key(entry)
        uuid_attribute = self._options.uuid_attribute
        if self._external_id is not None and uuid_attribute and entry.values(uuid_attribute):
            external_id = self._external_id(entry)
        else:
            external_id = dn_key.hex()
        return dn_key, external_id, dn_key if self._members is None else key_of(external_id)


def compile_roles(
    options: RoleImportOptions, *, codec: Codec, username_attribute: str
) -> ContainerMapping:
    """Return the mapping of one role import."""
    refuse_contradictions(options)
    return ContainerMapping(options, codec, username_attribute)


def membership_type(options: RoleImportOptions) -> MembershipType:
    """Return what the membership attribute's values are, defaults applied."""
    if options.user_roles_retrieve_strategy == RetrieveStrategy.GET_FROM_USER_MEMBER_OF:
        return MembershipType.MEMBER_OF
    return MembershipType(options.membership_attribute_type or MembershipType.DN)


def _name_reader(codec: Codec, attribute: str) -> Callable[[Entry], str]:
    read_text = text_reader(codec, attribute)
    choose = value_chooser(codec, attribute)

    def read(entry: Entry) -> str:
        values = entry.values(attribute)
        if not values:
            raise MappingError(
                Reason.MISSING_ROLE_NAME, f"the role entry has no value of {attribute}", attribute
            )
        texts = [text for text in map(read_text, values) if text]
        name = choose(entry, texts) if texts else ""
        if not name or len(name) > NAME_LIMIT or has_control(name):
            raise MappingError(
                Reason.BAD_ROLE_NAME,
                f"the role's name in {attribute} is blank, longer than {NAME_LIMIT} characters or"
                " has control characters in it",
                attribute,
            )
        return name

    return read


def _role_namer(options: RoleImportOptions) -> Callable[[str], str]:
    """Return the rule from a directory role's name to the role that it stands for."""
    name_map = {fold(name.strip()): role.strip() for name, role in options.name_map.items()}

    def role_name(name: str) -> str:
        role = name_map.get(fold(name))
        if role is None and is_preconfigured_role(name):
            raise MappingError(
                Reason.ROLE_NAME_RESERVED,
                f"the directory's role {name!r} is called like a preconfigured role; give it"
                f" another name in name_map of {options.name!r}",
                options.role_name_ldap_attribute,
            )
        if role is not None and is_preconfigured_role(role) and not options.may_grant_privileged:
            raise MappingError(
                Reason.ROLE_NAME_RESERVED,
                f"name_map of {options.name!r} gives the directory's role {name!r} the"
                f" preconfigured role {role!r}; set may_grant_privileged: true to allow that",
                options.role_name_ldap_attribute,
            )
        return name if role is None else role

    return role_name


def _member_reader(
    codec: Codec, attribute: str, kind: MembershipType, user_attribute: str
) -> Callable[[Entry], tuple[tuple[Member, ...], bool]]:
    """Return the reader of a container's members, sorted, and whether they are all."""
    by_uid = kind == MembershipType.UID
    member_kind = f"uid:{user_attribute.lower()}" if by_uid else "dn"
    key = _uid_key if by_uid else codec.dn_key
    placeholder = key(PLACEHOLDER)
    decode = codec.text

    def member(value: bytes) -> Member:
        try:
            text = decode(value)
            if text.endswith("'B"):
                text = _OPTIONAL_UID("", text)
            if b"\0" not in value:
                return Member(member_kind, key(text), text)
        except (MappingError, ValueError):
            text = value.decode("utf-8", "backslashreplace").strip()
        # Nobody has this name: it stays in the books unresolved, and the others are taken.
        text = text.replace("\0", "\\00")
        return Member(member_kind, unreadable_key(text), text)

    def read(entry: Entry) -> tuple[tuple[Member, ...], bool]:
        values, whole = joined_ranges(entry, attribute)
        # The smallest spelling of each member stands for it, whatever order they came in.
        found = {each.key: each for each in sorted(map(member, values), reverse=True)}
        found.pop(placeholder, None)
        return tuple(sorted(each for each in found.values() if each.value)), whole

    return read


def _uid_key(text: str) -> bytes:
    return key_of(fold(text))
