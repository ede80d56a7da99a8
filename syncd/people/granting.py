"""The rules of granting: nobody gives more than he holds, and only an owner makes an owner.

They hold for every way in which somebody comes to a permission: a role, the roles of a group, a
group's place below another, the permission sets of a role, the sections of a permission set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncd.errors import Refused
from syncd.permissions import added, exceeding, preconfigured

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from syncd.permissions import Level, Levels, Principal

OWNER_ROLE = 1
# Everybody has it, so nobody wins anything by getting it.
DEFAULT_ROLE = "User"


def held(principal: Principal) -> Levels:
    """Return what somebody holds, with what everybody has."""
    return added((principal.levels, preconfigured()[DEFAULT_ROLE]))


def require_within(principal: Principal, wanted: Levels, what: str) -> None:
    """Refuse to grant more than the principal holds; ``what`` begins the sentence.

    Raises:
        Refused: ``exceeds_own``.

    """
    beyond = exceeding(wanted, held(principal))
    if beyond:
        raise Refused(
            f"{what} would give more than you hold yourself: "
            f"{', '.join(f'{section} ({wanted[section].word})' for section in beyond)}; "
            "ask somebody who holds it",
            "exceeds_own",
        )


def require_owner(principal: Principal, what: str) -> None:
    """Refuse to anybody but an owner to make or unmake owners; ``what`` begins the sentence.

    Raises:
        Refused: ``owner_only``.

    """
    if not principal.owner:
        raise Refused(f"{what} makes or unmakes an owner; only an owner may do that", "owner_only")


def require_conferrable(
    principal: Principal, roles: Mapping[int, Mapping[str, Level]], what: str
) -> None:
    """Refuse to give these roles, each with what it allows, unless the principal may give all.

    Raises:
        Refused: ``owner_only`` or ``exceeds_own``.

    """
    require_no_owner(principal, roles, what)
    require_within(principal, added(roles.values()), what)


def require_no_owner(principal: Principal, role_ids: Iterable[int], what: str) -> None:
    """Refuse to take these roles away if Owner is among them, unless the principal is one."""
    if OWNER_ROLE in role_ids:
        require_owner(principal, what)
