"""API tokens: how they look, who may make which, and on whose behalf one speaks.

A token is ``syncd_<id>_<secret>``. The secret has 256 bits of its own, so its plain SHA-256 is what
is stored: nobody can guess it, and whoever reads the store cannot use it.
"""

from __future__ import annotations

import re
import secrets
from datetime import timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Protocol

from syncd.errors import NotAuthenticated, Refused
from syncd.permissions import SECTIONS, Level, Principal, exceeding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syncd.permissions import Levels

SECRET_BYTES = 32
LONGEST_NAME = 200
# At least as many characters as the secret's bits need; nothing else is looked up.
_TOKEN = re.compile(r"syncd_([1-9][0-9]{0,17})_([A-Za-z0-9_-]{43})", re.ASCII)
_NOBODY = sha256(b"nobody").digest()
# What a portal has for one who signed in; it lives as long as the session.
SESSION_PREFIX = "syncd_session_"
_SESSION_TOKEN = re.compile(rf"{SESSION_PREFIX}[A-Za-z0-9_-]{{43}}", re.ASCII)
REFUSED = "the token is not valid: it is wrong, past its time or revoked; ask for a new one"


class Shown(Protocol):
    """A token that somebody shows, and the person it acts for, as the store knows them now."""

    @property
    def organization_id(self) -> str:
        """Whose it is."""

    @property
    def digest(self) -> bytes:
        """The stored hash of its secret."""

    @property
    def name(self) -> str:
        """What it was called."""

    @property
    def scopes(self) -> Levels:
        """What it was made for."""

    @property
    def over(self) -> bool:
        """Whether it has ended."""

    @property
    def user_id(self) -> int | None:
        """The person it acts for."""

    @property
    def username(self) -> str | None:
        """How that person is called; None for one who is gone."""

    @property
    def may_sign_in(self) -> bool:
        """Whether that person may sign in."""

    @property
    def levels(self) -> Levels:
        """What that person may do."""

    @property
    def owner(self) -> bool:
        """Whether that person is an owner."""


class Store(Protocol):
    """What is needed of the store."""

    def create(
        self,
        *,
        actor: str,
        name: str,
        digest: bytes,
        scopes: Mapping[str, str],
        user_id: int | None,
        lifetime: timedelta,
        maker: int | None = None,
        why: str | None = None,
    ) -> dict[str, Any]:
        """Write a token down; return it. What the token ``maker`` makes ends no later than that."""

    def revoke(self, token_id: int, *, actor: str, why: str | None = None) -> dict[str, Any]:
        """End a token; return it."""

    def get(self, token_id: int) -> dict[str, Any]:
        """Return a token."""

    def page(self, *, limit: int, after: int = 0) -> list[dict[str, Any]]:
        """Return so many tokens behind an id."""

    def user_id(self, username: str) -> int:
        """Return the id of a person."""


