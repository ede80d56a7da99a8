"""Worlds whose commands start from a process that has read the program's modules already.

Every command is a process of its own, with the installed command's entry point, words, exit code
and output. It is forked from one that has done the imports, because those are most of what a short
command costs: ``python -m tests.acceptance.moments``.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, Self

import pytest
from sqlalchemy import create_engine, text

from tests.acceptance.world import Answer, World
from tests.servers.slapd import OPEN_ACCESS

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
# What a sync imports on its way; whatever is left out is only slower.
MODULES = (
    "encodings.idna",
    "psycopg",
    "pydantic.type_adapter",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
    "syncd.app",
    "syncd.cli.commands.configuring",
    "syncd.cli.commands.identifying",
    "syncd.cli.commands.journaling",
    "syncd.cli.commands.looking",
    "syncd.cli.commands.syncing",
    "syncd.cli.failures",
    "syncd.cli.main",
    "syncd.compose",
    "syncd.explain",
    "syncd.ldap.source",
    "syncd.logging",
    "syncd.providers",
    "syncd.settings",
    "syncd.store.arriving",
    "syncd.store.effective_reads",
    "syncd.store.migrate",
    "syncd.store.people",
    "syncd.store.sync_store",
    "syncd.sync.approve",
    "syncd.sync.run",
    "syncd.undoing",
)
# Where the database decides nothing, one of them is enough.
ON_SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


class Commands:
    """The process that commands are forked from; one a session."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.moments"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        return self

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.communicate()

    def run(
        self, words: list[str], folder: Path, environment: dict[str, str], stdin: str = ""
    ) -> Answer:
        """Run ``syncd`` with these words, and this text on its standard input, to its end."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        read, out, err = (self._folder / name for name in ("in", "out", "err"))
        read.write_text(stdin)
        request = {
            "words": words,
            "folder": str(folder),
            "environment": environment,
            "in": str(read),
            "out": str(out),
            "err": str(err),
        }
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        code = int(process.stdout.readline())
        return Answer(code, out.read_text(), err.read_text(), tuple(words))


class QuickWorld(World):
    """A world whose commands start quickly."""

    commands: Commands

    def syncd(self, *words: str, code: int | None = None, **environment: str) -> Answer:
        """Run a command; check its exit code when one is expected."""
        answer = self.commands.run(self.command(*words)[1:], self.folder, environment)
        told = f"{words}: {answer.code}\n{answer.out}\n{answer.err}"
        assert code is None or answer.code == code, told
        return answer

    def sql(self, statement: str, **values: Any) -> list[Any]:
        """Run a statement on the store, as another program that shares it would."""
        engine = create_engine(self.store_url)
        try:
            with engine.begin() as connection:
                result = connection.execute(text(statement), values)
                return list(result.scalars()) if result.returns_rows else []
        finally:
            engine.dispose()

    def id_of(self, username: str) -> int:
        """Return the id of the living person of this name."""
        (found,) = self.sql("select id from users where living and username = :name", name=username)
        return int(found)

    def grant_by_hand(self, username: str, role: str) -> None:
        """Give somebody a role as an administrator would."""
        self.sql(
            "insert into grants (user_id, role_id, source, organization_id)"
            " select :user_id, id, 'manual', 'acme' from roles where name = :role",
            user_id=self.id_of(username),
            role=role,
        )

    def living(self) -> dict[str, dict[str, Any]]:
        """Return the people who are not missing, by username."""
        return {
            user["username"]: user
            for user in self.json("users", "acme")
            if not any(each["reason"] == "missing" for each in user["disabled_because"])
        }

    def roles_held(self) -> dict[str, set[str]]:
        """Return the roles of everybody who is not missing, without the default one."""
        return {
            username: {role["name"] for role in user["roles"]} - {"User"}
            for username, user in self.living().items()
        }

    def allow(self, access: str = OPEN_ACCESS) -> None:
        """Restart the directory with another access control."""
        self.slapd.stop()
        self.slapd._access = access
        self.slapd._configuration.write_text(self.slapd._conf())
        self.slapd.start()


class MakeQuickWorld(Protocol):
    """Makes a world over a directory with the given content."""

    def __call__(self, ldif: str = "", **slapd: Any) -> QuickWorld:
        """Start a directory and configure syncd for it and the test's store."""


def serve(run: Callable[[dict[str, Any]], int]) -> int:
    """Fork a process for each request on standard input and answer with its exit code."""
    from tests import compiled  # noqa: PLC0415 - the plugin itself needs none of it
    from tests.acceptance.warming import warm  # noqa: PLC0415 - the same

    for module in MODULES:
        __import__(module)
    compiled.share()
    ready: set[str] = set()
    for line in sys.stdin:
        request = json.loads(line)
        warm(request["words"], request["folder"], ready)
        child = os.fork()
        if not child:
            leave(run(request))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()
    return 0


def leave(code: int) -> NoReturn:
    """End a forked command: taking the interpreter to pieces would cost more than a short sync."""
    # Whatever is to be done at the end, such as writing down what was covered, is done.
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def command(request: dict[str, Any]) -> int:
    """Run what a request asks for in this process; return its exit code."""
    from syncd.cli.main import run  # noqa: PLC0415 - the plugin itself needs none of it

    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for number, name in enumerate((request["in"], request["out"], request["err"])):
        opened = os.open(name, flags if number else os.O_RDONLY, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(request["folder"])
    os.environ.update(request["environment"])
    return run(request["words"])
