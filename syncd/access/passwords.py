"""Passwords of people of the admin provider: what may be one, its hash, and whether it is right.

argon2id with the parameters of RFC 9106's second recommendation, which the library keeps as its
defaults; its notation carries them, so that a stored hash stays readable when they change.
"""

from __future__ import annotations

import secrets
import unicodedata
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from syncd.errors import Refused
from syncd.records import fold

SHORTEST, MOST_BYTES = 12, 1_024
_HASHER = PasswordHasher()


def check_new(password: str, *, username: str, email: str | None) -> None:
    """Refuse what is no good password for this person.

    Raises:
        Refused: ``invalid``; the sentence says what is wanted.

    """
    if not password.strip():
        raise Refused("the password is empty; choose one")
    if len(password) < SHORTEST:
        raise Refused(f"the password is too short; choose at least {SHORTEST} characters")
    if any("\ud800" <= sign <= "\udfff" for sign in password):
        raise Refused("the password is not in UTF-8; type it again")
    if len(_bytes(password)) > MOST_BYTES:
        raise Refused(f"the password is too long; choose one of at most {MOST_BYTES} bytes")
    names = {fold(name) for name in (username, email) if name}
    if fold(password.strip()) in names:
        raise Refused("the password is the username or the e-mail address; choose another one")
    if len(set(password)) == 1:
        raise Refused("the password is one character again and again; choose another one")


def hashed(password: str) -> str:
    """Return what the store keeps of a password."""
    return _HASHER.hash(_bytes(password))


def verify(stored: str | None, password: str) -> bool:
    """Return whether a password is the one whose hash is stored.

    For somebody who has none, or is nobody, as much is computed: how long it takes tells nothing.
    """
    known = stored is not None
    # Nothing longer can have been set, and what it is compared with does not depend on it.
    fits = bool(password.strip()) and len(password) <= MOST_BYTES
    try:
        _HASHER.verify(stored or _nobodys(), _bytes(password if fits else ""))
    except (VerificationError, InvalidHashError):
        return False
    return known and fits


def outdated(stored: str) -> bool:
    """Return whether a hash was made with weaker parameters than those of today."""
    return _HASHER.check_needs_rehash(stored)


@cache
def _nobodys() -> str:
    return _HASHER.hash(secrets.token_bytes(32))


def _bytes(password: str) -> bytes:
    # The same characters may be typed as other code points on another keyboard.
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
