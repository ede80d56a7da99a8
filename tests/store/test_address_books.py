"""Address books: shared ones by permission, people's own by nobody else, entries page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from syncd.errors import NotFound
from syncd.permissions import EVERYTHING, Level, Principal
from syncd.store import schema
from tests.store.model import Model, match, somebody
from tests.store.organization import Organization
from tests.store.test_editing_roles import refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from syncd.permissions import Levels


@pytest.fixture
def model(acme: Organization) -> Model:
    """The model, for whoever has the machine."""
    return Model(acme)


def person(user_id: int, levels: Levels = EVERYTHING, token_id: int | None = None) -> Principal:
    """Return somebody, or a token that acts for him."""
    return Principal(name="user p", levels=levels, user_id=user_id, token_id=token_id)


def test_a_shared_book_is_kept(model: Model) -> None:
    """Created, renamed, filled, changed and deleted with all that is in it; all of it journaled."""
    book = model.books.create(" Field  work ", why="as asked")
    assert book == {"id": book["id"], "name": "Field  work", "personal": False, "owner_id": None}
    assert refused(lambda: model.books.create("FIELD  WORK"))[0] == "name_taken"
    book = model.books.rename(book["id"], "Field", if_match=match(book))
    assert model.books.all() == [book] == [model.books.named("field")]
    made = model.books.add_entry(
        book["id"], nickname="Crane", address="123 456", comment="Left", tags=["Site", "a", "SITE"]
    )
    assert made == {
        "id": made["id"],
        "address_book_id": book["id"],
        "nickname": "Crane",
        "address": "123 456",
        "comment": "Left",
        "tags": ["a", "SITE"],
    }
    changed = model.books.edit_entry(book["id"], made["id"], comment="Right", tags=["b"])
    assert changed == {**made, "comment": "Right", "tags": ["b"]}
    do = lambda: model.books.edit_entry(book["id"], made["id"], tags=[], if_match=match(made))  # noqa: E731
    assert refused(do)[0] == "stale"
    assert model.books.tags(book["id"]) == ["b"]
    model.books.delete(book["id"])
    for table in (schema.address_books, schema.address_book_entries, schema.address_book_tags):
        assert model.acme.rows(table) == []
    assert [row[:2] for row in model.journal("address_book")] == [
        ("Field  work", "create"),
        ("Field", "update"),
        ("Field", "delete"),
    ]
    was = {name: value for name, value in made.items() if name != "id"}
    now = {name: value for name, value in changed.items() if name != "id"}
    assert model.journal("address_book_entry") == [
        ("Crane", "create", None, was),
        ("Crane", "update", was, now),
        ("Crane", "delete", now, None),
    ]


def test_shared_books_stand_under_their_section(model: Model) -> None:
    """Who may view reads them, who may edit changes them, anybody else does neither."""
    book = model.books.create("Field")["id"]
    entry = model.books.add_entry(book, nickname="Crane", address="1")["id"]
    viewer, nobody = model.by(somebody(address_books="view")), model.by(somebody(users="edit"))
    assert viewer.books.entries(book)["items"][0]["id"] == entry
    reads = [
        lambda by: by.books.all(),
        lambda by: by.books.get(book),
        lambda by: by.books.named("Field"),
        lambda by: by.books.entries(book),
        lambda by: by.books.entry(book, entry),
        lambda by: by.books.tags(book),
    ]
    writes = [
        lambda by: by.books.create("New"),
        lambda by: by.books.rename(book, "New"),
        lambda by: by.books.delete(book),
        lambda by: by.books.add_entry(book, nickname="a", address="b"),
        lambda by: by.books.edit_entry(book, entry, nickname="a"),
        lambda by: by.books.remove_entry(book, entry),
    ]
    for do in (*reads, *writes):
        assert refused(lambda do=do: do(nobody))[0] == "not_allowed"  # type: ignore[misc]
    for do in writes:
        assert refused(lambda do=do: do(viewer))[0] == "not_allowed"  # type: ignore[misc]
    model.by(somebody(address_books="edit")).books.remove_entry(book, entry)


def test_ones_own_book_is_there_when_it_is_used(model: Model) -> None:
    """Everybody has one, whatever his levels; it keeps its name and cannot be deleted."""
    p1, p2 = model.people("p1", "p2")
    own = model.by(person(p1, {}))
    book = own.books.personal()
    assert book == {"id": book["id"], "name": "Personal", "personal": True, "owner_id": p1}
    assert own.books.personal() == book
    assert own.books.all() == [book]
    assert refused(lambda: own.books.rename(book["id"], "Mine"))[0] == "preconfigured"
    assert refused(lambda: own.books.delete(book["id"]))[0] == "preconfigured"
    # A shared book may have the name; those who may view shared books see their own before them.
    model.books.create("Personal")
    both = model.by(person(p2, {"address_books": Level.VIEW})).books.all()
    assert [(each["personal"], each["owner_id"]) for each in both] == [(True, p2), (False, None)]
    assert model.books.named("personal")["personal"] is False


def test_ones_own_book_is_nobody_elses(model: Model) -> None:
    """Not an owner's, not an operator's, not a token's; to them it is as if it were not there."""
    p1, p2 = model.people("p1", "p2")
    own = model.by(person(p1, {}))
    book = own.books.personal()["id"]
    entry = own.books.add_entry(book, nickname="Doctor", address="9")["id"]
    shared = model.books.create("Field")["id"]
    strangers = [
        model,
        model.by(person(p2)),
        model.by(Principal(name="token 1 all", levels=EVERYTHING, owner=True, token_id=1)),
    ]
    others: list[Callable[[Model], object]] = [
        lambda by: by.books.get(book),
        lambda by: by.books.entries(book),
        lambda by: by.books.tags(book),
        lambda by: by.books.entry(book, entry),
        lambda by: by.books.entry(shared, entry),
        lambda by: by.books.add_entry(book, nickname="a", address="b"),
        lambda by: by.books.edit_entry(book, entry, nickname="a"),
        lambda by: by.books.edit_entry(shared, entry, nickname="a"),
        lambda by: by.books.remove_entry(book, entry),
        lambda by: by.books.delete(book),
    ]
    for by in strangers:
        for do in others:
            with pytest.raises(NotFound):
                do(by)
        assert all(each["id"] != book for each in by.books.all())
    for by in (strangers[0], strangers[2]):
        assert refused(by.books.personal)[0] == "not_allowed"


