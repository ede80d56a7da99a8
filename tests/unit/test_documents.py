"""The pages of docs/ say what is so: rules, tests that they name, links, commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from syncd.cli.catalog import COMMANDS
from syncd.settings import DEFAULT_LIMITS
from tests import conformance
from tests.conformance import BadRules, Mark, Rule, faults, gaps, known_tests, marks_of

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
TEST_NAME = re.compile(r"tests/[\w/]+\.py(?:::\w+)+")
LINK = re.compile(r"\]\((?!https?://)([^)#\s]+)(?:#[^)]*)?\)")
LIMIT = re.compile(r"^\| `(\w+)` \| (\d+|none) \| (\d+|none) \|", re.MULTILINE)
# A command as pages name it: in code, up to its first argument.
COMMAND = re.compile(r"`syncd ([a-z]+(?:-[a-z]+)*(?: [a-z]+(?:-[a-z]+)*)?)")
# Commands that pages may speak of although they are not built: messages and keys name them.
PROMISED = {"run"}


@pytest.fixture(params=PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def page(request: pytest.FixtureRequest) -> Path:
    """Each page in turn."""
    found: Path = request.param
    return found


def test_the_page_of_rules_is_up_to_date() -> None:
    """docs/conformance.md is what its script would write."""
    there = (ROOT / "docs/conformance.md").read_text(encoding="utf-8")
    assert there == conformance.render(), f"run .venv/bin/python {conformance.COMMAND}"


def test_no_mark_claims_what_cannot_be() -> None:
    """Every mark names a rule that is listed and applies, and a server that is known."""
    rules = [rule for chapter in conformance.chapters().values() for rule in chapter]
    assert faults(rules, conformance.marks()) == []


def test_every_rule_has_a_row_and_a_proof_or_a_word_why_not() -> None:
    """No rule is left out of the page, and none stands there without a test or what is missing."""
    rules = [rule for chapter in conformance.chapters().values() for rule in chapter]
    assert gaps(rules, conformance.marks()) == []


def test_gaps_are_named() -> None:
    """A rule that is not listed and one that nothing proves or excuses are told by number."""
    rules = [Rule(number, "text", missing="all") for number in conformance.numbers()]
    assert gaps(rules, []) == []
    first, second, third, *_ = rules
    unproven = [Rule(third.number, "text") if rule is third else rule for rule in rules]
    found = gaps([rule for rule in unproven if rule is not second], [])
    assert [fault.split()[:4] for fault in found] == [
        ["rule", second.number, "has", "no"],
        ["rule", third.number, "has", "neither"],
    ]
    assert gaps(unproven, [Mark(third.number, "pure", "a::test")]) == []
    assert first.number == "2.1.1"


def test_wrong_marks_are_named() -> None:
    """An unknown rule, one that does not apply and an unknown server are told with their test."""
    rules = [Rule("1.1", "text"), Rule("K2", "text", not_applicable="because")]
    claims = [
        Mark("1.1", "openldap", "a::test"),
        Mark("9.9", "pure", "b::test"),
        Mark("K2", "pure", "c::test"),
        Mark("1.1", "moon", "d::test"),
    ]
    found = faults(rules, claims)
    assert [fault.split()[0] for fault in found] == ["b::test", "c::test", "d::test"]


def test_marks_are_found_on_functions_classes_and_parameters() -> None:
    """A mark counts for the test or class that it decorates, also within a table of cases."""
    source = """
import pytest

@pytest.mark.rule("1.1", server="pure")
@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.rule("1.2", server="proxy"))])
def test_one(x): ...

@pytest.mark.rule("1.3", server="pure")
class TestTwo:
    @pytest.mark.rule("1.4", server="sqlite postgresql")
    def test_three(self): ...
"""
    assert marks_of(source, "unit/test_x.py") == [
        Mark("1.1", "pure", "unit/test_x.py::test_one"),
        Mark("1.2", "proxy", "unit/test_x.py::test_one"),
        Mark("1.3", "pure", "unit/test_x.py::TestTwo"),
        Mark("1.4", "sqlite", "unit/test_x.py::TestTwo::test_three"),
        Mark("1.4", "postgresql", "unit/test_x.py::TestTwo::test_three"),
    ]


@pytest.mark.parametrize(
    "source",
    [
        'MARK = pytest.mark.rule("1.1", server="pure")',
        '@pytest.mark.rule("1.1")\ndef test_a(): ...',
        '@pytest.mark.rule("1.1", "1.2", server="pure")\ndef test_a(): ...',
        '@pytest.mark.rule(NUMBER, server="pure")\ndef test_a(): ...',
        '@pytest.mark.rule("1.1", server=("pure", "sqlite"))\ndef test_a(): ...',
        '@pytest.mark.rule("1.1", server="pure pure")\ndef test_a(): ...',
    ],
)
def test_marks_that_could_not_be_counted_are_refused(source: str) -> None:
    """A mark without a server, with several rules or away from its test is an error."""
    with pytest.raises(BadRules, match=r"test_x\.py:1"):
        marks_of(source, "test_x.py")


def test_named_tests_exist(page: Path) -> None:
    """A test that a page gives as proof is there."""
    named = set(TEST_NAME.findall(page.read_text(encoding="utf-8")))
    assert sorted(named - known_tests()) == []


def test_links_lead_somewhere(page: Path) -> None:
    """A link to a file of the project finds it."""
    targets = LINK.findall(page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_named_commands_exist(page: Path) -> None:
    """A command that a page tells somebody to type is one that the program has."""
    known = {*COMMANDS, *PROMISED}
    families = {path.split()[0] for path in COMMANDS}
    unknown = []
    for words in COMMAND.findall(page.read_text(encoding="utf-8")):
        first = words.split()[0]
        if words not in known | families and first not in known:
            unknown.append(words)
    assert unknown == []


def test_the_limits_are_those_of_the_code() -> None:
    """The table of limits for operators has every kind with its default."""
    page = (ROOT / "docs/safety.md").read_text(encoding="utf-8")
    told = {kind: (percent, count) for kind, percent, count in LIMIT.findall(page)}
    assert told == {
        kind: tuple("none" if value is None else str(value) for value in limit)
        for kind, limit in DEFAULT_LIMITS.items()
    }
