"""What changes the management store by hand, or asks it on somebody's behalf: one object an area.

The part of ``syncd.app`` that composes ``people`` and ``access`` with the store. Whoever asks says
on whose behalf: the command line as an operator, the API as a token or a person.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from syncd.looking import pending_change
from syncd.trying import Trying

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from syncd.access.tokens import Tokens
    from syncd.mail.sending import Mail
    from syncd.people.address_books import AddressBooks
    from syncd.people.effective import EffectivePermissions
    from syncd.people.exclusions import Exclusions
    from syncd.people.groups import Groups
    from syncd.people.invitations import Invitations
    from syncd.people.organization import OrganizationArea
    from syncd.people.owners import Owners
    from syncd.people.permission_sets import PermissionSets
    from syncd.people.redeeming import Link
    from syncd.people.roles import Roles
    from syncd.people.sessions import Sessions
    from syncd.people.users import Users
    from syncd.permissions import Principal
    from syncd.settings import OrganizationSettings
    from syncd.store.changes import Changes
    from syncd.store.database import Database
    from syncd.store.editing.accounts import Accounts
    from syncd.store.editing.change import Change
    from syncd.store.editing.opening import Editing
    from syncd.store.idempotency import IdempotencyKeys
    from syncd.store.journal_reads import JournalReads
    from syncd.store.pages.pages import Pages
    from syncd.undoing import Undo


class Managing(Trying):
    """Opens the areas of an organization that can be changed by hand."""

    def manage(self, org: str, principal: Principal) -> Management:
        """Return what can be done in an organization on behalf of ``principal``.

        Raises:
            NotFound: No such organization is configured.

        """
        return Management(self, self._organization(org), principal)

    @contextmanager
    def staged(self, org: str) -> Iterator[Database]:
        """Open the store with an organization's own stage, as runs need it."""
        database = self._open(stage=f"stage-{org}")
        try:
            yield database
        finally:
            database.close()

    # --- approvals that were asked for ------------------------------------------------------

    def asked_approvals(self) -> list[str]:
        """Return the organizations in which a plan is approved that is not applied yet."""
        from syncd.store.approvals import asked_for

        return asked_for(self.database())

    def asked_approvals_of(self, org: str) -> list[tuple[str, str]]:
        """Return (run, who approved it) of one organization."""
        from syncd.store.approvals import asked_of

        return asked_of(self.database(), org)

    def forget_approval(self, run: str) -> None:
        """Let a plan wait as before."""
        from syncd.store.approvals import forget

        forget(self.database(), run)

    # --- links that were sent by mail -----------------------------------------------------

    def link(self, secret: str) -> dict[str, Any]:
        """Say what a link is for that somebody opens; its secret is all the right he needs.

        Raises:
            NotFound: There is no such link.
            Refused: ``expired``.

        """
        from syncd.people.redeeming import told

        link, _ = self._link(secret)
        return told(link)

    def redeem_link(self, secret: str, password: str | None = None) -> dict[str, Any]:
        """Do what a link is for: verify an address, choose a password.

        Raises:
            NotFound: There is no such link.
            Refused: ``expired``, or ``invalid`` for a password that is none; then the link works
                still.

        """
        from syncd.access import passwords
        from syncd.people.redeeming import redeem
        from syncd.store.editing.accounts import Accounts

        link, hashed = self._link(secret)
        org = link.organization_id
        return redeem(
            Accounts(self.database().of(org), org, actor=f"user {link.username}"),
            link,
            hashed,
            password=password,
            check_new=passwords.check_new,
            hash_password=passwords.hashed,
        )

    def _link(self, secret: str) -> tuple[Link, bytes]:
        from syncd.people.invitations import hash_of
        from syncd.people.redeeming import usable
        from syncd.store.editing.links import find

        hashed = hash_of(secret)
        with self.database().read() as connection:
            link = find(connection, hashed)
        known = link is not None and link.organization_id in self.settings.organizations
        return usable(link if known else None), hashed

    def mail(self) -> Mail:
        """Return the mail server, or that there is none."""
        from syncd.mail.sending import Mail, Server

        smtp = self.settings.daemon.smtp
        if smtp is None:
            return Mail(None)
        return Mail(
            Server(
                host=smtp.host,
                port=smtp.port,
                tls=smtp.starttls,
                username=smtp.username,
                password=smtp.password.get_secret_value() if smtp.password else None,
                sender=smtp.sender,
            )
        )


