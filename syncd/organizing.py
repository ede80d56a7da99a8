"""What is done to an organization as a whole: its provider, the ids of its people, its end."""

from __future__ import annotations

import getpass
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from syncd.errors import NotFound, OrganizationPending, PlanNotApprovable, Refused, UsageError
from syncd.looking import pending_change
from syncd.running import Running, require_alive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from syncd.settings import OrganizationSettings
    from syncd.sync.rekey import Rekey
    from syncd.sync.switch import Switch

    Progress = Callable[[str, int, int | None], None]

LINKS = ("username", "verified-email")
PAIRED_BY = ("username", "dn")
SHOWN_CHANGES = 1_000


class Organizing(Running):
    """The part of ``App`` that is about organizations themselves."""

    # --- the provider -----------------------------------------------------------------------

    def provider_switch(
        self,
        org: str,
        *,
        link: str | None = None,
        owners: Sequence[str] = (),
        dry: bool = False,
        sure: bool = False,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Make the configured provider the organization's, or say what that would mean.

        ``link`` says by what the new provider's people are taken to be those of the old one;
        ``owners`` are administrators who are taken along by their usernames. Over a limit the plan
        waits for an approval unless somebody is ``sure``.
        """
        if link is not None and link not in LINKS:
            raise UsageError(f"--link takes one of {', '.join(LINKS)}")
        with self._switch(org, link, owners, sure=sure, progress=progress) as switch:
            report = switch.plan(dry=dry)
            if dry or report["status"] == "blocked":
                report["changes"] = self._changes(self.database(), report["run"], SHOWN_CHANGES)
            return report

    def _approve_switch(
        self,
        run: str,
        row: Any,  # noqa: ANN401 - a run's row
        actor: str,
        progress: Progress | None,
    ) -> dict[str, Any]:
        from syncd.store.run_reads import run_shape

        org, told = row.organization_id, run_shape(row)["switch"]
        wanted, applied = self._applied(org)
        if (applied["provider"], wanted.provider) != (told["from"], told["to"]):
            raise PlanNotApprovable(
                f"run {run} would switch from {told['from']} to {told['to']}, which is not what "
                f"the file and the store say now; `syncd provider switch {org}` plans anew"
            )
        with self._switch(
            org,
            told["link"],
            told["owners"],
            actor=actor,
            sure=True,
            read=False,
            progress=progress,
        ) as switch:
            return switch.approve(row.id, told)

    @contextmanager
    def _switch(
        self,
        org: str,
        link: str | None,
        owners: Sequence[str],
        *,
        sure: bool,
        progress: Progress | None,
        read: bool = True,
        actor: str | None = None,
    ) -> Iterator[Switch]:
        from syncd.compose import limits_of
        from syncd.store.runs import run_name
        from syncd.store.switching import SwitchStore
        from syncd.sync.switch import Switch, Wish

        wanted, applied = self._applied(org)
        if applied["provider"] == wanted.provider and applied["switching_to"] is None:
            raise Refused(
                f"{org} has the provider {wanted.provider} already; set `provider` in its file to "
                "the one that it shall have, then switch"
            )
        by_owners = "named" if owners and link is None else link
        wish = Wish(
            organization_id=org,
            was=applied["provider"],
            link_by=by_owners,
            owners=owners,
            limits=limits_of(wanted),
            batch_size=wanted.ldap.batch_size if wanted.ldap is not None else 1_000,
            actor=actor or f"operator {operator_name()}",
            sure=sure,
        )
        source = identity_source(wanted)
        seconds = wanted.limits.approval_period
        if source == "ldap" and read:
            with self._run(org, progress, "switch", settled=False) as (reader, database):
                store = SwitchStore(database, org, source, approval_seconds=seconds)
                yield Switch(wish, store, run_name=run_name, reader=reader, progress=progress)
            return
        self.database()
        with self._staged(org) as database:
            store = SwitchStore(database, org, source, approval_seconds=seconds)
            yield Switch(wish, store, run_name=run_name, reader=None, progress=progress)

    def provider_link(
        self, org: str, username: str, *, external_id: str | None = None, why: str | None = None
    ) -> dict[str, Any]:
        """Let somebody of a former provider be the present one's, by hand.

        In a directory the person is looked up by username unless ``external_id`` says who it is.
        """
        from syncd.store.editing.change import change
        from syncd.store.editing.providing import take_over

        wanted, applied = self._applied(org)
        if pending := pending_change(applied, wanted.organization.name, wanted.provider):
            raise OrganizationPending(f"{org} is pending: {pending}")
        if wanted.provider == "ldap" and external_id is None:
            external_id = self._known_as(org, username)
        actor, source = f"operator {operator_name()}", identity_source(wanted)
        with change(self.database(), org, actor=actor, why=why) as opened:
            taken = take_over(opened, username, source=source, external_id=external_id)
        return {
            "organization": org,
            "id": taken.user_id,
            "username": taken.username,
            "from": taken.was,
            "to": wanted.provider,
        }

    def _known_as(self, org: str, username: str) -> str:
        """Return by what id the directory knows the one person of this username."""
        with self._run(org, None, "user") as (run, _):
            found = run.directory.find(username)
            if len(found) != 1:
                raise NotFound(
                    f"the directory of {org} has {len(found) or 'nobody'} of the username "
                    f"{username}; name the entry's id with --external-id"
                )
            return run.users(run.decode(found[0])).external_id

    # --- ids ----------------------------------------------------------------------------------

    def rekey(
        self,
        org: str,
        *,
        by: str = "username",
        dry: bool = False,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Pair people with the entries that a directory has of them under new ids."""
        if by not in PAIRED_BY:
            raise UsageError(f"--by takes one of {', '.join(PAIRED_BY)}")
        with self._rekey(org, f"operator {operator_name()}", progress) as rekey:
            report = rekey.plan(by, dry=dry)
            if dry or report["status"] == "blocked":
                report["changes"] = self._changes(self.database(), report["run"], SHOWN_CHANGES)
            return report

    def _approve_rekey(
        self,
        row: Any,  # noqa: ANN401 - a run's row
        actor: str,
        progress: Progress | None,
    ) -> dict[str, Any]:
        from syncd.store.run_reads import run_shape

        with self._rekey(row.organization_id, actor, progress) as rekey:
            return rekey.approve(row.id, run_shape(row)["rekey"])

    @contextmanager
    def _rekey(self, org: str, actor: str, progress: Progress | None) -> Iterator[Rekey]:
        from syncd.store.rekeying import RekeyStore
        from syncd.sync.rekey import Rekey

        seconds = self._organization(org).limits.approval_period
        with self._run(org, progress, "rekey") as (run, database):
            yield Rekey(run, RekeyStore(database, org, approval_seconds=seconds), actor)

    # --- the end ------------------------------------------------------------------------------

    def organization_forget(self, org: str) -> dict[str, Any]:
        """Let the id of a deleted organization be used anew, whether it is configured or not."""
        from syncd.store.organizations import Organizations

        store = Organizations(self.database(), org)
        if store.row() is None:
            raise NotFound(f"there is no organization {org} in the store")
        store.forget()
        self.founded.discard(org)
        return {"organization": org, "forgotten": True}

    def _applied(self, org: str) -> tuple[OrganizationSettings, Mapping[str, Any]]:
        """Return the organization as it is wanted and as it is applied.

        Raises:
            OrganizationDeleted: It was deleted.
            OrganizationPending: Its name is another in the file.

        """
        wanted = self._organization(org)
        people = self._people(org)
        name, provider = wanted.organization.name, wanted.provider
        people.create_organization(name, provider)
        applied = people.organization()
        if applied is None:
            raise Refused(f"{org} was removed at this moment; try again", "stale")
        require_alive(org, applied)
        if applied["name"] != name:
            pending = pending_change({**applied, "switching_to": None}, name, provider)
            raise OrganizationPending(f"{org} is pending: {pending}")
        return wanted, applied


def identity_source(organization: OrganizationSettings) -> str:
    """Return under what the organization's provider knows people: an IdP by its issuer."""
    if organization.provider == "idp" and organization.idp is not None:
        return str(organization.idp.issuer)
    return organization.provider


def operator_name() -> str:
    """Return who runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
