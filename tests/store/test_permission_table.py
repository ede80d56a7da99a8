"""The table of who may do what by default: the product's facts, in the program and in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncd import permissions
from syncd.naming import PRECONFIGURED_ROLES
from syncd.permissions import Level
from tests.store.model import Model

if TYPE_CHECKING:
    from tests.store.organization import Organization

# Columns: Owner, Admin, Support agent, Data protection officer, Accountant, User.
# e is view & edit, v is view, x is no access.
TABLE = """
personal_profile  e x x x x e
license           e v x v v x
invoices          e v x v v x
users             e e v v x x
roles             e e x v x x
groups            e e v v x x
permission_sets   e e x v x x
address_books     e e v v x x
clients           e e v v x v
sessions          e e x v x x
builds            e e x x x v
organization      e e x v v x
"""
LEVELS = {"e": Level.EDIT, "v": Level.VIEW, "x": Level.NONE}


def facts() -> dict[str, dict[str, Level]]:
    """Return the table by role and section."""
    rows = [line.split() for line in TABLE.strip().splitlines()]
    return {
        role: {section: LEVELS[cells[at]] for section, *cells in rows}
        for at, role in enumerate(PRECONFIGURED_ROLES)
    }


def test_the_program_knows_the_table() -> None:
    """All twelve sections of all six roles, in the order of the portal."""
    table = facts()
    assert list(table["Owner"]) == list(permissions.SECTIONS)
    assert {
        role: {section: held.get(section, Level.NONE) for section in permissions.SECTIONS}
        for role, held in permissions.preconfigured().items()
    } == table


def test_a_new_store_has_the_table(acme: Organization) -> None:
    """Each preconfigured role has one preconfigured set of its name that allows just that."""
    model = Model(acme)
    sets = {each["name"]: each for each in model.sets.all()}
    assert {
        name: {section: Level.of(word) for section, word in each["sections"].items()}
        for name, each in sets.items()
    } == facts()
    assert {each["kind"] for each in sets.values()} == {"preconfigured"}
    for role in model.roles.all():
        assert [each["name"] for each in role["permission_sets"]] == [role["name"]]


def test_holders_of_a_role_may_do_what_the_table_says(acme: Organization) -> None:
    """And what everybody may, who has the role User by default."""
    model = Model(acme)
    ids = model.people(*(f"p{number}" for number in range(1, 7)))
    table = facts()
    for role_id, user_id in enumerate(ids, 1):
        model.grant(user_id, role_id)
    for user_id, role in zip(ids, PRECONFIGURED_ROLES, strict=True):
        both = permissions.added([table[role], table["User"]])
        assert model.levels(user_id) == both
