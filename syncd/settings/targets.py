"""Owns what mappers may fill: the properties of a person, and what contradicts itself there.

The mappers' own options know the same; a test holds the two equal, so that what cannot be is said
with its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

from syncd.settings.conflict import Conflict, conflict

TEXT_LIMIT = 4096
NAME_LIMIT = 255
# Every spelling of a property.
PROPERTIES = {
    "username": "username",
    "email": "email",
    "email_verified": "email_verified",
    "emailverified": "email_verified",
    "first_name": "first_name",
    "firstname": "first_name",
    "last_name": "last_name",
    "lastname": "last_name",
    "source_created_at": "source_created_at",
    "createtimestamp": "source_created_at",
    "source_modified_at": "source_modified_at",
    "modifytimestamp": "source_modified_at",
}
UNMAPPABLE = frozenset(
    {"id", "organization", "provider", "external_id", "dn", "enabled", "roles", "groups"}
)
# Control characters, line separators and marks that turn the direction of text around.
_CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_TIMES = frozenset({"source_created_at", "source_modified_at"})
_UNIQUE = frozenset({"username", "email"})


class Filling(Protocol):
    """A mapper that fills a property or attribute."""

    @property
    def type(self) -> str:
        """Return the mapper's type."""

    @property
    def user_attribute(self) -> str:
        """Return what it fills."""


def target_conflicts(mapper: Filling) -> Iterator[Conflict]:
    """Yield what a mapper's target does not allow."""
    name = mapper.user_attribute
    target = PROPERTIES.get(name.lower())
    fixed = mapper.type == "hardcoded-attribute"
    if name.lower() in UNMAPPABLE:
        yield conflict("user_attribute", because=f"is {name}, which no mapper sets; choose another")
    elif len(name) > NAME_LIMIT or _CONTROL.search(name):
        yield conflict(
            "user_attribute",
            because=f"must have at most {NAME_LIMIT} characters, none of them a control character",
        )
    elif target in _TIMES and mapper.type != "user-attribute":
        yield conflict(
            "user_attribute", because=f"is {name}, which only a directory's attribute can be"
        )
        return
    elif target in _UNIQUE and fixed:
        yield conflict(
            "user_attribute", because=f"is {name}, and several people cannot have the same {target}"
        )
    for key in ("multivalued", "binary"):
        if target is not None and getattr(mapper, key, False):
            yield conflict(
                key, "user_attribute", because=f"is on, but {target} holds one text; remove the key"
            )
    key = "value" if fixed else "default_value"
    value = getattr(mapper, key, None)
    if value is not None:
        yield from _given(key, str(value), target)


def _given(key: str, value: str, target: str | None) -> Iterator[Conflict]:
    if target in _UNIQUE and key != "value":
        yield conflict(
            key,
            "user_attribute",
            because=f"is given, but several people cannot have the same {target}; remove the key",
        )
    elif target in _TIMES and key != "value":
        yield conflict(
            key,
            "user_attribute",
            because=f"is given, but {target} comes from the directory or not at all; remove the "
            "key",
        )
    elif not value.strip() or len(value) > TEXT_LIMIT or "\0" in value:
        yield conflict(key, because=f"must be a text of 1 to {TEXT_LIMIT} characters")
    elif target == "email_verified" and value.strip().lower() not in {"true", "false"}:
        yield conflict(key, "user_attribute", because="must be true or false for email_verified")
