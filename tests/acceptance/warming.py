"""Runs commands of every kind once, so that those forked afterwards find their statements made.

Most of what a short command costs beside its imports is SQLAlchemy compiling statements, which is
the same for every store of one database.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import ArgumentError

from tests.acceptance.world import ORGANIZATION, World, role
from tests.servers.slapd import PEOPLE, ROLES, Slapd, people

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import URL

SUPERUSER = "postgres"


def warm(words: Sequence[str], folder: str, ready: set[str]) -> None:
    """Make the statements of the database that a command is for, unless it is in ``ready``."""
    url = _url_of(words, folder)
    if url is None or url.get_backend_name() in ready:
        return
    ready.add(url.get_backend_name())
    with ExitStack() as stack:
        own = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="warm-")))
        stack.enter_context(_silent())
        store_url = stack.enter_context(_store(url, own))
        _run(World(own, stack.enter_context(Slapd(ldif=_company())), store_url))


def _url_of(words: Sequence[str], folder: str) -> URL | None:
    """Return the store of a command's configuration, if that is as a world writes it."""
    if "--config" not in words[:-1]:
        return None
    with suppress(OSError, KeyError, TypeError, ValueError, yaml.YAMLError, ArgumentError):
        config = Path(folder, words[words.index("--config") + 1])
        return make_url(yaml.safe_load(config.read_text())["store"]["url"])
    return None


def _company() -> str:
    return people(6) + role("staff", "u00000", "u00001") + role("crew", "u00002", "u00003")


def _run(world: World) -> None:
    from syncd.cli.main import run  # noqa: PLC0415 - the plugin itself needs none of it

    def syncd(*words: str) -> None:
        run(["--config", str(world.config), *words])

    groups = {"name": "groups", "type": "group", "groups_dn": ROLES}
    world.configure(mappers=[groups], deletion={"policy": "disable"})
    syncd("db", "upgrade")
    syncd("sync", ORGANIZATION)
    slapd = world.slapd
    slapd.modify(f"uid=u00000,{PEOPLE}", {"mail": ["other@example.test"]})
    slapd.modify(f"cn=staff,{ROLES}", {"member": [f"uid=u00001,{PEOPLE}", f"uid=u00004,{PEOPLE}"]})
    slapd.delete(f"uid=u00005,{PEOPLE}")
    slapd.add(f"uid=new,{PEOPLE}", objectClass=["inetOrgPerson"], uid="new", cn="New", sn="New")
    for words in (
        ("plan", ORGANIZATION),
        ("sync", ORGANIZATION),
        ("sync", ORGANIZATION, "--changed"),
        ("sync", ORGANIZATION, "--user", "u00001"),
        ("users", ORGANIZATION, "--json"),
        ("roles", ORGANIZATION, "--json"),
        ("groups", ORGANIZATION, "--json"),
        ("quarantine", ORGANIZATION, "--json"),
        ("runs", ORGANIZATION, "--json"),
        ("show", ORGANIZATION, "u00001", "--json"),
        ("explain", ORGANIZATION, "u00001", "--json"),
        ("status", "--json"),
    ):
        syncd(*words)
    slapd.modify(f"uid=u00002,{PEOPLE}", {"sn": ["Else"]})
    syncd("sync", ORGANIZATION, "--changed")


@contextmanager
def _silent() -> Iterator[None]:
    """Let what is written to standard output and standard error go nowhere."""
    kept = [os.dup(number) for number in (1, 2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for number in (1, 2):
            os.dup2(nowhere, number)
        yield
    finally:
        for number, was in zip((1, 2), kept, strict=True):
            os.dup2(was, number)
            os.close(was)
        os.close(nowhere)


@contextmanager
def _store(like: URL, folder: Path) -> Iterator[str]:
    """Yield the URL of an empty store in the same cluster, or of a file."""
    if like.get_backend_name() == "sqlite":
        yield f"sqlite:///{folder}/store.db"
        return
    name = f"warm_{os.getpid()}"
    administration = like.set(username=SUPERUSER, database="postgres")
    engine = create_engine(administration, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(f"create database {name} owner {like.username}"))
        yield like.set(database=name).render_as_string(hide_password=False)
        with engine.connect() as connection:
            connection.execute(text(f"drop database {name} with (force)"))
    finally:
        engine.dispose()
