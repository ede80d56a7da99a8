"""From an entry to a container: what the imports of roles and of groups have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from syncd.errors import MappingError
from syncd.mappers.fingerprints import fingerprint
from syncd.mappers.identity import distinct, external_id_reader, own_dn_key
from syncd.mappers.members import compile_dn_members, compile_uid_members
from syncd.mappers.options import (
    MemberOfOptions,
    MembershipType,
    Nested,
    PrimaryGroupBy,
    RetrieveStrategy,
    RoleImportOptions,
)
from syncd.mappers.primary import compile_primary_member, group_attribute
from syncd.mappers.values import NAME_LIMIT, has_control, joined_ranges, text_reader, value_chooser
from syncd.records import ContainerRecord, key_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from syncd.mappers.codec import Codec
    from syncd.mappers.options import ImportOptions
    from syncd.mappers.reasons import Reason
    from syncd.records import Entry, Member

_NO_MEMBERS: tuple[Member, ...] = ()
_NO_PARENTS: tuple[bytes, ...] = ()


class ContainerMapping:
    """Makes a ContainerRecord of an Entry; raises MappingError for one that cannot be taken."""

    __slots__ = (
        "_dn_key",
        "_external_id",
        "_members",
        "_name",
        "_options",
        "_own_attributes",
        "_parents",
        "_primary",
        "_target",
        "attributes",
        "creates",
        "drops",
        "fingerprint",
        "fixed",
        "hierarchy",
        "kind",
        "member_attributes",
        "member_of",
        "names_dns",
        "nested",
        "primary_groups",
    )

    def __init__(
        self,
        options: ImportOptions,
        codec: Codec,
        *,
        username_attribute: str,
        read_name: Callable[[Entry], str],
        target_of: Callable[[str], str],
        read_attributes: Callable[[Entry], str],
        hierarchy: bool,
        fixed: tuple[ContainerRecord, ...] = (),
    ) -> None:
        self._options = options
        self.kind: Literal["role", "group"] = "group"
        # Whether a name that is nothing in the store yet becomes something.
        self.creates = True
        if isinstance(options, RoleImportOptions):
            self.kind, self.creates = "role", options.unknown_roles == "create"
        # Members of a member container count as members too.
        self.nested = options.nested_membership == Nested.EXPAND
        # Member containers become child groups.
        self.hierarchy = hierarchy
        # Whether a target that this import made goes when a complete listing has it no more.
        self.drops = drops(options)
        # Containers that no directory holds, outermost first: the groups above these.
        self.fixed = fixed
        type_ = membership_type(options)
        user_attribute = options.membership_user_ldap_attribute or username_attribute
        by_dn, by_uid = type_ == MembershipType.DN, type_ == MembershipType.UID
        states_itself = type_ == MembershipType.MEMBER_OF
        # Whether its entries name their members by DN; what the directory expands names itself.
        self.names_dns = by_dn and options.nested_membership != Nested.IN_CHAIN
        linked = self.nested or hierarchy
        self._dn_key = own_dn_key(codec)
        self._external_id = (
            external_id_reader(codec, options.uuid_attribute) if options.uuid_attribute else None
        )
        self._name, self._target, self._own_attributes = read_name, target_of, read_attributes
        attribute = options.membership_ldap_attribute
        self._members: Callable[[Entry], tuple[tuple[Member, ...], bool]] | None = None
        if by_dn:
            self._members = compile_dn_members(codec, attribute)
        elif by_uid:
            self._members = compile_uid_members(codec, attribute, user_attribute)
        own = options.member_of_ldap_attribute if states_itself and linked else None
        self._parents = _parents_reader(codec, own, base_dn(options)) if own else None
        primary = options.primary_group_by if has_primary_group(options) else None
        self._primary = compile_primary_member(primary) if primary else None
        # The LDAP attributes that the listing has to ask for.
        self.attributes = distinct(
            options.uuid_attribute,
            name_attribute(options),
            attribute if self._members else None,
            own,
            group_attribute(primary) if primary else None,
            *(() if isinstance(options, RoleImportOptions) else options.mapped_group_attributes),
        )
        self.fingerprint = fingerprint(options, username_attribute)
        # What the mapping of people has to bring for this import.
        self.member_attributes = (user_attribute,) if by_uid else ()
        self.primary_groups: tuple[PrimaryGroupBy, ...] = (primary,) if primary else ()
        self.member_of = (
            (
                MemberOfOptions(
                    mapper=options.name,
                    ldap_attribute=options.member_of_ldap_attribute,
                    base_dn=base_dn(options),
                ),
            )
            if states_itself
            else ()
        )

    @property
    def root(self) -> bytes | None:
        """The key of the container below which those without a parent stand."""
        return self.fixed[-1].container_key if self.fixed else None

    def __call__(self, entry: Entry) -> ContainerRecord:
        """Return the container that ``entry`` is."""
        name = self._name(entry)
        record = self._record(entry, name)
        return record._replace(
            kind=self.kind, target=self._target(name), attributes=self._own_attributes(entry)
        )

    def target_of(self, name: str) -> str:
        """Return what a name in the directory stands for here.

        Raises:
            MappingError: It may stand for nothing.

        """
        return self._target(name)

    def outside(self, entry: Entry) -> ContainerRecord:
        """Return the container that an entry outside of the base is: it hands its members on.

        It stands for nothing here, so it needs no name that is one.
        """
        try:
            name = self._name(entry)
        except MappingError:
            name = entry.dn
        return self._record(entry, name)

    def key_of(self, entry: Entry) -> bytes | None:
        """Return the key of the container that an entry is, mappable or not; None if unreadable."""
        try:
            return self._identity(entry)[2]
        except MappingError:
            return None

    def _record(self, entry: Entry, name: str) -> ContainerRecord:
        dn_key, external_id, container_key = self._identity(entry)
        members, parents = _NO_MEMBERS, _NO_PARENTS
        whole = True
        if self._members is not None:
            members, whole = self._members(entry)
        if self._parents is not None:
            parents, whole = self._parents(entry)
        if self._primary is not None and (primary := self._primary(entry)) is not None:
            members = (*members, primary)
        return ContainerRecord(
            mapper=self._options.name,
            container_key=container_key,
            external_id=external_id,
            dn=entry.dn,
            dn_key=dn_key,
            name=name,
            target="",
            members=members,
            whole=whole,
            kind="outside",
            parents=parents,
        )

    def _identity(self, entry: Entry) -> tuple[bytes, str, bytes]:
        dn_key = self._dn_key(entry)
        uuid_attribute = self._options.uuid_attribute
        if self._external_id is not None and uuid_attribute and entry.values(uuid_attribute):
            external_id = self._external_id(entry)
        else:
            external_id = dn_key.hex()
        # Where people name their containers they do so by DN, so the DN has to be the key.
        return dn_key, external_id, dn_key if self._members is None else key_of(external_id)


def base_dn(options: ImportOptions) -> str:
    """Return the base below which an import's entries are."""
    return options.roles_dn if isinstance(options, RoleImportOptions) else options.groups_dn


