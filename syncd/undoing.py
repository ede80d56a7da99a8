"""Composes undo: finds the change set, says whether somebody may take it back, and runs it.

Needs no directory, so it works while that is away, and for organizations that have none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from syncd.compose import limits_of
from syncd.errors import NotFound, Refused
from syncd.permissions import EVERYTHING, exceeding
from syncd.store import approvals
from syncd.store.change_sets import change_set_name, find_change_set
from syncd.store.runs import run_name
from syncd.store.sync_store import SyncStore
from syncd.sync.undo import Later, UndoRun

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from syncd.permissions import Principal
    from syncd.settings import OrganizationSettings
    from syncd.store.change_sets import ChangeSet
    from syncd.store.database import Database

    Progress = Callable[[str, int, int | None], None]

# People a transaction, where no directory's settings say.
BATCH_SIZE = 1_000


class Undo:
    """What can be taken back in an organization, on somebody's behalf."""

    def __init__(
        self,
        organization: OrganizationSettings,
        principal: Principal,
        *,
        staged: Callable[[str], AbstractContextManager[Database]],
    ) -> None:
        """Take what it needs; ``staged`` opens the store with the organization's own stage."""
        self.organization, self.principal = organization, principal
        self._staged = staged

    def take_back(
        self,
        change_set: str,
        *,
        why: str | None = None,
        dry: bool = False,
        at_once: int | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Undo a change set, or say what that would change; return the run's report.

        ``change_set`` is its name, or that of the run which made it. What concerns more than
        ``at_once`` people is planned here and applied by one of the daemon's workers.

        Raises:
            NotFound: The journal has no such change set.
            Refused: It cannot be undone, or not by this principal.
            LastOwner: Nobody would own the organization any more.

        """
        self._require_everything()
        with self._staged(self.organization.id) as database:
            undone = find_change_set(
                database.of(self.organization.id), change_set, self.organization.id
            )
            if undone is None:
                raise NotFound(
                    f"the journal has no change set {change_set}; "
                    f"`syncd journal {self.organization.id}` lists them"
                )
            require_undoable(undone)
            who, later = self.principal.name, None
            if at_once is not None:

                def ask(run_id: int) -> None:
                    # Whether he may do it was looked at when it was planned.
                    approvals.ask(database, self.organization.id, run_name(run_id), who, owner=True)

                later = Later(at_once, ask)
            run = self._run(database, progress)
            return run.undo(undone, actor=who, why=why, dry=dry, later=later)

    def approve(
        self, run_id: int, actor: str | None = None, progress: Progress | None = None
    ) -> dict[str, Any]:
        """Apply a blocked undo; return its report."""
        self._require_everything()
        with self._staged(self.organization.id) as database:
            run = self._run(database, progress)
            return run.approve(run_id, actor or self.principal.name)

    def _run(self, database: Database, progress: Progress | None) -> UndoRun:
        organization = self.organization
        store = SyncStore(
            database, organization.id, approval_seconds=organization.limits.approval_period
        )

        def allowed(run_id: int) -> None:
            if not self.principal.owner and store.touches_owners(run_id):
                raise Refused(
                    "it gives or takes the role Owner, or bears on an owner's account; an owner "
                    "has to undo it",
                    "owner_only",
                )

        ldap = organization.ldap
        return UndoRun(
            store=store,
            organization_id=organization.id,
            batch_size=BATCH_SIZE if ldap is None else ldap.batch_size,
            limits=limits_of(organization),
            run_name=run_name,
            change_set_name=change_set_name,
            progress=progress,
            allowed=allowed,
        )

    def _require_everything(self) -> None:
        """Refuse whoever may not do all that the reverse of a change may be."""
        if lacking := exceeding(EVERYTHING, self.principal.levels):
            raise Refused(
                f"an undo may give anything back, so it takes every section; {lacking[0]} is "
                "missing",
                "not_allowed",
            )


def require_undoable(undone: ChangeSet) -> None:
    """Refuse what has a way back of its own.

    Raises:
        Refused: The change set switched the provider.

    """
    if undone.mode in {"switch", "rekey"}:
        what = "the provider" if undone.mode == "switch" else "ids"
        raise Refused(
            f"{change_set_name(undone.id)} switched {what}; set the file back and use "
            f"`syncd {'provider switch' if undone.mode == 'switch' else 'rekey'} "
            f"{undone.organization_id}`",
            "invalid",
        )
