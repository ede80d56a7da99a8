"""The commands of docs/operations.md for backup and restore, done to a store with people in it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from tests.acceptance.world import role
from tests.servers.authority import program
from tests.servers.postgres import SUPERUSER, binaries
from tests.servers.slapd import people

if TYPE_CHECKING:
    from tests.acceptance.preloaded import MakeQuickWorld, QuickWorld

pytest_plugins = ("tests.acceptance.quick",)

PAGE = (Path(__file__).parents[2] / "docs/operations.md").read_text(encoding="utf-8")
TABLES = ("users", "identities", "roles", "grants", "runs", "change_sets", "journal")
SECTION = PAGE.partition("\n## Backup\n")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"^```\n(.*?)^```$", SECTION, re.DOTALL | re.MULTILINE)


def documented(first: str) -> list[list[str]]:
    """Return the commands of the block that begins with this program, as words."""
    (block,) = (block for block in BLOCKS if block.startswith(first))
    return [shlex.split(line) for line in block.splitlines()]


def here(words: list[str], world: QuickWorld, backup: Path) -> list[str]:
    """Return a command of the page with the world's places, as whoever runs the test."""
    database = str(make_url(world.store_url).database)
    if words[0] == "runuser":
        words = words[words.index("--") + 1 :]
        words = [re.sub(r"^(--dbname=)?syncd$", rf"\1{database}", word) for word in words]
        found = str(binaries() / words[0])
    else:
        found = program(words[0])
    # Only root can give a file away.
    given = range(words.index("-o"), words.index("-g") + 2) if "-o" in words else range(0)
    kept = [word for number, word in enumerate(words) if number and number not in given]
    places = {"/backup": str(backup), "/var/lib/syncd/syncd.db": database}
    for place, mine in places.items():
        kept = [word.replace(place, mine) for word in kept]
    return [found, *(name for word in kept for name in spelled_out(word))]


def spelled_out(word: str) -> list[str]:
    """Return what a shell makes of a word: the files that it stands for, or itself."""
    pattern = Path(word)
    if pattern.is_absolute() and "*" in word:
        return [str(path) for path in pattern.parent.glob(pattern.name)]
    return [word]


def done(commands: list[list[str]], world: QuickWorld, backup: Path) -> None:
    """Run commands of the page, one after the other."""
    url = make_url(world.store_url)
    environment = dict(os.environ)
    if url.get_backend_name() == "postgresql":
        environment |= {"PGHOST": str(url.query["host"]), "PGUSER": SUPERUSER}
    for command in commands:
        words = here(command, world, backup)
        ran = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, f"{words}\n{ran.stderr}"


def kept(world: QuickWorld) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of what only the store knows."""
    engine = create_engine(world.store_url)
    try:
        with engine.connect() as connection:
            return {
                table: sorted(
                    map(tuple, connection.execute(text(f"select * from {table}"))), key=repr
                )
                for table in TABLES
            }
    finally:
        engine.dispose()


def test_a_restored_store_is_as_it_was(quick_world: MakeQuickWorld, tmp_path: Path) -> None:
    """People, hand-made grants and the journal are back, and the directory agrees with them."""
    world = quick_world(people(12) + role("crew", "u00001", "u00002"))
    backup = tmp_path / "backup"
    backup.mkdir()
    backup.chmod(0o777)
    world.sync()
    world.grant_by_hand("u00003", "Admin")
    postgres = world.store_url.startswith("postgresql")
    taking, restoring = ("runuser -u postgres -- pg_dump", "runuser -u postgres -- dropdb")
    if not postgres:
        taking, restoring = "sqlite3", "rm"
    before = kept(world)
    assert all(before.values())
    done(documented(taking), world, backup)
    # What is lost afterwards is more than a row.
    world.sql("delete from grants")
    done(documented(restoring), world, backup)
    world.syncd("db", "upgrade", code=0)
    assert kept(world) == before
    # Nothing is to be changed, and nobody's rows are open to another organization.
    world.plan(code=0)
    if postgres:
        walls = world.sql("select count(*) from pg_class where relrowsecurity")
        assert walls[0] > 5
