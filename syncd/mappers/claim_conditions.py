"""What claims have to be: one condition, or several that hold together.

A condition does not only hold or not: its claim may be absent, or stand elsewhere. What nobody
knows is never taken as a no.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

import regex

from syncd.claim_paths import check_pattern, parse_path
from syncd.errors import SignInRefused, cut
from syncd.mappers.claim_reading import ABSENT, PATTERN_SECONDS, Reading, elements_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from syncd.mappers.claim_options import ConditionOptions, Scalar, WhenAbsent


class Verdict(StrEnum):
    """What the claims say of a condition."""

    MATCHES = "matches"
    NO_MATCH = "no_match"
    # The claim is not in the token.
    ABSENT = "absent"
    # The token says that the claim is to be fetched, and is not all in it.
    ELSEWHERE = "elsewhere"


Judge: TypeAlias = "Callable[[Reading], Verdict]"
_Test: TypeAlias = "Callable[[object, Reading], bool]"


def compile_conditions(
    conditions: Sequence[ConditionOptions], mapper: str, when_absent: WhenAbsent = "take_back"
) -> Judge:
    """Return what says whether all ``conditions`` hold.

    One that does not hold decides for all; of those that do not say so one that stands elsewhere
    does. With ``take_back`` an absent claim is as good as one that does not hold.

    The judge raises SignInRefused (slow_pattern) when a pattern takes too long.
    """
    judges = [_compile(each, mapper) for each in conditions]
    if len(judges) == 1:
        return judges[0]
    no_match = {Verdict.NO_MATCH, Verdict.ABSENT}
    decisive = no_match if when_absent == "take_back" else {Verdict.NO_MATCH}

    def judge(reading: Reading) -> Verdict:
        undecided = Verdict.MATCHES
        for each in judges:
            verdict = each(reading)
            if verdict in decisive:
                return verdict
            if verdict == Verdict.ELSEWHERE or undecided == Verdict.MATCHES:
                undecided = verdict
        return undecided

    return judge


def _compile(options: ConditionOptions, mapper: str) -> Judge:
    path = parse_path(options.claim)
    if options.matches is not None:
        holds = _matches(options.matches, options.claim, mapper)
    elif options.contains is not None:
        holds = _contains(options.contains)
    else:
        holds = _equals(options.equals)

    def judge(reading: Reading) -> Verdict:
        value = reading.at(path)
        if value is not ABSENT and holds(value, reading):
            return Verdict.MATCHES
        if reading.is_elsewhere(path):
            return Verdict.ELSEWHERE
        return Verdict.ABSENT if value is ABSENT else Verdict.NO_MATCH

    return judge


def same(value: object, wanted: Scalar | None) -> bool:
    """Tell whether two values are equal as JSON has it: 1 is 1.0, but neither true nor "1"."""
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if isinstance(value, str) or isinstance(wanted, str):
        return isinstance(value, str) and value == wanted
    return isinstance(value, int | float) and value == wanted


def _equals(wanted: Scalar | None) -> _Test:
    if isinstance(wanted, str):
        # A text equals nothing but a text, so that Python may look through the list.
        return lambda value, _: wanted in elements_of(value)
    return lambda value, _: any(same(element, wanted) for element in elements_of(value))


def _contains(wanted: Scalar) -> _Test:
    is_equal = _equals(wanted)

    def holds(value: object, reading: Reading) -> bool:
        if isinstance(value, str):
            # Words as in a scope (RFC 6749 section 3.3).
            return isinstance(wanted, str) and wanted in value.split(" ")
        return isinstance(value, list) and is_equal(value, reading)

    return holds


def compile_pattern(text: str) -> regex.Pattern[str]:
    """Return a compiled pattern; raise ValueError, with the reason, for one that cannot be."""
    check_pattern(text)
    try:
        return regex.compile(text, regex.VERSION0)
    except (regex.error, OverflowError, RecursionError) as error:
        raise ValueError(f"must be a regular expression: {error}") from None


def _matches(pattern: str, claim: str, mapper: str) -> _Test:
    fullmatch = compile_pattern(pattern).fullmatch

    def holds(value: object, reading: Reading) -> bool:
        texts = (element for element in elements_of(value) if isinstance(element, str))
        try:
            return any(reading.timed(fullmatch, text) is not None for text in texts)
        except TimeoutError:
            raise SignInRefused(
                "slow_pattern",
                f"the patterns of the mappers took longer than {PATTERN_SECONDS:g} s, the last one "
                f"{cut(pattern, 64)!r} of {mapper!r} on the claim {claim}; avoid repetitions "
                "within repetitions in it",
            ) from None

    return holds
