"""From a run's report to what is counted of it. Pure; a part that is missing counts as nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from syncd.metrics import families, words
from syncd.metrics.words import one_of, word

if TYPE_CHECKING:
    from syncd.metrics.tallies import Tallies

# What a plan would change is not a change: only reports of these count what was written.
WRITING = frozenset({"done", "failed", "interrupted"})


def prepare_provider(
    tallies: Tallies, token_reasons: Sequence[str], fetch_reasons: Sequence[str]
) -> None:
    """Make known what can be counted of an identity provider."""
    for family, (well, badly), reasons in (
        (families.TOKENS, words.TOKEN_OUTCOMES, token_reasons),
        (families.JWKS, words.FETCH_OUTCOMES, fetch_reasons),
    ):
        if reasons:
            tallies.add(family, well, words.NONE, amount=0)
        for reason in reasons:
            tallies.add(family, badly, reason, amount=0)


def prepare_sign_ins(tallies: Tallies, reasons: Sequence[str]) -> None:
    """Make known what can be counted of people who sign in."""
    if not reasons:
        return
    accepted, refused, unavailable = words.SIGN_IN_OUTCOMES
    tallies.add(families.SIGN_INS, accepted, words.NONE, amount=0)
    for reason in reasons:
        outcome = unavailable if reason.endswith(f"_{unavailable}") else refused
        tallies.add(families.SIGN_INS, outcome, reason, amount=0)
    tallies.histogram(families.REVOCATION)


def observe_one(tallies: Tallies, what: str, value: float) -> None:
    """Count what the web process has measured."""
    family = families.OBSERVED.get(what)
    if family is not None:
        # Clocks that differ can make an end look older than its cause.
        tallies.histogram(family).observe(max(_number(value), 0.0))


def count_one(tallies: Tallies, what: str, outcome: str, reason: str, number: int) -> None:
    """Count what the web process has counted."""
    family = families.COUNTED.get(what)
    if family is not None:
        outcome = one_of(outcome, (*words.SIGN_IN_OUTCOMES, *words.FETCH_OUTCOMES))
        tallies.add(family, outcome, word(reason), amount=number)


def prepare(tallies: Tallies, modes: Sequence[str]) -> None:
    """Make everything known that can be known in advance, so that nothing is absent at first."""
    for mode in modes:
        for status in words.STATUSES:
            tallies.add(families.RUNS, mode, status, amount=0)
        for stage in words.STAGES:
            tallies.add(families.STAGES, mode, stage, amount=0)
        tallies.histogram(families.DURATION, mode)
    if not modes:
        return
    for _, _, kind in words.ENTRY_KINDS:
        tallies.add(families.ENTRIES, kind, amount=0)
    for _, _, kind in words.CHANGE_KINDS:
        tallies.add(families.CHANGES, kind, amount=0)
    for verdict in words.VERDICTS:
        tallies.add(families.LISTINGS, verdict, amount=0)
    tallies.histogram(families.LAG)


def count(tallies: Tallies, report: Mapping[str, Any]) -> None:
    """Count a report in the contract's shape."""
    mode = one_of(report.get("mode"), words.MODES)
    status = report.get("status")
    tallies.add(families.RUNS, mode, word(status))
    seconds = _mapping(report.get("seconds"))
    if "total" in seconds:
        tallies.histogram(families.DURATION, mode).observe(_number(seconds["total"]))
    for stage, spent in seconds.items():
        if stage != "total":
            stage_word = one_of(stage, words.STAGES)
            tallies.add(families.STAGES, mode, stage_word, amount=_number(spent))
    _count_kinds(tallies, families.ENTRIES, words.ENTRY_KINDS, report)
    # Where only some kinds are held the others were written; a plan held whole names its dryness.
    if status in WRITING or (status == "blocked" and "dry" not in report):
        _count_kinds(tallies, families.CHANGES, words.CHANGE_KINDS, report)
    for listing in report.get("listings") or ():
        verdict = one_of(listing.get("verdict"), words.VERDICTS)
        tallies.add(families.LISTINGS, verdict)
    if report.get("promoted_reason"):
        tallies.add(families.PROMOTED, word(report["promoted_reason"]))
    for lag in report.get("lag_seconds") or ():
        # Clocks that differ can make a change look younger than its commit.
        tallies.histogram(families.LAG).observe(max(_number(lag), 0.0))
    count_traffic(tallies, report)


def count_traffic(tallies: Tallies, report: Mapping[str, Any]) -> None:
    """Count what a report says of the directory: requests, and when its certificate ends."""
    for request in report.get("requests") or ():
        labels = one_of(request.get("operation"), words.OPERATIONS), word(request.get("result"))
        tallies.add(families.REQUESTS, *labels, amount=_number(request.get("count")))
        tallies.histogram(families.REQUEST_SECONDS, *labels).merge(
            _mapping(request.get("within")), _number(request.get("seconds"))
        )
    for use, not_after in _mapping(report.get("certificates")).items():
        tallies.put(
            families.CERTIFICATES,
            one_of(use, words.USES),
            value=datetime.fromisoformat(not_after).timestamp(),
        )


def _count_kinds(
    tallies: Tallies,
    family: families.Family,
    kinds: Sequence[tuple[str, str, str]],
    report: Mapping[str, Any],
) -> None:
    for section, name, kind in kinds:
        amount = _number(_mapping(report.get(section)).get(name))
        tallies.add(family, kind, amount=amount)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: object) -> float:
    return value if isinstance(value, int | float) else 0.0
