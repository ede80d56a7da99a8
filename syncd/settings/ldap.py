"""Owns the keys of an organization's directory: connection, search, schedule."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from syncd.settings.addresses import Dns, Urls
from syncd.settings.conflict import Conflict, conflict, warning
from syncd.settings.cron import CronLine
from syncd.settings.filters import Filter
from syncd.settings.roles import RoleImport
from syncd.settings.values import (
    CommaList,
    FileName,
    Flag,
    Period,
    Positive,
    SecretText,
    Section,
    Text,
    spelled,
)
from syncd.settings.vendors import VENDOR_DEFAULTS

DAY_SECONDS = 86_400
LARGEST_DEFAULT_PAGE = 1000
# Attributes that change when a person is renamed or moved.
_CHANGING_IDS = frozenset(
    {"uid", "entrydn", "dn", "distinguishedname", "cn", "mail", "samaccountname"}
    | {"userprincipalname"}
)


class LdapSettings(Section):
    """The directory that people are read from; it is never written to."""

    vendor: Annotated[
        Literal["active_directory", "openldap", "389ds", "freeipa", "opendj", "other"],
        spelled(ad="active_directory", rhds="389ds"),
    ] = Field(
        default="other",
        description="The directory product: sets the defaults of the attribute keys below.",
    )
    connection_url: Urls = Field(
        examples=["ldaps://ldap.example.org"],
        description="One or several, tried in order; ldap:// uses StartTLS, ldaps:// TLS at once.",
    )
    insecure_clear_text_bind: Flag = Field(
        default=False,
        description="Bind over ldap:// without StartTLS; the password is readable on the way.",
    )
    certificate_trust: Literal["only", "with_system"] = Field(
        default="only",
        description="Trust the organization's certificates only, or the system's authorities too.",
    )
    bind_type: Annotated[Literal["simple", "anonymous"], spelled(none="anonymous")] = Field(
        default="simple", description="With bind DN and credential, or with neither."
    )
    bind_dn: Text | None = Field(
        default=None,
        examples=["cn=reader,dc=example,dc=org"],
        description="Bind DN: the account that reads the directory; reading rights are enough.",
    )
    bind_credential: SecretText | None = Field(
        default=None, description="Bind Credential: its password; better in a file."
    )
    bind_credential_file: FileName | None = Field(
        default=None,
        examples=["acme-bind.secret"],
        description="A file that holds the bind credential.",
    )
    connect_timeout: Period = Field(
        default=5, description="How long one server has to accept a connection."
    )
    read_timeout: Period = Field(
        default=60,
        description="How long a server has to answer; a page of people may take a while.",
    )
    users_dn: Dns = Field(
        min_length=1,
        examples=["ou=users,dc=example,dc=org"],
        description="Users DN: the tree, or trees, that people are in.",
    )
    search_scope: Literal["subtree", "one_level"] = Field(
        default="subtree", description="Everything below the users DN, or only its children."
    )
    username_ldap_attribute: Text | None = Field(
        default=None, examples=["uid"], description="The attribute that holds the username."
    )
    rdn_ldap_attribute: Text | None = Field(
        default=None,
        examples=["uid"],
        description="RDN LDAP Attribute: the first part of a person's DN, often the username's.",
    )
    uuid_ldap_attribute: Text | None = Field(
        default=None,
        examples=["entryUUID"],
        description="UUID LDAP Attribute: by its value a person is recognized after a rename.",
    )
    user_object_classes: CommaList | None = Field(
        default=None,
        examples=[["inetOrgPerson", "organizationalPerson"]],
        description="User Object Classes: a person's entry has all of them.",
    )
    user_search_filter: Filter = Field(
        default="",
        examples=["(!(employeeType=robot))"],
        description="Further filter for people: empty, or a filter in parentheses.",
    )
    batch_size: Positive = Field(
        default=1000, description="People per transaction of the management store."
    )
    page_size: Positive | None = Field(
        default=None,
        examples=[500],
        description=(
            "Entries per LDAP page; default: the smaller of batch_size and 1000. Halved once the "
            "server says it is too large."
        ),
    )
    trust_email: Flag = Field(
        default=False, description="Take the directory's e-mail addresses as verified."
    )
    sentinels: Dns = Field(
        default=(),
        examples=[["uid=canary,ou=users,dc=example,dc=org"]],
        description="DNs without which a listing counts as incomplete: nobody is taken as gone.",
    )
    periodic_full_sync: Flag = Field(
        default=True, description="Periodic Full Sync: run full syncs on a schedule."
    )
    full_sync_period: Period | None = Field(
        default=DAY_SECONDS,
        examples=["24h"],
        description="Full Sync Period: time between full syncs; needed when they are on.",
    )
    full_sync_at: CronLine | None = Field(
        default=None,
        examples=["30 2 * * *"],
        description="A cron line (UTC) instead of the period.",
    )
    periodic_changed_users_sync: Flag = Field(
        default=True,
        description="Periodic Changed Users Sync: read new and changed people in between.",
    )
    changed_sync_period: Period | None = Field(
        default=300,
        examples=["5m"],
        description="Changed Sync Period: time between those; needed when they are on.",
    )
    change_detection: Literal[
        "auto", "modify_timestamp", "usn_changed", "dirsync", "syncrepl", "retro_changelog"
    ] = Field(
        default="auto",
        description="How changes are found; `auto` takes the best that the directory offers.",
    )
    import_roles: RoleImport | None = Field(
        default=None, description="Import roles; `null` imports none."
    )

    @property
    def effective_page_size(self) -> int:
        """The page size to start with."""
        return self.page_size or min(self.batch_size, LARGEST_DEFAULT_PAGE)

    def vendor_default(self, key: str) -> str | tuple[str, ...]:
        """Return what the vendor sets for an attribute key that is ``null``."""
        return VENDOR_DEFAULTS[self.vendor][key]

    def conflicts(self) -> Iterator[Conflict]:
        """Yield what contradicts itself."""
        yield from self._bind()
        yield from self._schedule()
        username = self.username_ldap_attribute or str(
            self.vendor_default("username_ldap_attribute")
        )
        uuid = self.uuid_ldap_attribute or str(self.vendor_default("uuid_ldap_attribute"))
        if uuid.lower() in _CHANGING_IDS or uuid.lower() == username.lower():
            yield warning(
                "uuid_ldap_attribute",
                "username_ldap_attribute",
                "vendor",
                because=f"is {uuid}, which changes with a name: after a rename the directory's "
                "person is a new person here; prefer an id such as entryUUID or objectGUID",
            )
        if self.import_roles is not None:
            roles = self.import_roles.conflicts(self.vendor)
            yield from (found.below("import_roles") for found in roles)

    def _bind(self) -> Iterator[Conflict]:
        if self.bind_type == "simple":
            for key in ("bind_dn", "bind_credential"):
                if getattr(self, key) is None:
                    also = " (or bind_credential_file)" if key == "bind_credential" else ""
                    yield conflict(
                        key, "bind_type", because=f"is required for bind_type: simple{also}"
                    )
        else:
            for key in ("bind_dn", "bind_credential"):
                if getattr(self, key) is not None:
                    yield conflict(
                        key, "bind_type", because="contradicts bind_type: anonymous; remove one"
                    )
        if not self.insecure_clear_text_bind:
            return
        if all(url.startswith("ldaps://") for url in self.connection_url):
            yield conflict(
                "insecure_clear_text_bind",
                "connection_url",
                because="is on, but every connection_url is ldaps://; remove it",
            )
        else:
            yield warning(
                "insecure_clear_text_bind",
                because="is on: the bind credential crosses the network unencrypted",
            )

    def _schedule(self) -> Iterator[Conflict]:
        given = self.model_fields_set
        if self.full_sync_at is not None and self.full_sync_period and "full_sync_period" in given:
            yield conflict(
                "full_sync_at",
                "full_sync_period",
                because="contradicts full_sync_period; keep one of them",
            )
        for switch, period, instead in (
            ("periodic_full_sync", "full_sync_period", self.full_sync_at),
            ("periodic_changed_users_sync", "changed_sync_period", None),
        ):
            value = getattr(self, period)
            if getattr(self, switch) and value is None and instead is None:
                yield conflict(period, switch, because=f"must be provided when {switch} is on")
            if not getattr(self, switch) and value is not None and period in given:
                yield warning(period, switch, because=f"has no effect while {switch} is off")