class Management:
    """An organization as somebody may look at it and change it; each area is built when asked."""

    def __init__(
        self, app: Managing, organization: OrganizationSettings, principal: Principal
    ) -> None:
        self.app = app
        self.organization_settings = organization
        self.principal = principal

    @property
    def id(self) -> str:
        """The organization's id."""
        return self.organization_settings.id

    @cached_property
    def database(self) -> Database:
        """The store as this organization sees it, opened and of this program's schema."""
        self.app.found(self.id)
        return self.app.database().of(self.id)

    @cached_property
    def _accounts(self) -> Accounts:
        from syncd.store.editing.accounts import Accounts

        return Accounts(self.database, self.id, actor=self.principal.name)

    @cached_property
    def undo(self) -> Undo:
        """Taking change sets back."""
        from syncd.undoing import Undo

        return Undo(self.organization_settings, self.principal, staged=self.app.staged)

    @cached_property
    def journal(self) -> JournalReads:
        """Who changed what, when and why."""
        from syncd.store.journal_reads import JournalReads

        return JournalReads(self.database, self.id)

    def at(self, username: str, time: datetime) -> dict[str, Any]:
        """Return a person as of a time.

        Raises:
            NotFound: Nobody was called so then, or the journal does not reach back so far.

        """
        from syncd.store.then import Then

        return Then(self.database, self.id).person(username, time)

    @cached_property
    def users(self) -> Users[Change]:
        """The people."""
        from syncd.people.users import Users

        return Users(self._accounts, self.principal, invitations=self.invitations)

    @cached_property
    def invitations(self) -> Invitations[Change]:
        """What people are sent by mail."""
        from syncd.people.invitations import Invitations

        return Invitations(
            self._accounts,
            self.principal,
            post=self.app.mail(),
            base_url=self.app.settings.daemon.http.base_url,
            organization_name=self.organization_settings.organization.name,
        )

    @cached_property
    def sessions(self) -> Sessions:
        """Who is signed in."""
        from syncd.people.sessions import Sessions
        from syncd.store.held_sessions import HeldSessions

        return Sessions(HeldSessions(self.database, self.id), self.principal)

    @cached_property
    def exclusions(self) -> Exclusions[Change]:
        """Whom syncs pass over."""
        from syncd.people.exclusions import Exclusions

        return Exclusions(self._accounts, self.principal)

    @cached_property
    def owners(self) -> Owners[Change]:
        """Who owns the organization."""
        from syncd.people.owners import Owners

        return Owners(self._accounts, self.users)

    @cached_property
    def tokens(self) -> Tokens:
        """The API tokens."""
        from syncd.access.tokens import Tokens
        from syncd.store.tokens import TokenStore

        return Tokens(
            TokenStore(self.database, self.id),
            self.principal,
            longest=timedelta(seconds=self.app.settings.daemon.tokens.longest),
        )

    def ask_approval(self, run: str) -> None:
        """Approve a plan that waits; one of the daemon's workers applies it soon.

        Raises:
            NotFound: The organization has no such run.
            PlanNotApprovable: It waits for nobody.
            Refused: ``owner_only``: an undo, a switch of the provider and new ids are an owner's to
                approve.

        """
        from syncd.store.approvals import ask

        ask(self.database, self.id, run, self.principal.name, owner=self.principal.owner)

    @cached_property
    def idempotency(self) -> IdempotencyKeys:
        """What this principal was answered to requests that may be sent again."""
        from syncd.store.idempotency import IdempotencyKeys

        who = self.principal
        # A username may be somebody else's tomorrow.
        by_id = who.token_id is None and who.user_id is not None
        name = f"user {who.user_id}" if by_id else who.name
        return IdempotencyKeys(self.database, self.id, name)

    @cached_property
    def pages(self) -> Pages:
        """Lists, a page at a time, of what the principal may view."""
        from syncd.store.pages.pages import Pages

        return Pages(self.database, self.id, self.principal)

    @cached_property
    def changes(self) -> Changes:
        """The feed of what was changed, for those who follow it."""
        from syncd.store.changes import Changes

        return Changes(self.database, self.id)

    def decide(self, questions: Sequence[Mapping[str, object]]) -> list[dict[str, Any]]:
        """Say who may do what; see ``syncd.store.deciding.decide``."""
        from syncd.store.deciding import decide

        return decide(self.database, self.id, self.principal, questions)

    @cached_property
    def organization(self) -> OrganizationArea:
        """The organization as a whole."""
        from syncd.ldap.validity import described
        from syncd.people.organization import OrganizationArea
        from syncd.store.organizations import Organizations

        settings = self.organization_settings
        name, provider = settings.organization.name, settings.provider
        return OrganizationArea(
            Organizations(self.database, self.id),
            self.principal,
            organization_id=self.id,
            wanted={"name": name, "provider": provider},
            certificates=[
                {**found, "source": each.source}
                for each in settings.certificates
                for found in described(each.pem)
            ],
            pending=lambda row: pending_change(row, name, provider),
        )

    # --- the model --------------------------------------------------------------------------

    @cached_property
    def _editing(self) -> Editing:
        from syncd.store.editing.opening import Editing

        return Editing(self.database, self.id, actor=self.principal.name)

    @cached_property
    def roles(self) -> Roles:
        """The roles."""
        from syncd.people.roles import Roles
        from syncd.store.editing import permission_sets, roles

        return Roles(self._editing, roles, permission_sets, self.principal)

    @cached_property
    def permission_sets(self) -> PermissionSets:
        """The permission sets."""
        from syncd.people.permission_sets import PermissionSets
        from syncd.store.editing import permission_sets, roles

        return PermissionSets(self._editing, permission_sets, roles, self.principal)

    @cached_property
    def groups(self) -> Groups:
        """The groups: their members, roles and places."""
        from syncd.people.groups import Groups
        from syncd.store.editing import belonging, groups, roles

        return Groups(self._editing, groups, belonging, roles, self.principal)

    @cached_property
    def address_books(self) -> AddressBooks:
        """The shared address books, and the principal's own."""
        from syncd.people.address_books import AddressBooks
        from syncd.store.editing import address_books, belonging

        return AddressBooks(self._editing, address_books, belonging, self.principal)

    @cached_property
    def permissions(self) -> EffectivePermissions:
        """What people may do, and by what."""
        from syncd.people.effective import EffectivePermissions
        from syncd.store.effective_reads import EffectiveReads

        return EffectivePermissions(EffectiveReads(self.database, self.id), self.principal)