class Tokens:
    """An organization's API tokens, as ``principal`` may make and end them."""

    def __init__(self, store: Store, principal: Principal, *, longest: timedelta) -> None:
        self._store = store
        self._principal = principal
        self._longest = longest

    def create(
        self,
        name: str,
        scopes: Mapping[str, Level],
        *,
        lifetime: timedelta,
        user_id: int | None = None,
        username: str | None = None,
        why: str | None = None,
    ) -> dict[str, Any]:
        """Make a token; return it with ``token``, which is never shown again.

        Args:
            name: What it is for; the journal names it so.
            scopes: Section to level; sections left out are closed to it.
            lifetime: After this it ends by itself.
            user_id: The person it acts for, or ``username``: it can then never do more than that
                person may at the moment, and ends to work when he may not sign in. What a person
                makes with no token of syncd's acts for that person.
            username: The same person by name.
            why: For the journal.

        Raises:
            Refused: ``invalid``, or ``exceeds_own``: more than the maker may, or longer than it
                lives where that is a token, or ``not_allowed``: for another person.
            NotFound: No such person.

        """
        name = _name(name)
        given = _scopes(scopes)
        self._judge(given, lifetime)
        if username is not None:
            user_id = self._store.user_id(username)
        elif user_id is None and self._principal.token_id is None:
            # What a person makes ends to work with him; else it would outlive his being shut out.
            user_id = self._principal.user_id
        if user_id is not None:
            self._judge_person(user_id)
        secret = secrets.token_urlsafe(SECRET_BYTES)
        shape = self._store.create(
            actor=self._principal.name,
            name=name,
            digest=_digest(secret),
            scopes={section: level.word for section, level in given.items()},
            user_id=user_id,
            lifetime=lifetime,
            maker=self._principal.token_id,
            why=why,
        )
        return {**shape, "token": f"syncd_{shape['id']}_{secret}"}

    def revoke(self, token_id: int, *, why: str | None = None) -> dict[str, Any]:
        """End a token at once; return it.

        Raises:
            NotFound: No such token.

        """
        return self._store.revoke(token_id, actor=self._principal.name, why=why)

    def get(self, token_id: int) -> dict[str, Any]:
        """Return a token, without its secret.

        Raises:
            NotFound: No such token.

        """
        return self._store.get(token_id)

    def page(self, *, limit: int, after: int = 0) -> list[dict[str, Any]]:
        """Return so many tokens behind an id, in the order in which they were made."""
        return self._store.page(limit=limit, after=after)

    def _judge(self, scopes: Levels, lifetime: timedelta) -> None:
        if not timedelta(0) < lifetime <= self._longest:
            raise Refused(
                f"a token lives at most {self._longest.days} days (tokens.longest), and more than "
                "none; give it a shorter time"
            )
        more = exceeding(scopes, self._principal.levels)
        if more:
            raise Refused(
                f"{self._principal.name} may not do this himself: {', '.join(more)}; leave it out "
                "of the token's scopes",
                "exceeds_own",
            )

    def _judge_person(self, user_id: int) -> None:
        # Else whoever makes tokens could read what belongs to one person alone.
        principal = self._principal
        operator = principal.token_id is None and principal.user_id is None
        if not operator and principal.user_id != user_id:
            raise Refused(
                "a token for another person is made on the daemon's own machine: "
                "`syncd token create --user`",
                "not_allowed",
            )


def is_foreign(text: str) -> bool:
    """Return whether it is no token of syncd's, but looks like a signed one of somebody else."""
    return text.count(".") == 2 and not text.startswith("syncd_")


def is_of_session(text: str) -> bool:
    """Return whether it looks like the token of a session."""
    return _SESSION_TOKEN.fullmatch(text) is not None


def read(text: str) -> tuple[int, str] | None:
    """Return a token's id and secret, if it looks like one."""
    match = _TOKEN.fullmatch(text)
    return None if match is None else (int(match[1]), match[2])


def principal_of(token_id: int, secret: str, shown: Shown | None) -> Principal:
    """Return on whose behalf a token speaks.

    That of a person has in each section the lower one of its scope and of what the person may.

    Raises:
        NotAuthenticated: It does not let anybody in. Why is not said to whoever shows it.

    """
    right = compare_digest(_digest(secret), _NOBODY if shown is None else shown.digest)
    if shown is None or not right or shown.over:
        raise NotAuthenticated(REFUSED)
    name = f"token {token_id} {shown.name}"
    if shown.user_id is None:
        return Principal(name=name, levels=dict(shown.scopes), token_id=token_id)
    if not shown.may_sign_in:
        raise NotAuthenticated(REFUSED)
    levels = {
        section: min(level, shown.levels.get(section, Level.NONE))
        for section, level in shown.scopes.items()
    }
    whole = all(levels.get(section) == Level.EDIT for section in SECTIONS)
    return Principal(
        name=f"{name} of {shown.username}",
        levels={section: level for section, level in levels.items() if level > Level.NONE},
        # What only an owner may do is not in any section; a token for less than all is not for it.
        owner=shown.owner and whole,
        user_id=shown.user_id,
        token_id=token_id,
    )


def _digest(secret: str) -> bytes:
    return sha256(secret.encode("ascii")).digest()


def _name(name: str) -> str:
    name = " ".join(name.split())
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise Refused(f"a token needs a name of at most {LONGEST_NAME} characters; say what for")
    return name


def _scopes(scopes: Mapping[str, Level]) -> dict[str, Level]:
    unknown = sorted(set(scopes) - set(SECTIONS))
    if unknown:
        raise Refused(f"there is no section {unknown[0]}; there are {', '.join(SECTIONS)}")
    given = {section: level for section, level in scopes.items() if level > Level.NONE}
    if not given:
        raise Refused("a token needs a scope: name a section and a level, such as users:view")
    return given
