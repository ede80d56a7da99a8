"""What names and descriptions may be that people give to things."""

from __future__ import annotations

from syncd.errors import Refused
from syncd.naming import NAME_LIMIT, is_preconfigured_role

TEXT_LIMIT = 1_000
# In a description or comment, beside what can be printed.
BREAKS = "\n\t"


def name_of(text: str, what: str) -> str:
    """Return a name without spaces around it.

    Raises:
        Refused: It is empty, too long or has signs that cannot be seen.

    """
    name = text.strip()
    if not name or len(name) > NAME_LIMIT or not name.isprintable():
        raise Refused(
            f"{what} must have 1 to {NAME_LIMIT} characters, none of them invisible; "
            "choose another one"
        )
    return name


def own_name_of(text: str, what: str) -> str:
    """Return a name that no preconfigured role or permission set has.

    Raises:
        Refused: It is no name, or reads like a reserved one.

    """
    name = name_of(text, what)
    if is_preconfigured_role(name):
        raise Refused(
            f"{name} is the name of a preconfigured role and its permission set; "
            "choose another one",
            "name_taken",
        )
    return name


def text_of(text: str, what: str) -> str:
    """Return a description or comment.

    Raises:
        Refused: It is too long or has signs that cannot be seen.

    """
    said = text.strip()
    seen = "".join(sign for sign in said if sign not in BREAKS)
    if len(said) > TEXT_LIMIT or not seen.isprintable():
        raise Refused(
            f"{what} must have at most {TEXT_LIMIT} characters, none of them invisible; shorten it"
        )
    return said
