"""From an entry to a person: all mappers of an organization, compiled to one callable.

Compiling looks everything up once; mapping an entry is a few calls on its values and nothing
else. The same entry gives the same record, whatever order its values came in.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from syncd.errors import MappingError, cut
from syncd.mappers.account_state import AccountMapping
from syncd.mappers.checks import refuse_contradictions
from syncd.mappers.codec import Codec
from syncd.mappers.containers import ContainerMapping
from syncd.mappers.fingerprints import fingerprint
from syncd.mappers.groups import compile_groups
from syncd.mappers.identity import distinct, external_id_reader, own_dn_key
from syncd.mappers.memberships import compile_member_keys, compile_member_of
from syncd.mappers.options import UserAttributeOptions, property_of
from syncd.mappers.origins import FieldOrigin, origins
from syncd.mappers.primary import compile_primary_key, person_attributes
from syncd.mappers.reasons import Reason
from syncd.mappers.roles import compile_roles
from syncd.mappers.sources import Sources
from syncd.mappers.values import NAME_LIMIT, has_control
from syncd.records import UserRecord, fold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from syncd.mappers.account_options import AccountStateOptions
    from syncd.mappers.options import MapperOptions, MemberOfOptions, PrimaryGroupBy
    from syncd.records import ContainerRecord, Entry, MemberOf

__all__ = [
    "Codec",
    "ContainerMapping",
    "FieldOrigin",
    "UserMapping",
    "compile_groups",
    "compile_roles",
    "compile_users",
]


class UserMapping:
    """Makes a UserRecord of an Entry; raises MappingError for one that cannot be taken.

    One thread uses one mapping: it remembers values that many people share.
    """

    __slots__ = (
        "_account",
        "_map",
        "_read_external_id",
        "_read_username",
        "_sources",
        "attributes",
        "containers",
        "fingerprint",
    )

    def __init__(
        self,
        *,
        map_entry: Callable[[Entry], UserRecord],
        read_external_id: Callable[[Entry], str],
        sources: Sources,
        attributes: tuple[str, ...],
        fingerprint: str,
        account: AccountMapping | None = None,
    ) -> None:
        self._map = map_entry
        self._account = account
        self._read_external_id = read_external_id
        self._read_username = _username_reader(sources)
        self._sources = sources
        # The LDAP attributes that the listing has to ask for.
        self.attributes = attributes
        self.fingerprint = fingerprint
        # What stands for the hardcoded roles that every person states.
        self.containers: tuple[ContainerRecord, ...] = tuple(sources.containers)

    def __call__(self, entry: Entry) -> UserRecord:
        """Return the person that ``entry`` is."""
        return self._map(entry)

    def identify(self, entry: Entry) -> tuple[str | None, str | None]:
        """Return the id and the username key of an entry that cannot be mapped, where readable."""
        external_id = username_key = None
        with suppress(MappingError):
            external_id = self._read_external_id(entry)
        with suppress(MappingError):
            username_key = fold(self._read_username(entry))
        return external_id, username_key

    def explain(self, entry: Entry) -> list[FieldOrigin]:
        """Return where each field of the person that ``entry`` is comes from."""
        found = origins(self._map(entry), entry, self._sources)
        return found if self._account is None else [*found, *self._account.origins(entry)]


def compile_users(
    *,
    codec: Codec,
    uuid_attribute: str,
    username_attribute: str,
    trust_email: bool,
    mappers: Sequence[MapperOptions],
    member_attributes: Sequence[str] = (),
    member_of: Sequence[MemberOfOptions] = (),
    primary_groups: Iterable[PrimaryGroupBy] = (),
    account: AccountStateOptions | None = None,
) -> UserMapping:
    """Return the mapping of people.

    ``member_attributes`` are the user attributes by which UID-type containers name people,
    ``member_of`` the imports whose members say themselves what they are in, ``primary_groups`` how
    some of them count people's primary groups.
    """
    primaries = sorted(set(primary_groups))
    sources = Sources()
    if account is not None:
        refuse_contradictions(account)
    accounts = None if account is None else AccountMapping(account, codec)
    for options in _with_username(mappers, username_attribute):
        refuse_contradictions(options)
        sources.add(options, codec)
    return UserMapping(
        read_external_id=external_id_reader(codec, uuid_attribute),
        map_entry=_map_entry(
            codec=codec,
            uuid_attribute=uuid_attribute,
            sources=sources,
            trust_email=trust_email,
            member_attributes=tuple(member_attributes),
            member_of=tuple(member_of),
            primaries=primaries,
            account=accounts,
        ),
        sources=sources,
        account=accounts,
        attributes=distinct(
            uuid_attribute,
            username_attribute,
            *(options.ldap_attribute for options in mappers if hasattr(options, "ldap_attribute")),
            *member_attributes,
            *(options.ldap_attribute for options in member_of),
            *(attribute for by in primaries for attribute in person_attributes(by)),
            *(accounts.attributes if accounts is not None else ()),
        ),
        fingerprint=fingerprint(
            uuid_attribute,
            username_attribute,
            trust_email,
            list(mappers),
            list(member_attributes),
            list(member_of),
            *([primaries] if primaries else []),
            *([] if account is None else [account]),
        ),
    )


def _with_username(
    mappers: Sequence[MapperOptions], username_attribute: str
) -> list[MapperOptions]:
    """Add the username's own mapper where no other one fills the username."""
    if any(
        isinstance(options, UserAttributeOptions)
        and property_of(options.user_attribute) == "username"
        for options in mappers
    ):
        return list(mappers)
    own = UserAttributeOptions(
        name="username", user_attribute="username", ldap_attribute=username_attribute
    )
    return [own, *mappers]


