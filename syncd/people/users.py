"""What may be done to people by hand: making, editing, disabling, deleting, and their roles."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic

from syncd.errors import NotFound, Refused
from syncd.people import accounts
from syncd.people.accounts import ADMIN
from syncd.people.addresses import checked_email, checked_name, checked_username
from syncd.people.importing import create_many
from syncd.people.ports import AccountStore, Shape, W
from syncd.permissions import Level
from syncd.records import NewPerson, fold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from syncd.people.invitations import Invitations, Letter
    from syncd.people.ports import Person
    from syncd.permissions import Principal

OWNER_ROLE = 1
DISABLED, UNVERIFIED = (ADMIN, "disabled"), ("invitation", "unverified")
EDITABLE: Mapping[str, Callable[[str | None], str | None]] = {
    "username": checked_username,
    "email": checked_email,
    "first_name": lambda value: checked_name(value, "first name"),
    "last_name": lambda value: checked_name(value, "last name"),
}
PROFILE = ("first_name", "last_name")


class Users(Generic[W]):
    """An organization's people, changed on somebody's behalf."""

    def __init__(
        self, store: AccountStore[W], principal: Principal, *, invitations: Invitations[W]
    ) -> None:
        self._store = store
        self._principal = principal
        self._invitations = invitations

    # --- looking --------------------------------------------------------------------------

    def get(self, user_id: int) -> Shape:
        """Return one person.

        Raises:
            NotFound: There is nobody of this id.

        """
        shape = self._store.get(user_id)
        if shape is None:
            raise NotFound(f"there is no person {user_id} in {self._store.organization_id}")
        return shape

    def id_of(self, username: str) -> int:
        """Return the id of the person with a username; a living one goes before a missing one.

        Raises:
            NotFound: Nobody has it.

        """
        user_id = self._store.id_of(username)
        if user_id is None:
            org = self._store.organization_id
            raise NotFound(f"there is no person {username} in {org}; `syncd users {org}` lists all")
        return user_id

    # --- making and editing ---------------------------------------------------------------

    def create(
        self,
        *,
        email: str,
        first_name: str | None = None,
        last_name: str | None = None,
        username: str | None = None,
        roles: Sequence[int] = (),
        invite: bool = True,
        why: str | None = None,
    ) -> Shape:
        """Make a person with these roles, and invite him unless told not to.

        The username is the e-mail address if none is given. Under ``mail`` the answer says what
        became of the invitation; None where there was none.

        Raises:
            Refused: ``source_rules`` where another provider than admin makes the people,
                ``name_taken``, ``invalid``, ``exceeds_own``, ``owner_only``.

        """
        accounts.require_admin_provider(self._store)
        address = checked_email(email)
        person = NewPerson(
            username=checked_username(username or address),
            email=address,
            first_name=checked_name(first_name, "first name"),
            last_name=checked_name(last_name, "last name"),
        )
        first_id = self._store.new_ids(1)
        with self._store.change(why) as change:
            self._require_free(change, username=person.username, email=person.email)
            (user_id,) = self._store.create(change, [person], first_id=first_id)
            for role_id in roles:
                self._grant(change, user_id, role_id)
            letters = self._invitations.write(change, [(user_id, person)]) if invite else []
        mails = self._invitations.post(letters)
        return {**self.get(user_id), "mail": mails[0] if mails else None}

    def create_many(
        self, text: str | bytes, *, dry: bool = False, invite: bool = True, why: str | None = None
    ) -> Shape:
        """Make the people of a CSV file, or of a list of e-mail addresses; see ``importing``."""
        return create_many(self._store, self._invitations, text, dry=dry, invite=invite, why=why)

    def edit(
        self,
        user_id: int,
        fields: Mapping[str, str | None],
        *,
        if_match: str | None = None,
        why: str | None = None,
    ) -> Shape:
        """Change username, email, first_name or last_name of a person of the admin provider.

        A changed address has to be verified anew: the person gets a link for it, and under ``mail``
        the answer says what became of that.

        Raises:
            Refused: ``source_rules``, ``name_taken``, ``invalid``, ``owner_only``, ``exceeds_own``,
                ``stale``.

        """
        wanted = _checked(fields, tuple(EDITABLE))
        letters: Sequence[Letter] = []
        with self._touching(user_id, if_match, why) as (change, person):
            accounts.require_own(person, " and ".join(wanted) or "the account")
            self._require_free(
                change,
                username=wanted.get("username"),
                email=wanted.get("email"),
                user_id=user_id,
            )
            moved = wanted.get("email", person.email) != person.email
            if moved or wanted.get("username", person.username) != person.username:
                # Links go to the address, and a new provider's people are taken by their usernames.
                levels = self._store.levels(change, user_id)
                accounts.require_above(self._principal, levels, person)
            if moved:
                wanted["email_verified"] = False
            self._store.update_fields(change, user_id, wanted)
            if "email_verified" in wanted:
                # What was sent to the old address proves nothing of the new one.
                self._store.withdraw_links(change, [user_id])
                letters = self._invitations.write(
                    change,
                    [(user_id, _as_new(person, wanted))],
                    purpose="invitation" if UNVERIFIED in person.restrictions else "verification",
                )
        mails = self._invitations.post(letters)
        return {**self.get(user_id), "mail": mails[0] if mails else None}

    def edit_profile(
        self, fields: Mapping[str, str | None], *, if_match: str | None = None
    ) -> Shape:
        """Change one's own first and last name.

        Raises:
            Refused: ``not_allowed`` for whoever is no person or may not; else as of ``edit``.

        """
        user_id = self._principal.user_id
        if user_id is None or not self._principal.may("personal_profile", Level.EDIT):
            raise Refused("you have no profile here that you may edit", "not_allowed")
        wanted = _checked(fields, PROFILE)
        with self._store.change() as change:
            person = accounts.found(self._store, change, user_id)
            self._match(change, user_id, if_match)
            accounts.require_own(person, "the profile")
            self._store.update_fields(change, user_id, wanted)
        return self.get(user_id)

    # --- disabling and deleting -----------------------------------------------------------

    def disable(
        self, user_id: int, *, if_match: str | None = None, why: str | None = None
    ) -> Shape:
        """Shut a person out until he is enabled again.

        Raises:
            Refused: ``owner_only``, ``stale``.
            LastOwner: It would leave the organization without an owner.

        """
        with self._touching(user_id, if_match, why) as (change, _):
            change.watch_owners()
            self._store.restrict(change, user_id, DISABLED, why)
        return self.get(user_id)

    def enable(self, user_id: int, *, if_match: str | None = None, why: str | None = None) -> Shape:
        """Let a person in again whom somebody disabled here; other restrictions stay.

        Raises:
            Refused: ``owner_only``, ``stale``.

        """
        with self._touching(user_id, if_match, why) as (change, _):
            self._store.lift(change, user_id, DISABLED, why)
        return self.get(user_id)

    def delete(
        self, user_id: int, *, if_match: str | None = None, why: str | None = None
    ) -> dict[str, Any]:
        """Delete a person for good, with his own address book; return whom that was.

        Syncs pass over a person whom a directory has until the exclusion is removed.

        Raises:
            Refused: ``owner_only``, ``stale``.
            LastOwner: It would leave the organization without an owner.

        """
        with self._touching(user_id, if_match, why) as (change, person):
            change.watch_owners()
            excluded = self._store.delete(change, user_id, person.username)
        return {
            "organization": self._store.organization_id,
            "id": user_id,
            "username": person.username,
            "excluded": excluded > 0,
        }

    # --- roles ----------------------------------------------------------------------------

    def role_id(self, name: str) -> int:
        """Return the id of the role of a name.

        Raises:
            NotFound: There is none.

        """
        role_id = self._store.role_id(name)
        if role_id is None:
            org = self._store.organization_id
            raise NotFound(f"there is no role {name} in {org}; `syncd roles {org}` lists them")
        return role_id

    def grant(
        self, user_id: int, role_id: int, *, if_match: str | None = None, why: str | None = None
    ) -> Shape:
        """Give a person a role by hand.

        Raises:
            Refused: ``exceeds_own``, ``owner_only``, ``stale``.

        """
        with self._touching(user_id, if_match, why) as (change, _):
            self._grant(change, user_id, role_id)
        return self.get(user_id)

    def revoke(
        self, user_id: int, role_id: int, *, if_match: str | None = None, why: str | None = None
    ) -> Shape:
        """Take a role away that somebody gave by hand; what a directory or a group gives stays.

        Raises:
            Refused: ``owner_only``, ``stale``.
            LastOwner: It would leave the organization without an owner.

        """
        with self._touching(user_id, if_match, why) as (change, _):
            self._role(change, role_id)
            change.watch_owners()
            self._store.hold_role(change, user_id, role_id, granted=False)
        return self.get(user_id)

    # --- of all ---------------------------------------------------------------------------

    @contextmanager
    def _touching(
        self, user_id: int, if_match: str | None, why: str | None
    ) -> Iterator[tuple[W, Person]]:
        with self._store.change(why) as change:
            person = accounts.found(self._store, change, user_id)
            self._match(change, user_id, if_match)
            accounts.require_touchable(self._principal, person)
            yield change, person

    def _match(self, change: W, user_id: int, if_match: str | None) -> None:
        if if_match is not None:
            self._store.require_match(self._store.shape(change, user_id) or {}, if_match)

    def _grant(self, change: W, user_id: int, role_id: int) -> None:
        name, levels = self._role(change, role_id)
        owner = role_id == OWNER_ROLE
        accounts.require_grantable(self._principal, name, levels, owner=owner)
        self._store.hold_role(change, user_id, role_id, granted=True)

    def _role(self, change: W, role_id: int) -> tuple[str, Any]:
        role = self._store.role(change, role_id)
        if role is None:
            raise NotFound(f"there is no role {role_id} in {self._store.organization_id}")
        return role

    def _require_free(
        self,
        change: W,
        *,
        username: str | None,
        email: str | None,
        user_id: int | None = None,
    ) -> None:
        """Refuse a username that is taken, and an address that somebody made here has already."""
        for value, what, taken in (
            (username, "username", self._store.names_taken),
            (email, "e-mail address", self._store.addresses_taken),
        ):
            if value is None:
                continue
            holder = taken(change, [value]).get(fold(value))
            if holder is not None and holder != user_id:
                raise Refused(
                    f"somebody in {self._store.organization_id} has the {what} {value} already; "
                    "choose another one",
                    "name_taken",
                )


def _checked(fields: Mapping[str, str | None], names: tuple[str, ...]) -> dict[str, Any]:
    unknown = sorted(set(fields) - set(names))
    if unknown:
        raise Refused(f"{', '.join(unknown)} cannot be edited; only {', '.join(names)} can")
    return {name: EDITABLE[name](value) for name, value in fields.items()}


def _as_new(person: Person, wanted: Mapping[str, Any]) -> NewPerson:
    return NewPerson(
        username=wanted.get("username", person.username),
        email=wanted["email"],
        first_name=wanted.get("first_name", person.first_name),
    )
