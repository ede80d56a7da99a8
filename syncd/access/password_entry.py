"""Letting somebody in by a password that is kept here.

Each hash takes 64 MiB, so a process computes few of them at once and others wait their turn. For
somebody who is nobody, or has no password, as much is computed.
"""

from __future__ import annotations

from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Final, Protocol

from syncd.access import passwords
from syncd.errors import SignInRefused, TooManyAttempts

if TYPE_CHECKING:
    from collections.abc import Iterator

AT_ONCE: Final = 2
# How long somebody waits for his turn, and then in any case before he comes again.
PATIENCE_SECONDS: Final = 10
_TURNS = BoundedSemaphore(AT_ONCE)


class Stored(Protocol):
    """A stored password, and whose it is."""

    @property
    def user_id(self) -> int:
        """The person's id."""

    @property
    def username(self) -> str:
        """How he is called."""

    @property
    def hash(self) -> str:
        """The hash in its own notation."""


class PasswordStore(Protocol):
    """An organization's passwords."""

    def stored(self, username: str) -> Stored | None:
        """Return the password of whoever is called so."""

    def renew(self, user_id: int, old: str, new: str) -> None:
        """Keep another hash of the same password."""


def enter(store: PasswordStore | None, username: str, password: str) -> int:
    """Return the id of whoever has this name and this password.

    ``store`` is None for an organization that does not exist, which takes as long to refuse.

    Raises:
        SignInRefused: ``unknown_user``, ``wrong_password``.
        TooManyAttempts: Too many wait for their turn.

    """
    found = store.stored(username) if store is not None and _is_text(username) else None
    with _turn():
        right = passwords.verify(None if found is None else found.hash, password)
    if found is None or store is None:
        raise SignInRefused("unknown_user", "nobody of this name has a password here")
    if not right:
        raise SignInRefused("wrong_password", f"the password of {found.username} is another one")
    if passwords.outdated(found.hash):
        with _turn():
            renewed = passwords.hashed(password)
        store.renew(found.user_id, found.hash, renewed)
    return found.user_id


def _is_text(name: str) -> bool:
    """Return whether a name is one that a database can look for."""
    sayable = not any(sign == "\0" or "\ud800" <= sign <= "\udfff" for sign in name)
    return bool(name.strip()) and sayable


@contextmanager
def _turn() -> Iterator[None]:
    if not _TURNS.acquire(timeout=PATIENCE_SECONDS):
        raise TooManyAttempts(
            f"too many passwords are being checked; try again in {PATIENCE_SECONDS} s",
            PATIENCE_SECONDS,
        )
    try:
        yield
    finally:
        _TURNS.release()
