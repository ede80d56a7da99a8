"""What nobody knows is never taken as a no, whatever mappers and tokens there are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.errors import SignInRefused
from syncd.mappers.claim_options import (
    ClaimToAttributeOptions,
    ClaimToGroupOptions,
    ClaimToRoleOptions,
    ConditionOptions,
    EssentialClaimOptions,
)
from syncd.records import Arrival
from tests.unit.mappers.signing_in import OVERAGE, claims, mapping

WORDS = st.sampled_from(["a", "b", "c", "a b", "", "1"])
SCALARS = st.one_of(WORDS, st.booleans(), st.integers(0, 2), st.just(1.0))
GROUPS = st.lists(
    st.one_of(SCALARS, st.none(), st.fixed_dictionaries({"name": SCALARS})), max_size=4
)
MARKS = st.sampled_from([OVERAGE, {"hasgroups": True}, {"groups:src1": {"endpoint": "x"}}])


@st.composite
def condition(draw: st.DrawFn, claim: str) -> ConditionOptions:
    """Return any condition on a claim."""
    kind = draw(st.sampled_from(["equals", "contains", "matches"]))
    if kind == "matches":
        return ConditionOptions(
            claim=claim, matches=draw(st.sampled_from(["a", "[ab]", ".+", "a b|c", "(?i)B"]))
        )
    value = draw(SCALARS)
    if kind == "equals":
        return ConditionOptions(claim=claim, equals=value)
    return ConditionOptions(claim=claim, contains=value)


@st.composite
def giving(draw: st.DrawFn) -> ClaimToRoleOptions | ClaimToGroupOptions:
    """Return a mapper that looks at the groups, and maybe at something else."""
    conditions = [draw(condition(draw(st.sampled_from(["groups", "groups.name"]))))]
    if draw(st.booleans()):
        conditions.insert(draw(st.integers(0, 1)), draw(condition("other")))
    common: dict[str, Any] = {
        "name": "m",
        "all_of": tuple(conditions),
        "when_absent": draw(st.sampled_from(["take_back", "keep"])),
    }
    if draw(st.booleans()):
        return ClaimToRoleOptions(role="R", **common)
    return ClaimToGroupOptions(group="/G", **common)


def arrives(made: Any, token: dict[str, Any], *, newcomer: bool) -> Arrival | str:
    """Return the arrival, or the reason of the refusal."""
    try:
        found: Arrival = made(claims(token), newcomer=newcomer)
    except SignInRefused as error:
        return error.reason
    return found


@pytest.mark.rule("K49", server="pure")
@settings(max_examples=300, deadline=None)
@given(
    mapper=giving(),
    groups=GROUPS,
    kept=st.none() | st.sets(st.integers(0, 3)),
    other=st.none() | SCALARS | st.lists(SCALARS, max_size=2),
    mark=MARKS,
)
def test_groups_that_are_cut_take_nothing_back(
    mapper: ClaimToRoleOptions | ClaimToGroupOptions,
    groups: list[Any],
    kept: set[int] | None,
    other: object,
    mark: dict[str, Any],
) -> None:
    """Whoever gains something by all of his groups does not lose it by some or none of them.

    And a newcomer who comes in with cut groups gets what he would get with all of them.
    """
    made = mapping(mapper)
    whole: dict[str, Any] = {"groups": groups} | ({} if other is None else {"other": other})
    cut = {**whole, **mark}
    del cut["groups"]
    if kept is not None:
        cut["groups"] = [each for index, each in enumerate(groups) if index in kept]
    full = arrives(made, whole, newcomer=False)
    less = arrives(made, cut, newcomer=False)
    assert isinstance(full, Arrival)
    assert isinstance(less, Arrival)
    if full.granted:
        assert less.granted == full.granted or not less.speaking
    new = arrives(made, cut, newcomer=True)
    assert new == "groups_overage" or (isinstance(new, Arrival) and new.granted == full.granted)


@settings(max_examples=200, deadline=None)
@given(
    token=st.dictionaries(
        st.sampled_from(["d", "e", "email", "given_name", "family_name", "email_verified"]),
        st.one_of(SCALARS, st.none(), st.lists(st.one_of(SCALARS, st.none()), max_size=3)),
    ),
    gone=st.sets(st.sampled_from(["d", "e", "email", "given_name", "family_name"])),
    multivalued=st.sampled_from([None, True, False]),
)
def test_a_claim_that_is_not_there_changes_nothing(
    token: dict[str, Any], gone: set[str], *, multivalued: bool | None
) -> None:
    """With fewer claims less is said, and what is still said is the same."""
    made = mapping(
        ClaimToAttributeOptions(
            name="m", claim="d", user_attribute="dept", multivalued=multivalued
        ),
        ClaimToAttributeOptions(name="n", claim="e", user_attribute="desk"),
    )
    whole = made(claims(token), newcomer=False)
    some = {key: value for key, value in token.items() if key not in gone}
    less = made(claims(some), newcomer=False)
    assert less.fields.items() <= whole.fields.items()
    assert less.attributes.items() <= whole.attributes.items()
    assert (
        not {"dept", "desk"}
        & {name for name, claim in (("dept", "d"), ("desk", "e")) if claim in gone}
        & set(less.attributes)
    )


@settings(max_examples=200, deadline=None)
@given(check=condition("groups"), groups=GROUPS, mark=MARKS)
def test_a_gate_that_cannot_be_judged_stays_closed(
    check: ConditionOptions, groups: list[Any], mark: dict[str, Any]
) -> None:
    """Without the groups nobody passes, and the reason is that they were left out."""
    made = mapping(EssentialClaimOptions(name="g", all_of=(check,)))
    assert arrives(made, mark, newcomer=False) == "groups_overage"
    found = arrives(made, {"groups": groups, **mark}, newcomer=False)
    full = arrives(made, {"groups": groups}, newcomer=False)
    if isinstance(full, Arrival):
        assert isinstance(found, Arrival)
    else:
        assert (found, full) == ("groups_overage", "essential_claim")
