"""What an administrator may set on each mapper of claims; field names are the YAML keys.

Plain frozen values, as in ``options``. What a type cannot say is found by
``claim_checks.contradictions``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection

# inherit: the provider's own sync_mode.
SyncMode: TypeAlias = Literal["import", "force", "inherit"]
WhenAbsent: TypeAlias = Literal["take_back", "keep"]
UnknownRole: TypeAlias = Literal["create", "ignore"]
# What a claim may be compared with; by type, so that true is not 1 and "1" is not 1.
Scalar: TypeAlias = str | int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionOptions:
    """One claim and what it has to be: one of ``equals``, ``contains`` and ``matches``."""

    claim: str
    equals: Scalar | None = None
    contains: Scalar | None = None
    matches: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionalOptions:
    """What a mapper looks for: one condition, or several that hold together."""

    type: ClassVar[str]
    name: str
    claim: str | None = None
    equals: Scalar | None = None
    contains: Scalar | None = None
    matches: str | None = None
    all_of: tuple[ConditionOptions, ...] = ()

    @property
    def conditions(self) -> tuple[ConditionOptions, ...]:
        """The conditions, all of which have to hold."""
        if self.claim is None:
            return self.all_of
        return (
            ConditionOptions(
                claim=self.claim,
                equals=self.equals,
                contains=self.contains,
                matches=self.matches,
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimToAttributeOptions:
    """``claim-to-attribute``: one claim to one property or attribute of a person."""

    type: ClassVar[str] = "claim-to-attribute"
    name: str
    claim: str
    user_attribute: str
    default_value: str | None = None
    mandatory: bool = False
    # None: every value for an attribute, the first for a property.
    multivalued: bool | None = None
    sync_mode: SyncMode = "inherit"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimToRoleOptions(ConditionalOptions):
    """``claim-to-role``: a role for whoever's claims say so."""

    type: ClassVar[str] = "claim-to-role"
    role: str
    may_grant_privileged: bool = False
    when_absent: WhenAbsent = "take_back"
    unknown_role: UnknownRole = "ignore"
    sync_mode: SyncMode = "inherit"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimToGroupOptions(ConditionalOptions):
    """``claim-to-group``: a group for whoever's claims say so."""

    type: ClassVar[str] = "claim-to-group"
    # A name, or a path of groups that starts with a slash.
    group: str
    when_absent: WhenAbsent = "take_back"
    sync_mode: SyncMode = "inherit"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsernameTemplateOptions:
    """``username-template``: a username put together of claims and texts."""

    type: ClassVar[str] = "username-template"
    name: str
    template: str
    sync_mode: SyncMode = "inherit"


@dataclass(frozen=True, slots=True, kw_only=True)
class EssentialClaimOptions(ConditionalOptions):
    """``essential-claim``: nobody is let in whose claims do not say so."""

    type: ClassVar[str] = "essential-claim"
    # Not inherited: a gate that stands open after the first time would surprise.
    sync_mode: SyncMode = "force"


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardClaimOptions:
    """A predefined mapper: what OpenID Connect's own claims say of a property."""

    type: ClassVar[str] = "standard-claim"
    name: str
    user_attribute: str
    sync_mode: SyncMode = "inherit"


CONFIGURABLE = (
    ClaimToAttributeOptions,
    ClaimToRoleOptions,
    ClaimToGroupOptions,
    UsernameTemplateOptions,
    EssentialClaimOptions,
)
ClaimOptions: TypeAlias = (
    ClaimToAttributeOptions
    | ClaimToRoleOptions
    | ClaimToGroupOptions
    | UsernameTemplateOptions
    | EssentialClaimOptions
)
_PREDEFINED = (
    ("username", "username"),
    ("first name", "first_name"),
    ("last name", "last_name"),
    ("email", "email"),
)


def predefined_claims(replaced: Collection[str] = ()) -> tuple[StandardClaimOptions, ...]:
    """Return the four mappers that every provider has, without those that are replaced."""
    return tuple(
        StandardClaimOptions(name=name, user_attribute=target)
        for name, target in _PREDEFINED
        if name not in replaced
    )
