"""The feed of changes: every committed row once and in order, whoever writes beside it."""

from __future__ import annotations

import random
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, select, text, update

from syncd.errors import Refused
from syncd.store import feed, listening, schema
from syncd.store.changes import Changes, Cursor
from syncd.store.editing.change import change
from tests.store.organization import ORGANIZATION, Organization, container, record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from syncd.store.editing.change import Change

PATIENCE_SECONDS = 30
KEYS = ["position", "at", "actor", "why", "run"]
KEYS += ["object", "id", "name", "kind", "before", "after"]


@pytest.fixture
def on_postgresql(request: pytest.FixtureRequest) -> Iterator[Organization]:
    """An organization on PostgreSQL, where several may write at once."""
    cluster = request.getfixturevalue("postgres")
    with cluster.database(request.getfixturevalue("postgres_template")) as url:
        organization = Organization(url)
        yield organization
        organization.database.close()


def note(opened: Change, number: int, rows: int = 1) -> None:
    """Write so many rows of the journal about things that are told apart by their number."""
    for row in range(rows):
        opened.of_object("role", number, f"{number}.{row}", before=None, after={"row": row})


def noted(organization: Organization, number: int, rows: int = 1) -> None:
    """Change something and commit it."""
    with change(organization.database, ORGANIZATION, actor="somebody", why="a test") as opened:
        note(opened, number, rows)


