"""How the tests of this folder look at a throw-away directory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from syncd.ldap.ber import decode_entry
from syncd.ldap.connection import ConnectionOptions
from syncd.ldap.source import ContainerSearch, LdapSource, UserSearch
from syncd.records import Scope
from tests.servers.slapd import PEOPLE, READER, ROLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from syncd.records import Entry
    from tests.servers.slapd import Account, Slapd

USER_FILTER = "(&(objectClass=inetOrgPerson)(objectClass=organizationalPerson))"
USER_ATTRIBUTES = ("entryUUID", "uid", "cn", "sn", "mail", "modifyTimestamp")


def options_for(
    slapd: Slapd, account: Account | None = READER, *, read_timeout_seconds: float = 20
) -> ConnectionOptions:
    """Return how an account, or nobody in particular, gets in."""
    return ConnectionOptions(
        urls=(slapd.url,),
        bind_dn=account.dn if account else None,
        password=account.password if account else None,
        ca_pem=(slapd.ca_pem,),
        connect_timeout_seconds=5,
        read_timeout_seconds=read_timeout_seconds,
    )


def user_search(
    *base_dns: str,
    scope: Scope = Scope.SUBTREE,
    filter: str = USER_FILTER,  # noqa: A002 (the field's name)
    uuid_attribute: str = "entryUUID",
    attributes: tuple[str, ...] = USER_ATTRIBUTES,
    page_size: int | None = 100,
    sentinels: tuple[str, ...] = (),
) -> UserSearch:
    """Return a search for people; without a base below ``ou=people``."""
    return UserSearch(
        base_dns=base_dns or (PEOPLE,),
        scope=scope,
        filter=filter,
        username_attribute="uid",
        uuid_attribute=uuid_attribute,
        attributes=attributes,
        page_size=page_size,
        sentinels=sentinels,
    )


def role_search(base_dn: str = ROLES, *, member_of_attribute: str | None = None) -> ContainerSearch:
    """Return a search for roles."""
    return ContainerSearch(
        base_dn=base_dn,
        scope=Scope.SUBTREE,
        filter="(objectClass=groupOfNames)",
        attributes=("entryUUID", "cn", "member"),
        page_size=100,
        member_of_attribute=member_of_attribute,
    )


def source_for(
    slapd: Slapd,
    users: UserSearch | None = None,
    *,
    account: Account | None = READER,
    read_timeout_seconds: float = 20,
    log_searches: bool = False,
    roles: ContainerSearch | None = None,
    change_detection: str = "auto",
    url: str | None = None,
) -> LdapSource:
    """Return a source that lists people, and roles by the mapper ``import roles``.

    ``url`` is another way to the server, in clear text: the fault proxy's.
    """
    options = options_for(slapd, account, read_timeout_seconds=read_timeout_seconds)
    if url is not None:
        options = replace(options, urls=(url,), insecure_clear_text_bind=True)
    return LdapSource(
        connection=options,
        users=users or user_search(),
        containers={"import roles": roles or role_search()},
        log_searches=log_searches,
        change_detection=change_detection,
    )


def role(name: str, members: Sequence[str]) -> str:
    """Return the LDIF record of a role."""
    lines = [f"dn: cn={name},{ROLES}", "objectClass: groupOfNames", f"cn: {name}"]
    return "\n".join([*lines, *(f"member: {member}" for member in members)]) + "\n\n"


def unit(name: str, superior: str) -> str:
    """Return the LDIF record of an organizational unit."""
    return f"dn: ou={name},{superior}\nobjectClass: organizationalUnit\nou: {name}\n\n"


def read(listing: Iterable[list[bytes]]) -> list[Entry]:
    """Return all entries of a listing."""
    return [decode_entry(raw) for page in listing for raw in page]


def uids(listing: Iterable[list[bytes]]) -> list[str]:
    """Return the usernames of a listing in order."""
    return sorted(entry.values("uid")[0].decode() for entry in read(listing))