def test_a_token_reaches_the_own_book_of_its_person_by_his_profile(model: Model) -> None:
    """One that acts for somebody, and has the section of the personal profile in its scopes."""
    (p1,) = model.people("p1")
    book = model.by(person(p1, {})).books.personal()["id"]
    scopes: list[tuple[Levels, bool, bool]] = [
        ({}, False, False),
        ({"address_books": Level.EDIT}, False, False),
        ({"personal_profile": Level.VIEW}, True, False),
        ({"personal_profile": Level.EDIT}, True, True),
    ]
    for levels, reads, writes in scopes:
        by = model.by(person(p1, levels, token_id=1))
        if reads:
            assert by.books.get(book)["personal"]
        else:
            assert refused(lambda by=by: by.books.get(book))[0] == "not_allowed"  # type: ignore[misc]
        if writes:
            by.books.add_entry(book, nickname="a", address="b")
        else:
            add = lambda by=by: by.books.add_entry(book, nickname="a", address="b")  # noqa: E731
            assert refused(add)[0] == "not_allowed"


def test_the_journal_only_has_that_an_own_book_changed(model: Model) -> None:
    """No nickname, no address, no comment, no tag: once a change, without before and after."""
    (p1,) = model.people("p1")
    own = model.by(person(p1, {}))
    book = own.books.personal()["id"]
    entry = own.books.add_entry(book, nickname="Doctor", address="9", tags=["secret"])["id"]
    own.books.edit_entry(book, entry, comment="never told")
    own.books.remove_entry(book, entry)
    assert model.journal("address_book_entry") == []
    assert model.journal("address_book") == [
        ("Personal", "create", None, {"name": "Personal", "owner_id": p1}),
        *[("Personal", "update", None, None)] * 3,
    ]


