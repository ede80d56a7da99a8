"""Access tokens of identity providers: on whose behalf the person of one asks, or why nobody's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from syncd.permissions import Level, Principal

if TYPE_CHECKING:
    from syncd.permissions import Levels

# Of a token that is right: the person it names is not known here, or may not come in.
UNKNOWN_PERSON: Final = "unknown_person"
SHUT_OUT: Final = "shut_out"
REASONS: Final = (UNKNOWN_PERSON, SHUT_OUT)
REFUSED: Final = (
    "the access token is not valid here: it is wrong, past its time, or of nobody who is known and "
    "may sign in; ask for a new one, and use it below the path of your organization"
)


class Bearer(Protocol):
    """The person of an access token, as the store knows him now."""

    @property
    def user_id(self) -> int:
        """His id."""

    @property
    def username(self) -> str:
        """How he is called."""

    @property
    def may_sign_in(self) -> bool:
        """Whether he may come in."""

    @property
    def levels(self) -> Levels:
        """What he may do."""

    @property
    def owner(self) -> bool:
        """Whether he is an owner."""


def refusal_of(bearer: Bearer | None) -> str | None:
    """Return why a person is not let in, or None."""
    if bearer is None:
        return UNKNOWN_PERSON
    return None if bearer.may_sign_in else SHUT_OUT


def principal_of(bearer: Bearer) -> Principal:
    """Return on whose behalf an access token speaks: the person's own, with all he may do."""
    return Principal(
        name=f"user {bearer.username}",
        levels={section: level for section, level in bearer.levels.items() if level > Level.NONE},
        owner=bearer.owner,
        user_id=bearer.user_id,
    )
