"""What may be a password, and whether it is the right one."""

from __future__ import annotations

import unicodedata

import pytest

from syncd.access.passwords import MOST_BYTES, check_new, hashed, outdated, verify
from syncd.errors import Refused

GOOD = "correct horse battery"


@pytest.mark.parametrize(
    "password",
    [
        "",
        " " * 20,
        "short",
        "x" * 11,
        "x" * 30,
        "é" * (MOST_BYTES // 2 + 1),
        "Mia@Example.ORG",
        "somebody-called-mia",
        "correct horse \ud800",
    ],
    ids=["empty", "blank", "short", "almost", "same", "long", "address", "username", "surrogate"],
)
def test_what_is_no_good_password_is_refused(password: str) -> None:
    """A password is long enough, not too long, and not what everybody knows of the person."""
    with pytest.raises(Refused):
        check_new(password, username="somebody-called-mia", email="mia@example.org")


@pytest.mark.parametrize(
    "password", [GOOD, "x1" * 6, "пароль из слов", "p" + "x" * (MOST_BYTES - 1)]
)
def test_a_password_that_was_set_is_right_and_others_are_not(password: str) -> None:
    """Only the same characters are right, however they were composed."""
    check_new(password, username="mia", email=None)
    stored = hashed(password)
    assert stored.startswith("$argon2id$")
    assert password not in stored
    assert verify(stored, password)
    assert verify(stored, unicodedata.normalize("NFD", password))
    assert not verify(stored, password + "x")
    assert not outdated(stored)


@pytest.mark.parametrize("stored", [None, "", "no hash"], ids=["nobody", "empty", "broken"])
def test_nobody_gets_in_without_a_stored_password(stored: str | None) -> None:
    """Unknown people and broken hashes are refused like wrong passwords."""
    assert not verify(stored, GOOD)
    assert not verify(stored, "")


def test_blank_and_endless_passwords_are_wrong() -> None:
    """What can never have been set is wrong, whatever is stored."""
    stored = hashed("")
    for password in ("", "   ", "x" * (MOST_BYTES + 1), "\ud800"):
        assert not verify(stored, password)
