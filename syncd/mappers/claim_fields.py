"""What mappers say of a person's properties and attributes: texts, nothing at all, or emptiness.

A source returns None where it says nothing, so that what is stored stays; no texts where it says
that there are none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from syncd.claim_paths import Variable, parse_path, parse_template
from syncd.errors import SignInRefused
from syncd.mappers.claim_reading import ABSENT, raw_of, texts_of
from syncd.mappers.full_name import split
from syncd.mappers.options import property_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from syncd.mappers.claim_options import (
        ClaimToAttributeOptions,
        StandardClaimOptions,
        UsernameTemplateOptions,
    )
    from syncd.mappers.claim_reading import Reading
    from syncd.mappers.options import HardcodedAttributeOptions

# Of a token, and whether it is a newcomer's.
Read: TypeAlias = "Callable[[Reading, bool], list[str] | None]"


class FieldSource(NamedTuple):
    """What one mapper says of one field."""

    mapper: str
    read: Read
    # What a username could have come from, for messages.
    claim: str | None
    # The claim that is read of a token as the configuration names it, and its values there.
    evidence: Callable[[Reading], tuple[str | None, list[str]]]


def compile_claim(options: ClaimToAttributeOptions) -> FieldSource:
    """Return the source of a property or attribute that is one claim.

    Reading it raises SignInRefused: missing_mandatory, groups_overage, not_text, too_long, and
    bad_username for a username of several values.
    """
    claim, mapper, path = options.claim, options.name, parse_path(options.claim)
    target = property_of(options.user_attribute)
    multivalued = target is None if options.multivalued is None else options.multivalued

    def read(reading: Reading, newcomer: bool) -> list[str] | None:  # noqa: FBT001
        if reading.is_elsewhere(path):
            if newcomer and options.mandatory:
                raise overage(mapper, claim)
            return None
        value = reading.at(path)
        texts = [] if value is ABSENT else texts_of(value, claim, mapper)
        if texts:
            if target == "username":
                _refuse_several(texts, claim, mapper)
            return sorted(set(texts)) if multivalued else texts[:1]
        if options.default_value is not None:
            return [options.default_value.strip()]
        if options.mandatory:
            raise SignInRefused(
                "missing_mandatory",
                f"the token has no value of {claim}, which the mapper {mapper!r} says is "
                "mandatory; let the provider send it, or give a default_value",
            )
        return None if value is ABSENT else []

    return FieldSource(mapper, read, claim, lambda reading: (claim, raw_of(reading.at(path))))


def compile_hardcoded(options: HardcodedAttributeOptions) -> FieldSource:
    """Return the source of a property or attribute that is always the same."""
    value = [options.value.strip()]
    return FieldSource(options.name, lambda _, __: value, None, lambda _: (None, []))


def compile_template(options: UsernameTemplateOptions, organization_id: str) -> FieldSource:
    """Return the source of a username that is put together.

    Reading it raises SignInRefused: missing_username, bad_username, not_text, too_long. Of somebody
    who is known an absent claim says nothing, and the name stays.
    """
    parts = parse_template(options.template)
    mapper = options.name

    def filled(part: Variable, reading: Reading) -> str | None:
        if part.kind == "alias":
            return cased(organization_id, part.cases)
        path = ("sub",) if part.kind == "sub" else part.path
        value = reading.at(path)
        if value is ABSENT:
            return None
        texts = texts_of(value, part.text, mapper)
        _refuse_several(texts, part.text, mapper)
        return cased(texts[0], part.cases).strip() if texts else None

    def read(reading: Reading, newcomer: bool) -> list[str] | None:  # noqa: FBT001
        text = ""
        for part in parts:
            found = part if isinstance(part, str) else filled(part, reading)
            if not found:
                if not newcomer:
                    return None
                raise missing_username(f"{part.text}, which the mapper {mapper!r} needs")  # type: ignore[union-attr]
            text += found
        return [text.strip()]

    def evidence(reading: Reading) -> tuple[str | None, list[str]]:
        named = [part for part in parts if isinstance(part, Variable) and part.kind != "alias"]
        return options.template, [
            text for part in named for text in raw_of(reading.at(part.path or ("sub",)))
        ]

    return FieldSource(mapper, read, options.template, evidence)


def compile_standard(options: StandardClaimOptions) -> FieldSource:
    """Return the source of a property that has a claim of its own in OpenID Connect."""
    claims, read = _STANDARD[options.user_attribute]

    def evidence(reading: Reading) -> tuple[str | None, list[str]]:
        for claim in claims:
            if raw := raw_of(reading.at((claim,))):
                return claim, raw
        return claims[0], []

    return FieldSource(
        options.name,
        lambda reading, newcomer: read(reading, newcomer, options.name),
        claims[0],
        evidence,
    )


def cased(text: str, cases: tuple[str, ...]) -> str:
    """Return what a template makes of a value."""
    for case in cases:
        if case == "lower":
            text = text.lower()
        elif case == "upper":
            text = text.upper()
        else:
            text = text.rpartition("@")[0] or text
    return text


def missing_username(what: str) -> SignInRefused:
    """Return the refusal of a newcomer who would have no name."""
    return SignInRefused(
        "missing_username",
        f"the token has no {what} for the username; let the provider send it (a scope such as "
        "profile in default_scopes may do), or map another claim",
    )


def overage(mapper: str, claim: str) -> SignInRefused:
    """Return the refusal of somebody of whom the provider left out what decides."""
    return SignInRefused(
        "groups_overage",
        f"the token says that {claim} was left out because it is too large, so that the mapper "
        f"{mapper!r} cannot tell; let the provider send fewer (the groups that are assigned to "
        "the application, or application roles)",
    )


def _refuse_several(texts: list[str], claim: str, mapper: str) -> None:
    if len(set(texts)) > 1:
        raise SignInRefused(
            "bad_username",
            f"the claim {claim} has {len(texts)} values, and the mapper {mapper!r} makes a "
            "username of it, which is one; name one of them by a path such as emails[0]",
        )


def _plain(reading: Reading, claim: str, mapper: str) -> list[str] | None:
    value = reading.at((claim,))
    if value is ABSENT or reading.is_elsewhere((claim,)):
        return None
    return texts_of(value, claim, mapper)


def _username(reading: Reading, newcomer: bool, mapper: str) -> list[str] | None:  # noqa: FBT001
    # The other two only name somebody new: a claim that a provider leaves out once renames nobody.
    for claim in ("preferred_username", "email", "sub") if newcomer else ("preferred_username",):
        texts = _plain(reading, claim, mapper)
        if texts:
            _refuse_several(texts, claim, mapper)
            return texts
    return None


def _email(reading: Reading, _: bool, mapper: str) -> list[str] | None:  # noqa: FBT001
    return _plain(reading, "email", mapper)


def _first_name(reading: Reading, _: bool, mapper: str) -> list[str] | None:  # noqa: FBT001
    if (whole := _whole_name(reading, mapper)) is None:
        return _plain(reading, "given_name", mapper)
    first = split(whole[0])[0] if whole else None
    return [first] if first else []


def _last_name(reading: Reading, _: bool, mapper: str) -> list[str] | None:  # noqa: FBT001
    if (whole := _whole_name(reading, mapper)) is None:
        return _plain(reading, "family_name", mapper)
    return [split(whole[0])[1]] if whole else []


def _whole_name(reading: Reading, mapper: str) -> list[str] | None:
    """Return the name that is to be split, where the token has neither of its parts."""
    for claim in ("given_name", "family_name"):
        if reading.at((claim,)) is not ABSENT or reading.is_elsewhere((claim,)):
            return None
    return _plain(reading, "name", mapper)


_STANDARD: dict[str, tuple[tuple[str, ...], Callable[[Reading, bool, str], list[str] | None]]] = {
    "username": (("preferred_username", "email", "sub"), _username),
    "email": (("email",), _email),
    "first_name": (("given_name", "name"), _first_name),
    "last_name": (("family_name", "name"), _last_name),
}
