"""The rules of whose account somebody may touch, and how.

Only an owner touches an owner's account. What a directory or an identity provider says of a person
is read-only here. And whoever could let himself in as somebody else, by changing the address that
links are sent to, must not win anything by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncd.errors import NotFound, Refused
from syncd.people.granting import held
from syncd.permissions import exceeding

if TYPE_CHECKING:
    from syncd.people.ports import AccountStore, Person, W
    from syncd.permissions import Levels, Principal

ADMIN = "admin"
PROVIDERS = {"ldap": "the directory", "idp": "the identity provider"}


def found(store: AccountStore[W], change: W, user_id: int) -> Person:
    """Return a person of the organization.

    Raises:
        NotFound: There is nobody of this id in it.

    """
    person = store.find(change, user_id)
    if person is None:
        raise NotFound(
            f"there is no person {user_id} in {store.organization_id}; "
            f"`syncd users {store.organization_id}` lists them"
        )
    return person


def require_admin_provider(store: AccountStore[W]) -> None:
    """Refuse to make people where a directory or an identity provider brings them."""
    provider = store.provider()
    if provider != ADMIN:
        source = PROVIDERS.get(provider or "", "another provider")
        raise Refused(
            f"the people of {store.organization_id} come from {source}; add them there, "
            "or switch the provider with `syncd provider switch`",
            "source_rules",
        )


def require_touchable(principal: Principal, person: Person) -> None:
    """Refuse to change an owner's account for anybody but an owner."""
    if person.owner and not principal.owner:
        raise Refused(
            f"{person.username} is an owner, whose account only an owner may change", "owner_only"
        )


def require_own(person: Person, what: str) -> None:
    """Refuse to change what another place says of a person."""
    if person.provider != ADMIN:
        source = PROVIDERS.get(person.provider, person.provider)
        raise Refused(
            f"{what} of {person.username} is what {source} says; change it there", "source_rules"
        )


def require_above(principal: Principal, levels: Levels, person: Person) -> None:
    """Refuse what would let somebody in as a person who may do more than himself."""
    beyond = exceeding(levels, held(principal))
    if beyond:
        raise Refused(
            f"{person.username} may do more than you in {', '.join(beyond)}; "
            "somebody who may do that much has to change by what this person signs in",
            "exceeds_own",
        )


def require_grantable(principal: Principal, role: str, levels: Levels, *, owner: bool) -> None:
    """Refuse to give a role to anybody that allows more than whoever gives it holds."""
    if owner and not principal.owner:
        raise Refused("only an owner makes somebody an owner", "owner_only")
    beyond = exceeding(levels, held(principal))
    if beyond:
        raise Refused(
            f"the role {role} allows more than you hold yourself in {', '.join(beyond)}; "
            "somebody who holds that much has to give it",
            "exceeds_own",
        )
