"""A daemon that is killed again and again while the directory changes all the time."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
from sqlalchemy import create_engine, text, update

from syncd.store import schema
from tests import soak
from tests.acceptance.changing import differences
from tests.acceptance.daemons import PATIENCE_SECONDS, Daemon, command_line
from tests.acceptance.preloaded import QuickWorld
from tests.acceptance.trouble import check_invariants, content, uid
from tests.acceptance.world import member_dn, role
from tests.conftest import _migrate
from tests.servers.slapd import ROLES, person

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from sqlalchemy import Engine

    from tests.acceptance.preloaded import MakeQuickWorld
    from tests.servers.slapd import Slapd

pytest_plugins = ["tests.acceptance.quick"]

# On each database.
KILLS = soak.MOMENTS // 2 or 10
LIMITS = ("update", "rename", "email_change", "missing", "grant", "revoke", "members_per_group")
SETTINGS = {
    "changed_sync_period": 1,
    "full_sync_period": 3,
    # Many transactions, so that a run lasts.
    "batch_size": 1,
    "page_size": 10,
    "username_ldap_attribute": "employeeNumber",
}
ROLE_NAMES = ("staff", "crew", "night")


class Editing:
    """Somebody who changes a directory without a break, in a thread; a context manager."""

    def __init__(self, slapd: Slapd, chance: random.Random) -> None:
        self._slapd, self._chance = slapd, chance
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._edit)
        self._people = {f"u{number:05}" for number in range(40)}
        self._count = 0
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _edit(self) -> None:
        kinds: list[Callable[[], None]] = [
            self._join,
            self._leave,
            self._change,
            self._swap,
            self._rename,
            self._members,
        ]
        try:
            while not self._ended.wait(0.02):
                self._count += 1
                self._chance.choice(kinds)()
        except BaseException as error:  # noqa: BLE001 - raised again where the test can see it
            self._error = error

    def _somebody(self) -> str:
        return self._chance.choice(sorted(self._people))

    def _join(self) -> None:
        name = f"new{self._count}"
        self._slapd.add(
            member_dn(name),
            objectClass="inetOrgPerson",
            uid=name,
            employeeNumber=name,
            cn=name,
            sn="New",
        )
        self._people.add(name)

    def _leave(self) -> None:
        if len(self._people) > 30:
            name = self._somebody()
            self._slapd.delete(member_dn(name))
            self._people.remove(name)

    def _change(self) -> None:
        name = self._somebody()
        self._slapd.modify(member_dn(name), {"sn": [f"Changed {self._count}"]})

    def _swap(self) -> None:
        one, other = self._chance.sample(sorted(self._people), 2)
        # For a moment both have one name; in the end it is the other's.
        self._slapd.modify(member_dn(one), {"employeeNumber": [f"{other} {self._count}"]})
        self._slapd.modify(member_dn(other), {"employeeNumber": [f"{one} {self._count}"]})

    def _rename(self) -> None:
        old, new = self._somebody(), f"renamed{self._count}"
        self._slapd.rename(member_dn(old), f"uid={new}")
        self._people.remove(old)
        self._people.add(new)

    def _members(self) -> None:
        name = self._chance.choice(ROLE_NAMES)
        members = self._chance.sample(sorted(self._people), self._chance.randrange(1, 12))
        self._slapd.modify(f"cn={name},{ROLES}", {"member": [member_dn(each) for each in members]})


@pytest.mark.timeout(60 + 20 * KILLS)
def test_a_daemon_that_is_killed_at_any_moment_loses_nothing(
    quick_world: MakeQuickWorld, request: pytest.FixtureRequest
) -> None:
    """Every process of it, at random moments: in the end the store is that of a first sync."""
    chance = soak.dice(request.node.name)
    world = quick_world(
        "".join(person(uid(number), employeeNumber=uid(number)) for number in range(40))
        + "".join(role(name, "u00001") for name in ROLE_NAMES),
        overlays=("syncprov", "refint"),
    )
    world.configure(
        ldap=SETTINGS, limits={kind: {"percent": None, "count": None} for kind in LIMITS}
    )
    engine = create_engine(world.store_url)
    try:
        with Editing(world.slapd, chance):
            for number in range(KILLS):
                with _daemon(world, f"daemon-{number}") as daemon:
                    daemon.wait_for("organization_scheduled")
                    if chance.random() < 0.7:
                        # In the middle of a run.
                        daemon.until(lambda: _under_way(engine), "a run")
                        time.sleep(chance.random() * 0.15)
                    else:
                        time.sleep(chance.random())
                    _kill(daemon)
                check_invariants(world.store_url, {"people": {}})
                _age(engine)
            with _daemon(world, "last") as daemon:
                daemon.wait_for("sync", mode="full", status="done")
                assert daemon.stop() == 0
    finally:
        engine.dispose()
    assert world.sync()["status"] == "done"
    found = check_invariants(world.store_url, {"people": {}})
    assert not (wrong := differences(found, _first(world))), wrong
    assert world.json("quarantine", "acme") == []
    _check_journal(world)


def _daemon(world: QuickWorld, name: str) -> Daemon:
    return Daemon(
        world,
        "--only",
        "sync",
        name=name,
        SYNCD_SYNC__WORKERS="1",
        SYNCD_METRICS__PORT=str(_quiet_port()),
    )


def _quiet_port() -> int:
    """Return a free port that no outgoing connection gets, as the editor's many do any other."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(100):
        port = first - secrets.randbelow(10_000) - 1
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise AssertionError("there is no free port below those of outgoing connections")


