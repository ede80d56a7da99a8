"""Name patterns and paths of groups: what is taken, what it gives, and what is refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.naming import WAYS, compile_pattern, fixed_name, group_names, joined_path, path_names


@pytest.mark.parametrize(
    ("match", "role", "name", "expected"),
    [
        ("^app-(.+)$", r"\1", "app-Billing", "Billing"),
        ("app-(.+)", r"\1", "APP-billing", "billing"),
        ("app-(.+)", r"\1", "my-app-billing", None),
        ("app", "App", "app ", None),
        ("(.+)-(.+)-(.+)", r"\3 of \1", "a-b-c", "c of a"),
        ("(?P<kind>gg|ug)_(?:de_)?(?P<rest>.+)", r"\g<rest> (\g<kind>)", "ug_de_x", "x (ug)"),
        ("a(b)?c", r"x\1y", "ac", "xy"),
        ("(.+)/([0-9]{4})", r"\2: \1", "Team 2016/2017", "2017: Team 2016"),
        ("[a-c]{2,3}[]x]", "x", "abc]", "x"),
        ("ž.*?", " y ", "Žluť", "y"),
        (r"a\\b", r"c\\d", r"a\b", r"c\d"),
        ("x{y}", "z", "x{y}", "z"),
    ],
)
def test_what_a_pattern_makes_of_a_name(
    match: str, role: str, name: str, expected: str | None
) -> None:
    """The whole name has to match, letter case aside; groups stand in the role's name."""
    assert compile_pattern(match, role)(name) == expected


@pytest.mark.parametrize(
    ("match", "fault"),
    [
        ("app-(", "at character 5: missing )"),
        ("*a", "at character 1: nothing to repeat"),
        ("a" * 256, "at most 255 characters"),
        ("(a+)+", "at character 5: this could be matched in too many ways"),
        ("(.*)*", "at character 5: this"),
        ("(a|a)*b", "at character 6: this"),
        ("((a?){9}){9}", "at character 10: this"),
        ("a?" * 25 + "a" * 25, "this could be matched in too many ways"),
        ("(a|b|ab)" * 20, "this could be matched in too many ways"),
        (".+-.+-.+-.+", "at character 11: this"),
        ("[ab]{1,}[ab]{1,}[ab]{1,}[ab]{1,}", "this could be matched in too many ways"),
        (r"(a)\1", "at character 4: a reference back"),
        ("(?=a)a", "at character 1: only"),
        ("(?i)a", "at character 1: only"),
        ("(?>a+)", "at character 1: only"),
        ("a++", "at character 2: a possessive repetition"),
        ("x{99999999999}", "must be a regular expression"),
    ],
)
def test_patterns_that_are_refused(match: str, fault: str) -> None:
    """What is no expression, or could take ever longer on longer names, is said with its place."""
    with pytest.raises(ValueError, match=re.escape(fault)):
        compile_pattern(match, "x")


@pytest.mark.parametrize(
    ("role", "fault"),
    [
        (r"\2", r"at character 1: \2 is no group of match"),
        (r"a\g<x>", r"at character 2: \g<x> is no group of match"),
        (r"a\n", r"at character 2: \ must be followed by"),
        ("a\\", r"at character 2: \ must be followed by"),
        (r"\0", r"at character 1: \ must be followed by"),
    ],
)
def test_roles_that_name_nothing_are_refused(role: str, fault: str) -> None:
    """A reference to a group that the pattern does not have is said with its place."""
    with pytest.raises(ValueError, match=re.escape(fault)):
        compile_pattern("(a)", role)


@pytest.mark.parametrize(
    "match", ["(.+)-(.+)-(.+)", "a?" * 20, "([a-z]+)[0-9]{1,4}", "(ab){1,300}", "(.+)(x|y|z)?(.*)"]
)
def test_patterns_that_are_taken_end_soon(match: str) -> None:
    """The costliest that are taken still end on names made to keep them busy."""
    rename = compile_pattern(match, "x")
    for name in ("a" * 255 + "!", "a-" * 127 + "\n", "ab" * 127 + "!"):
        assert rename(name) in {None, "x"}


def test_the_name_that_does_not_depend_on_the_match() -> None:
    """A role that names no group is always the same."""
    assert fixed_name("a.*", "Owner") == "Owner"
    assert fixed_name("(a).*", r"Owner \1") is None


@given(
    st.lists(
        st.sampled_from(["a", "b", "-", ".", "[ab]", "(a)", "(?:a|b)", "(b?)"]).flatmap(
            lambda atom: st.sampled_from(["", "?", "*", "+", "{2}", "{1,3}", "*?"]).map(
                lambda times: atom + times
            )
        ),
        max_size=8,
    ).map("".join),
    st.text("ab-", max_size=12),
)
def test_a_pattern_that_is_taken_means_what_python_says(match: str, name: str) -> None:
    """The bounded part of the language is Python's own."""
    try:
        rename = compile_pattern(match, "x")
    except ValueError as error:
        assert "too many ways" in str(error)  # noqa: PT017 - a refusal is one of two outcomes
        return
    assert (rename(name) == "x") == (re.fullmatch(match, name, re.IGNORECASE) is not None)


def test_three_open_repetitions_are_the_most() -> None:
    """The bound lets names in three parts be taken apart, which is what it is for."""
    assert WAYS >= 255**3
    assert WAYS < 255**4


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/", ()),
        ("/Directory", ("Directory",)),
        ("/Directory/Staff", ("Directory", "Staff")),
        (r"/Team 2016\/2017/x", ("Team 2016/2017", "x")),
        (r"/a\\b", (r"a\b",)),
        (r"/\/", ("/",)),
    ],
)
def test_the_names_in_a_path(path: str, names: tuple[str, ...]) -> None:
    """A slash parts names unless a backslash says that it belongs to one."""
    assert path_names(path) == names
    assert joined_path(names) == path


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("", "must start with /"),
        ("Directory", "must start with /"),
        ("//a", "must have a name between two slashes"),
        ("/a/", "none at the end"),
        ("/ a", "without spaces around it"),
        ("/a\\", "must not end with a single"),
        ("/" + "a" * 256, "at most 255 characters"),
        ("/a\nb", "no control or invisible characters"),
    ],
)
def test_paths_that_are_refused(path: str, fault: str) -> None:
    """What is no path is refused with the reason."""
    with pytest.raises(ValueError, match=fault):
        path_names(path)


@given(st.lists(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1), max_size=4))
def test_a_path_of_any_names_gives_them_back(names: list[str]) -> None:
    """Whatever signs a name has, its path says them."""
    assert path_names(joined_path(tuple(names))) == tuple(names)


@pytest.mark.parametrize(
    ("group", "names"),
    [("Everybody", ("Everybody",)), ("a/b", ("a/b",)), ("/a/b", ("a", "b")), ("a\\", ("a\\",))],
)
def test_a_group_is_a_name_or_a_path(group: str, names: tuple[str, ...]) -> None:
    """Only a slash in front makes it a path."""
    assert group_names(group) == names
