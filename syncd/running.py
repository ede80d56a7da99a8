"""Opens what a run of an organization needs, and says whether one may begin at all."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from syncd.errors import (
    DirectoryError,
    OrganizationDeleted,
    OrganizationPaused,
    OrganizationPending,
    SyncdError,
)
from syncd.looking import now, pending_change
from syncd.signing_in import SigningIn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from syncd.ldap.traffic import Traffic
    from syncd.settings import OrganizationSettings, Settings
    from syncd.store.database import Database
    from syncd.sync.run import SyncRun

    Progress = Callable[[str, int, int | None], None]

# Of the organizations that a process has synced: whose stages it keeps open.
MOST_STAGES = 8


class Running(SigningIn):
    """The part of ``App`` that opens runs."""

    def __init__(self, settings: Settings, *, log_searches: bool = False) -> None:
        super().__init__(settings, log_searches=log_searches)
        # By organization, the newest last.
        self._stages: dict[str, Database] = {}

    def close(self) -> None:
        """Close the store."""
        while self._stages:
            self._stages.popitem()[1].close()
        if self._database is not None:
            self._database.close()
            self._database = None

    @contextmanager
    def _run(
        self, org: str, progress: Progress | None, mode: str = "full", *, settled: bool = True
    ) -> Iterator[tuple[SyncRun, Database]]:
        """Open what a run needs; ``settled`` is that nothing stands in the way of a sync."""
        from syncd.ldap.ber import decode_entry
        from syncd.ldap.dn import dn_key
        from syncd.store.runs import run_name
        from syncd.store.sync_store import SyncStore
        from syncd.sync.run import SyncRun

        organization = self._organization(org)
        parts = self._parts(organization)
        if settled:
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
        require_alive(organization.id, applied)
        if applied["paused_at"] is not None:
            because = f" ({applied['paused_because']})" if applied["paused_because"] else ""
            raise OrganizationPaused(
                f"{organization.id} is paused{because}; "
                f"`syncd resume {organization.id}` lets it go on"
            )
        if pending := pending_change(applied, name, provider):
            advice = ""
            if applied["name"] == name and applied["switching_to"] is None:
                advice = (
                    "; set the file back to what is applied, or settle it with `syncd provider "
                    f"switch {organization.id}`"
                )
            raise OrganizationPending(f"{organization.id} is pending: {pending}{advice}")


def require_alive(org: str, applied: Mapping[str, Any]) -> None:
    """Refuse an organization that was deleted.

    Raises:
        OrganizationDeleted: Nothing of it is left, and nothing is to begin anew by itself.

    """
    if applied["deleted_at"] is not None:
        message = (
            f"{org} was deleted; remove its file, or give a new organization another id; `syncd "
            f"organization forget {org}` lets the id be used anew, with nobody in it"
        )
        raise OrganizationDeleted(message)


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
