"""By which of his ids somebody is shown: the one that his provider knows him by.

A directory and the people made here have one source each. An identity provider's is its issuer, and
a person has at most one of all issuers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, or_

from syncd.store import schema

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

U, I = schema.users, schema.identities
# Sources that are their providers' own names; any other one is an issuer.
NAMED_SOURCES = ("admin", "ldap")
IDP = "idp"


def is_issuer(source: ColumnElement[str]) -> ColumnElement[bool]:
    """Return what tells the sources that are identity providers."""
    return source.not_in(NAMED_SOURCES)


def is_shown() -> ColumnElement[bool]:
    """Return what joins people with the identity that they are shown by."""
    return and_(
        I.c.user_id == U.c.id,
        or_(I.c.source == U.c.provider, and_(U.c.provider == IDP, is_issuer(I.c.source))),
    )
