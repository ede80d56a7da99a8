"""Who may look at sessions and end them, and what that shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from syncd.errors import NotFound, Refused
from syncd.store import schema
from syncd.store.editing.accounts import Accounts
from syncd.store.sessions import find
from tests.store.managed import ORGANIZATION, Managed
from tests.store.signed_in import open_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.store.signed_in import Opened

    Act = Callable[[], object]

OWNER = 1


class SignedIn:
    """An organization with an owner and ada, and a session of each."""

    def __init__(self, acme: Managed) -> None:
        self.acme = acme
        self.database = acme.app.database()
        ids = {
            "owner": acme.made("owner@example.test", username="owner", roles=[OWNER]),
            "ada": acme.made("ada@example.test", username="ada"),
        }
        with self.database.write() as connection:
            connection.execute(schema.restrictions.delete())
        self.owner, self.ada = (self.open(ids[name]) for name in ("owner", "ada"))

    def open(self, user_id: int) -> Opened:
        """Let somebody sign in."""
        return open_for(self.database, ORGANIZATION, user_id)


@pytest.fixture
def there(tmp_path: Path, store_url: str) -> Iterator[SignedIn]:
    """That organization."""
    managed = Managed(tmp_path, store_url, "admin")
    yield SignedIn(managed)
    managed.app.close()


def test_whoever_looks_after_people_looks_after_their_sessions(there: SignedIn) -> None:
    """Viewers see, editors end, an owner's only another owner; others are refused everything."""
    agent, accountant, admin, owner = (
        there.acme.as_role(role).sessions
        for role in ("Support agent", "Accountant", "Admin", "Owner")
    )
    shown = agent.page(limit=9)
    assert [each["user"]["username"] for each in shown] == ["owner", "ada"]
    (of_ada,) = agent.page(limit=9, username="Ada")
    ada = there.ada.session
    assert of_ada == {
        "id": ada.id,
        "user": {"id": ada.user_id, "username": "ada"},
        "way": "admin",
        "started_at": f"{ada.started_at:%Y-%m-%dT%H:%M:%SZ}",
        "seen_at": f"{ada.seen_at:%Y-%m-%dT%H:%M:%SZ}",
        "idle_until": f"{ada.idle_until:%Y-%m-%dT%H:%M:%SZ}",
        "expires_at": f"{ada.expires_at:%Y-%m-%dT%H:%M:%SZ}",
        "address": "192.0.2.1",
        "agent": "a browser",
    }
    may_not: list[Act] = [
        lambda: accountant.page(limit=9),
        lambda: accountant.end(ada.id),
        lambda: accountant.end_all("ada"),
        lambda: agent.end(ada.id),
        lambda: agent.end_all("ada"),
    ]
    for act in may_not:
        with pytest.raises(Refused) as caught:
            act()
        assert caught.value.reason == "not_allowed"
    owners: list[Act] = [lambda: admin.end(there.owner.id), lambda: admin.end_all("owner")]
    for act in owners:
        with pytest.raises(Refused) as caught:
            act()
        assert caught.value.reason == "owner_only"
    assert admin.end(ada.id) == of_ada
    again = [there.open(ada.user_id) for _ in range(2)]
    assert admin.end_all("ada") == len(again)
    assert owner.end_all("owner") == 1
    assert owner.page(limit=9) == []
    with there.database.read() as connection:
        why = set(
            connection.scalars(
                schema.sessions.select().with_only_columns(schema.sessions.c.ended_because)
            )
        )
    assert why == {"ended_by_admin"}


def test_what_is_not_there_is_not_found(there: SignedIn) -> None:
    """A session that has ended, or never was, and a person whom nobody knows."""
    sessions = there.acme.by().sessions
    sessions.end(there.ada.id)
    unknown: list[Act] = [
        lambda: sessions.end(there.ada.id),
        lambda: sessions.end(999_999),
        lambda: sessions.end_all("nobody"),
        lambda: sessions.page(limit=9, username="nobody"),
    ]
    for act in unknown:
        with pytest.raises(NotFound, match="`syncd "):
            act()
    assert sessions.end_all("ada") == 0


def test_another_password_ends_the_sessions_of_the_old_one(there: SignedIn) -> None:
    """Whoever was let in by what was found out is out; other people stay."""
    accounts = Accounts(there.database, ORGANIZATION, actor="user ada")
    with accounts.change() as change:
        accounts.set_password(change, there.ada.session.user_id, "hash")
    assert find(there.database, there.ada.hash) is None
    assert find(there.database, there.owner.hash) is not None
