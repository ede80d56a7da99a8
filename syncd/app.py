"""The composition root: builds what a command needs, once, and hands it on by keyword.

Commands and the daemon ask ``App``; nothing else knows all rooms. Each method returns plain values
in the contract's shapes and raises SyncdError.
"""

from __future__ import annotations

import gc
import importlib
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from syncd.errors import (
    DirectoryError,
    NotFound,
    OrganizationPaused,
    OrganizationPending,
    PlanNotApprovable,
    SyncdError,
)
from syncd.looking import Looking, now, pending_change

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from syncd.ldap.source import LdapSource
    from syncd.ldap.traffic import Traffic
    from syncd.settings import OrganizationSettings, Settings
    from syncd.store.database import Database
    from syncd.sync.run import SyncRun

    Progress = Callable[[str, int, int | None], None]

# Of the changes of a plan: what a terminal can show, and more.
SHOWN_CHANGES = 1_000
# Of the organizations that a process has synced: whose stages it keeps open.
MOST_STAGES = 8
# What a sync imports on its way; whatever is left out is only slower.
WARM = (
    "syncd.compose",
    "syncd.ldap.source",
    "syncd.store.sync_store",
    "syncd.sync.run",
)


class App(Looking):
    """What commands can do."""

    def __init__(self, settings: Settings, *, log_searches: bool = False) -> None:
        super().__init__(settings, log_searches=log_searches)
        # By organization, the newest last.
        self._stages: dict[str, Database] = {}

    @classmethod
    def load(
        cls,
        config_path: str | None,
        *,
        environ: Mapping[str, str] | None = None,
        log_searches: bool = False,
    ) -> App:
        """Read the configuration; all its faults at once."""
        from syncd.settings import load

        settings = load(config_path, os.environ if environ is None else environ)
        return cls(settings, log_searches=log_searches)

    def close(self) -> None:
        """Close the store."""
        while self._stages:
            self._stages.popitem()[1].close()
        if self._database is not None:
            self._database.close()
            self._database = None

    # --- the store ------------------------------------------------------------------------

    def take_over(self, old: App) -> None:
        """Go on with another app's open store if it is the same; else open this one's."""
        store = self.settings.daemon.store
        if store.url == old.settings.daemon.store.url:
            self._database = old._database
        self.database()

    def give_way(self, new: App) -> None:
        """Close the store unless another app goes on with it."""
        if self._database is not new._database:
            self.close()

    def warm(self) -> None:
        """Do beforehand what the first sync of a process would have to wait for."""
        for module in WARM:
            importlib.import_module(module)
        if self.settings.daemon.store.url.get_secret_value().startswith("postgresql"):
            importlib.import_module("psycopg")

    def db_upgrade(self) -> dict[str, Any]:
        """Bring the store's schema up to date."""
        from syncd.store import migrate
        from syncd.store.database import Database

        store = self.settings.daemon.store
        url = store.migration_url or store.url
        database = Database(url.get_secret_value())
        try:
            return migrate.upgrade(database)
        finally:
            database.close()

    def db_prune(self) -> dict[str, Any]:
        """Remove from the store what is older than ``retention`` says; return how much that was."""
        from syncd.logging import get_logger
        from syncd.store.leases import clock
        from syncd.store.retention import prune

        database, ages = self.database(), self.settings.daemon.retention
        with database.read() as connection:
            now = clock(connection)
        removed = prune(
            database,
            journal=ages.journal,
            runs=ages.runs,
            stage=ages.stage,
            quarantine=ages.quarantine,
            now=now,
        )
        get_logger().info("the store was pruned", action="prune", **removed)
        return {"expired": removed.pop("expired"), "removed": removed}

    # --- syncs ----------------------------------------------------------------------------

    def plan(
        self,
        org: str,
        *,
        changed: bool = False,
        progress: Progress | None = None,
        limit: int | None = None,
    ) -> dict[str, Any]:
        """Say what a full sync, or one of what changed, would change."""
        with self._run(org, progress) as (run, database):
            report = run.changed(dry=True) if changed else run.full(dry=True)
            report["changes"] = self._changes(database, report["run"], limit)
        return report

    def sync(
        self,
        org: str,
        *,
        changed: bool = False,
        user: str | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Sync everybody, what changed since the last sync, or one person."""
        mode = "user" if user is not None else "changed" if changed else "full"
        with self._run(org, progress, mode) as (run, database):
            if user is not None:
                report = run.one(user)
            elif changed:
                report = run.changed()
            else:
                report = run.full()
            report |= cast("LdapSource", run.directory).traffic.report()
            _log_run(report)
            if report["status"] == "blocked":
                report["changes"] = self._changes(database, report["run"], SHOWN_CHANGES)
        return report

    def approve(self, run: str, progress: Progress | None = None) -> dict[str, Any]:
        """Apply a plan that the guard held."""
        from syncd.store.run_reads import find_run
        from syncd.store.waiting import end_overdue
        from syncd.sync.approve import approve

        row = find_run(self.database(), run)
        if row is None:
            raise NotFound(f"there is no run {run}; `syncd runs ORG` lists them")
        if row.status == "expired" or row.id in end_overdue(self.database(), row.organization_id):
            raise PlanNotApprovable(
                f"run {run} waited longer than limits.approval_period and has expired; "
                f"`syncd sync {row.organization_id}` plans anew"
            )
        if row.status != "blocked":
            raise PlanNotApprovable(
                f"run {run} is {row.status} and waits for nobody; only a blocked run is approved"
            )
        with self._run(row.organization_id, progress) as (sync, _):
            report = approve(sync, row.id, f"approval by {_operator()}")
            _log_run(report)
            return report

    @contextmanager
    def _run(
        self, org: str, progress: Progress | None, mode: str = "full"
    ) -> Iterator[tuple[SyncRun, Database]]:
        from syncd.ldap.ber import decode_entry
        from syncd.ldap.dn import dn_key
        from syncd.store.runs import run_name
        from syncd.store.sync_store import SyncStore
        from syncd.sync.run import SyncRun

        organization = self._organization(org)
        parts = self._parts(organization)
        self._require_settled(organization)
        self.database()
        with _seldom_collected(), self._staged(org) as database:
            source = self._source(parts)
            with _traffic_told(source.traffic, org, mode), source as directory:
                yield (
                    SyncRun(
                        options=parts.options,
                        directory=directory,
                        store=SyncStore(
                            database,
                            org,
                            approval_seconds=organization.limits.approval_period,
                        ),
                        users=parts.user_mapping,
                        containers=parts.container_mappings,
                        decode=decode_entry,
                        dn_key=dn_key,
                        now=now,
                        run_name=run_name,
                        renamed={
                            mapper.name: mapper.renamed_from
                            for mapper in organization.active_mappers
                            if mapper.renamed_from is not None
                        },
                        progress=progress,
                    ),
                    database,
                )

    @contextmanager
    def _staged(self, org: str) -> Iterator[Database]:
        """Open the store with the organization's own stage, or take what its last run left open.

        A stage of its own, so that organizations do not wait for each other on SQLite. Kept open,
        because what SQLAlchemy has compiled is half of a changed-user sync. After an error nothing
        is kept.
        """
        database = self._stages.pop(org, None) or self._open(stage=f"stage-{org}")
        try:
            yield database
        except BaseException:
            database.close()
            raise
        self._stages[org] = database
        while len(self._stages) > MOST_STAGES:
            self._stages.pop(next(iter(self._stages))).close()

    def _require_settled(self, organization: OrganizationSettings) -> None:
        """Write a new organization down; refuse one whose provider or name awaits a decision."""
        people = self._people(organization.id)
        applied = people.organization()
        name, provider = organization.organization.name, organization.provider
        if applied is None:
            people.create_organization(name, provider)
            return
        if applied["paused_at"] is not None:
            because = f" ({applied['paused_because']})" if applied["paused_because"] else ""
            raise OrganizationPaused(
                f"{organization.id} is paused{because}; "
                f"`syncd resume {organization.id}` lets it go on"
            )
        pending = pending_change(applied, name, provider)
        if pending:
            raise OrganizationPending(
                f"{organization.id} is pending: {pending}; set the file back to what is applied, "
                "or settle it with `syncd provider switch`"
            )

    def pause(self, org: str, why: str | None = None) -> dict[str, Any]:
        """Stop an organization's syncs."""
        organization = self._organization(org)
        people = self._people(org)
        if people.organization() is None:
            people.create_organization(organization.organization.name, organization.provider)
        people.pause(why)
        return {"organization": org, "paused": True, "because": why}

    def resume(self, org: str) -> dict[str, Any]:
        """Let an organization's syncs run again."""
        self._organization(org)
        self._people(org).resume()
        return {"organization": org, "paused": False, "because": None}


@contextmanager
def _traffic_told(traffic: Traffic, org: str, mode: str) -> Iterator[None]:
    """Let an error's report tell what was asked of the directory, also when there is no run yet."""
    try:
        yield
    except SyncdError as error:
        if error.report is not None or isinstance(error, DirectoryError):
            begun = {"organization": org, "mode": mode, "status": "failed"}
            error.report = {**(error.report or begun), **traffic.report()}
        raise


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Look for cycles seldom: among a run's millions of short-lived values there are none."""
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def _log_run(report: Mapping[str, Any]) -> None:
    """Write the one line that says what a run did."""
    from syncd.logging import get_logger

    counts = {f"people_{name}": count for name, count in report["users"].items() if count}
    counts |= {
        f"memberships_{name}": count for name, count in report["memberships"].items() if count
    }
    get_logger().info(
        "a sync ended",
        action="sync",
        organization=report["organization"],
        run=report["run"],
        mode=report["mode"],
        status=report["status"],
        listing=report["listing"],
        absences=report["absences"],
        seconds=report["seconds"].get("total"),
        peak_rss_bytes=report["peak_rss_bytes"],
        **counts,
    )


def _operator() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def exit_code(report: Mapping[str, Any]) -> int:
    """Return a report's exit code, the largest problem first."""
    status = report.get("status")
    codes = set()
    if status == "interrupted":
        codes.add(130)
    if status == "failed" or report.get("listing") in {"truncated", "unverified"}:
        codes.add(4)
    if status == "blocked":
        codes.add(3)
    users = report.get("users", {})
    if users.get("quarantined"):
        codes.add(5)
    if status == "planned" and _changes_anything(report):
        codes.add(1)
    for code in (130, 4, 3, 5, 1):
        if code in codes:
            return code
    return 0


def _changes_anything(report: Mapping[str, Any]) -> bool:
    users = report["users"]
    kinds = ("created", "updated", "renamed", "missing", "disabled", "enabled", "deleted")
    memberships = report["memberships"]
    targets = [*report["roles"].values(), *report["groups"].values()]
    return bool(
        any(users[kind] for kind in kinds)
        or memberships["added"]
        or memberships["removed"]
        or any(targets)
        or report.get("changes")
    )
