"""Whom a password that is kept here lets in, by username or verified address."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from argon2 import PasswordHasher

from syncd.access import password_entry, passwords
from syncd.access.password_entry import enter
from syncd.errors import SignInRefused, TooManyAttempts
from syncd.store import schema
from syncd.store.passwords import Passwords
from tests.store.signed_in import Town

if TYPE_CHECKING:
    from syncd.store.database import Database

PASSWORD = "correct horse battery"
# As quick as argon2 can be.
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)

# Who is meant by what somebody types.
NAMES = {
    "ada": "ada",
    "ADA": "ada",
    "Ada@Example.test": "ada",
    "bob@example.test": None,
    "both@example.test": None,
    "cora": "cora",
    "dan": None,
    "eve": None,
    "fay": None,
    "gil": None,
    "nobody": None,
}


@pytest.fixture
def town(shared: Database) -> Town:
    """An organization of this test's own."""
    return Town(shared)


def with_password(town: Town, username: str, hashed: str, **more: Any) -> int:
    """Put somebody in who has a password."""
    user_id = town.person(username, **more)
    with town.database.write() as connection:
        connection.execute(
            schema.passwords.insert().values(
                user_id=user_id,
                organization_id=town.id,
                hash=hashed,
                set_at=town.rows(schema.organizations, id=town.id)[0]["created_at"],
            )
        )
    return user_id


def address(email: str, *, verified: bool = True) -> dict[str, Any]:
    """Return an address as it is stored."""
    return {"email": email, "email_key": email.casefold(), "email_verified": verified}


def test_a_name_leads_to_one_password(town: Town) -> None:
    """By username, else by a verified address of one person; nobody of another provider's."""
    elsewhere = Town(town.database)
    ids = {
        "ada": with_password(town, "ada", "h", **address("ada@example.test")),
        "bob": with_password(town, "bob", "h", **address("bob@example.test", verified=False)),
        "one": with_password(town, "one", "h", **address("both@example.test")),
        "two": with_password(town, "two", "h", **address("both@example.test")),
        # Her username is another one's address.
        "cora": with_password(town, "cora", "h"),
        "x": with_password(town, "x", "h", **address("cora")),
        "dan": town.person("dan"),
        # His address is the name of somebody without a password.
        "y": with_password(town, "y", "h", **address("dan")),
        "eve": with_password(town, "eve", "h", provider="ldap"),
        "fay": with_password(town, "fay", "h", living=False),
        "gil": with_password(elsewhere, "gil", "h"),
    }
    found = {name: Passwords(town.database, town.id).stored(name) for name in NAMES}
    whose = {name: None if each is None else each.user_id for name, each in found.items()}
    assert whose == {name: None if who is None else ids[who] for name, who in NAMES.items()}
    town.execute("UPDATE organizations SET provider = 'idp' WHERE id = :id", id=town.id)
    assert Passwords(town.database, town.id).stored("ada") is None


def test_the_right_password_lets_in_and_is_kept_anew(town: Town) -> None:
    """A hash of weaker parameters is replaced by one of today's; a wrong one changes nothing."""
    user_id = with_password(town, "ada", QUICK.hash(PASSWORD))
    store = Passwords(town.database, town.id)
    with pytest.raises(SignInRefused) as caught:
        enter(store, "ada", "wrong horse battery")
    assert caught.value.reason == "wrong_password"
    assert enter(store, "ada", PASSWORD) == user_id
    (row,) = town.rows(schema.passwords, user_id=user_id)
    assert not passwords.outdated(row["hash"])
    store.renew(user_id, "another", "overwritten")
    assert town.rows(schema.passwords, user_id=user_id)[0]["hash"] == row["hash"]
    assert enter(store, "ada", PASSWORD) == user_id


def test_nobody_has_no_password(town: Town) -> None:
    """Names of nobody are refused, whatever is in them, and so are all where nothing exists."""
    with_password(town, "ada", QUICK.hash(PASSWORD))
    store = Passwords(town.database, town.id)
    for at, name in ((store, "nobody"), (store, "ada\0\ud800"), (None, "ada")):
        with pytest.raises(SignInRefused) as caught:
            enter(at, name, PASSWORD)
        assert caught.value.reason == "unknown_user"


def test_few_passwords_are_checked_at_once(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes 64 MiB: others wait for their turn, and are told to come again after a time."""
    user_id = with_password(town, "ada", QUICK.hash(PASSWORD))
    store = Passwords(town.database, town.id)
    monkeypatch.setattr(password_entry, "PATIENCE_SECONDS", 0.01)
    with ExitStack() as turns:
        for _ in range(password_entry.AT_ONCE):
            turns.enter_context(password_entry._turn())
        with pytest.raises(TooManyAttempts) as caught:
            enter(store, "ada", PASSWORD)
        assert caught.value.retry_after > 0
    assert enter(store, "ada", PASSWORD) == user_id
