"""Owns what the settings ask of the schedule: each organization's rhythms and servers."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from syncd.daemon.messages import CHANGED, EVERYBODY, FULL, PRUNE
from syncd.errors import ConfigurationError, Fault
from syncd.schedule import Rhythm, Timetable, require_moments

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syncd.settings import LdapSettings, OrganizationSettings, Settings

DAY_SECONDS = 86_400
LDAP_PORTS = {"ldap": 389, "ldaps": 636}
# What of a directory's settings has no bearing on who is found and how he is mapped.
INCIDENTAL = {
    "periodic_full_sync",
    "full_sync_period",
    "full_sync_at",
    "periodic_changed_users_sync",
    "changed_sync_period",
    "bind_credential",
    "bind_credential_file",
    "connect_timeout",
    "read_timeout",
    "batch_size",
    "page_size",
}


def timetables(settings: Settings) -> dict[str, Timetable]:
    """Return the timetable of every organization that is synced, and of the daily pruning.

    Raises:
        ConfigurationError: A cron line names no day that ever comes.

    """
    found = {EVERYBODY: Timetable(EVERYBODY, {PRUNE: Rhythm(DAY_SECONDS)})}
    faults: list[Fault] = []
    for organization in settings.organizations.values():
        if organization.provider != "ldap" or organization.ldap is None:
            continue
        try:
            rhythms = _rhythms(organization.id, organization.ldap)
        except ConfigurationError as error:
            faults += error.faults
            continue
        servers = frozenset(_server(url) for url in organization.ldap.connection_url)
        found[organization.id] = Timetable(organization.id, rhythms, servers)
    if faults:
        raise ConfigurationError(faults)
    return found


def _rhythms(organization: str, ldap: LdapSettings) -> dict[str, Rhythm]:
    rhythms: dict[str, Rhythm] = {}
    if ldap.full_sync_at is not None:
        require_moments(
            ldap.full_sync_at, file=f"organization {organization}", key="ldap.full_sync_at"
        )
    if ldap.periodic_full_sync:
        rhythms[FULL] = Rhythm(ldap.full_sync_period or DAY_SECONDS, ldap.full_sync_at)
    if ldap.periodic_changed_users_sync and ldap.changed_sync_period is not None:
        rhythms[CHANGED] = Rhythm(ldap.changed_sync_period)
    return rhythms


def _server(url: str) -> str:
    parts = urlsplit(url)
    return f"{(parts.hostname or '').lower()}:{parts.port or LDAP_PORTS.get(parts.scheme, 0)}"


def changed_organizations(before: Settings, now: Settings) -> Mapping[str, bool]:
    """Return whose settings are others than before; true when people may come out differently."""
    found = {}
    for name, organization in now.organizations.items():
        old = before.organizations.get(name)
        if old is not None and old != organization:
            found[name] = _mapping(old) != _mapping(organization)
    return found


def _mapping(organization: OrganizationSettings) -> object:
    ldap = organization.ldap
    shape = None if ldap is None else ldap.model_dump(exclude=INCIDENTAL)
    return organization.provider, shape, organization.mappers, organization.deletion