def name_attribute(options: ImportOptions) -> str:
    """Return the attribute that holds the names of an import's entries."""
    if isinstance(options, RoleImportOptions):
        return options.role_name_ldap_attribute
    return options.group_name_ldap_attribute


def strategy(options: ImportOptions) -> RetrieveStrategy:
    """Return which side says who is in an import's entries."""
    if isinstance(options, RoleImportOptions):
        return options.user_roles_retrieve_strategy
    return options.user_groups_retrieve_strategy


def drops(options: ImportOptions) -> bool:
    """Return whether what an import made goes with the directory's entry."""
    if isinstance(options, RoleImportOptions):
        return options.drop_non_existing_roles
    return options.drop_non_existing_groups_during_sync


def membership_type(options: ImportOptions) -> MembershipType:
    """Return what the membership attribute's values are, defaults applied."""
    if strategy(options) == RetrieveStrategy.GET_FROM_USER_MEMBER_OF:
        return MembershipType.MEMBER_OF
    return MembershipType(options.membership_attribute_type or MembershipType.DN)


def has_primary_group(options: ImportOptions) -> bool:
    """Return whether people's primary groups count, defaults applied."""
    if options.primary_group is not None:
        return options.primary_group
    by_sid = options.primary_group_by == PrimaryGroupBy.OBJECT_SID
    return by_sid and membership_type(options) == MembershipType.DN


def name_reader(
    codec: Codec, attribute: str, noun: str, *, missing: Reason, bad: Reason
) -> Callable[[Entry], str]:
    """Return the reader of a role's or group's name."""
    read_text = text_reader(codec, attribute)
    choose = value_chooser(codec, attribute)

    def read(entry: Entry) -> str:
        values = entry.values(attribute)
        if not values:
            raise MappingError(missing, f"the {noun} entry has no value of {attribute}", attribute)
        texts = [text for text in map(read_text, values) if text]
        name = choose(entry, texts) if texts else ""
        if not name or len(name) > NAME_LIMIT or has_control(name):
            raise MappingError(
                bad,
                f"the {noun}'s name in {attribute} is blank, longer than {NAME_LIMIT} characters or"
                " has control characters in it",
                attribute,
            )
        return name

    return read


def _parents_reader(
    codec: Codec, attribute: str, base: str
) -> Callable[[Entry], tuple[tuple[bytes, ...], bool]]:
    """Return the reader of the containers that an entry says it is in, and if they are all."""
    decode, is_below = codec.text, codec.is_below

    def read(entry: Entry) -> tuple[tuple[bytes, ...], bool]:
        values, whole = joined_ranges(entry, attribute)
        keys = set()
        for value in values:
            # One that is no DN names no container that anybody could find.
            try:
                dn = decode(value)
                if dn and (is_below is None or is_below(dn, base)):
                    keys.add(codec.dn_key(dn))
            except (MappingError, ValueError):
                continue
        return tuple(sorted(keys)), whole

    return read
