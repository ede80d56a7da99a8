"""How the tests look at a throw-away 389 Directory Server: it names entries by nsUniqueId."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncd.ldap.connection import ConnectionOptions
from syncd.ldap.source import ContainerSearch, LdapSource, UserSearch
from syncd.records import Scope
from tests.integration.ldap.sources import USER_FILTER, read
from tests.servers.slapd import PEOPLE, READER, ROLES

if TYPE_CHECKING:
    from tests.servers.ds389 import DS389
    from tests.servers.slapd import Account

IMPORT = "import roles"
STAFF_FILTER = f"(&{USER_FILTER}(!(employeeType=former)))"
ATTRIBUTES = ("nsUniqueId", "uid", "cn", "sn", "mail", "memberOf", "modifyTimestamp")


def uid(name: str, container: str = PEOPLE) -> str:
    """Return somebody's DN."""
    return f"uid={name},{container}"


def options_for(server: DS389, account: Account | None = READER) -> ConnectionOptions:
    """Return how an account gets in, in clear text on loopback."""
    return ConnectionOptions(
        urls=(server.url,),
        bind_dn=account.dn if account else None,
        password=account.password if account else None,
        insecure_clear_text_bind=True,
    )


def user_search(
    *base_dns: str,
    filter: str = STAFF_FILTER,  # noqa: A002 (the field's name)
    uuid_attribute: str = "nsUniqueId",
    attributes: tuple[str, ...] = ATTRIBUTES,
    page_size: int | None = 100,
    scope: Scope = Scope.SUBTREE,
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


def source_for(
    server: DS389,
    users: UserSearch | None = None,
    *,
    account: Account | None = READER,
    change_detection: str = "auto",
) -> LdapSource:
    """Return a source that lists people, and roles by the mapper ``import roles``."""
    roles = ContainerSearch(
        base_dn=ROLES,
        scope=Scope.SUBTREE,
        filter="(objectClass=groupOfNames)",
        attributes=("nsUniqueId", "cn", "member"),
        page_size=100,
    )
    return LdapSource(
        connection=options_for(server, account),
        users=users or user_search(),
        containers={IMPORT: roles},
        change_detection=change_detection,
    )


def ids_of(source: LdapSource) -> dict[str, str]:
    """Return everybody's id by uid."""
    return {
        entry.values("uid")[0].decode(): entry.values("nsUniqueId")[0].decode()
        for entry in read(source.users())
    }
