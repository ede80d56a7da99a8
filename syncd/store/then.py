"""A person as of a time: how he stands now, and the journal walked back from there.

Groups, roles and permission sets are taken as they were then, too: what the journal has of the
earliest change since says how one was before it, and what has not changed since is as it is.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, exists, func, or_, select

from syncd.errors import NotFound, UsageError
from syncd.naming import joined_path
from syncd.permissions import Level, added
from syncd.records import fold
from syncd.store import schema
from syncd.store.account_journal import OPEN
from syncd.store.accounts import DISABLED, EXPIRED, LOCKED, NOT_YET_VALID
from syncd.store.change_sets import parsed
from syncd.store.editing import permission_sets
from syncd.store.editing.opening import Look
from syncd.store.effective import DEFAULT_ROLE_ID
from syncd.store.effective_reads import words
from syncd.store.leases import clock
from syncd.store.plan_scope import ACCOUNT_STATE, DIRECTORY, MISSING
from syncd.store.run_reads import iso
from syncd.store.snapshots import group_snapshots, role_snapshots
from syncd.store.standing import Standing, standings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from syncd.store.database import Database

CS, J, OJ, COMMITS = (
    schema.change_sets,
    schema.journal,
    schema.object_journal,
    schema.commits,
)
U, RUNS, PSS = schema.users, schema.runs, schema.permission_set_sections
ACTIVE = ("running", "applying", "blocked")
# Of those who may have had a username then.
MOST_NAMESAKES = 100
Snapshot = dict[str, Any]


class Then:
    """One organization as it was."""

    def __init__(self, database: Database, organization_id: str) -> None:
        self.database = database.of(organization_id)
        self.organization_id = organization_id

    def person(self, username: str, time: datetime) -> dict[str, Any]:
        """Return a person as of a time, found by the username of now or of then.

        Raises:
            NotFound: Nobody was called so then, or the journal does not reach back so far.
            UsageError: The time is yet to come.

        """
        with self.database.read() as connection:
            if time > clock(connection):
                raise UsageError(f"{iso(time)} is yet to come; name a time that is over")
            moment = _Moment(connection, self.organization_id, time)
            since: datetime | None = None
            for user_id in moment.named_now(username):
                found = moment.standing(user_id)
                if found.standing is not None:
                    return moment.shape(found.standing)
                since = since or found.created_at
            for user_id in moment.named_then(username):
                found = moment.standing(user_id)
                if found.standing is not None and (
                    fold(str(found.standing.fields["username"])) == fold(username)
                ):
                    return moment.shape(found.standing)
        if since is not None:
            raise NotFound(
                f"{username} was not in {self.organization_id} at {iso(time)} yet; he is there "
                f"since {iso(since)}"
            )
        raise NotFound(
            f"there was no person {username} in {self.organization_id} at {iso(time)}, or he has "
            "been deleted since, which leaves nothing of him"
        )


class Found(NamedTuple):
    """Somebody as he stood; None where he was not there yet, and since when he is."""

    standing: Standing | None
    created_at: datetime | None


class _Moment:
    """One time of one organization, in one transaction."""

    def __init__(self, connection: Connection, organization_id: str, time: datetime) -> None:
        self.connection, self.organization_id, self.time = connection, organization_id, time
        self._known: dict[tuple[str, int], Snapshot | None] = {}

    # --- who ------------------------------------------------------------------------------

    def named_now(self, username: str) -> list[int]:
        query = (
            select(U.c.id)
            .where(U.c.organization_id == self.organization_id, U.c.username_key == fold(username))
            .order_by(U.c.living.desc(), U.c.id.desc())
        )
        return list(self.connection.scalars(query))

    def named_then(self, username: str) -> list[int]:
        """Return who was called so once: the journal has it as what was before a change."""
        query = (
            select(J.c.user_id)
            .where(
                J.c.organization_id == self.organization_id,
                J.c.kind == "update",
                or_(
                    func.lower(J.c.before).like(_alike(username), escape="/"),
                    J.c.before.contains(username, autoescape=True),
                ),
                J.c.before.contains('"username"'),
            )
            .distinct()
            .limit(MOST_NAMESAKES)
        )
        return sorted(self.connection.scalars(query))

    @cached_property
    def _reach(self) -> datetime | None:
        """How far back the journal knows everything; None is nothing at all."""
        active = exists().where(RUNS.c.id == CS.c.run_id, RUNS.c.status.in_(ACTIVE))
        query = select(func.min(CS.c.at)).where(
            CS.c.organization_id == self.organization_id, ~active
        )
        found: datetime | None = self.connection.execute(query).scalar_one()
        return found

    def standing(self, user_id: int) -> Found:
        """Return how somebody stood."""
        standing = standings(self.connection, [user_id])[user_id]
        created = False
        for at, kind, before, after in self._journal(user_id):
            created = created or kind == "create"
            if at <= self.time:
                continue
            if kind == "create":
                return Found(None, at)
            standing.back(kind, before, after)
        reach = self._reach
        if not created and (reach is None or self.time < reach):
            since = "nothing" if reach is None else f"to {iso(reach)}"
            raise NotFound(
                f"the journal of {self.organization_id} reaches back {since}; what was before "
                "that has been pruned (retention.journal)"
                if reach is not None
                else f"the journal of {self.organization_id} has been pruned; only the present is "
                "known"
            )
        return Found(standing, None)

    def _journal(
        self, user_id: int
    ) -> Iterator[tuple[datetime, str, dict[str, Any], dict[str, Any]]]:
        """Yield somebody's journal, newest first, each row with when it was written."""
        query = (
            select(
                func.coalesce(COMMITS.c.at, CS.c.at, type_=schema.UtcTime()),
                J.c.kind,
                J.c.before,
                J.c.after,
            )
            .join(CS, CS.c.id == J.c.change_set_id)
            .outerjoin(COMMITS, _written_by(J))
            .where(J.c.organization_id == self.organization_id, J.c.user_id == user_id)
            .order_by(func.coalesce(COMMITS.c.position, 0).desc(), J.c.change_set_id.desc())
        )
        for at, kind, before, after in self.connection.execute(query):
            yield at, kind, parsed(before), parsed(after)

    # --- what -----------------------------------------------------------------------------

    def thing(self, object_: str, object_id: int) -> Snapshot | None:
        """Return a role, group or permission set as it was; None where there was none."""
        key = (object_, object_id)
        if key not in self._known:
            self._known[key] = self._thing(object_, object_id)
        return self._known[key]

    def _thing(self, object_: str, object_id: int) -> Snapshot | None:
        query = (
            select(OJ.c.before)
            .join(COMMITS, _written_by(OJ))
            .where(
                OJ.c.organization_id == self.organization_id,
                OJ.c.object == object_,
                OJ.c.object_id == object_id,
                COMMITS.c.at > self.time,
            )
            .order_by(COMMITS.c.position, OJ.c.number)
            .limit(1)
        )
        changed = self.connection.execute(query).one_or_none()
        if changed is not None:
            return None if changed.before is None else parsed(changed.before)
        if object_ == "role":
            return role_snapshots(self.connection, [object_id]).get(object_id)
        if object_ == "group":
            return group_snapshots(self.connection, [object_id]).get(object_id)
        return permission_sets.snapshot(
            Look(self.connection, self.organization_id), object_id
        ) or self._preconfigured(object_id)

    def _preconfigured(self, set_id: int) -> Snapshot | None:
        query = select(PSS.c.section, PSS.c.level).where(
            PSS.c.permission_set_id == set_id, PSS.c.organization_id.is_(None)
        )
        sections = {row.section: Level(row.level).word for row in self.connection.execute(query)}
        return {"sections": sections} if sections else None

    def _above(self, group_id: int) -> list[int]:
        """Return a group and all above it, nearest first."""
        found: list[int] = []
        level = {group_id}
        while level:
            found += sorted(level)
            level = {
                parent
                for each in level
                for parent, _ in (self.thing("group", each) or {"parents": ()})["parents"]
                if self.thing("group", parent) is not None
            } - set(found)
        return found

    def _path(self, group_id: int) -> str:
        """Return the names from the outermost group down, by the shortest way."""
        ways: list[tuple[int, tuple[str, ...]]] = [(group_id, ())]
        seen = {group_id}
        while ways:
            ends, following = [], []
            for each, below in ways:
                group = self.thing("group", each)
                path = ((group or {"name": ""})["name"], *below)
                parents = [
                    parent
                    for parent, _ in (group or {"parents": ()})["parents"]
                    if self.thing("group", parent) is not None
                ]
                if not parents:
                    ends.append(path)
                following += [(parent, path) for parent in parents if parent not in seen]
            if ends:
                return joined_path(min(ends))
            seen |= {each for each, _ in following}
            ways = following
        return joined_path(((self.thing("group", group_id) or {"name": ""})["name"],))

    # --- how it is shown ------------------------------------------------------------------

    def shape(self, standing: Standing) -> dict[str, Any]:
        """Return a person in the contract's shape, as of then."""
        fields = standing.fields
        because = list(self._restrictions(standing))
        groups = self._groups(standing)
        roles = self._roles(standing, groups)
        return {
            "id": standing.user_id,
            "organization": self.organization_id,
            "at": iso(self.time),
            "provider": standing.provider,
            "external_id": standing.external_id,
            "username": fields["username"],
            "email": fields["email"],
            "email_verified": fields["email_verified"],
            "first_name": fields["first_name"],
            "last_name": fields["last_name"],
            "enabled": not because,
            "disabled_because": because,
            "dn": fields["dn"],
            "attributes": fields["attributes"],
            "roles": [
                {"name": name, "sources": sorted(sources)}
                for name, sources in sorted(roles.values())
            ],
            "groups": [
                {"name": name, "path": path, "sources": sorted(sources)}
                for name, path, sources in sorted(groups.values())
            ],
            "permissions": words(self._levels(roles)),
        }

    def _groups(self, standing: Standing) -> dict[int, tuple[str, str, list[str]]]:
        found: dict[int, tuple[str, str, list[str]]] = {}
        for group_id, source in standing.held["memberships"]:
            group = self.thing("group", group_id)
            if group is None:
                continue
            if group_id not in found:
                found[group_id] = (group["name"], self._path(group_id), [])
            found[group_id][2].append(str(source))
        return found

    def _roles(
        self, standing: Standing, groups: dict[int, tuple[str, str, list[str]]]
    ) -> dict[int, tuple[str, list[str]]]:
        """Return the roles that somebody held, with whose word it was."""
        ways: dict[int, set[str]] = defaultdict(set)
        ways[DEFAULT_ROLE_ID].add("default")
        for role_id, source in standing.held["grants"]:
            ways[role_id].add(str(source))
        for group_id in groups:
            for each in self._above(group_id):
                for role_id, _ in (self.thing("group", each) or {"roles": ()})["roles"]:
                    ways[role_id].add(f"group:{self._path(each)}")
        found = {}
        for role_id, sources in ways.items():
            role = self.thing("role", role_id)
            if role is not None:
                found[role_id] = (str(role["name"]), list(sources))
        return found

    def _levels(self, roles: dict[int, tuple[str, list[str]]]) -> dict[str, Level]:
        several = []
        for role_id in roles:
            for set_id in (self.thing("role", role_id) or {"permission_sets": ()})[
                "permission_sets"
            ]:
                allowed = self.thing("permission_set", set_id)
                if allowed is not None:
                    several.append(
                        {name: Level.of(word) for name, word in allowed["sections"].items()}
                    )
        return added(several)

    def _restrictions(self, standing: Standing) -> Iterator[dict[str, Any]]:
        """Yield what kept somebody out; since when is only told where it is known still."""

        def told(
            source: str, reason: str, since: str | None = None, until: str | None = None
        ) -> dict[str, Any]:
            return {"reason": reason, "source": source, "since": since, "until": until}

        if standing.missing:
            yield told(DIRECTORY, MISSING)
        account = {**OPEN, **standing.account}
        if account["disabled"]:
            yield told(ACCOUNT_STATE, DISABLED)
        for reason, name in (
            (EXPIRED, "expires_at"),
            (LOCKED, "locked_until"),
            (NOT_YET_VALID, "starts_at"),
        ):
            if account[name] is None:
                continue
            at = datetime.fromisoformat(account[name])
            if reason == EXPIRED:
                if at <= self.time:
                    yield told(ACCOUNT_STATE, reason, since=iso(at))
            elif at > self.time:
                yield told(ACCOUNT_STATE, reason, until=iso(at))
        for (source, reason), since in sorted(standing.others.items()):
            yield told(source, reason, since=iso(since))


def _alike(username: str) -> str:
    """Return a pattern for whatever may be the same name; databases fold ASCII alone alike."""
    signs = (
        "_" if not sign.isascii() else f"/{sign}" if sign in "%_/" else sign.lower()
        for sign in username
    )
    return f"%{''.join(signs)}%"


def _written_by(table: Any) -> Any:  # noqa: ANN401 - tables and a condition
    """Return what joins a row of the journal to the transaction that wrote it."""
    return and_(
        COMMITS.c.organization_id == table.c.organization_id,
        COMMITS.c.change_set_id == table.c.change_set_id,
        COMMITS.c.commit_id == table.c.commit_id,
    )