def followed(changes: Changes, after: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
    """Return all that is there, page by page."""
    found: list[dict[str, Any]] = []
    while True:
        page = changes.page(after, limit)
        assert len(page["changes"]) <= limit
        found += page["changes"]
        if page["next"] == page["head"]:
            return found
        assert page["next"] != after
        after = page["next"]


def names(changes: list[dict[str, Any]]) -> list[str]:
    """Return what the changes are of."""
    return [str(each["name"]) for each in changes]


def test_pages_of_any_size_tell_the_same(acme: Organization) -> None:
    """Syncs and changes by hand come in the order of their commits, and so within a large one."""
    people = [record(f"id-{number:03}") for number in range(40)]
    acme.sync(*people, containers=[container("staff", "id-000", "id-001")], batch_size=15)
    noted(acme, 7, rows=9)
    acme.sync(record("id-003", username="renamed"), absent=["id-005"], batch_size=1)
    changes = Changes(acme.database, ORGANIZATION)
    whole = changes.page(limit=1_000)
    assert whole["next"] == whole["head"]
    found = whole["changes"]
    assert [*found[0]] == KEYS
    positions = [each["position"] for each in found]
    assert positions == sorted(positions)
    assert set(positions) == set(range(1, max(positions) + 1))
    created = [each for each in found if each["object"] == "user" and each["kind"] == "create"]
    assert len(created) == 40
    assert created[0]["after"]["email"] == "id-000@example.test"
    for limit in (1, 2, 3, 7, 16, 100):
        assert followed(changes, limit=limit) == found, limit
    (role,) = [each for each in found if each["name"] == "staff"]
    assert (role["object"], role["kind"], role["run"]) == ("role", "create", "r-000001")
    by_hand = [each for each in found if each["actor"] == "somebody"]
    assert names(by_hand) == [f"7.{row}" for row in range(9)]
    assert {(each["why"], each["run"]) for each in by_hand} == {("a test", None)}
    (renamed,) = [each for each in found if (each["before"] or {}).get("username")]
    assert (renamed["name"], renamed["before"]["username"]) == ("renamed", "id-003")


def test_now_is_where_the_feed_stands(acme: Organization) -> None:
    """Whoever begins there gets what comes later, and nothing of before."""
    changes = Changes(acme.database, ORGANIZATION)
    empty = changes.page("now")
    assert empty["changes"] == []
    noted(acme, 1)
    now = changes.page("now")
    assert (now["changes"], now["next"]) == ([], now["head"])
    noted(acme, 2)
    assert names(followed(changes, now["next"])) == ["2.0"]
    assert names(followed(changes, empty["next"])) == ["1.0", "2.0"]
    assert changes.page(changes.page()["next"])["changes"] == []


def test_of_a_deleted_person_is_told_that_he_was_deleted(acme: Organization) -> None:
    """What the journal had of a purged person is gone from the feed, too."""
    acme.sync(record("gone", "secret-name"), record("stays"))
    user_id = acme.user("secret-name")["id"]
    acme.sync(absent=["gone"])
    begun = Changes(acme.database, ORGANIZATION).page("now")["next"]
    acme.sync(absent=["gone"], purge_before=_tomorrow(acme))
    (deleted,) = followed(Changes(acme.database, ORGANIZATION), begun)
    assert (deleted["id"], deleted["kind"], deleted["name"]) == (user_id, "delete", None)
    assert (deleted["before"], deleted["after"]) == (None, None)
    every = followed(Changes(acme.database, ORGANIZATION))
    assert "secret-name" not in str(every)
    assert [each["kind"] for each in every if each["id"] == user_id] == ["delete"]


def _tomorrow(acme: Organization) -> Any:
    with acme.database.read() as connection:
        now = connection.scalar(select(schema.change_sets.c.at).limit(1))
    assert now is not None
    return now.replace(year=now.year + 1)


def test_a_persons_own_address_book_is_nobodys_business(acme: Organization) -> None:
    """That it changed is told; its name and content are not, nor those of one that is gone."""
    books = schema.address_books
    with acme.database.write() as connection:
        for book_id, owner in ((1, None), (2, 77)):
            values = {"id": book_id, "organization_id": ORGANIZATION, "owner_id": owner}
            connection.execute(books.insert().values(name="b", name_key="b", **values))
    with change(acme.database, ORGANIZATION, actor="somebody") as opened:
        for book_id in (1, 2, 3):
            opened.of_object("address_book", book_id, "book", before=None, after={"name": "book"})
            entry = {"address_book_id": book_id, "address": "secret"}
            opened.of_object("address_book_entry", 9, "nick", before=entry, after=None)
    told = [(each["id"], each["name"]) for each in followed(Changes(acme.database, ORGANIZATION))]
    assert told == [(1, "book"), (9, "nick"), (2, None), (9, None), (3, None), (9, None)]
    assert str(followed(Changes(acme.database, ORGANIZATION))).count("secret") == 1


def test_no_organization_sees_anothers_changes(acme: Organization) -> None:
    """Positions count in each by itself, and a cursor of another leads nowhere."""
    other = Organization(acme.url, "umbrella")
    with change(other.database, "umbrella", actor="somebody") as opened:
        note(opened, 1)
    noted(acme, 2)
    mine, theirs = (Changes(acme.database, each) for each in (ORGANIZATION, "umbrella"))
    assert names(followed(mine)) == ["2.0"]
    assert names(followed(theirs)) == ["1.0"]
    with pytest.raises(Refused) as refused:
        mine.page(theirs.page("now")["next"])
    assert refused.value.reason == "expired"
    other.database.close()


@pytest.mark.parametrize(
    "cursor",
    [
        *("", "x", "NOW", "!", "é", "WzEsMl0", "W10"),
        Cursor(-1).text(),
        Cursor(2**63).text(),
        Cursor(1, "", 2, 1, "\0").text(),
        Cursor(1, "", 7, 1, "create").text(),
    ],
    ids=lambda each: f"cursor {each.encode().hex()[:60]}",
)
def test_what_is_no_cursor_is_refused(acme: Organization, cursor: str) -> None:
    """With a reason that tells it from one that has expired."""
    with pytest.raises(Refused) as refused:
        Changes(acme.database, ORGANIZATION).page(cursor)
    assert refused.value.reason == "invalid"


@pytest.mark.parametrize("more", [{"limit": 0}, {"limit": 1_001}, {"wait": -1}, {"wait": 61}])
def test_a_page_has_its_bounds(acme: Organization, more: dict[str, Any]) -> None:
    """Nobody holds a thread for ever, or asks for everything at once."""
    with pytest.raises(Refused) as refused:
        Changes(acme.database, ORGANIZATION).page(**more)
    assert refused.value.reason == "invalid"


def pruned(acme: Organization) -> None:
    """Remove the oldest commits with their rows."""
    commits, journal = schema.commits, schema.object_journal
    with acme.database.write() as connection:
        old = select(commits.c.commit_id).where(commits.c.position <= 3)
        connection.execute(delete(journal).where(journal.c.commit_id.in_(old)))
        connection.execute(delete(commits).where(commits.c.position <= 3))


def crashed(acme: Organization) -> None:
    """Lose the newest commits, and write others in their places."""
    commits, heads = schema.commits, schema.feed_heads
    with acme.database.write() as connection:
        connection.execute(delete(commits).where(commits.c.position >= 2))
        connection.execute(update(heads).values(position=1))


def crashed_and_gone_on(acme: Organization) -> None:
    """Lose the newest commits, and write others in their places."""
    crashed(acme)
    for number in (11, 12, 13, 14):
        noted(acme, number)


@pytest.mark.parametrize("lost", [pruned, crashed, crashed_and_gone_on])
def test_a_cursor_whose_history_is_lost_says_to_begin_anew(
    acme: Organization, lost: Callable[[Organization], None]
) -> None:
    """Pruned, or lost with a machine or to an older backup: no row is skipped in silence."""
    changes = Changes(acme.database, ORGANIZATION)
    noted(acme, 1, rows=3)
    whole, inside = changes.page(limit=3)["next"], changes.page(limit=2)["next"]
    for number in (2, 3, 4, 5):
        noted(acme, number)
    second, last = changes.page(limit=4)["next"], changes.page("now")["next"]
    lost(acme)
    expired = [whole, inside, second] if lost is pruned else [second, last]
    for cursor in expired:
        with pytest.raises(Refused, match="read everything anew") as refused:
            changes.page(cursor)
        assert refused.value.reason == "expired"
    # From the oldest that is kept, and where nothing was lost, it goes on.
    kept = ["4.0", "5.0"] if lost is pruned else names(changes.page()["changes"])
    assert names(followed(changes)) == kept
    if lost is pruned:
        assert changes.page(last)["changes"] == []
    else:
        assert names(followed(changes, inside)) == kept[2:]


# --- several writers ----------------------------------------------------------------------------


class Writer:
    """Somebody in a thread of his own whose change takes place step by step."""

    def __init__(self, organization: Organization, number: int, *, commits: bool = True) -> None:
        self._organization, self._number, self._commits = organization, number, commits
        self._steps: dict[str, threading.Event] = {
            step: threading.Event() for step in ("write", "place", "commit", "end")
        }
        self.done: dict[str, threading.Event] = {
            step: threading.Event() for step in ("write", "place", "end")
        }
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def let(self, step: str, *, waits: bool = False) -> None:
        """Let it go as far as this step; ``waits`` if another is in its way."""
        self._steps[step].set()
        if step in self.done and not waits:
            assert self.done[step].wait(PATIENCE_SECONDS), step

    def end(self) -> None:
        """Let it go to its end."""
        for step in self._steps.values():
            step.set()
        assert self.done["end"].wait(PATIENCE_SECONDS)

    def _run(self) -> None:
        database = self._organization.database.of(ORGANIZATION)
        change_set_id, commit_id = feed.new_ids(database, "change_sets", "commits")
        try:
            self._await("write")
            with database.write() as connection:
                self._write(connection, change_set_id, commit_id)
                self.done["write"].set()
                self._await("place")
                feed.take_position(connection, ORGANIZATION, commit_id, change_set_id)
                self.done["place"].set()
                self._await("commit")
                if not self._commits:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            pass
        finally:
            self.done["end"].set()

    def _await(self, step: str) -> None:
        assert self._steps[step].wait(PATIENCE_SECONDS)

    def _write(self, connection: Any, change_set_id: int, commit_id: int) -> None:
        mine = {"organization_id": ORGANIZATION, "change_set_id": change_set_id}
        row = {"number": 1, "object": "role", "object_id": self._number, "kind": "delete"}
        connection.execute(
            schema.object_journal.insert().values(
                **mine, **row, name=f"{self._number}.0", commit_id=commit_id
            )
        )


@pytest.mark.parametrize("first", [1, 2])
def test_two_that_overlap_are_told_in_the_order_of_their_commits(
    on_postgresql: Organization, first: int
) -> None:
    """Whoever takes his place second waits for the first one's end, and is read after him."""
    changes = Changes(on_postgresql.database, ORGANIZATION)
    after = changes.page("now")["next"]
    writers = {number: Writer(on_postgresql, number) for number in (1, 2)}
    early, late = writers[first], writers[3 - first]
    # Both have written; the one who wrote first is not always he who commits first.
    writers[1].let("write")
    writers[2].let("write")
    early.let("place")
    late.let("place", waits=True)
    assert not late.done["place"].wait(0.2)
    page = changes.page(after)
    assert (page["changes"], page["next"]) == ([], after)
    late.let("commit", waits=True)
    early.end()
    assert late.done["end"].wait(PATIENCE_SECONDS)
    assert names(followed(changes, after)) == [f"{first}.0", f"{3 - first}.0"]


def test_a_slow_one_is_not_skipped(on_postgresql: Organization) -> None:
    """It began first and commits last; whoever has read the others meanwhile still gets it."""
    changes = Changes(on_postgresql.database, ORGANIZATION)
    slow = Writer(on_postgresql, 1)
    slow.let("write")
    after = changes.page("now")["next"]
    found = []
    for number in (2, 3, 4):
        Writer(on_postgresql, number).end()
        page = changes.page(after)
        found += names(page["changes"])
        after = page["next"]
    slow.end()
    found += names(changes.page(after)["changes"])
    assert found == ["2.0", "3.0", "4.0", "1.0"]


def test_what_is_rolled_back_leaves_no_gap(on_postgresql: Organization) -> None:
    """It gives its place back; a reader neither sees it nor waits for it."""
    changes = Changes(on_postgresql.database, ORGANIZATION)
    after = changes.page("now")["next"]
    failing, waiting = Writer(on_postgresql, 1, commits=False), Writer(on_postgresql, 2)
    failing.let("place", waits=True)
    failing.let("write")
    assert failing.done["place"].wait(PATIENCE_SECONDS)
    waiting.let("write")
    waiting.let("place", waits=True)
    failing.end()
    waiting.end()
    page = changes.page(after)
    assert [(each["name"], each["position"]) for each in page["changes"]] == [("2.0", 1)]
    Writer(on_postgresql, 3).end()
    assert names(followed(changes, page["next"])) == ["3.0"]


@contextmanager
def reading(changes: Changes, *, limit: int) -> Iterator[list[dict[str, Any]]]:
    """Follow the feed in a thread, from now on until the block has ended and all is read."""
    after = changes.page("now")["next"]
    found: list[dict[str, Any]] = []
    over = threading.Event()
    failed: list[BaseException] = []

    def follow() -> None:
        cursor = after
        try:
            while True:
                last = over.is_set()
                page = changes.page(cursor, limit, wait=0 if last else 1)
                found.extend(page["changes"])
                cursor = page["next"]
                if last and page["next"] == page["head"]:
                    return
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join(PATIENCE_SECONDS)
    assert not failed
    assert not thread.is_alive()


def test_many_writers_and_a_sync_beside_a_reader(on_postgresql: Organization) -> None:
    """Every row is read once, in the order of positions, and none of those that failed."""
    acme, writers, turns = on_postgresql, 5, 12
    changes = Changes(acme.database, ORGANIZATION)

    def write(writer: int) -> None:
        chance = random.Random(writer)  # noqa: S311 - the same in each run
        for turn in range(turns):
            number = writer * 1_000 + turn
            try:
                with change(acme.database, ORGANIZATION, actor=f"writer {writer}") as opened:
                    note(opened, number, rows=chance.randint(1, 4))
                    time.sleep(chance.random() / 100)
                    if turn % 4 == 3:
                        raise ZeroDivisionError
            except ZeroDivisionError:
                pass

    with reading(changes, limit=7) as found:
        threads = [threading.Thread(target=write, args=(each,)) for each in range(writers)]
        for thread in threads:
            thread.start()
        with acme.leased():
            acme.sync(*[record(f"id-{number}") for number in range(60)], batch_size=6)
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
    with acme.database.read() as connection:
        count = "SELECT count(*) FROM journal UNION ALL SELECT count(*) FROM object_journal"
        rows = sum(connection.scalars(text(count)))
    keys = [(each["position"], each["object"], each["id"], each["name"]) for each in found]
    assert len(keys) == len(set(keys)) == rows
    positions = [each["position"] for each in found]
    assert positions == sorted(positions)
    failed = {writer * 1_000 + turn for writer in range(writers) for turn in range(3, turns, 4)}
    assert not failed & {each["id"] for each in found if each["object"] == "role"}
    assert found == followed(changes)


# --- waiting ------------------------------------------------------------------------------------


def test_a_page_is_waited_for(acme: Organization) -> None:
    """It comes with the next commit, and empty when there is none for so long."""
    changes = Changes(acme.database, ORGANIZATION)
    after = changes.page("now")["next"]
    page = changes.page(after, wait=0.3)
    assert (page["changes"], page["next"]) == ([], after)
    later = threading.Timer(0.5, noted, (acme, 1))
    later.start()
    page = changes.page(after, wait=PATIENCE_SECONDS)
    later.join()
    assert names(page["changes"]) == ["1.0"]
    assert names(changes.page(after, wait=PATIENCE_SECONDS)["changes"]) == ["1.0"]


def test_who_listens_is_called_after_the_commit(
    on_postgresql: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at the change, not after a rollback, and not by another organization."""
    # Whoever is not called would wait for longer than this test.
    monkeypatch.setattr(listening, "SLICE_SECONDS", 600.0)
    changes = Changes(on_postgresql.database, ORGANIZATION)
    other = Organization(on_postgresql.url, "umbrella")
    after = changes.page("now")["next"]
    pages: list[dict[str, Any]] = []
    reader = threading.Thread(
        target=lambda: pages.append(changes.page(after, wait=PATIENCE_SECONDS))
    )
    with listening.watching(changes.database, ORGANIZATION) as watch:
        reader.start()
        seen = watch.seen()
        Writer(on_postgresql, 1, commits=False).end()
        with change(other.database, "umbrella", actor="somebody") as opened:
            note(opened, 2)
        writer = Writer(on_postgresql, 3)
        writer.let("write")
        writer.let("place")
        watch.wait(seen, 0.5)
        assert watch.seen() == seen
        assert not pages
        writer.end()
        watch.wait(seen, PATIENCE_SECONDS)
        assert watch.seen() != seen
    reader.join(PATIENCE_SECONDS)
    assert names(pages[0]["changes"]) == ["3.0"]
    other.database.close()


def test_all_who_wait_share_a_connection(on_postgresql: Organization) -> None:
    """It is opened by the first, told apart in the server's list, and closed after the last."""
    changes = Changes(on_postgresql.database, ORGANIZATION)
    after = changes.page("now")["next"]
    waiting = [
        threading.Thread(target=changes.page, args=(after,), kwargs={"wait": PATIENCE_SECONDS})
        for _ in range(6)
    ]
    listeners = text("SELECT count(*) FROM pg_stat_activity WHERE query = 'LISTEN syncd_changes'")

    def count() -> int:
        with on_postgresql.database.read() as connection:
            return int(connection.execute(listeners).scalar_one())

    for thread in waiting:
        thread.start()
    _until(lambda: count() == 1)
    noted(on_postgresql, 1)
    for thread in waiting:
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()
    _until(lambda: count() == 0)


def test_a_connection_that_breaks_keeps_nobody_waiting(
    on_postgresql: Organization, postgres: Any
) -> None:
    """Whoever waits looks by himself then, and the next one opens another."""
    changes = Changes(on_postgresql.database, ORGANIZATION)
    after = changes.page("now")["next"]
    pages: list[dict[str, Any]] = []
    waiting = threading.Thread(
        target=lambda: pages.append(changes.page(after, wait=PATIENCE_SECONDS))
    )
    waiting.start()
    kill = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE query = 'LISTEN syncd_changes'"
    )
    _until(lambda: postgres.sql(kill) == "1")
    noted(on_postgresql, 1)
    waiting.join(PATIENCE_SECONDS)
    assert names(pages[0]["changes"]) == ["1.0"]
    assert changes.page(pages[0]["next"], wait=0.3)["changes"] == []


def _until(fulfilled: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not fulfilled():
        assert time.monotonic() < end
        time.sleep(0.05)
