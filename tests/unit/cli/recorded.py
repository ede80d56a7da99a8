"""Reports in the shapes of ``--json``, and an application that answers with them."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from syncd.errors import NotFound

if TYPE_CHECKING:
    from syncd.cli.progress import Report

Document = dict[str, Any]

DONE: Document = {
    "run": "r-000017",
    "organization": "acme",
    "mode": "full",
    "status": "done",
    "listing": "complete",
    "listings": [
        {
            "source": "users",
            "verdict": "complete",
            "result_code": 0,
            "pages": 2,
            "entries": 1204,
            "references": 0,
        },
    ],
    "absences": "applied",
    "promoted_because": None,
    "users": {
        "read": 1204,
        "created": 3,
        "updated": 2,
        "unchanged": 1198,
        "renamed": 1,
        "missing": 1,
        "disabled": 0,
        "enabled": 0,
        "deleted": 0,
        "quarantined": 1,
        "conflicts": 0,
    },
    "roles": {"created": 1, "updated": 0, "deleted": 0},
    "groups": {},
    "memberships": {"added": 4, "removed": 1, "unresolved": 2},
    "reasons": [],
    "seconds": {
        "directory": 0.9,
        "map": 0.4,
        "stage": 0.5,
        "plan": 0.3,
        "apply": 1.2,
        "total": 3.44,
    },
    "peak_rss_bytes": 93_400_000,
    "started_at": "2026-02-02T10:00:00Z",
    "finished_at": "2026-02-02T10:00:03Z",
}

NOTHING: Document = {
    **DONE,
    "run": "r-000018",
    "users": {"read": 1204, "unchanged": 1204},
    "roles": {},
    "memberships": {},
}

TRUNCATED: Document = {
    **DONE,
    "run": "r-000019",
    "listing": "truncated",
    "listings": [
        {
            "source": "users",
            "verdict": "truncated",
            "result_code": 4,
            "pages": 3,
            "entries": 3000,
            "references": 0,
            "because": "the server's size limit ended the search",
        },
    ],
    "absences": "held",
    "users": {**DONE["users"], "missing": 0},
}

CHANGES: list[Document] = [
    {
        "kind": "create",
        "username": "ada.lovelace",
        "external_id": "e-1",
        "field": None,
        "old": None,
        "new": "cn=Ada Lovelace,ou=users,dc=acme,dc=example",
        "cause": "new in the directory",
    },
    {
        "kind": "grant",
        "username": "ada.lovelace",
        "external_id": "e-1",
        "field": "roles",
        "old": None,
        "new": "Engineers",
        "cause": "import roles",
    },
    {
        "kind": "grant",
        "username": "grace.hopper",
        "external_id": "e-2",
        "field": "roles",
        "old": None,
        "new": "Admin",
        "cause": "import roles",
    },
    {
        "kind": "rename",
        "username": "j.müller",
        "external_id": "e-3",
        "field": "username",
        "old": "j.müller",
        "new": "jürgen.müller",
        "cause": "username",
    },
    {
        "kind": "missing",
        "username": "linus",
        "external_id": "e-4",
        "field": None,
        "old": None,
        "new": None,
        "cause": "gone from a complete listing",
    },
    {
        "kind": "revoke",
        "username": "grace.hopper",
        "external_id": "e-2",
        "field": "roles",
        "old": "Interns",
        "new": None,
        "cause": "import roles",
    },
    {
        "kind": "update",
        "username": "alan.turing",
        "external_id": "e-5",
        "field": "last_name",
        "old": "Turin",
        "new": "Turing",
        "cause": "last name",
    },
]

REMARKS: list[Document] = [
    {
        "kind": "cycle",
        "mapper": "teams",
        "dn": f"cn=team{number},ou=teams,dc=acme,dc=example",
        "detail": "it cannot be a child of itself, above which it stands itself",
    }
    for number in range(7)
]

PLANNED: Document = {
    **DONE,
    "run": "r-000020",
    "status": "planned",
    "changes": CHANGES,
}

IN_STEP: Document = {**NOTHING, "run": "r-000021", "status": "planned", "changes": []}

BLOCKED: Document = {
    **PLANNED,
    "run": "r-000022",
    "status": "blocked",
    "users": {**DONE["users"], "missing": 812},
    "reasons": [
        "missing: 812 of 1,204 people (67.4 %) is above the limit of 10 percent",
        "missing: 812 people is above the limit of 500",
    ],
}

FAILED: Document = {
    **NOTHING,
    "run": "r-000023",
    "status": "failed",
    "reasons": ["the store is full"],
}

INTERRUPTED: Document = {**DONE, "run": "r-000024", "status": "interrupted"}

USERS: list[Document] = [
    {
        "id": 12,
        "organization": "acme",
        "provider": "ldap",
        "external_id": "6f1c2b1e-0a57-103f-8e5b-1d2c3b4a5f60",
        "username": "grace.hopper",
        "email": "grace.hopper@acme.example",
        "email_verified": True,
        "first_name": "Grace",
        "last_name": "Hopper",
        "enabled": True,
        "disabled_because": [],
        "dn": "cn=Hopper\\, Grace,ou=Research,ou=users,dc=acme,dc=example",
        "source_created_at": "2025-03-01T08:00:00Z",
        "source_modified_at": "2026-01-12T16:20:31Z",
        "attributes": {"department": ["Research"], "phone": ["+49 30 1234", "+49 30 5678"]},
        "roles": [
            {"name": "Engineers", "sources": ["import roles"]},
            {"name": "User", "sources": ["default"]},
        ],
        "groups": [
            {"name": "Compilers", "path": "/Research/Compilers", "sources": ["manual", "teams"]},
            {"name": "Research", "path": "/Research", "sources": ["teams"]},
        ],
        "last_sign_in": None,
    },
    {
        "id": 13,
        "organization": "acme",
        "provider": "ldap",
        "external_id": "6f1c2b1e-0a57-103f-8e5b-1d2c3b4a5f61",
        "username": "jürgen.müller",
        "email": "juergen.mueller@acme.example",
        "email_verified": False,
        "first_name": "Jürgen",
        "last_name": "Müller-Lüdenscheidt",
        "enabled": False,
        "disabled_because": [
            {
                "reason": "missing",
                "source": "users",
                "since": "2026-02-01T10:00:00Z",
                "until": None,
            },
        ],
        "dn": "cn=Jürgen Müller-Lüdenscheidt,ou=Sales,ou=users,dc=acme,dc=example",
        "source_created_at": None,
        "source_modified_at": None,
        "attributes": {},
        "roles": [{"name": "User", "sources": ["default"]}],
        "groups": [],
        "last_sign_in": None,
    },
]

ROLES: list[Document] = [
    {
        "name": "Engineers",
        "kind": "imported",
        "mapper": "import roles",
        "members": 42,
        "description": None,
        "permission_sets": [{"id": 100, "name": "Desk"}, {"id": 101, "name": "Books"}],
    },
    {
        "name": "User",
        "kind": "preconfigured",
        "mapper": None,
        "members": 1204,
        "description": "Everyone's default role.",
    },
]

GROUPS: list[Document] = [
    {
        "name": "Compilers",
        "path": "/Research/Compilers",
        "parents": [{"name": "Research", "path": "/Research", "sources": ["teams"]}],
        "kind": "imported",
        "mapper": "teams",
        "dn": "cn=compilers,ou=teams,dc=acme,dc=example",
        "external_id": "6f1c2b1e-0a57-103f-8e5b-1d2c3b4a5f70",
        "members": 1042,
        "roles": [{"id": 102, "name": "Keeper", "sources": ["manual"]}],
        "description": "",
        "attributes": {},
    },
    {
        "name": "Research",
        "path": "/Research",
        "parents": [],
        "kind": "custom",
        "mapper": None,
        "dn": None,
        "external_id": None,
        "members": 0,
        "description": "",
        "attributes": {},
    },
]

QUARANTINE: list[Document] = [
    {
        "source": "users",
        "dn": "cn=Nobody,ou=users,dc=acme,dc=example",
        "external_id": None,
        "reason": "missing_username",
        "attribute": "uid",
        "detail": "The entry has no value of the username attribute",
        "first_seen": "2026-02-01T10:00:00Z",
        "last_seen": "2026-02-02T10:00:00Z",
        "attempts": 4,
    },
]

STATUS: list[Document] = [
    {
        "organization": "acme",
        "name": "Acme Corp",
        "provider": "ldap",
        "pending": None,
        "paused": None,
        "last_run": {
            "run": "r-000017",
            "mode": "full",
            "status": "done",
            "started_at": "2026-02-02T10:00:00Z",
            "finished_at": "2026-02-02T10:00:03Z",
        },
        "next": {"changed": "2026-02-02T11:15:00Z", "full": "2026-02-03T02:00:00Z"},
        "last_success": {"changed": "2026-02-02T10:45:00Z", "full": "2026-02-02T10:00:03Z"},
        "failures": {"changed": 0, "full": 2},
        "blocked_plans": [
            {
                "run": "r-000022",
                "since": "2026-02-02T11:00:00Z",
                "expires": "2026-02-09T11:00:00Z",
                "reasons": ["missing: 812 of 1,204 people (67.4 %) is above the limit"],
            },
        ],
        "lease": None,
        "quarantine": {"missing_username": 1},
        "users": {"enabled": 1203, "disabled": 1},
        "lag_seconds": None,
    },
    {
        "organization": "globex",
        "name": "Globex",
        "provider": "ldap",
        "pending": None,
        "paused": "moving the directory",
        "last_run": None,
        "next": None,
        "blocked_plans": [],
        "lease": {
            "holder": "host-1:4711",
            "since": "2026-02-02T11:00:00Z",
            "expires": "2026-02-02T11:10:00Z",
        },
        "quarantine": {},
        "users": {"enabled": 0, "disabled": 0},
        "lag_seconds": 12,
    },
]

EXPLAINED: Document = {
    "username": "grace.hopper",
    "present": True,
    "user": USERS[0],
    "live": True,
    "fields": [
        {
            "field": "username",
            "value": "grace.hopper",
            "mapper": "username",
            "attribute": "uid",
            "raw": ["grace.hopper"],
            "run": "r-000003",
        },
        {
            "field": "email",
            "value": "grace.hopper@acme.example",
            "mapper": "email",
            "attribute": "mail",
            "raw": ["Grace.Hopper@acme.example"],
            "run": "r-000011",
        },
    ],
    "roles": [
        {
            "name": "Engineers",
            "sources": [
                {
                    "mapper": "import roles",
                    "container_dn": "cn=engineers,ou=roles,dc=acme,dc=example",
                    "member_value": "cn=Hopper\\, Grace,ou=Research,ou=users,dc=acme,dc=example",
                    "run": "r-000003",
                },
            ],
        },
        {
            "name": "User",
            "sources": [
                {"mapper": "default", "container_dn": None, "member_value": None, "run": None},
            ],
        },
    ],
    "groups": [
        {
            "name": "Research",
            "path": "/Research",
            "sources": [
                {
                    "mapper": "teams",
                    "container_dn": "cn=research,ou=teams,dc=acme,dc=example",
                    "member_value": "cn=Hopper\\, Grace,ou=Research,ou=users,dc=acme,dc=example",
                    "membership": "member",
                    "through": [
                        "cn=compilers,ou=teams,dc=acme,dc=example",
                        "cn=tools,ou=teams,dc=acme,dc=example",
                    ],
                    "run": "r-000004",
                },
            ],
        },
    ],
    "differs": ["email"],
}

HELD: Document = {
    **EXPLAINED,
    "role": {"name": "Engineers", "held": True, "sources": EXPLAINED["roles"][0]["sources"]},
    "group": {"name": "Research", "held": True, "sources": EXPLAINED["groups"][0]["sources"]},
}

LACKED: Document = {
    **EXPLAINED,
    "role": {
        "name": "Admins",
        "held": False,
        "reason": "not_a_member",
        "detail": "only cn=admins,ou=roles,dc=acme,dc=example gives it, and it does not have this"
        " person as a member",
        "next": "add the person there in the directory; the next sync gives it",
        "run": None,
        "containers": [
            {
                "mapper": "import roles",
                "container_dn": "cn=admins,ou=roles,dc=acme,dc=example",
                "name": "admins",
                "whole": False,
            },
        ],
        "notes": [
            {
                "reason": "members_unknown",
                "detail": "the members of cn=admins,ou=roles,dc=acme,dc=example were not all read",
                "next": None,
                "run": None,
            },
        ],
    },
}

ABSENT: Document = {
    "username": "nobody",
    "present": False,
    "reason": "filtered",
    "detail": "the entry cn=Nobody,ou=users,dc=acme,dc=example is left out by the search filter",
    "clause": "(employeeType=staff)",
    "run": None,
}

CHECKED: Document = {
    "ok": True,
    "warnings": ["acme binds in clear text"],
    "organizations": [
        {
            "id": "acme",
            "name": "Acme Corp",
            "provider": "ldap",
            "faults": [],
            "connect": {
                "url": "ldaps://ldap.acme.example",
                "servers": [
                    {"url": "ldaps://ldap.acme.example", "usable": True, "error": None},
                    {
                        "url": "ldaps://ldap2.acme.example",
                        "usable": False,
                        "error": "ldap2.acme.example:636 refused the connection",
                    },
                ],
                "bind_dn": "cn=reader,dc=acme,dc=example",
                "tls": {
                    "version": "TLSv1.3",
                    "subject": "CN=ldap.acme.example",
                    "issuer": "CN=Acme CA",
                    "names": ["ldap.acme.example"],
                    "not_after": "2026-02-12T08:00:00Z",
                    "days_left": 12,
                },
                "vendor_configured": "other",
                "vendor_detected": "openldap",
                "vendor_name": "OpenLDAP",
                "vendor_version": "2.5.13",
                "naming_contexts": ["dc=acme,dc=example"],
                "controls": [
                    {"oid": "1.2.840.113556.1.4.319", "name": "paged results", "offered": True},
                    {"oid": "1.3.6.1.1.12", "name": "assertion", "offered": False},
                ],
                "paging": {
                    "configured": 1000,
                    "accepted": 500,
                    "unpaged_limit": 500,
                    "error": None,
                },
                "changes": {
                    "kind": "modify_timestamp",
                    "because": "syncrepl cannot be used: load the syncprov overlay",
                },
                "users": {
                    "bases": [
                        {
                            "base_dn": "ou=users,dc=acme,dc=example",
                            "exists": True,
                            "first_page": 500,
                            "more": True,
                            "references": 1,
                            "error": None,
                            "clause": None,
                        },
                    ],
                    "sampled": 50,
                    "attributes": [
                        {"name": "uid", "entries": 50, "share": 1.0},
                        {"name": "mail", "entries": 46, "share": 0.92},
                        {"name": "employeeNumber", "entries": 0, "share": 0.0},
                    ],
                    "uuid_attribute": "entryUUID",
                    "uuid_unique": True,
                    "uuid_undecodable": 0,
                },
                "containers": [
                    {
                        "mapper": "import roles",
                        "base": {
                            "base_dn": "ou=roles,dc=acme,dc=example",
                            "exists": False,
                            "first_page": 0,
                            "more": False,
                            "references": 0,
                            "error": "there is no such entry",
                            "clause": None,
                        },
                    },
                ],
                "example": {
                    "dn": "cn=Hopper\\, Grace,ou=Research,ou=users,dc=acme,dc=example",
                    "record": {"username": "grace.hopper"},
                    "fields": EXPLAINED["fields"],
                },
            },
            "advice": ["let the account read employeeNumber, or remove its mapper"],
        },
    ],
}

CHECK_FAILED: Document = {
    "ok": False,
    "organizations": [
        {
            "id": "acme",
            "name": "Acme Corp",
            "provider": "ldap",
            "faults": ["ldap.acme.example:636 refused the connection"],
            "connect": {
                "error": {
                    "code": "directory_unavailable",
                    "message": "ldap.acme.example:636 refused the connection",
                    "retryable": True,
                },
            },
            "advice": [],
        },
    ],
}

SESSIONS: list[Document] = [
    {
        "id": 4711,
        "user": {"id": 23, "username": "grace.hopper"},
        "way": "idp",
        "started_at": "2026-11-22T08:00:00Z",
        "seen_at": "2026-11-22T11:59:00Z",
        "idle_until": "2026-11-22T12:29:00Z",
        "expires_at": "2026-11-22T20:00:00Z",
        "address": "2001:db8:1234:5678:9abc:def0:1234:5678",
        "agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    },
]

MAPPERS: list[Document] = [
    {
        "name": "user-attribute",
        "summary": "Copies an attribute of the entry to a field or an attribute of the person",
        "options": [
            {
                "name": "ldap_attribute",
                "type": "text",
                "required": True,
                "doc": "The directory's attribute",
            },
            {
                "name": "mandatory",
                "type": "boolean",
                "default": False,
                "doc": "Put an entry without it in quarantine",
            },
        ],
        "example": (
            "- name: department\n  type: user-attribute\n  ldap_attribute: departmentNumber\n"
        ),
    },
]

SETTINGS: Document = {
    "store": {"url": "postgresql+psycopg://syncd:***@db/syncd", "migration_url": None},
    "http": {"host": "127.0.0.1", "port": 8480, "trusted_proxies": []},
    "organizations": [{"id": "acme", "users_dn": ["ou=users,dc=acme,dc=example"]}],
}

PERSON: Document = {
    "source": "https://login.example.org/",
    "external_id": "s-1",
    "newcomer": True,
    "fields": [
        {
            "field": "username",
            "value": "mia",
            "mapper": "username",
            "attribute": "preferred_username",
            "raw": ["mia"],
        },
        {"field": "email", "value": None, "mapper": "email", "attribute": "email", "raw": []},
    ],
    "mappers": [
        {
            "mapper": "staff",
            "type": "claim-to-role",
            "target": "Staff of the northern department",
            "outcome": "matches",
            "gives": True,
        },
        {
            "mapper": "teams",
            "type": "claim-to-group",
            "target": "/Red",
            "outcome": "elsewhere",
            "gives": None,
        },
        {
            "mapper": "gate",
            "type": "essential-claim",
            "target": None,
            "outcome": "matches",
            "gives": True,
        },
    ],
    "record": {
        "username": "mia",
        "attributes": {},
        "roles": [{"name": "Staff of the northern department", "sources": ["staff"]}],
        "groups": [],
    },
}

VERIFIED: Document = {
    "organization": "acme",
    "kind": "id",
    "issuer": "https://login.example.org/",
    "outcome": "accepted",
    "reason": None,
    "detail": None,
    "checks": [
        {"check": "size", "outcome": "passed", "detail": "812 of 32,768 bytes"},
        {"check": "signature", "outcome": "passed", "detail": "RS256 with the key k1"},
        {
            "check": "authentication_time",
            "outcome": "skipped",
            "detail": "no longest time since the sign-in was asked for",
        },
    ],
    "verified": {
        "subject": "s-1",
        "issued_at": "2026-02-02T10:00:00Z",
        "expires_at": "2026-02-02T10:05:00Z",
        "authenticated_at": None,
        "session_id": "abc",
        "client_id": None,
        "scope": None,
    },
    "claims": {"sub": "s-1", "preferred_username": "mia"},
    "person": PERSON,
    "then": {
        "would": "create",
        "reason": None,
        "detail": None,
        "username": "mia",
        "enabled": None,
        "linked": None,
        "roles": ["Staff of the northern department"],
        "groups": ["/Red"],
        "remarks": [
            {"kind": "unknown_role", "mapper": "staff", "detail": "there is no role Staff"}
        ],
    },
}

TOKEN_REFUSED: Document = {
    **VERIFIED,
    "outcome": "refused",
    "reason": "expired",
    "detail": "the token ended 3,600 seconds ago",
    "verified": None,
    "claims": None,
    "person": None,
    "then": None,
}

DISCOVERED: Document = {
    "issuer": "https://login.example.org/",
    "idp": {
        "issuer": "https://login.example.org/",
        "token_url": "https://login.example.org/token",
        "default_scopes": ["openid", "profile", "email"],
        "jwks_url": "https://login.example.org/keys",
    },
    "optional": {"backchannel_logout": True},
    "comments": {"default_scopes": "also offered: groups"},
    "warnings": ["The provider does not say that it checks S256 code challenges"],
    "backchannel_logout_supported": True,
    "iss_parameter_supported": False,
    "code_challenge_methods": ["S256"],
}

PROVIDER_CHECKED: Document = {
    "organizations": [
        {
            "id": "login",
            "name": "Login",
            "provider": "idp",
            "faults": [],
            "connect": {
                "issuer": "https://login.example.org/",
                "keys": {
                    "url": "https://login.example.org/keys",
                    "usable": 2,
                    "ignored": ["key k9: RSA of 1024 bits is too short"],
                },
                "discovery": {
                    "found": True,
                    "because": None,
                    "differences": ["token_url is another"],
                },
            },
            "register": {
                "redirect_uri": "https://syncd.example.org/sign-in/acme/callback",
                "backchannel_logout_uri": "https://syncd.example.org/sign-in/acme/backchannel-logout",
                "post_logout_redirect_uri": "https://syncd.example.org/signed-out",
            },
            "advice": ["token_url is another"],
        }
    ],
    "warnings": [],
    "ok": True,
}

ANSWERS: dict[str, Any] = {
    "check": CHECKED,
    "plan": PLANNED,
    "sync": DONE,
    "approve": DONE,
    "pause": {"organization": "acme", "paused": {"reason": "maintenance"}},
    "resume": {"organization": "acme", "paused": None},
    "status": STATUS,
    "users": USERS,
    "roles": ROLES,
    "groups": GROUPS,
    "quarantine": QUARANTINE,
    "runs": [DONE, BLOCKED],
    "run": BLOCKED,
    "show": USERS[0],
    "explain": EXPLAINED,
    "mappers": MAPPERS,
    "try_mappers": {
        "dn": USERS[0]["dn"],
        "record": {
            "username": "grace.hopper",
            "external_id": "e-2",
            "attributes": {"department": ["Research"]},
            "memberships": [],
        },
        "fields": EXPLAINED["fields"],
    },
    "try_claims": {"organization": "acme", "person": PERSON, "refused": None},
    "verify_token": VERIFIED,
    "idp_discover": DISCOVERED,
    "config_show": SETTINGS,
    "config_schema": {"type": "object", "properties": {}},
    "db_prune": {
        "expired": 1,
        "removed": {
            "journal": 1204,
            "change_sets": 1,
            "runs": 12,
            "plan_rows": 0,
            "stage": 0,
            "quarantine": 2,
        },
    },
    "db_upgrade": {"from": None, "to": "0001", "applied": ["0001 the model of people"]},
}


class RecordedApp:
    """Answers every question from a table; an answer that is an exception is raised."""

    def __init__(self, answers: dict[str, Any] | None = None) -> None:
        self.answers = {**deepcopy(ANSWERS), **(answers or {})}
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.closed = False

    def _answer(self, name: str, *values: Any, **named: Any) -> Any:
        self.calls.append((name, values, named))
        answer = self.answers[name]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def close(self) -> None:
        """Answer as recorded."""
        self.closed = True

    def check(self, *, connect: bool) -> Any:
        """Answer as recorded."""
        return self._answer("check", connect=connect)

    def plan(
        self,
        org: str,
        *,
        changed: bool = False,
        progress: Report | None = None,
        limit: int | None = None,
    ) -> Any:
        """Answer as recorded."""
        self._advance(progress)
        return self._answer("plan", org, limit=limit)

    def sync(
        self,
        org: str,
        *,
        changed: bool = False,
        user: str | None = None,
        progress: Report | None = None,
    ) -> Any:
        """Answer as recorded."""
        self._advance(progress)
        return self._answer("sync", org, user=user)

    def _advance(self, progress: Report | None) -> None:
        if progress is None:
            return
        for phase, total in (("users", None), ("roles", None), ("plan", 4), ("apply", 4)):
            for done in range(0, 5, 2):
                progress(phase, done * 1000, total and total * 1000)

    def approve(self, run: str, progress: Report | None = None) -> Any:
        """Answer as recorded."""
        self._advance(progress)
        return self._answer("approve", run)

    def pause(self, org: str, why: str | None) -> Any:
        """Answer as recorded."""
        return self._answer("pause", org, why)

    def resume(self, org: str) -> Any:
        """Answer as recorded."""
        return self._answer("resume", org)

    def status(self, org: str | None = None) -> Any:
        """Answer as recorded."""
        answer = self._answer("status", org)
        return [each for each in answer if org is None or each["organization"] == org]

    def users(self, org: str) -> Any:
        """Answer as recorded."""
        if org != "acme":
            raise NotFound(f"there is no organization {org}; see syncd status")
        return self._answer("users", org)

    def roles(self, org: str) -> Any:
        """Answer as recorded."""
        return self._answer("roles", org)

    def groups(self, org: str) -> Any:
        """Answer as recorded."""
        return self._answer("groups", org)

    def quarantine(self, org: str) -> Any:
        """Answer as recorded."""
        return self._answer("quarantine", org)

    def runs(self, org: str) -> Any:
        """Answer as recorded."""
        return self._answer("runs", org)

    def run(self, run: str) -> Any:
        """Answer as recorded."""
        return self._answer("run", run)

    def show(self, org: str, username: str) -> Any:
        """Answer as recorded."""
        return self._answer("show", org, username)

    def explain(
        self,
        org: str,
        username: str,
        *,
        role: str | None = None,
        group: str | None = None,
        stored: bool = False,
    ) -> Any:
        """Answer as recorded."""
        return self._answer("explain", org, username, role=role, group=group, stored=stored)

    def mappers(self) -> Any:
        """Answer as recorded."""
        return self._answer("mappers")

    def try_claims(self, org: str, body: bytes) -> Any:
        """Answer as recorded."""
        return self._answer("try_claims", org, body)

    def verify_token(
        self, org: str, text: str, *, kind: str = "id", nonce: str | None = None
    ) -> Any:
        """Answer as recorded."""
        return self._answer("verify_token", org, text, kind=kind, nonce=nonce)

    def idp_discover(self, url: str, **more: Any) -> Any:
        """Answer as recorded."""
        return self._answer("idp_discover", url, **more)

    def try_mappers(self, org: str, user: str) -> Any:
        """Answer as recorded."""
        return self._answer("try_mappers", org, user)

    def config_show(self) -> Any:
        """Answer as recorded."""
        return self._answer("config_show")

    def config_schema(self) -> Any:
        """Answer as recorded."""
        return self._answer("config_schema")

    def db_prune(self) -> Any:
        """Answer as recorded."""
        return self._answer("db_prune")

    def db_upgrade(self) -> Any:
        """Answer as recorded."""
        return self._answer("db_upgrade")


def exit_code(report: Document) -> int:
    """Return the code that belongs to each recorded report."""
    if report["status"] in {"blocked", "failed", "interrupted"}:
        return {"blocked": 3, "failed": 4, "interrupted": 130}[report["status"]]
    if report["listing"] != "complete":
        return 4
    if report["status"] == "planned":
        return 1 if report["changes"] else 0
    return 5 if report["users"].get("quarantined") else 0
