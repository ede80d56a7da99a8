"""Reading people, roles and the books for whoever asks: lists, one person, a run.

Writes nothing but an organization's own row. The shapes are the contract's.
"""

from __future__ import annotations

import json
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, insert, or_, select, update

from syncd.errors import ConstraintViolated
from syncd.records import fold
from syncd.store import plan_changes, runs, schema
from syncd.store.leases import clock, is_held
from syncd.store.restricting import newly_shut
from syncd.store.waiting import is_waiting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Select

    from syncd.store.database import Database

U, I, X = schema.users, schema.identities, schema.restrictions
G, ROLES, Q, RUNS = schema.grants, schema.roles, schema.quarantine, schema.runs
CT, MR = schema.containers, schema.membership_refs
T = schema.schedules
ORG = schema.organizations
DEFAULT_ROLE = "User"
PAGE = 1_000


def iso(value: datetime | None) -> str | None:
    """Return a time as the contract has it."""
    if value is None:
        return None
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")


class People:
    """One organization's people and books, read only."""

    def __init__(self, database: Database, organization_id: str) -> None:
        self.database = database
        self.organization_id = organization_id

    # --- the organization -----------------------------------------------------------------

    def organization(self) -> Mapping[str, Any] | None:
        """Return the organization as applied; None before its first run."""
        with self.database.read() as connection:
            row = connection.execute(
                select(ORG).where(ORG.c.id == self.organization_id)
            ).one_or_none()
            return None if row is None else dict(row._mapping)  # noqa: SLF001 - public, despite its name

    def create_organization(self, name: str, provider: str) -> None:
        """Write the organization down when it is first seen, by whoever is the first."""
        with suppress(ConstraintViolated), self.database.write() as connection:
            there = connection.execute(
                select(ORG.c.id).where(ORG.c.id == self.organization_id)
            ).first()
            if there is None:
                connection.execute(
                    insert(ORG).values(
                        id=self.organization_id,
                        name=name,
                        provider=provider,
                        digest_key=secrets.token_bytes(32),
                        created_at=clock(connection),
                    )
                )

    def pause(self, because: str | None) -> None:
        """Stop the organization's syncs until somebody resumes them."""
        with self.database.write() as connection:
            connection.execute(
                update(ORG)
                .where(ORG.c.id == self.organization_id)
                .values(paused_at=clock(connection), paused_because=because or "")
            )

    def resume(self) -> None:
        """Let the organization's syncs run again."""
        with self.database.write() as connection:
            connection.execute(
                update(ORG)
                .where(ORG.c.id == self.organization_id)
                .values(paused_at=None, paused_because=None)
            )

    # --- people ---------------------------------------------------------------------------

    def users(self) -> Iterator[dict[str, Any]]:
        """Yield all people, sorted by username."""
        query = self._users().order_by(U.c.username_key, U.c.id)
        with self.database.read() as connection:
            options = {"stream_results": True, "max_row_buffer": PAGE}
            for rows in connection.execute(query, execution_options=options).partitions(PAGE):
                with self.database.read() as inner:
                    yield from self._shape(inner, rows)

    def user(self, username: str) -> dict[str, Any] | None:
        """Return one person by username; a living one goes before a missing one."""
        with self.database.read() as connection:
            rows = connection.execute(
                self._users()
                .where(U.c.username_key == fold(username))
                .order_by(U.c.living.desc(), U.c.id.desc())
                .limit(1)
            ).all()
            return next(self._shape(connection, rows), None)

    def user_by_external_id(self, external_id: str) -> dict[str, Any] | None:
        """Return one person by the directory's id."""
        with self.database.read() as connection:
            rows = connection.execute(
                self._users().where(I.c.external_id == external_id).limit(1)
            ).all()
            return next(self._shape(connection, rows), None)

    def _users(self) -> Select[Any]:
        return (
            select(
                U.c.id,
                U.c.provider,
                U.c.username,
                U.c.email,
                U.c.email_verified,
                U.c.first_name,
                U.c.last_name,
                U.c.attributes,
                U.c.living,
                U.c.last_sign_in,
                I.c.external_id,
                I.c.dn,
                I.c.source_created_at,
                I.c.source_modified_at,
                I.c.run_id,
            )
            .outerjoin(I, and_(I.c.user_id == U.c.id, I.c.source == U.c.provider))
            .where(U.c.organization_id == self.organization_id)
        )

    def _shape(self, connection: Connection, rows: Sequence[Any]) -> Iterator[dict[str, Any]]:
        ids = [row.id for row in rows]
        restrictions: dict[int, list[dict[str, Any]]] = {}
        upcoming: dict[int, list[dict[str, Any]]] = {}
        now = clock(connection)
        roles: dict[int, dict[str, set[str]]] = {}
        for start in range(0, len(ids), 500):
            part = ids[start : start + 500]
            for row in connection.execute(
                select(X).where(X.c.user_id.in_(part)).order_by(X.c.source, X.c.reason)
            ):
                if row.until is not None and row.until <= now:
                    continue
                theirs = restrictions if row.since <= now else upcoming
                theirs.setdefault(row.user_id, []).append(
                    {
                        "reason": row.reason,
                        "source": row.source,
                        "since": iso(row.since),
                        "until": iso(row.until),
                    }
                )
            for user_id, name, source in connection.execute(
                select(G.c.user_id, ROLES.c.name, G.c.source)
                .join(ROLES, ROLES.c.id == G.c.role_id)
                .where(G.c.user_id.in_(part))
            ):
                roles.setdefault(user_id, {}).setdefault(name, set()).add(source)
        for row in rows:
            held = roles.get(row.id, {})
            held.setdefault(DEFAULT_ROLE, set()).add("default")
            yield {
                "id": row.id,
                "organization": self.organization_id,
                "provider": row.provider,
                "external_id": row.external_id,
                "username": row.username,
                "email": row.email,
                "email_verified": bool(row.email_verified),
                "first_name": row.first_name,
                "last_name": row.last_name,
                # As it is now: what is stored is as of the last run.
                "enabled": row.id not in restrictions,
                "disabled_because": restrictions.get(row.id, []),
                "upcoming": upcoming.get(row.id, []),
                "dn": row.dn,
                "source_created_at": row.source_created_at,
                "source_modified_at": row.source_modified_at,
                "attributes": json.loads(row.attributes),
                "roles": [
                    {"name": name, "sources": sorted(sources)}
                    for name, sources in sorted(held.items())
                ],
                "groups": [],
                "last_sign_in": iso(row.last_sign_in),
            }

    def written_by(self, user_id: int) -> int | None:
        """Return the run that last wrote a person."""
        with self.database.read() as connection:
            query = select(func.max(I.c.run_id)).where(I.c.user_id == user_id)
            found: int | None = connection.execute(query).scalar_one()
        return found

    def role_sources(self, user_id: int) -> list[dict[str, Any]]:
        """Return why somebody holds each of his roles: mapper, the directory's entry, the run."""
        held: dict[str, list[dict[str, Any]]] = {}
        with self.database.read() as connection:
            grants = connection.execute(
                select(G.c.source, G.c.run_id, G.c.role_id, ROLES.c.name)
                .join(ROLES, ROLES.c.id == G.c.role_id)
                .where(G.c.user_id == user_id)
                .order_by(ROLES.c.name, G.c.source)
            ).all()
            for source, run_id, role_id, name in grants:
                refs = connection.execute(
                    select(CT.c.dn, MR.c.value)
                    .join(
                        MR,
                        and_(
                            MR.c.organization_id == CT.c.organization_id,
                            MR.c.mapper == CT.c.mapper,
                            MR.c.container_key == CT.c.container_key,
                        ),
                    )
                    .where(
                        CT.c.organization_id == self.organization_id,
                        CT.c.mapper == source,
                        CT.c.role_id == role_id,
                        MR.c.member_key.in_(
                            select(schema.identity_keys.c.key).where(
                                schema.identity_keys.c.user_id == user_id
                            )
                        ),
                        MR.c.user_id == user_id,
                    )
                    .order_by(CT.c.dn)
                ).all()
                run = runs.run_name(run_id) if run_id else None
                held.setdefault(name, []).extend(
                    {
                        "mapper": source,
                        "container_dn": dn or None,
                        "member_value": value,
                        "run": run,
                    }
                    for dn, value in [tuple(row) for row in refs] or [(None, None)]
                )
        held.setdefault(DEFAULT_ROLE, []).append(
            {"mapper": "default", "container_dn": None, "member_value": None, "run": None}
        )
        return [{"name": name, "sources": sources} for name, sources in sorted(held.items())]

    def containers_of_role(self, role: str) -> list[dict[str, Any]]:
        """Return the directory entries that grant a role."""
        with self.database.read() as connection:
            rows = connection.execute(
                select(CT.c.mapper, CT.c.dn, CT.c.name)
                .join(ROLES, ROLES.c.id == CT.c.role_id)
                .where(CT.c.organization_id == self.organization_id, ROLES.c.name_key == fold(role))
                .order_by(CT.c.dn)
            ).all()
        return [{"mapper": mapper, "container_dn": dn, "name": name} for mapper, dn, name in rows]

    def roles(self) -> list[dict[str, Any]]:
        """Return the roles with how many living people hold each, the default role not counted."""
        members = (
            select(G.c.role_id, func.count(G.c.user_id.distinct()).label("members"))
            .join(U, U.c.id == G.c.user_id)
            .where(G.c.organization_id == self.organization_id, U.c.living)
            .group_by(G.c.role_id)
            .subquery()
        )
        query = (
            select(
                ROLES.c.name,
                ROLES.c.kind,
                ROLES.c.mapper,
                ROLES.c.description,
                func.coalesce(members.c.members, 0),
            )
            .outerjoin(members, members.c.role_id == ROLES.c.id)
            .where(
                or_(
                    ROLES.c.organization_id == self.organization_id,
                    ROLES.c.organization_id.is_(None),
                )
            )
        )
        with self.database.read() as connection:
            rows = connection.execute(query).all()
        return [
            {
                "name": name,
                "kind": kind,
                "mapper": mapper,
                "members": count,
                "description": description,
            }
            for name, kind, mapper, description, count in sorted(rows)
        ]

    # --- the books ------------------------------------------------------------------------

    def quarantine(self) -> list[dict[str, Any]]:
        """Return the entries that could not be taken."""
        with self.database.read() as connection:
            rows = connection.execute(
                select(Q)
                .where(Q.c.organization_id == self.organization_id)
                .order_by(Q.c.source, Q.c.dn)
            ).all()
        return [
            {
                "source": row.source,
                "dn": row.dn,
                "external_id": row.external_id,
                "reason": row.reason,
                "attribute": row.attribute,
                "detail": row.detail,
                "first_seen": iso(row.first_seen),
                "last_seen": iso(row.last_seen),
                "attempts": row.attempts,
                "next_retry": iso(row.next_retry),
            }
            for row in rows
        ]

    def quarantined(self, username: str, dn: str | None, external_id: str | None) -> Any:  # noqa: ANN401
        """Return the quarantine row that a username, DN or id has, if any."""
        wanted = [Q.c.username_key == fold(username)]
        if dn:
            wanted.append(Q.c.dn == dn)
        if external_id:
            wanted.append(Q.c.external_id == external_id)
        with self.database.read() as connection:
            return connection.execute(
                select(Q).where(Q.c.organization_id == self.organization_id, or_(*wanted)).limit(1)
            ).one_or_none()

    def planned_change(self, username: str) -> str | None:
        """Return the blocked run that holds a change of this person."""
        P = schema.plan_people
        with self.database.read() as connection:
            run_id = connection.execute(
                select(func.max(RUNS.c.id))
                .join(P, P.c.run_id == RUNS.c.id)
                .where(
                    RUNS.c.organization_id == self.organization_id,
                    RUNS.c.status == "blocked",
                    or_(P.c.username_key == fold(username), P.c.username == username),
                )
            ).scalar_one()
        return runs.run_name(run_id) if run_id else None

    def runs(self, limit: int = 50) -> list[dict[str, Any]]:
        """Return the newest runs, newest first."""
        with self.database.read() as connection:
            rows = connection.execute(
                select(RUNS)
                .where(RUNS.c.organization_id == self.organization_id)
                .order_by(RUNS.c.id.desc())
                .limit(limit)
            ).all()
        return [run_shape(row) for row in rows]

    def status(self) -> dict[str, Any]:
        """Return counts, last and next runs, blocked plans, the lease and the quarantine."""
        L = schema.leases
        with self.database.read() as connection:
            users: dict[bool, int] = {
                bool(enabled): count
                for enabled, count in connection.execute(
                    select(U.c.enabled, func.count())
                    .where(U.c.organization_id == self.organization_id)
                    .group_by(U.c.enabled)
                )
            }
            reasons = (
                select(Q.c.reason, func.count())
                .where(Q.c.organization_id == self.organization_id)
                .group_by(Q.c.reason)
                .order_by(Q.c.reason)
            )
            quarantine = {row[0]: row[1] for row in connection.execute(reasons)}
            last = connection.execute(
                select(RUNS)
                .where(RUNS.c.organization_id == self.organization_id, ~RUNS.c.dry)
                .order_by(RUNS.c.id.desc())
                .limit(1)
            ).one_or_none()
            now = clock(connection)
            shut = newly_shut(connection, [self.organization_id], now).get(self.organization_id, 0)
            blocked = connection.execute(
                select(RUNS)
                .where(RUNS.c.organization_id == self.organization_id, is_waiting(now))
                .order_by(RUNS.c.id)
            ).all()
            modes = connection.execute(
                select(T).where(T.c.organization_id == self.organization_id).order_by(T.c.mode)
            ).all()
            lease = connection.execute(
                select(L).where(L.c.organization_id == self.organization_id)
            ).one_or_none()
            if lease is not None and not is_held(connection, lease, now):
                lease = None
        return {
            "last_run": run_shape(last) if last else None,
            "next": {row.mode: iso(row.next_due) for row in modes if row.next_due} or None,
            "last_attempt": {row.mode: iso(row.last_attempt_at) for row in modes},
            "last_success": {row.mode: iso(row.last_success_at) for row in modes},
            "failures": {row.mode: row.failures for row in modes},
            "blocked_plans": [
                {
                    "run": runs.run_name(row.id),
                    "since": iso(row.finished_at),
                    "expires": iso(row.expires_at),
                    "reasons": json.loads(row.reasons or "[]"),
                }
                for row in blocked
            ],
            "lease": {
                "holder": lease.holder,
                "since": iso(lease.acquired_at),
                "expires": iso(lease.expires_at),
            }
            if lease is not None
            else None,
            "quarantine": quarantine,
            "users": {
                "enabled": users.get(True, 0) - shut,
                "disabled": users.get(False, 0) + shut,
            },
            "lag_seconds": None,
        }


def run_shape(row: Any) -> dict[str, Any]:  # noqa: ANN401 - a row
    """Return a run as its report, or as much of one as there is."""
    report: dict[str, Any] = json.loads(row.report) if row.report else {}
    status = {"applying": "interrupted"}.get(row.status, row.status)
    return {
        **report,
        "run": runs.run_name(row.id),
        "organization": row.organization_id,
        "mode": row.mode,
        "status": status,
        "started_at": iso(row.started_at),
        "finished_at": iso(row.finished_at),
        "dry": bool(row.dry),
    }


def find_run(database: Database, name: str) -> Any:  # noqa: ANN401 - a row or None
    """Return a run's row by its name."""
    number = runs.run_number(name)
    if number is None:
        return None
    with database.read() as connection:
        return connection.execute(select(RUNS).where(RUNS.c.id == number)).one_or_none()


def run_changes(database: Database, run_id: int, limit: int | None = None) -> list[dict[str, Any]]:
    """Return what a run planned or did, most dangerous first."""
    with database.read() as connection:
        return list(plan_changes.changes(connection, run_id, limit))
