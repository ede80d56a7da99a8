"""What commands ask of store and directory without changing anything: lists, one person, why.

The half of ``syncd.app`` that only looks. Each method returns plain values in the contract's shapes
and raises SyncdError.
"""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from syncd.errors import NotFound, StoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from syncd.compose import DirectoryParts
    from syncd.ldap.source import LdapSource
    from syncd.settings import OrganizationSettings, Settings
    from syncd.store.database import Database
    from syncd.store.people import People
    from syncd.store.schedules import Schedules


class Looking:
    """Opens the store, and answers what is in it and in the directories."""

    def __init__(self, settings: Settings, *, log_searches: bool = False) -> None:
        self.settings = settings
        self.log_searches = log_searches or settings.daemon.log.searches
        self._database: Database | None = None
        # What a newer program's schema is to this one, once the store is open; who is told then.
        self.newer_schema: str | None = None
        self.tell_newer: Callable[[str], None] | None = None
        # Organizations that are known to stand in the store.
        self.founded: set[str] = set()
        # The daemon asks from several threads.
        self._opening = threading.Lock()

    def database(self) -> Database:
        """Open the store and make sure that this program may work on its schema."""
        from syncd.store import migrate

        with self._opening:
            if self._database is None:
                database = self._open()
                self.newer_schema = migrate.require_current(database)
                self._database = database
                if self.newer_schema is not None and self.tell_newer is not None:
                    self.tell_newer(self.newer_schema)
            return self._database

    def _open(self, stage: str = "stage") -> Database:
        from syncd.store.database import Database

        return Database(self.settings.daemon.store.url.get_secret_value(), stage=stage)

    def _source(self, parts: DirectoryParts) -> LdapSource:
        from syncd.ldap.source import LdapSource

        return LdapSource(
            connection=parts.connection,
            users=parts.users,
            containers=parts.containers,
            log_searches=self.log_searches,
            change_detection=parts.change_detection,
        )

    def _organization(self, org: str) -> OrganizationSettings:
        found = self.settings.organizations.get(org)
        if found is None:
            known = ", ".join(sorted(self.settings.organizations)) or "none is configured"
            raise NotFound(f"there is no organization {org}; there are: {known}")
        return found

    def _parts(self, organization: OrganizationSettings) -> DirectoryParts:
        from syncd.compose import directory_parts

        return directory_parts(organization)

    def _people(self, org: str) -> People:
        from syncd.store.people import People

        return People(self.database(), org)

    @staticmethod
    def _changes(database: Database, run: str, limit: int | None) -> list[dict[str, Any]]:
        from syncd.store.run_reads import run_changes
        from syncd.store.runs import run_number

        number = run_number(run)
        return [] if number is None else run_changes(database, number, limit)

    # --- configuration --------------------------------------------------------------------

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed but should be known."""
        return self.settings.warnings

    def config_show(self) -> dict[str, Any]:
        """Return the effective settings, secrets masked."""
        from syncd.settings import masked

        return dict(masked(self.settings))

    @staticmethod
    def config_schema() -> dict[str, Any]:
        """Return the JSON Schemas of the daemon's and an organization's file."""
        from syncd.settings import json_schema

        return dict(json_schema())

    @staticmethod
    def mappers() -> list[dict[str, Any]]:
        """Return each mapper type with its options and an example."""
        from syncd.mappers.catalog import CATALOG

        return [entry.to_json() for entry in CATALOG.values()]

    def check(self, *, connect: bool) -> dict[str, Any]:
        """Validate what loading could not, and look at the directories if asked to."""
        from syncd.doctor import check

        report = check(self.settings, connect=connect, clock=now)
        if connect:
            report["warnings"] += self._store_warnings()
        return report

    def _store_warnings(self) -> list[str]:
        """Return what is open in the store that should not be."""
        from contextlib import closing

        from syncd.store import privileges

        try:
            with closing(self._open()) as database:
                apart = self.settings.daemon.store.migration_url is not None
                return privileges.warnings(database, apart=apart)
        except StoreError as error:
            return [str(error)]

    # --- lists ----------------------------------------------------------------------------

    def schedules(self) -> Schedules:
        """Return what is due when, as all replicas share it."""
        from syncd.store.schedules import Schedules

        return Schedules(self.database())

    def overview(self) -> dict[str, dict[str, Any]]:
        """Return of each organization what all replicas tell the same."""
        from syncd.store.overview import overview
        from syncd.store.sessions import active

        found = overview(self.database(), list(self.settings.organizations))
        for organization, number in active(self.database()).items():
            if organization in found:
                found[organization]["sessions"] = number
        return found

    def status(self, org: str | None = None) -> list[dict[str, Any]]:
        """Return each organization's state."""
        wanted = [self._organization(org)] if org else list(self.settings.organizations.values())
        found = []
        for organization in wanted:
            people = self._people(organization.id)
            applied = people.organization()
            name, provider = organization.organization.name, organization.provider
            paused = None
            if applied is not None and applied["paused_at"] is not None:
                paused = applied["paused_because"] or "no reason given"
            found.append(
                {
                    "organization": organization.id,
                    "name": name,
                    "provider": provider,
                    "pending": pending_change(applied, name, provider) if applied else None,
                    "paused": paused,
                    "newer_schema": self.newer_schema,
                    **people.status(),
                }
            )
        return found

    def users(self, org: str) -> list[dict[str, Any]]:
        """Return all people, sorted by username."""
        self._organization(org)
        return list(self._people(org).users())

    def roles(self, org: str) -> list[dict[str, Any]]:
        """Return all roles."""
        self._organization(org)
        return self._people(org).roles()

    def groups(self, org: str) -> list[dict[str, Any]]:
        """Return all groups."""
        self._organization(org)
        return self._people(org).groups()

    def quarantine(self, org: str) -> list[dict[str, Any]]:
        """Return the entries that could not be taken."""
        self._organization(org)
        return self._people(org).quarantine()

    def runs(self, org: str) -> list[dict[str, Any]]:
        """Return the newest runs."""
        self._organization(org)
        return self._people(org).runs()

    def run(self, run: str, limit: int | None = None) -> dict[str, Any]:
        """Return a run's report and changes."""
        from syncd.store.run_reads import find_run, run_shape

        database = self.database()
        row = find_run(database, run)
        if row is None:
            raise NotFound(f"there is no run {run}; `syncd runs ORG` lists them")
        return {**run_shape(row), "changes": self._changes(database, run, limit)}

    def show(self, org: str, username: str) -> dict[str, Any]:
        """Return one person, with what he may do."""
        from syncd.store.effective_reads import words

        self._organization(org)
        people = self._people(org)
        user = people.user(username)
        if user is None:
            raise NotFound(
                f"there is no person {username} in {org}; `syncd explain {org} {username}` says why"
            )
        return user | {"permissions": words(people.levels(user["id"]))}

    # --- explaining -----------------------------------------------------------------------

    def explain(
        self,
        org: str,
        username: str,
        *,
        role: str | None = None,
        group: str | None = None,
        stored: bool = False,
    ) -> dict[str, Any]:
        """Say where each field, role and group of a person comes from, or why he is not there.

        Of ``role`` and ``group`` also why the person lacks it.
        """
        from syncd.explain import Claimed, Explainer, SignedIn

        organization = self._organization(org)
        people = self._people(org)
        if organization.provider == "idp":
            from syncd.compose_idp import claim_mapping

            mapping = claim_mapping(organization)
            claimed = Claimed(mapping.fields, mapping.givers)
            return SignedIn(people, claimed).explain(username, role=role, group=group)
        if organization.provider != "ldap":
            return Explainer(people, None, None).explain(username, role=role, group=group)
        parts = self._parts(organization)
        if stored:
            return Explainer(people, parts, None).explain(username, role=role, group=group)
        with self._source(parts) as directory:
            return Explainer(people, parts, directory).explain(username, role=role, group=group)

    def try_mappers(self, org: str, user: str) -> dict[str, Any]:
        """Map one person's live entry and show the result."""
        from syncd.explain import mapped
        from syncd.ldap.ber import decode_entry

        parts = self._parts(self._organization(org))
        with self._source(parts) as directory:
            found = directory.find(user)
        if not found:
            raise NotFound(
                f"the users listing of {org} has nobody with the username {user}; "
                f"`syncd explain {org} {user}` says why"
            )
        return mapped(parts, decode_entry(found[0]))