def _under_way(engine: Engine) -> bool:
    query = text("select count(*) from runs where status in ('running', 'applying')")
    with contextlib.suppress(Exception), engine.connect() as connection:
        return bool(connection.execute(query).scalar_one())
    return False


def _kill(daemon: Daemon) -> None:
    """Kill a daemon with all its processes at once."""
    children = daemon.children()
    os.killpg(daemon.process.pid, signal.SIGKILL)
    daemon.process.wait()
    end = time.monotonic() + PATIENCE_SECONDS
    # One that has ended and waits to be reaped has no words any more.
    while any(map(command_line, children)):
        assert time.monotonic() < end, "a process of the daemon is still there"
        time.sleep(0.01)


def _age(engine: Engine) -> None:
    """Let the half minute be over for which the claims of a dead daemon are believed."""
    past = datetime(2001, 1, 1, tzinfo=UTC)
    schedules, leases = schema.schedules, schema.leases
    with engine.begin() as connection:
        connection.execute(update(leases).values(expires_at=past))
        claimed = schedules.c.claimed_until.is_not(None)
        connection.execute(
            update(schedules).where(claimed).values(claimed_until=past, next_due=past)
        )


def _first(world: QuickWorld) -> dict[str, Any]:
    """Return what a first sync into an empty store makes of the directory."""
    folder = world.folder.parent / "first"
    folder.mkdir()
    first = QuickWorld(folder, world.slapd, f"sqlite:///{folder}/store.db")
    _migrate(first.store_url)
    first.commands = world.commands
    first.configure(ldap=SETTINGS)
    assert first.sync()["status"] == "done"
    return content(first.store_url)


def _check_journal(world: QuickWorld) -> None:
    """Check that each change was written once: each begins where the one before it ended."""
    engine = create_engine(world.store_url)
    query = text("select user_id, kind, before, after from journal order by change_set_id")
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    engine.dispose()
    created = [row.user_id for row in rows if row.kind == "create"]
    assert len(created) == len(set(created)), "somebody was created twice"
    values: dict[tuple[int, str], Any] = {}
    for row in rows:
        if row.kind == "update":
            for field, was in json.loads(row.before).items():
                key = row.user_id, field
                assert values.get(key, was) == was, key
                values[key] = json.loads(row.after)[field]
    assert values
