"""People who sign in with their directory passwords, through the application, on real slapd."""

from __future__ import annotations

import logging
import shutil
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from syncd.access.visits import Visitor, new_secret
from syncd.app import App
from syncd.errors import DirectoryError, SignInRefused, TooManyAttempts
from tests.acceptance.world import ORGANIZATION, World
from tests.servers.slapd import PEOPLE, ROLES, Slapd, person

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from syncd.access.visits import Entered

PASSWORD = "correct horse battery"
CLASSES = ["inetOrgPerson", "shadowAccount"]
MAPPER = {"name": "state", "type": "account-state", "attributes": ["shadowExpire"]}
YESTERYEAR, NEVER = "18000", "-1"
LDIF = "".join(
    person(name, objectClass=CLASSES, userPassword=PASSWORD)
    for name in ("ada", "bob", "cyd", "dan", "eve", "fay")
)
STAFF = (
    f"dn: cn=staff,{ROLES}\nobjectClass: groupOfNames\ncn: staff\n"
    f"member: uid=ada,{PEOPLE}\nmember: uid=bob,{PEOPLE}\n\n"
)


class Door:
    """One organization, and whoever comes to its password page."""

    def __init__(self, world: World, slapd: Slapd) -> None:
        self.world, self.slapd = world, slapd
        self.app = App.load(str(world.config), environ={})
        self.counted: list[tuple[str, ...]] = []
        self.app.counted = lambda *told: self.counted.append(told)

    def enter(self, username: str, password: str = PASSWORD) -> Entered:
        """Sign somebody in."""
        visitor = Visitor(new_secret(), "192.0.2.7", "a test")
        return self.app.enter_with_password(ORGANIZATION, visitor, username, password)

    def refusal(self, username: str, password: str = PASSWORD) -> str:
        """Return why somebody is not let in."""
        with pytest.raises(SignInRefused) as caught:
            self.enter(username, password)
        assert caught.value.reference
        assert ("sign_ins", ORGANIZATION, "refused", caught.value.reason) in self.counted
        return caught.value.reason

    def set(self, username: str, **values: str) -> None:
        """Change somebody's entry."""
        dn = f"uid={username},{PEOPLE}"
        self.slapd.modify(dn, {name: [value] for name, value in values.items()})


@pytest.fixture(scope="module")
def door(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """Six people and a role, of whom a sync has seen nobody yet."""
    folder = tmp_path_factory.mktemp("door")
    shutil.copy(sqlite_template, folder / "store.db")
    with Slapd(ldif=LDIF + STAFF, overlays=("ppolicy",)) as slapd:
        world = World(folder, slapd, f"sqlite:///{folder / 'store.db'}")
        world.configure(mappers=[MAPPER])
        found = Door(world, slapd)
        yield found
        found.app.close()


def test_a_newcomer_enters_and_the_next_sync_gives_him_his_roles(door: Door) -> None:
    """Nobody has to wait for a sync; what he is a member of comes with it."""
    entered = door.enter("ada")
    session = entered.session
    assert (session.username, session.email, session.way) == ("ada", "ada@example.test", "ldap")
    assert door.app.show(ORGANIZATION, "ada")["roles"][0]["name"] == "User"
    door.app.sync(ORGANIZATION)
    roles = {each["name"] for each in door.app.show(ORGANIZATION, "ada")["roles"]}
    assert roles == {"User", "staff"}
    assert door.app.session(entered.secret) is not None
    assert door.enter(" Ada").session.user_id == session.user_id
    with door.app.database().read() as connection:
        actors = connection.execute(text("select actor from change_sets order by id"))
        assert list(actors.scalars()) == ["sign-in", "sync"]


def test_the_entry_is_read_before_anybody_is_let_in(door: Door) -> None:
    """Whom the directory has shut out since the last sync is out at once, his sessions too."""
    secret = door.enter("bob").secret
    door.set("bob", shadowExpire=YESTERYEAR, mail="new@example.test")
    assert door.refusal("bob") == "disabled"
    assert door.app.session(secret) is None
    bob = door.app.show(ORGANIZATION, "bob")
    assert (bob["email"], bob["enabled"]) == ("new@example.test", False)
    assert [each["reason"] for each in bob["disabled_because"]] == ["expired"]
    door.set("bob", shadowExpire=NEVER)
    assert door.enter("bob").session.email == "new@example.test"


@pytest.mark.rule("H12", server="openldap")
def test_one_answer_for_the_person_and_another_for_the_log(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    """Reasons are told apart where the operator looks, without what was typed."""
    caplog.set_level(logging.DEBUG)
    door.set("cyd", pwdAccountLockedTime="000001010000Z")
    assert door.refusal("cyd") == "locked"
    assert door.refusal("dan", "wrong by one") == "wrong_password"
    assert door.refusal("nobody by this name") == "unknown_user"
    assert door.refusal("dan", " ") == "no_password"
    for typed in ("wrong by one", "nobody by this name", PASSWORD):
        assert typed not in caplog.text


@pytest.mark.rule("H11", server="openldap")
def test_guessing_ends_before_the_directory_locks(door: Door) -> None:
    """The fifth guess reaches no directory, however the name is spelt, and nor does the answer."""
    for name in ("eve", "EVE", " eve", "ev\u0435"):
        with pytest.raises(SignInRefused):
            door.enter(name, "a guess")
    before = door.slapd.log.read_text().count(f'BIND dn="uid=eve,{PEOPLE}"')
    assert before == 3
    door.enter("dan")
    with pytest.raises(SignInRefused):
        door.enter("eve ", "a guess")
    for name in ("eve", "Eve"):
        with pytest.raises(TooManyAttempts):
            door.enter(name)
    log = door.slapd.log.read_text()
    assert log.count(f'BIND dn="uid=eve,{PEOPLE}" method') == before + 1


def test_a_directory_that_is_away_is_no_wrong_password(door: Door) -> None:
    """It counts for nobody, and whoever is in stays in."""
    secret = door.enter("fay").secret
    door.slapd.stop()
    try:
        for _ in range(6):
            with pytest.raises(DirectoryError):
                door.enter("fay")
        assert door.app.session(secret) is not None
    finally:
        door.slapd.start()
    assert door.enter("fay").session.username == "fay"
    assert ("sign_ins", ORGANIZATION, "unavailable", "directory_unavailable") in door.counted
