"""One test's part of a directory, with an organization over it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, cast

import yaml
from sqlalchemy import create_engine, text

from tests.acceptance.preloaded import QuickWorld
from tests.acceptance.world import ORGANIZATION
from tests.directories.directory import cn

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.preloaded import Commands
    from tests.directories.directory import Directory
    from tests.servers.slapd import Slapd

ROLES, GROUPS = "import roles", "groups"
STATE = {"name": "account state", "type": "account-state"}
KINDS = ("created", "updated", "renamed", "missing", "disabled", "enabled", "deleted")

_count = itertools.count()


class Company(QuickWorld):
    """People, roles and groups below a unit of their own, and the store that follows them.

    Names are the test's own; on the directory usernames have a prefix, because some of them want
    those to be unique in the whole directory.
    """

    def __init__(
        self,
        directory: Directory,
        folder: Path,
        store_url: str,
        commands: Commands,
        certificate: str,
    ) -> None:
        self.directory, self.commands = directory, commands
        self.certificate = certificate
        self._prefix = f"t{next(_count)}"
        self.top = f"ou={self._prefix},{directory.suffix}"
        self.people = f"ou=people,{self.top}"
        self.roles = f"ou=roles,{self.top}"
        self.groups = f"ou=groups,{self.top}"
        self.elsewhere = f"ou=elsewhere,{self.top}"
        directory.unit(self.top, self.people, self.roles, self.groups, self.elsewhere)
        # Of the server a world needs nothing else than what ``configure`` takes of it.
        super().__init__(folder, cast("Slapd", directory.server), store_url)

    def __post_init__(self) -> None:
        (self.folder / "organizations").mkdir(parents=True, exist_ok=True)
        self.configure()

    def configure(
        self,
        *,
        ldap: dict[str, Any] | None = None,
        groups: dict[str, Any] | None = None,
        mappers: tuple[dict[str, Any], ...] = (),
        **organization: Any,
    ) -> None:
        """Write the configuration: roles always, groups with these keys when there are any."""
        section = {
            "connection_url": self.url or self.directory.url,
            "insecure_clear_text_bind": True,
            "users_dn": self.people,
            "rdn_ldap_attribute": "cn",
            "page_size": 5,
            "batch_size": 3,
            "connect_timeout": 5,
            "read_timeout": 20,
            "import_roles": {"roles_dn": self.roles},
            **self.directory.settings(),
            **(ldap or {}),
        }
        if groups is not None:
            mappers += ({"name": GROUPS, "type": "group", "groups_dn": self.groups} | groups,)
        document = {
            "organization": {"id": ORGANIZATION, "name": "Acme Corp"},
            "provider": "ldap",
            # Nobody shows one on these connections; without any the system's own would be read.
            "certificates": [self.certificate],
            "ldap": {key: value for key, value in section.items() if value is not ...},
            "mappers": list(mappers),
            **organization,
        }
        self.organization_file.write_text(yaml.safe_dump(document, sort_keys=False))
        self.config.write_text(
            yaml.safe_dump(
                {"store": {"url": self.store_url}, "organizations": "organizations/*.yaml"}
            )
        )

    # --- the directory

    def name(self, name: str) -> str:
        """Return somebody's username."""
        return f"{self._prefix}{name}"

    def bare(self, username: str) -> str:
        """Return the test's own name of somebody."""
        return username.removeprefix(self._prefix)

    def dn(self, name: str, container: str = "") -> str:
        """Return the DN of an entry, among the people if nothing else is said."""
        return f"{cn(name)},{container or self.people}"

    def join(
        self, *names: str, container: str = "", called: str | None = None, **more: Any
    ) -> list[str]:
        """Add people; return their DNs."""
        dns = [self.dn(called or name, container) for name in names]
        for name, dn in zip(names, dns, strict=True):
            self.directory.add(dn, self.directory.person(self.name(name), **more))
        return dns

    def role(self, name: str, *members: str, container: str = "", **more: Any) -> str:
        """Add a group among the roles; members are names of people, or DNs."""
        return self._group(name, members, container or self.roles, more)

    def group(self, name: str, *members: str, container: str = "", **more: Any) -> str:
        """Add a group among the groups; members are names of people, or DNs."""
        return self._group(name, members, container or self.groups, more)

    def _group(
        self, name: str, members: tuple[str, ...], container: str, more: dict[str, Any]
    ) -> str:
        dn = self.dn(name, container)
        dns = [each if "=" in each else self.dn(each) for each in members]
        self.directory.add(dn, self.directory.group(name, dns) | more)
        return dn

    # --- the organization

    def full(self, code: int = 0) -> Any:
        """Run a full sync."""
        done = self.sync(code)
        assert code or (done["status"], done["listing"]) == ("done", "complete"), done["reasons"]
        return done

    def changed(self, code: int = 0) -> Any:
        """Run a sync of changes, which has to come out as one."""
        done = self.json("sync", ORGANIZATION, "--changed", code=code)
        assert code or (done["status"], done["mode"]) == ("done", "changed"), told(done)
        return done

    def held(self) -> dict[str, set[str]]:
        """Return the roles of everybody who is there, under the test's names."""
        return {self.bare(name): roles for name, roles in self.roles_held().items()}

    def grouped(self, *, empty: bool = False) -> dict[str, set[str]]:
        """Return who is in each group; without those that nobody is in, if not asked for."""
        found: dict[str, set[str]] = {}
        for row in self.rows(
            "select groups.name, case when users.living then users.username end"
            " from groups left join group_members on group_members.group_id = groups.id"
            " left join users on users.id = group_members.user_id"
        ):
            members = found.setdefault(row[0], set())
            if row[1] is not None:
                members.add(self.bare(row[1]))
        return {name: members for name, members in found.items() if members or empty}

    def tree(self) -> set[tuple[str, str]]:
        """Return (group, its parent) of each child group."""
        return {
            (row[0], row[1])
            for row in self.rows(
                "select child.name, parent.name from group_parents"
                " join groups as child on child.id = group_parents.group_id"
                " join groups as parent on parent.id = group_parents.parent_id"
            )
        }

    def rows(self, statement: str) -> list[Any]:
        """Return the rows that a query on the store finds."""
        engine = create_engine(self.store_url)
        try:
            with engine.connect() as connection:
                return list(connection.execute(text(statement)))
        finally:
            engine.dispose()

    def journal(self) -> int:
        """Return how many changes of people were ever written."""
        return int(self.sql("select count(*) from journal")[0])

    def watermarks(self) -> set[tuple[Any, ...]]:
        """Return how far the directory was read."""
        return set(self.rows("select source, kind, value from watermarks"))

    def user(self, name: str) -> Any:
        """Return somebody by the test's name."""
        return self.json("show", ORGANIZATION, self.name(name))

    def why(self, name: str) -> list[str]:
        """Return why somebody is kept out."""
        found = self.user(name)
        assert found["enabled"] == (not found["disabled_because"])
        return [each["reason"] for each in found["disabled_because"]]


def users(done: dict[str, Any]) -> dict[str, int]:
    """Return what a run did to people."""
    return {kind: done["users"][kind] for kind in KINDS if done["users"][kind]}


def told(done: dict[str, Any]) -> tuple[Any, ...]:
    """Return what a report says of how its run went."""
    return done["status"], done["mode"], done["promoted_because"], done["reasons"]
