"""What there is at the API: a module a resource, each with a router."""

from __future__ import annotations

from syncd.web.api.resources import (
    address_books,
    changes,
    exclusions,
    groups,
    invitations,
    journal,
    me,
    organizations,
    permission_sets,
    permissions,
    roles,
    runs,
    sessions,
    sign_ins,
    tokens,
    users,
)

ROUTERS = (
    organizations.router,
    me.router,
    users.router,
    invitations.router,
    exclusions.router,
    roles.router,
    permission_sets.router,
    groups.router,
    permissions.router,
    address_books.router,
    runs.router,
    journal.router,
    changes.router,
    tokens.router,
    sessions.router,
    sign_ins.router,
)
