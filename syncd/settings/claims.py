"""Owns the keys of mappers of claims: what becomes of what an identity provider says."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, WithJsonSchema

from syncd import claim_paths, naming
from syncd.settings.conflict import Conflict, conflict
from syncd.settings.groups import GroupName
from syncd.settings.values import AnyText, Flag, Kind, Section, Text, spelled

TESTS = ("equals", "contains", "matches")
_BOTH = "allowed is one of equals, contains and matches"


def _check_path(text: str) -> str:
    claim_paths.parse_path(text)
    return text


def _check_pattern(text: str) -> str:
    claim_paths.check_pattern(text)
    return text


def _check_template(text: str) -> str:
    claim_paths.parse_template(text)
    return text


def _check_scalar(value: object) -> object:
    if isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return str(value) if isinstance(value, str) else value
    raise ValueError("must be a text, a number, or true or false")


Scalar = Annotated[
    str | int | float | bool,
    PlainValidator(_check_scalar),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
    Kind("text, number, or true or false"),
]
ClaimPath = Annotated[Text, AfterValidator(_check_path), Kind("path of a claim")]
Pattern = Annotated[Text, AfterValidator(_check_pattern), Kind("regular expression")]
Template = Annotated[Text, AfterValidator(_check_template), Kind("template")]
_CLAIM = (
    "The claim: a name, or a path of names with dots, such as realm_access.roles; a dot in a name "
    "is written `\\.`."
)
_EQUALS = 'It is this value, or one of its elements is; by type: `true` is not 1, `1` is not `"1"`.'
_CONTAINS = "This is an element of the list, or a word of a text with spaces between words."
_MATCHES = "A regular expression for the whole text, or for one element of a list."


class SyncedByMode(Section):
    """When a mapper of an identity provider speaks."""

    sync_mode: Annotated[
        Literal["import", "force", "inherit"],
        spelled(**{"import": "import", "force": "force", "inherit": "inherit"}),
    ] = Field(
        default="inherit",
        description=(
            "With an identity provider: at the first sign-in only (`import`), at each (`force`), "
            "or as `idp.sync_mode` says. Directories are always followed."
        ),
    )


class ClaimCondition(Section):
    """One claim and what it has to be."""

    claim: ClaimPath = Field(examples=["groups"], description=_CLAIM)
    equals: Scalar | None = Field(default=None, examples=["staff"], description=_EQUALS)
    contains: Scalar | None = Field(default=None, examples=["audit"], description=_CONTAINS)
    matches: Pattern | None = Field(default=None, examples=["team-.+"], description=_MATCHES)

    def conflicts(self) -> Iterator[Conflict]:
        """Yield what contradicts itself."""
        yield from _one_test(self)


class ClaimConditions(Section):
    """What a mapper looks for in the claims."""

    claim: ClaimPath | None = Field(default=None, examples=["groups"], description=_CLAIM)
    equals: Scalar | None = Field(default=None, examples=["staff"], description=_EQUALS)
    contains: Scalar | None = Field(default=None, examples=["audit"], description=_CONTAINS)
    matches: Pattern | None = Field(default=None, examples=["team-.+"], description=_MATCHES)
    all_of: Annotated[
        tuple[ClaimCondition, ...],
        BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value),
        Kind("list of {claim, and equals, contains or matches}"),
    ] = Field(
        default=(),
        examples=[[{"claim": "department", "equals": "IT"}]],
        description="Several conditions instead of one, all of which have to hold.",
    )

    def conflicts(self) -> Iterator[Conflict]:
        """Yield what contradicts itself."""
        alone = [key for key in ("claim", *TESTS) if getattr(self, key) is not None]
        if self.all_of:
            for index, condition in enumerate(self.all_of):
                yield from (found.below(f"all_of.{index}") for found in condition.conflicts())
            for key in alone:
                yield conflict(
                    key, "all_of", because="stands beside all_of; put it into that list as well"
                )
        elif "all_of" in self.model_fields_set:
            yield conflict("all_of", because="has no condition in it; name one, or remove the key")
        elif self.claim is None:
            yield conflict("claim", "all_of", because="is required (or all_of)")
        else:
            yield from _one_test(self)


def _one_test(condition: ClaimCondition | ClaimConditions) -> Iterator[Conflict]:
    tests = [key for key in TESTS if getattr(condition, key) is not None]
    if not tests:
        yield conflict("claim", *TESTS, because=f"lacks what it has to be; {_BOTH}")
    elif len(tests) > 1:
        yield conflict(tests[1], tests[0], because=f"stands beside {tests[0]}; {_BOTH}")
    elif isinstance(condition.contains, str) and not condition.contains.strip():
        yield conflict("contains", because="is blank, which nothing contains")


class Grant(Section):
    """What mappers that give something have."""

    when_absent: Literal["take_back", "keep"] = Field(
        default="take_back",
        description=(
            "When the token has no such claim: take back what this mapper gave, or leave it. A "
            "claim that is there and does not match always takes back; one that the provider left "
            "out for its size never does."
        ),
    )


class ClaimToAttribute(SyncedByMode):
    """One claim to one property or attribute of a person."""

    claim: ClaimPath = Field(examples=["department"], description=_CLAIM)
    user_attribute: Text = Field(
        examples=["department"],
        description=(
            "username, email, email_verified, first_name, last_name or any attribute name."
        ),
    )
    default_value: AnyText | None = Field(
        default=None,
        examples=["unknown"],
        description="The value of people whose token has none.",
    )
    mandatory: Flag = Field(
        default=False, description="Without a value and without a default nobody is let in."
    )
    multivalued: Flag | None = Field(
        default=None,
        examples=[True],
        description="Keep all values; default: for attributes yes, for properties the first.",
    )


class ClaimToRole(SyncedByMode, Grant, ClaimConditions):
    """A role for whoever's claims say so."""

    role: Text = Field(examples=["Auditors"], description="The role's name.")
    may_grant_privileged: Flag = Field(
        default=False, description="Allow `role` to be one of the preconfigured roles."
    )
    unknown_role: Literal["create", "ignore"] = Field(
        default="ignore", description="What to do while there is no role of that name."
    )

    def conflicts(self) -> Iterator[Conflict]:
        """Yield what contradicts itself."""
        yield from super().conflicts()
        if naming.is_preconfigured_role(self.role) and not self.may_grant_privileged:
            yield conflict(
                "role",
                "may_grant_privileged",
                because=f'gives the preconfigured role "{self.role}"; set '
                "may_grant_privileged: true if the provider's admins may decide that",
            )


class ClaimToGroup(SyncedByMode, Grant, ClaimConditions):
    """A group for whoever's claims say so."""

    group: GroupName = Field(
        examples=["/Staff/IT"],
        description="The group's name, or its path, which starts with `/`; made when not there.",
    )


class UsernameTemplate(SyncedByMode):
    """A username put together of claims and texts."""

    template: Template = Field(
        examples=["${CLAIM.preferred_username | lower}"],
        description=(
            "Texts with `${CLAIM.<path>}`, `${SUB}` (the subject) and `${ALIAS}` (the "
            "organization's id) in them; `| lower`, `| upper` and `| local_part` (what stands "
            "before the @) may follow in the braces."
        ),
    )


class EssentialClaim(ClaimConditions):
    """Nobody is let in whose claims do not say so."""

    sync_mode: Annotated[
        Literal["import", "force", "inherit"],
        spelled(**{"import": "import", "force": "force", "inherit": "inherit"}),
    ] = Field(
        default="force",
        description="At each sign-in, whatever `idp.sync_mode` says; `import`: at the first only.",
    )
