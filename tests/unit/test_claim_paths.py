"""Paths, patterns and templates, as configuration writes them."""

from __future__ import annotations

import pytest
import regex

from syncd.claim_paths import Variable, check_pattern, parse_path, parse_template


@pytest.mark.rule("K50", server="pure")
@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("groups", ("groups",)),
        ("a.b", ("a", "b")),
        (r"a\.b", ("a.b",)),
        (r"https://example\.org/roles", ("https://example.org/roles",)),
        ("realm_access.roles", ("realm_access", "roles")),
        ("emails[0]", ("emails", 0)),
        ("a[2][0].b", ("a", 2, 0, "b")),
        (r"a\[0\]", ("a[0]",)),
        (r"a\\b", (r"a\b",)),
        ("user name", ("user name",)),
        ("urn:x:y", ("urn:x:y",)),
    ],
)
def test_a_path_goes_inwards(text: str, path: tuple[str | int, ...]) -> None:
    """Dots part names, brackets hold indexes, and a backslash makes either part of a name."""
    assert parse_path(text) == path


@pytest.mark.parametrize(
    "text",
    ["", ".", "a.", ".a", "a..b", "a[x]", "a[-1]", "a[0", "a[0]b", "[0]", "a\\", r"\d", " a"],
)
def test_what_is_no_path_is_refused(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError, match=r"must have a name|at character"):
        parse_path(text)


def test_a_path_has_an_end() -> None:
    """A text that nobody writes as a path is refused before it is read."""
    with pytest.raises(ValueError, match="at most 512 characters"):
        parse_path("a." * 300)


@pytest.mark.parametrize(
    "pattern",
    [
        "a{2}",
        "a{,3}",
        "a{1,}",
        r"a\{e}",
        "[{]",
        "(?i)x",
        r"\N{DIGIT ONE}{2}",
        "[]{]",
        "[^]{]",
        "a|b",
    ],
)
def test_patterns_that_both_engines_read_alike_are_taken(pattern: str) -> None:
    """What counts or is escaped stays what it is."""
    check_pattern(pattern)
    regex.compile(pattern)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(", "at character 1: missing )"),
        ("a{e}", r"at character 2: a { that counts nothing is written \{"),
        ("(?:a){i<=3}", "at character 6: "),
        ("[[:alpha:]]", "must not have [["),
        ("[a[:digit:]]", r"at character 3: a [ in a set is written \["),
        ("[a-z--[b]]", "must not have [["),
        (r"\p{L}", "at character 1: bad escape"),
        ("(?R)", "at character 2: unknown extension"),
        ("(?|a|b)", "at character 2: unknown extension"),
        ("a" * 1025, "must have at most 1024 characters"),
        ("(*FAIL)", "at character 2: nothing to repeat"),
    ],
)
def test_patterns_that_one_engine_reads_otherwise_are_refused(pattern: str, reason: str) -> None:
    """A sign that means something in one of them only would match what nobody meant."""
    with pytest.raises(ValueError) as caught:
        check_pattern(pattern)
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("${SUB}", (Variable("sub", text="${SUB}"),)),
        (
            "${ALIAS}.${CLAIM.preferred_username}",
            (
                Variable("alias", text="${ALIAS}"),
                ".",
                Variable("claim", ("preferred_username",), "${CLAIM.preferred_username}"),
            ),
        ),
        (
            "x-${CLAIM.a.b[0] | localpart | LOWERCASE}",
            (
                "x-",
                Variable(
                    "claim",
                    ("a", "b", 0),
                    "${CLAIM.a.b[0] | localpart | LOWERCASE}",
                    ("local_part", "lower"),
                ),
            ),
        ),
        (
            r"${CLAIM.a\.b\}\|c}$",
            (Variable("claim", ("a.b}|c",), r"${CLAIM.a\.b\}\|c}"), "$"),
        ),
    ],
)
def test_a_template_has_texts_and_variables(text: str, parts: tuple[str | Variable, ...]) -> None:
    """Names of the closest peer are taken as well, in any letter case."""
    assert parse_template(text) == parts


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("anna", "must have something of the token in it"),
        ("${ALIAS}", "must have something of the token in it"),
        ("${CLAIM.a", "has a ${ that is not closed by }"),
        ("${UUID}", "has ${UUID}; known are"),
        ("${CLAIM.}", "has ${CLAIM.}; known are"),
        ("${CLAIM.a..b}", "has ${CLAIM.a..b}, and the path in it must have a name"),
        ("${SUB | rot13}", 'has "rot13" behind a |'),
        ("${SUB |}", 'has "" behind a |'),
        ("${SUB}" * 200, "must have at most 1024 characters"),
    ],
)
def test_a_template_that_names_nobody_or_cannot_be_filled_is_refused(
    text: str, reason: str
) -> None:
    """The reason says which part it is."""
    with pytest.raises(ValueError) as caught:
        parse_template(text)
    assert str(caught.value).startswith(reason)
