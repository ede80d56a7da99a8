"""What several listings are together, and which bases are worth a search."""

from __future__ import annotations

import pytest

from syncd.errors import UsageError
from syncd.ldap.listings import distinct_bases, in_scope, merged
from syncd.records import ListingOutcome, Scope, Verdict

PEOPLE = "ou=people,dc=example,dc=org"
NORTH = f"ou=north,{PEOPLE}"
ROLES = "ou=roles,dc=example,dc=org"


def outcome(
    verdict: Verdict, *, code: int | None = 0, entries: int = 1, because: str | None = None
) -> ListingOutcome:
    """Return how a listing of one page ended."""
    return ListingOutcome("one", verdict, code, 1, entries, 0, because)


class TestMerged:
    def test_the_totals_are_those_of_all(self) -> None:
        """Pages, entries and references are summed up under the name of the whole."""
        parts = [outcome(Verdict.COMPLETE, entries=3), outcome(Verdict.COMPLETE, entries=4)]

        assert merged("users", [NORTH, ROLES], parts) == ListingOutcome(
            "users", Verdict.COMPLETE, 0, 2, 7, 0, None
        )

    @pytest.mark.parametrize(
        ("verdicts", "expected"),
        [
            ([Verdict.COMPLETE, Verdict.COMPLETE], Verdict.COMPLETE),
            ([Verdict.COMPLETE, Verdict.UNVERIFIED], Verdict.UNVERIFIED),
            ([Verdict.TRUNCATED, Verdict.UNVERIFIED], Verdict.TRUNCATED),
            ([Verdict.TRUNCATED, Verdict.COMPLETE], Verdict.TRUNCATED),
        ],
    )
    def test_the_worst_verdict_counts(self, verdicts: list[Verdict], expected: Verdict) -> None:
        """One base that cannot be trusted spoils the whole listing."""
        parts = [outcome(verdict) for verdict in verdicts]

        assert merged("users", [NORTH, ROLES], parts).verdict is expected

    def test_the_worst_result_code_counts_and_its_base_is_named(self) -> None:
        """The result code and the sentence are those of the base that spoils the listing."""
        parts = [
            outcome(Verdict.COMPLETE),
            outcome(Verdict.TRUNCATED, code=4, because="The size limit was exceeded."),
        ]
        found = merged("users", [NORTH, ROLES], parts)

        assert (found.result_code, found.because) == (4, f"{ROLES}: The size limit was exceeded.")

    def test_a_base_that_was_not_read_truncates(self) -> None:
        """A connection that ends between two whole answers has not answered for the second base."""
        found = merged("users", [NORTH, ROLES], [outcome(Verdict.COMPLETE)])

        assert found.verdict is Verdict.TRUNCATED
        assert found.because == f"not read after that: {ROLES}"

    def test_an_unseen_sentinel_makes_a_complete_listing_unverified(self) -> None:
        """A listing that lacks a sentinel proves nothing about who else is missing."""
        found = merged("users", [NORTH], [outcome(Verdict.COMPLETE)], ["uid=anna"])

        assert found.verdict is Verdict.UNVERIFIED
        assert "the sentinel uid=anna" in str(found.because)

    def test_an_unseen_sentinel_is_no_news_of_a_truncated_listing(self) -> None:
        """A listing that was cut short says why, and stays what it is."""
        parts = [outcome(Verdict.TRUNCATED, code=None, because="Lost.")]
        found = merged("users", [NORTH], parts, ["uid=anna"])

        assert (found.verdict, found.because) == (Verdict.TRUNCATED, "Lost.")


class TestDistinctBases:
    @pytest.mark.parametrize(
        ("bases", "scope", "expected"),
        [
            ((PEOPLE,), Scope.SUBTREE, (PEOPLE,)),
            ((PEOPLE, ROLES), Scope.SUBTREE, (PEOPLE, ROLES)),
            ((NORTH, PEOPLE), Scope.SUBTREE, (PEOPLE,)),
            ((PEOPLE, NORTH), Scope.SUBTREE, (PEOPLE,)),
            ((PEOPLE, PEOPLE.upper()), Scope.SUBTREE, (PEOPLE,)),
            ((PEOPLE, NORTH), Scope.ONE_LEVEL, (PEOPLE, NORTH)),
            ((PEOPLE, "OU=People,  DC=example, DC=org"), Scope.ONE_LEVEL, (PEOPLE,)),
            (("ou=people", "cn=ou\\3dpeople"), Scope.SUBTREE, ("ou=people", "cn=ou\\3dpeople")),
        ],
    )
    def test_nobody_is_listed_twice(
        self, bases: tuple[str, ...], scope: Scope, expected: tuple[str, ...]
    ) -> None:
        """A base that another one covers is not searched again."""
        assert distinct_bases(bases, scope) == expected

    def test_a_base_that_is_no_dn_is_named(self) -> None:
        """The operator reads which of the bases is wrong and why."""
        with pytest.raises(UsageError, match="'people' is not a distinguished name"):
            distinct_bases((PEOPLE, "people"), Scope.SUBTREE)


class TestInScope:
    @pytest.mark.parametrize(
        ("name", "scope", "expected"),
        [
            (f"uid=anna,{PEOPLE}", Scope.SUBTREE, True),
            (f"uid=anna,{NORTH}", Scope.SUBTREE, True),
            (PEOPLE.upper(), Scope.SUBTREE, True),
            (f"uid=anna,{ROLES}", Scope.SUBTREE, False),
            (f"uid=anna,{PEOPLE}", Scope.ONE_LEVEL, True),
            (f"uid=anna\\,b, {PEOPLE}", Scope.ONE_LEVEL, True),
            (f"uid=anna,{NORTH}", Scope.ONE_LEVEL, False),
            (PEOPLE, Scope.ONE_LEVEL, False),
            ("dc=example,dc=org", Scope.SUBTREE, False),
            (PEOPLE, Scope.BASE, True),
            (NORTH, Scope.BASE, False),
        ],
    )
    def test_a_search_reaches_what_its_scope_says(
        self, name: str, scope: Scope, *, expected: bool
    ) -> None:
        """Base, one level and subtree are those of RFC 4511 section 4.5.1.2."""
        assert in_scope(name, PEOPLE, scope) is expected
