"""What a link does that somebody opens: it verifies his address, or lets him choose a password.

The link is all that is asked for: whoever has it got it by mail. It works once, until its time is
over, and for the address that it was sent to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from syncd.errors import NotFound, Refused
from syncd.people.accounts import ADMIN, found
from syncd.records import fold

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from syncd.people.ports import AccountStore, Person, W

UNVERIFIED = ("invitation", "unverified")
VERIFYING = frozenset({"invitation", "verification"})
CHOOSING = frozenset({"invitation", "password"})
# One sentence for all of it: who tries links out learns nothing.
OVER = (
    "this link was used already, is too old, or another one has taken its place; ask for a new one"
)


class Link(Protocol):
    """A link as the store has it."""

    @property
    def organization_id(self) -> str:
        """The organization."""

    @property
    def organization_name(self) -> str:
        """What that is called."""

    @property
    def user_id(self) -> int:
        """Whom it is for."""

    @property
    def username(self) -> str:
        """What he is called."""

    @property
    def sent_to(self) -> str:
        """The address that it was sent to."""

    @property
    def email(self) -> str | None:
        """The address that he has now."""

    @property
    def provider(self) -> str:
        """The person's provider."""

    @property
    def purpose(self) -> str:
        """Any of invitation, verification, password."""

    @property
    def expires_at(self) -> datetime:
        """Until when it works."""

    @property
    def used_at(self) -> datetime | None:
        """When it was used."""

    @property
    def expired(self) -> bool:
        """Whether its time is over."""


def usable(link: Link | None) -> Link:
    """Return a link that works.

    Raises:
        NotFound: There is no such link.
        Refused: ``expired``.

    """
    if link is None:
        raise NotFound("there is no such link; open it whole as it stands in the mail")
    over = link.used_at is not None or link.expired or link.provider != ADMIN
    if over or fold(link.email or "") != fold(link.sent_to):
        raise Refused(OVER, "expired")
    return link


def told(link: Link) -> dict[str, Any]:
    """Return what whoever opens a link may read."""
    return {
        "purpose": link.purpose,
        "organization": link.organization_id,
        "organization_name": link.organization_name,
        "username": link.username,
        "email": link.sent_to,
        "expires_at": link.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "needs_password": link.purpose in CHOOSING,
    }


def redeem(
    store: AccountStore[W],
    link: Link,
    hashed: bytes,
    *,
    password: str | None,
    check_new: Callable[..., None],
    hash_password: Callable[[str], str],
) -> dict[str, Any]:
    """Do what a link is for, once.

    Raises:
        Refused: ``expired``, or ``invalid`` for a password that is none; then the link works still.

    """
    chosen = None
    if link.purpose in CHOOSING:
        if password is None:
            raise Refused("choose a password")
        check_new(password, username=link.username, email=link.sent_to)
        # Before the change: it takes a while on purpose.
        chosen = hash_password(password)
    with store.change(f"the {link.purpose} sent by mail") as change:
        person = found(store, change, link.user_id)
        same = fold(person.email or "") == fold(link.sent_to) and person.provider == ADMIN
        if not same or not store.use_link(change, hashed):
            raise Refused(OVER, "expired")
        if link.purpose in VERIFYING:
            _verify(store, change, person)
        if chosen is not None:
            store.set_password(change, person.id, chosen)
    shown = told(link)
    names = ("purpose", "organization", "organization_name", "username")
    return {name: shown[name] for name in names}


def _verify(store: AccountStore[W], change: W, person: Person) -> None:
    store.update_fields(change, person.id, {"email_verified": True})
    store.lift(change, person.id, UNVERIFIED)
    store.withdraw_links(change, [person.id], *VERIFYING)
