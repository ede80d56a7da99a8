"""Whether anything is written of whoever signs in, and whether anybody signs in at all."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select

from syncd.errors import SignInRefused
from syncd.records import provider_of
from syncd.store import schema

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select

ORG = schema.organizations


@cache
def _organization() -> Select[Any]:
    return select(ORG).where(ORG.c.id == bindparam("organization_id"))


def standing_still(
    connection: Connection, organization_id: str, source: str, name: str | None
) -> SignInRefused | None:
    """Return why nothing is written at present of people whom ``source`` knows, if so.

    ``name`` is the organization's configured one; without it no name is compared.

    Raises:
        SignInRefused: Nobody signs in here by this provider, known or not.

    """
    org = organization_id
    row = connection.execute(_organization(), {"organization_id": org}).one_or_none()
    if row is None:
        raise SignInRefused("not_configured", f"there is no organization {org} in the store")
    if row.deleted_at is not None:
        raise SignInRefused("deleted", f"{org} was deleted; nobody signs in any more")
    provider = provider_of(source)
    settle = f"see `syncd organization show {org}`; until then nobody new is taken in"
    if row.provider != provider:
        raise SignInRefused(
            "pending",
            f"{org} has the provider {row.provider} until somebody switches it to {provider} "
            f"with `syncd provider switch {org}`",
        )
    if row.switching_to is not None:
        return SignInRefused("pending", f"a switch of {org}'s provider is under way; {settle}")
    if name is not None and row.name != name:
        return SignInRefused("pending", f"{org} has another name in its file; {settle}")
    if row.paused_at is not None:
        return SignInRefused(
            "paused",
            f"{org} is paused ({row.paused_because or 'no reason given'}), so nobody new is "
            f"taken in; `syncd resume {org}` lets it go on",
        )
    return None