def _map_entry(
    *,
    codec: Codec,
    uuid_attribute: str,
    sources: Sources,
    trust_email: bool,
    member_attributes: tuple[str, ...],
    member_of: tuple[MemberOfOptions, ...],
    primaries: Sequence[PrimaryGroupBy],
    account: AccountMapping | None,
) -> Callable[[Entry], UserRecord]:
    new = tuple.__new__
    read_external_id = external_id_reader(codec, uuid_attribute)
    read_dn_key = own_dn_key(codec)
    read_username = _username_reader(sources)
    read_email = sources.reader("email")
    read_verified = _verified_reader(sources, trust_email=trust_email)
    read_first_name, read_last_name = sources.reader("first_name"), sources.reader("last_name")
    read_attributes = sources.attributes_reader()
    read_created = sources.reader("source_created_at")
    read_modified = sources.reader("source_modified_at")
    read_member_keys = _member_keys_reader(codec, member_attributes, primaries)
    read_memberships = _memberships_reader(codec, sources, member_of)

    def map_entry(entry: Entry) -> UserRecord:
        external_id = read_external_id(entry)
        username = read_username(entry)
        email = read_email(entry)
        if email is not None:
            email = email.lower()
        # A named tuple's own constructor costs as much as three mappers; a test holds the order.
        return new(
            UserRecord,
            (
                external_id,
                entry.dn,
                read_dn_key(entry),
                username,
                username.lower() if username.isascii() else fold(username),
                email,
                email if email is None or email.isascii() else fold(email),
                email is not None and read_verified(entry),
                read_first_name(entry),
                read_last_name(entry),
                read_attributes(entry),
                None if account is None else account(entry),
                read_created(entry),
                read_modified(entry),
                read_member_keys(entry),
                read_memberships(entry),
            ),
        )

    return map_entry


def _username_reader(sources: Sources) -> Callable[[Entry], str]:
    read = sources.reader("username")
    attributes = distinct(*(source.attribute for source in sources.properties["username"]))
    named = " or ".join(attributes)

    def read_username(entry: Entry) -> str:
        username = read(entry)
        if username is None:
            if any(entry.values(attribute) for attribute in attributes):
                raise MappingError(Reason.BAD_USERNAME, f"{named} is blank", attributes[-1])
            raise MappingError(
                Reason.MISSING_USERNAME, f"the entry has no value of {named}", attributes[-1]
            )
        if len(username) > NAME_LIMIT or has_control(username):
            raise MappingError(
                Reason.BAD_USERNAME,
                f"{named} is longer than {NAME_LIMIT} characters or has control characters in it:"
                f" {cut(ascii(username), 64)}",
                attributes[-1],
            )
        return username

    return read_username


def _verified_reader(sources: Sources, *, trust_email: bool) -> Callable[[Entry], bool]:
    """Return whether an address counts as verified; only "true" and "false" are statements."""
    if "email_verified" not in sources.properties:
        return lambda _: trust_email
    read = sources.reader("email_verified")
    words = {"true": True, "false": False}
    return lambda entry: words.get((read(entry) or "").lower(), trust_email)


def _member_keys_reader(
    codec: Codec, member_attributes: tuple[str, ...], primaries: Sequence[PrimaryGroupBy]
) -> Callable[[Entry], tuple[tuple[str, bytes], ...]]:
    reads = [compile_member_keys(each, codec) for each in distinct(*member_attributes)]
    reads += map(compile_primary_key, primaries)
    if not reads:
        return lambda _: ()
    return lambda entry: tuple(sorted({key for read in reads for key in read(entry)}))


def _memberships_reader(
    codec: Codec, sources: Sources, member_of: tuple[MemberOfOptions, ...]
) -> Callable[[Entry], tuple[MemberOf, ...]]:
    hardcoded = tuple(sorted(sources.memberships))
    reads = [compile_member_of(options, codec) for options in member_of]
    if not reads:
        return lambda _: hardcoded

    def read(entry: Entry) -> tuple[MemberOf, ...]:
        statements = [statement for each in reads for statement in each(entry)]
        # Several spellings of one container are one statement: the smallest.
        found = {each[:2]: each for each in sorted(statements, reverse=True)}
        return tuple(sorted([*hardcoded, *found.values()]))

    return read
