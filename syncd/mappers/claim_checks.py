"""What the types of the options of claim mappers cannot say: keys that contradict each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncd import naming
from syncd.claim_paths import parse_path, parse_template
from syncd.mappers.claim_conditions import compile_pattern
from syncd.mappers.claim_options import (
    ClaimToAttributeOptions,
    ClaimToGroupOptions,
    ClaimToRoleOptions,
    ConditionalOptions,
    EssentialClaimOptions,
    UsernameTemplateOptions,
)
from syncd.mappers.options import UNMAPPABLE, property_of
from syncd.mappers.values import NAME_LIMIT, TEXT_LIMIT, has_control

if TYPE_CHECKING:
    from collections.abc import Iterator

    from syncd.mappers.claim_options import ClaimOptions, ConditionOptions

_TIMES = frozenset({"source_created_at", "source_modified_at"})
_UNIQUE = frozenset({"username", "email"})
_TESTS = ("equals", "contains", "matches")


def claim_contradictions(options: ClaimOptions) -> Iterator[tuple[str, str]]:
    """Yield (key, sentence) for everything in ``options`` that does not go together."""
    match options:
        case ClaimToAttributeOptions():
            yield from _claim_to_attribute(options)
        case UsernameTemplateOptions():
            try:
                parse_template(options.template)
            except ValueError as error:
                yield "template", str(error)
        case ClaimToRoleOptions():
            yield from _conditions(options)
            yield from _role(options)
        case ClaimToGroupOptions():
            yield from _conditions(options)
            try:
                naming.group_names(options.group)
            except ValueError as error:
                yield "group", str(error)
        case EssentialClaimOptions():
            yield from _conditions(options)


def _path(key: str, claim: str) -> Iterator[tuple[str, str]]:
    try:
        parse_path(claim)
    except ValueError as error:
        yield key, str(error)


def _claim_to_attribute(options: ClaimToAttributeOptions) -> Iterator[tuple[str, str]]:
    yield from _path("claim", options.claim)
    name, default = options.user_attribute, options.default_value
    target = property_of(name)
    if not name.strip() or len(name) > NAME_LIMIT or has_control(name):
        yield "user_attribute", "name the property or attribute that the mapper fills"
    elif name.lower() in UNMAPPABLE or target in _TIMES:
        yield "user_attribute", f"{name!r} cannot be set by a claim; choose another name"
    if target is not None and options.multivalued:
        yield "multivalued", f"{target} holds one value; remove the key"
    if default is None:
        return
    if target in _UNIQUE:
        yield "default_value", f"several people cannot have the same {target}; remove the key"
    elif not default.strip() or len(default) > TEXT_LIMIT or "\0" in default:
        yield "default_value", f"give a text of 1 to {TEXT_LIMIT} characters, or remove the key"
    elif target == "email_verified" and default.strip().lower() not in ("true", "false"):
        yield "default_value", "email_verified is true or false"


def _role(options: ClaimToRoleOptions) -> Iterator[tuple[str, str]]:
    name = options.role
    if not name.strip() or len(name) > NAME_LIMIT or has_control(name):
        yield "role", f"a role's name has 1 to {NAME_LIMIT} characters and no control characters"
    if naming.is_preconfigured_role(name) and not options.may_grant_privileged:
        said = f"{name!r} is a preconfigured role; set may_grant_privileged: true if the"
        yield "role", f"{said} provider's admins may decide who holds it, or name another role"


def _conditions(options: ConditionalOptions) -> Iterator[tuple[str, str]]:
    alone = [key for key in ("claim", *_TESTS) if getattr(options, key) is not None]
    if options.all_of and alone:
        yield alone[0], "stands beside all_of; put it into that list as well"
    elif not options.conditions:
        yield "claim", "is required (or all_of)"
    for index, condition in enumerate(options.conditions):
        for key, sentence in _condition(condition):
            yield f"all_of[{index}].{key}" if options.all_of else key, sentence


def _condition(condition: ConditionOptions) -> Iterator[tuple[str, str]]:
    yield from _path("claim", condition.claim)
    tests = [key for key in _TESTS if getattr(condition, key) is not None]
    if len(tests) != 1:
        yield "claim", "needs one of equals, contains and matches"
    if condition.matches is not None:
        try:
            compile_pattern(condition.matches)
        except ValueError as error:
            yield "matches", str(error)
