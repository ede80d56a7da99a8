"""How the tests of this folder look at a throw-away Active Directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncd.ldap.ber import decode_entry
from syncd.ldap.connection import ConnectionOptions
from syncd.ldap.source import ContainerSearch, LdapSource, UserSearch
from syncd.records import Scope
from tests.servers.samba import ADMIN, GROUPS, PASSWORD, PEOPLE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from syncd.records import Entry

USER_FILTER = "(&(objectCategory=person)(objectClass=user))"
USER_ATTRIBUTES = ("objectGUID", "sAMAccountName", "cn", "memberOf")
MAPPER = "import groups"


def ad_users(
    *base_dns: str,
    filter: str = USER_FILTER,  # noqa: A002 (the field's name)
    page_size: int | None = 1000,
    sentinels: tuple[str, ...] = (),
) -> UserSearch:
    """Return a search for people; without a base below ``PEOPLE``."""
    return UserSearch(
        base_dns=base_dns or (PEOPLE,),
        scope=Scope.SUBTREE,
        filter=filter,
        username_attribute="sAMAccountName",
        uuid_attribute="objectGUID",
        attributes=USER_ATTRIBUTES,
        page_size=page_size,
        sentinels=sentinels,
        created_attribute="whenCreated",
        modified_attribute="whenChanged",
    )


def ad_groups(
    *,
    filter: str = "(objectClass=group)",  # noqa: A002 (the field's name)
    in_chain: bool = False,
    class_filter: str = "",
) -> ContainerSearch:
    """Return a search for the groups below ``GROUPS``."""
    return ContainerSearch(
        base_dn=GROUPS,
        scope=Scope.SUBTREE,
        filter=filter,
        class_filter=class_filter,
        attributes=("objectGUID", "cn", "member"),
        created_attribute="whenCreated",
        modified_attribute="whenChanged",
        in_chain=in_chain,
    )


def ad_options(url: str, bind_dn: str = ADMIN, password: str = PASSWORD) -> ConnectionOptions:
    """Return how an account gets in, in clear text."""
    return ConnectionOptions(
        urls=(url,),
        bind_dn=bind_dn,
        password=password,
        insecure_clear_text_bind=True,
        connect_timeout_seconds=5,
        read_timeout_seconds=20,
    )


def ad_source(
    url: str,
    *,
    users: UserSearch | None = None,
    groups: ContainerSearch | None = None,
    options: ConnectionOptions | None = None,
    change_detection: str = "modify_timestamp",
) -> LdapSource:
    """Return a source that lists people, and groups by the mapper ``MAPPER``."""
    return LdapSource(
        connection=options or ad_options(url),
        users=users or ad_users(),
        containers={MAPPER: groups or ad_groups()},
        change_detection=change_detection,
    )


def entries(listing: Iterable[list[bytes]]) -> dict[str, Entry]:
    """Return the entries of a listing by their common names."""
    found = [decode_entry(raw) for page in listing for raw in page]
    return {entry.values("cn")[0].decode(): entry for entry in found}


def texts(entry: Entry, attribute: str) -> list[str]:
    """Return an attribute's values."""
    return [value.decode() for value in entry.values(attribute)]