def pending_change(applied: Mapping[str, Any], name: str, provider: str) -> str | None:
    """Return what the configuration wants otherwise than it is applied."""
    if applied["deleted_at"] is not None:
        return "it was deleted, and nothing is synced any more"
    if applied["switching_to"] is not None:
        return (
            f"its switch to the provider {applied['switching_to']} was not brought to its end, "
            "and `syncd provider switch` ends it"
        )
    if applied["name"] != name:
        return (
            f"the name is {applied['name']} and the file says {name}; a name is fixed once it is "
            "set, so set the file back"
        )
    if applied["provider"] != provider:
        return f"the provider is {applied['provider']} and would become {provider}"
    return None


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


AGO = re.compile(r"(\d{1,9})([smhdw])(?: ago)?")
SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def moment_of(text: str, present: datetime) -> datetime:
    """Return the time that somebody names: ISO 8601, or how long ago it was (``2h``, ``3d``).

    Raises:
        UsageError: It is neither.

    """
    text = text.strip()
    if ago := AGO.fullmatch(text):
        number, unit = ago.groups()
        try:
            return present - timedelta(seconds=int(number) * SECONDS[unit])
        except OverflowError:
            pass
    try:
        named = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is no time; write one as 2026-03-01T14:05:00Z, or how long ago as 2h or 3d"
        ) from None
    # A day or time without a zone is UTC, as everything that is shown.
    return named.astimezone(UTC) if named.tzinfo else named.replace(tzinfo=UTC)
