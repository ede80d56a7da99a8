"""Links by mail: invitations, the verification of an address, and the choice of a password.

A link is written with the change that it belongs to and sent after that: the change stands whatever
the mail server says, and a link can be sent again. Without a mail server operators get it to hand
on; nobody else does, because whoever has a link is let in by it.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Generic, NamedTuple

from syncd.errors import MailServerLost, Refused, SyncdError
from syncd.logging import get_logger
from syncd.people import accounts
from syncd.people.ports import AccountStore, Shape, W
from syncd.records import NewPerson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from syncd.people.ports import Person, Post
    from syncd.permissions import Principal

LASTS: Mapping[str, timedelta] = {
    "invitation": timedelta(days=7),
    "verification": timedelta(days=1),
    "password": timedelta(hours=1),
}
SECRET_BYTES = 32
UNVERIFIED = ("invitation", "unverified")


class Letter(NamedTuple):
    """A mail to be sent."""

    purpose: str
    user_id: int
    username: str
    to: str
    first_name: str | None
    link: str
    expires_at: str


def hash_of(secret: str) -> bytes:
    """Return what the store keeps of a link's secret; that has 256 bits and needs no slow hash."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


class Invitations(Generic[W]):
    """The links of an organization's people, sent on somebody's behalf."""

    def __init__(
        self,
        store: AccountStore[W],
        principal: Principal,
        *,
        post: Post,
        base_url: str,
        organization_name: str,
    ) -> None:
        self._store = store
        self._principal = principal
        self._post = post
        self._base_url = base_url
        self._name = organization_name

    def list(self) -> Sequence[Shape]:
        """Return who has not taken his invitation yet, and until when it works."""
        return self._store.invited()

    def send(self, user_id: int, *, why: str | None = None) -> Shape:
        """Send a person an invitation, or the verification of a changed address, once more.

        Older links of the kind work no more.

        Raises:
            Refused: There is nothing to verify, or ``owner_only``, ``exceeds_own``,
                ``source_rules``.

        """
        with self._store.change(why) as change:
            person = accounts.found(self._store, change, user_id)
            if person.email_verified and UNVERIFIED not in person.restrictions:
                raise Refused(f"the address of {person.username} is verified already")
            purpose = "invitation" if UNVERIFIED in person.restrictions else "verification"
            letters = self._letter(change, person, purpose)
        return self.post(letters)[0]

    def send_password(self, user_id: int, *, why: str | None = None) -> Shape:
        """Send a person a link to choose a new password with.

        Raises:
            Refused: The person has not taken his invitation yet, or as of ``send``.

        """
        with self._store.change(why) as change:
            person = accounts.found(self._store, change, user_id)
            if UNVERIFIED in person.restrictions:
                org = self._store.organization_id
                raise Refused(
                    f"{person.username} has not taken the invitation yet, with which a password is "
                    f"chosen; send it again: `syncd invitations send {org} {person.username}`"
                )
            letters = self._letter(change, person, "password")
        return self.post(letters)[0]

    def _letter(self, change: W, person: Person, purpose: str) -> Sequence[Letter]:
        accounts.require_own(person, "the sign-in")
        accounts.require_touchable(self._principal, person)
        if person.email is None:
            raise Refused(f"{person.username} has no e-mail address; give him one first")
        if not self._post.configured:
            # Then the link goes to whoever asked for it.
            accounts.require_above(self._principal, self._store.levels(change, person.id), person)
        about = NewPerson(person.username, person.email, person.first_name)
        return self.write(change, [(person.id, about)], purpose=purpose)

    def write(
        self, change: W, people: Sequence[tuple[int, NewPerson]], *, purpose: str = "invitation"
    ) -> Sequence[Letter]:
        """Write a link for each of these people; to be posted after the change."""
        made = [(secrets.token_urlsafe(SECRET_BYTES), user_id, who) for user_id, who in people]
        if not made:
            return []
        rows = [(hash_of(secret), user_id, who.email) for secret, user_id, who in made]
        expires_at = self._store.add_links(change, purpose, rows, LASTS[purpose])
        return [
            Letter(
                purpose,
                user_id,
                who.username,
                who.email,
                who.first_name,
                f"{self._base_url}/links/{secret}",
                expires_at,
            )
            for secret, user_id, who in made
        ]

    def post(self, letters: Sequence[Letter]) -> Sequence[Shape]:
        """Send letters whose links are committed; return what became of each."""
        if not letters:
            return []
        if not self._post.configured:
            because = "no mail server is configured (smtp)"
            return [self._told(letter, because, hand_on=True) for letter in letters]
        told: list[Shape] = []
        try:
            with self._post.opened() as post:
                for letter in letters:
                    told.append(self._sent(post, letter))  # noqa: PERF401 - kept when one fails
        except MailServerLost as error:
            # Each further one would wait for the server as long, and be told the same.
            told += [self._told(letter, str(error)) for letter in letters[len(told) :]]
        return told

    def _sent(self, post: Post, letter: Letter) -> Shape:
        values = {
            "organization": self._store.organization_id,
            "organization_name": self._name,
            "username": letter.username,
            "first_name": letter.first_name or "",
            "link": letter.link,
            "expires_at": letter.expires_at,
        }
        try:
            post.send(to=letter.to, purpose=letter.purpose, values=values)
        except MailServerLost:
            raise
        except SyncdError as error:
            return self._told(letter, str(error))
        return self._told(letter, None)

    def _told(self, letter: Letter, because: str | None, *, hand_on: bool = False) -> Shape:
        command = "user password" if letter.purpose == "password" else "invitations send"
        again = f"syncd {command} {self._store.organization_id} {letter.username}"
        told = {
            "purpose": letter.purpose,
            "to": letter.to,
            "expires_at": letter.expires_at,
            "sent": because is None,
            "because": because,
            "next": None if because is None else again,
            "link": None,
        }
        if hand_on and self._principal.user_id is None and self._principal.token_id is None:
            told |= {"link": letter.link, "next": None}
        self._log(letter, because, handed_on=told["link"] is not None)
        return told

    def _log(self, letter: Letter, because: str | None, *, handed_on: bool) -> None:
        """Write down who had a link sent to whom: the journal has what it was used for."""
        log = get_logger().info if because is None or handed_on else get_logger().warning
        log(
            "a link was made",
            action="link",
            organization=self._store.organization_id,
            actor=self._principal.name,
            user=letter.user_id,
            purpose=letter.purpose,
            sent=because is None,
            handed_on=handed_on,
            because=because,
        )
