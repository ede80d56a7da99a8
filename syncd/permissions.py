"""What permissions are: sections, levels, how they add up, and on whose behalf something is done.

Pure values, known to every room. The table of the preconfigured roles is ``permissions.toml``.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    # What somebody may do: by section, sections without access left out.
    Levels = Mapping[str, "Level"]

SECTIONS = (
    "personal_profile",
    "license",
    "invoices",
    "users",
    "roles",
    "groups",
    "permission_sets",
    "address_books",
    "clients",
    "sessions",
    "builds",
    "organization",
)


class Level(IntEnum):
    """How far somebody may go in a section; a higher level has the lower ones in it."""

    NONE = 0
    VIEW = 1
    EDIT = 2

    @property
    def word(self) -> str:
        """As configuration, API and command line write it: none, view, edit."""
        return self.name.lower()

    @classmethod
    def of(cls, word: str) -> Level:
        """Return the level of a word.

        Raises:
            ValueError: There is no such level.

        """
        try:
            return cls[word.upper()] if word == word.lower() else cls[""]
        except KeyError:
            raise ValueError(f"{word!r} is no level; there are none, view and edit") from None


NOTHING: Levels = MappingProxyType({})
EVERYTHING: Levels = MappingProxyType(dict.fromkeys(SECTIONS, Level.EDIT))


@cache
def preconfigured() -> Mapping[str, Levels]:
    """Return what each preconfigured role may do, by the role's name."""
    table = tomllib.loads(resources.files("syncd").joinpath("permissions.toml").read_text("utf-8"))
    table.pop("sections")
    return MappingProxyType(
        {
            role: MappingProxyType({name: Level.of(word) for name, word in levels.items()})
            for role, levels in table.items()
        }
    )


def added(several: Iterable[Levels]) -> dict[str, Level]:
    """Return what several permissions come to together: in each section the highest level."""
    found: dict[str, Level] = {}
    for levels in several:
        for section, level in levels.items():
            if level > found.get(section, Level.NONE):
                found[section] = level
    return found


def exceeding(wanted: Levels, held: Levels) -> list[str]:
    """Return the sections in which ``wanted`` goes further than ``held``, in their order."""
    return [
        section
        for section in SECTIONS
        if wanted.get(section, Level.NONE) > held.get(section, Level.NONE)
    ]


@dataclass(frozen=True, slots=True)
class Principal:
    """On whose behalf something is done, and what they may do."""

    # As the journal names them: "operator alice", "token 12 backup", "user mia".
    name: str
    levels: Levels = field(default_factory=lambda: NOTHING)
    # Holds the role Owner: only an Owner makes an Owner or deletes the organization.
    owner: bool = False
    # The person, where it is one, or where a token acts for one.
    user_id: int | None = None
    token_id: int | None = None

    def may(self, section: str, level: Level) -> bool:
        """Return whether they may do this in that section."""
        return self.levels.get(section, Level.NONE) >= level


def operator(name: str) -> Principal:
    """Return whoever has the daemon's own machine: nothing is closed to them."""
    return Principal(name=f"operator {name}", levels=EVERYTHING, owner=True)