def test_entries_come_page_by_page(model: Model) -> None:
    """By nickname whatever its case, each once, also where several have one nickname."""
    book, other = (model.books.create(name)["id"] for name in ("Field", "Other"))
    names = ["b", "A", "a", "Ä", "50%_a", "50x", "é", "z"]
    for at, name in enumerate(names):
        tags = ["Even"] if at % 2 == 0 else ["odd", "prime"]
        model.books.add_entry(book, nickname=name, address=str(at), tags=tags)
    model.books.add_entry(other, nickname="a", address="elsewhere", tags=["even"])
    seen: list[str] = []
    after = None
    while True:
        page = model.books.entries(book, limit=3, after=after)
        seen += [entry["address"] for entry in page["items"]]
        after = page["next"]
        if after is None:
            break
        assert len(page["items"]) == 3
    assert sorted(seen, key=int) == [str(at) for at in range(len(names))]
    whole = model.books.entries(book)["items"]
    assert [entry["address"] for entry in whole] == seen
    assert whole.index(whole[0]) == 0
    found = model.books.entries(book, tag="EVEN", limit=500)["items"]
    assert {entry["nickname"] for entry in found} == {"b", "a", "50%_a", "é"}
    prefixes = {"a": {"A", "a"}, "Ä": {"Ä"}, "50%": {"50%_a"}, "50": {"50%_a", "50x"}, "q": set()}
    for prefix, wanted in prefixes.items():
        items = model.books.entries(book, prefix=prefix)["items"]
        assert {entry["nickname"] for entry in items} == wanted, prefix
    both = model.books.entries(book, prefix="a", tag="odd")["items"]
    assert [entry["nickname"] for entry in both] == ["A"]
    for wrong in ({"after": "x"}, {"limit": 0}, {"limit": 501}, {"prefix": "\x00"}):
        assert refused(lambda wrong=wrong: model.books.entries(book, **wrong))[0] == "invalid"  # type: ignore[misc]
    # A cursor of another list is none of this one.
    assert model.books.tags(book) == ["Even", "odd", "prime"]


def test_values_of_entries_can_be_read(model: Model) -> None:
    """Empty, endless and invisible ones are refused, and too many tags."""
    book = model.books.create("Field")["id"]
    good = {"nickname": "Crane", "address": "1"}
    for wrong in (
        {"nickname": ""},
        {"address": "  "},
        {"nickname": "a\u202eb"},
        {"comment": "x" * 1_001},
        {"comment": "a\x00b"},
        {"tags": [""]},
        {"tags": ["x" * 65]},
        {"tags": [str(number) for number in range(51)]},
    ):
        do = lambda wrong=wrong: model.books.add_entry(book, **{**good, **wrong})  # noqa: E731
        assert refused(do)[0] == "invalid", wrong
    made = model.books.add_entry(book, **good, comment="two\nlines")
    assert made["comment"] == "two\nlines"


def test_another_organizations_books_are_not_there(model: Model) -> None:
    """Neither a book nor an entry of another organization can be reached by its id."""
    book = model.books.create("Field")["id"]
    entry = model.books.add_entry(book, nickname="Crane", address="1")["id"]
    other = Organization(model.acme.url, "globex")
    try:
        theirs = Model(other)
        mine = theirs.books.create("Field")["id"]
        for do in (
            lambda: theirs.books.get(book),
            lambda: theirs.books.entry(mine, entry),
            lambda: theirs.books.edit_entry(mine, entry, nickname="x"),
            lambda: theirs.books.remove_entry(book, entry),
        ):
            with pytest.raises(NotFound):
                do()
    finally:
        other.database.close()
