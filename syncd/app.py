"""The composition root: builds what a command needs, once, and hands it on by keyword.

Commands and the daemon ask ``App``; nothing else knows all rooms. Each method returns plain values
in the contract's shapes and raises SyncdError.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any, cast

from syncd.errors import (
    NotFound,
    PlanNotApprovable,
)
from syncd.organizing import Organizing, operator_name
from syncd.permissions import operator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from syncd.ldap.source import LdapSource

    Progress = Callable[[str, int, int | None], None]

# Of the changes of a plan: what a terminal can show, and more.
SHOWN_CHANGES = 1_000
# What a sync imports on its way; whatever is left out is only slower.
WARM = (
    "syncd.compose",
    "syncd.ldap.source",
    "syncd.store.sync_store",
    "syncd.sync.run",
)


class App(Organizing):
    """What commands can do."""

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

    # --- the store ------------------------------------------------------------------------

    def take_over(self, old: App) -> None:
        """Go on with another app's open store if it is the same; else open this one's."""
        self.keep_providers(old)
        store = self.settings.daemon.store
        if store.url == old.settings.daemon.store.url:
            self._database, self.newer_schema = old._database, old.newer_schema
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
        """Bring the store's schema up to date, and let the daemon's own account use it."""
        from contextlib import closing

        from syncd.store import migrate, privileges
        from syncd.store.database import Database

        store = self.settings.daemon.store
        with closing(Database(store.url.get_secret_value())) as own:
            if store.migration_url is None:
                report = migrate.upgrade(own)
            else:
                with closing(Database(store.migration_url.get_secret_value())) as owners:
                    report = migrate.upgrade(owners, privileges.account(own))
            told = migrate.newer(own, report["to"])
            apart = store.migration_url is not None
            open_doors = privileges.warnings(own, apart=apart)
            return {**report, "warnings": [*([told] if told else []), *open_doors]}

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
            sessions=ages.sessions,
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

    def approve(
        self, run: str, progress: Progress | None = None, *, actor: str | None = None
    ) -> dict[str, Any]:
        """Apply a plan that the guard held; ``actor`` is who approved it, if not who calls."""
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
        by = f"approval by {actor or operator_name()}"
        if row.mode == "switch":
            return self._approve_switch(run, row, by, progress)
        if row.mode == "rekey":
            return self._approve_rekey(row, by, progress)
        if row.mode == "undo":
            principal = operator(operator_name())
            management = self.manage(row.organization_id, principal)
            report = management.undo.approve(row.id, by, progress)
            _log_run(report)
            return report
        with self._run(row.organization_id, progress) as (sync, _):
            report = approve(sync, row.id, by)
            _log_run(report)
            return report

    def undo(
        self,
        change_set: str,
        *,
        dry: bool = False,
        why: str | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Take a change set back, or what a run did; or say what that would change."""
        from syncd.store.change_sets import find_change_set

        found = find_change_set(self.database(), change_set)
        if found is None:
            raise NotFound(
                f"the journal has no change set {change_set}; `syncd journal ORG` lists them"
            )
        undo = self.manage(found.organization_id, operator(operator_name())).undo
        report = undo.take_back(change_set, why=why, dry=dry, progress=progress)
        _log_run(report)
        if dry or report["status"] == "blocked":
            limit = None if dry else SHOWN_CHANGES
            report["changes"] = self._changes(self.database(), report["run"], limit)
        return report

    def journal(
        self,
        org: str,
        *,
        limit: int = 50,
        after: str | None = None,
        filters: Mapping[str, str | None] | None = None,
    ) -> dict[str, Any]:
        """Return the newest change sets of an organization; times as ``show_at`` takes them."""
        from syncd.looking import moment_of, now

        wanted: dict[str, Any] = dict(filters or {})
        for name in ("since", "until"):
            if wanted.get(name) is not None:
                wanted[name] = moment_of(wanted[name], now())
        reads = self.manage(org, operator(operator_name())).journal
        return reads.page(limit=limit, after=after, filters=wanted)

    def change_set(
        self, org: str, change_set: str, *, limit: int = 1_000, after: str | None = None
    ) -> dict[str, Any]:
        """Return one change set with what it changed."""
        management = self.manage(org, operator(operator_name()))
        return management.journal.one(change_set, limit=limit, after=after)

    def show_at(self, org: str, username: str, at: str) -> dict[str, Any]:
        """Return one person as of a time: ISO 8601, or how long ago (``2h``, ``3d``)."""
        from syncd.looking import moment_of, now

        return self.manage(org, operator(operator_name())).at(username, moment_of(at, now()))

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
