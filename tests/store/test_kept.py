"""What people have made is not lost because somebody takes back how they came here."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from syncd.permissions import EVERYTHING, Level, Principal
from tests.store.managed import Managed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def acme(store_url: str, tmp_path: Path) -> Iterator[Managed]:
    """An organization of the admin provider with nobody in it."""
    managed = Managed(tmp_path, store_url, "admin")
    yield managed
    managed.app.close()


@pytest.mark.parametrize("what", ["address book", "token", "nothing"])
def test_an_undo_leaves_whoever_has_used_the_account(acme: Managed, what: str) -> None:
    """Somebody with entries of his own or a token stays; one who only looked is deleted."""
    mia = acme.made("mia@example.org")
    (made,) = acme.by().journal.page()["items"]
    books = acme.by(Principal("user mia", EVERYTHING, user_id=mia)).address_books
    book = books.personal()["id"]
    if what == "address book":
        books.add_entry(book, nickname="Bo", address="bo@example.org")
    elif what == "token":
        scopes = {"users": Level.VIEW}
        acme.by().tokens.create("own", scopes, lifetime=timedelta(days=1), user_id=mia)
    report = acme.app.undo(made["change_set"])
    told = [each["what"] for each in report["left_alone"]]
    there = [each["id"] for each in acme.by().pages.users(10, None, {})["items"]]
    if what == "nothing":
        assert (told, there) == ([], [])
    else:
        assert (told, there) == (["person mia@example.org"], [mia])
