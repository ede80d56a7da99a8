"""Who is signed in: looked at and ended by those who look after people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from syncd.errors import NotFound, Refused
from syncd.logging import get_logger
from syncd.permissions import Level

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from syncd.permissions import Principal

    Shape = dict[str, Any]

BECAUSE = "ended_by_admin"


class Holder(Protocol):
    """Somebody who may have sessions."""

    @property
    def id(self) -> int:
        """His id."""

    @property
    def username(self) -> str:
        """How he is called."""

    @property
    def owner(self) -> bool:
        """Whether he owns the organization."""


class Held(Protocol):
    """A session that holds."""

    @property
    def id(self) -> int:
        """Its id."""

    @property
    def user_id(self) -> int:
        """Whose it is."""

    @property
    def username(self) -> str:
        """How he is called."""

    @property
    def way(self) -> str:
        """What let him in: idp, ldap, admin."""

    @property
    def started_at(self) -> datetime:
        """When he signed in."""

    @property
    def seen_at(self) -> datetime:
        """When it was last used, give or take a minute."""

    @property
    def idle_until(self) -> datetime:
        """When it ends without use."""

    @property
    def expires_at(self) -> datetime:
        """When it ends in any case."""

    @property
    def address(self) -> str:
        """Where from."""

    @property
    def agent(self) -> str:
        """By what browser."""


class HeldStore(Protocol):
    """An organization's sessions in the store."""

    @property
    def organization_id(self) -> str:
        """The organization."""

    def named(self, username: str) -> Holder | None:
        """Return a living person by username."""

    def holder(self, user_id: int) -> Holder | None:
        """Return a living person by id."""

    def page(self, *, limit: int, after: int, user_id: int | None) -> Sequence[Held]:
        """Return so many sessions behind an id."""

    def get(self, session_id: int) -> Held | None:
        """Return a session."""

    def end(
        self, because: str, *, session_id: int | None = None, user_id: int | None = None
    ) -> int:
        """End one session, or all of a person; return how many that were."""


class Sessions:
    """An organization's sessions, on somebody's behalf."""

    def __init__(self, store: HeldStore, principal: Principal) -> None:
        self._store = store
        self._principal = principal

    def page(self, *, limit: int, after: int = 0, username: str | None = None) -> list[Shape]:
        """Return so many sessions that hold behind an id, of everybody or of one person.

        Raises:
            NotFound: The organization has nobody of this name.
            Refused: The principal may not view people.

        """
        self._require(Level.VIEW, "view")
        user_id = None if username is None else self._named(username).id
        return [
            _shape(each) for each in self._store.page(limit=limit, after=after, user_id=user_id)
        ]

    def end(self, session_id: int) -> Shape:
        """End one session at once; return it as it was.

        Raises:
            NotFound: No such session holds.
            Refused: The principal may not edit people, or it is an owner's.

        """
        self._require(Level.EDIT, "edit")
        org = self._store.organization_id
        gone = NotFound(
            f"there is no session {session_id} in {org}; `syncd sessions {org}` lists them"
        )
        found = self._store.get(session_id)
        if found is None:
            raise gone
        self._require_touchable(self._store.holder(found.user_id))
        if not self._store.end(BECAUSE, session_id=session_id):
            raise gone
        self._tell(found.user_id, found.username, 1)
        return _shape(found)

    def end_all(self, username: str) -> int:
        """End all sessions of a person at once; return how many they were.

        Raises:
            NotFound: The organization has nobody of this name.
            Refused: The principal may not edit people, or it is an owner.

        """
        self._require(Level.EDIT, "edit")
        holder = self._named(username)
        self._require_touchable(holder)
        count = self._store.end(BECAUSE, user_id=holder.id)
        if count:
            self._tell(holder.id, holder.username, count)
        return count

    def _tell(self, user_id: int, username: str, count: int) -> None:
        get_logger().info(
            f"{self._principal.name} ended {count} session{'s' * (count > 1)} of {username}",
            action="sessions_ended",
            organization=self._store.organization_id,
            user=user_id,
            sessions=count,
            actor=self._principal.name,
        )

    def _named(self, username: str) -> Holder:
        found = self._store.named(username)
        if found is None:
            org = self._store.organization_id
            raise NotFound(
                f"there is no person {username} in {org}; `syncd users {org}` lists them"
            )
        return found

    def _require(self, level: Level, what: str) -> None:
        if not self._principal.may("users", level):
            raise Refused(
                f"you may not {what} people; ask an admin of the organization", "not_allowed"
            )

    def _require_touchable(self, holder: Holder | None) -> None:
        mine = holder is not None and holder.id == self._principal.user_id
        if holder is not None and holder.owner and not self._principal.owner and not mine:
            raise Refused(
                f"{holder.username} is an owner, whose sessions only an owner may end", "owner_only"
            )


def _shape(session: Held) -> Shape:
    return {
        "id": session.id,
        "user": {"id": session.user_id, "username": session.username},
        "way": session.way,
        "started_at": _moment(session.started_at),
        "seen_at": _moment(session.seen_at),
        "idle_until": _moment(session.idle_until),
        "expires_at": _moment(session.expires_at),
        "address": session.address,
        "agent": session.agent,
    }


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
