"""Which numbered rule is proven by which test: reads rules.yaml and the marks, writes the page.

The marks are read from the source, so nothing has to run and nothing is imported.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

TESTS = Path(__file__).parent
RULES = TESTS / "rules.yaml"
COMMAND = "scripts/render_docs.py conformance"
SERVERS = (
    "pure",
    "openldap",
    "samba",
    "389ds",
    "sqlite",
    "postgresql",
    "proxy",
    "embedded",
    "http",
    "oidc-provider",
    "glewlwyd",
    "bent",
    "chromium",
)
KEYS = {"text", "missing", "not_applicable"}
# How many rules a chapter has, all of which the page has to have; with K those of Keycloak's own
# tests that are about people, groups, roles, Active Directory and identity providers.
CHAPTERS = {
    "2.1": 5,
    "2.2": 7,
    "2.3": 4,
    "2.4": 4,
    "2.5": 5,
    "2.6": 11,
    "2.7": 1,
    "2.8": 7,
    "2.9": 3,
    "2.10": 6,
    "2.11": 2,
    "2.12": 6,
    "2.13": 4,
    "2.14": 2,
    "2.15": 5,
    "2.16": 3,
}
KEYCLOAK = (
    *range(1, 7),
    10,
    *range(12, 22),
    *range(23, 29),
    *range(30, 35),
    36,
    37,
    *range(41, 51),
)
# How many rules each chapter on providers and sign-in has, by the letters of their numbers.
PROVIDERS = {"I": 19, "J": 12, "KS": 10, "R": 7, "A": 4, "L": 12, "H": 18}

HEAD = f"""\
# Conformance

<!-- Made by `{COMMAND}` from tests/rules.yaml and the tests' marks; change those. -->

How directories behave, and what their administrators expect, as numbered rules; and for each of
them the tests that prove it. Numbers with a K are behaviours that administrators know from
Keycloak.

- **Proven** names the servers: `openldap` is a real slapd, `samba` a Samba as Active Directory,
  `389ds` a 389 Directory Server, `proxy` a server behind a proxy that breaks or limits answers,
  `embedded` the demo's directory, `sqlite` and `postgresql` real databases, `oidc-provider` and
  `glewlwyd` real identity providers, `http` the tests' own server of keys, `bent` their
  own provider with one fault at a time, `chromium` a browser on the pages; `pure` needs none.
- **In part** and **not yet** say what is missing, **not applicable** says why.

Tests are named from `tests/`; one runs with `make test ARGS="tests/NAME"`.
"""


class Mark(NamedTuple):
    """One claim of a test; one that names several servers makes a claim for each."""

    number: str
    server: str
    # As pytest names it, from the tests' folder.
    test: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One numbered rule."""

    number: str
    text: str
    missing: str | None = None
    not_applicable: str | None = None


class BadRules(Exception):
    """Rules or marks that cannot be true; the message says which."""


def chapters(path: Path = RULES) -> dict[str, list[Rule]]:
    """Return the rules by chapter, in the order of the page."""
    found: dict[str, list[Rule]] = {}
    numbers: set[str] = set()
    for chapter in yaml.safe_load(path.read_text(encoding="utf-8")):
        rules = []
        for number, keys in chapter["rules"].items():
            if number in numbers:
                raise BadRules(f"rule {number} stands twice in {path.name}")
            if not {"text"} <= keys.keys() <= KEYS or {"missing", "not_applicable"} <= keys.keys():
                raise BadRules(f"rule {number} needs a text, and at most one of the other keys")
            numbers.add(number)
            rules.append(Rule(number, **keys))
        found[chapter["chapter"]] = rules
    return found


def marks(folder: Path = TESTS) -> list[Mark]:
    """Return what all tests claim, in the order of files and lines."""
    found: list[Mark] = []
    for path in sorted(folder.rglob("test_*.py")):
        found += marks_of(path.read_text(encoding="utf-8"), path.relative_to(folder).as_posix())
    return found


def marks_of(source: str, name: str) -> list[Mark]:
    """Return what the tests of one module claim."""
    tree = ast.parse(source, name)
    found: list[Mark] = []
    counted: set[ast.Call] = set()
    for test, node in _tests(tree, ()):
        for decorator in node.decorator_list:
            for call in _rule_calls(decorator):
                counted.add(call)
                number, servers = _claim(call, name)
                found += [Mark(number, server, "::".join((name, *test))) for server in servers]
    for call in _rule_calls(tree):
        if call not in counted:
            raise BadRules(f"{name}:{call.lineno}: a rule's mark has to stand right above its test")
    return found


@cache
def known_tests(folder: Path = TESTS) -> set[str]:
    """Return the names of all tests, as pages name them: `path::name` and `path::Class::name`."""
    found: set[str] = set()
    for path in sorted(folder.rglob("test_*.py")):
        name = path.relative_to(folder.parent).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"), name)
        found |= {"::".join((name, *test)) for test, _ in _tests(tree, ())}
    return found


def numbers() -> list[str]:
    """Return the numbers of all rules that there are."""
    counted = [f"{chapter}.{n}" for chapter, last in CHAPTERS.items() for n in range(1, last + 1)]
    counted += [f"K{number}" for number in KEYCLOAK]
    return counted + [f"{mark}{n}" for mark, last in PROVIDERS.items() for n in range(1, last + 1)]


def gaps(rules: Sequence[Rule], claims: Sequence[Mark]) -> list[str]:
    """Return which rules are not listed, and which have neither a test nor a word about it."""
    listed = {rule.number for rule in rules}
    proven = {mark.number for mark in claims}
    unlisted = [
        f"rule {each} has no row in {RULES.name}" for each in numbers() if each not in listed
    ]
    return unlisted + [
        f"rule {rule.number} has neither a test with its mark, nor missing, nor not_applicable"
        for rule in rules
        if not (rule.number in proven or rule.missing or rule.not_applicable)
    ]


def faults(rules: Sequence[Rule], claims: Sequence[Mark]) -> list[str]:
    """Return what cannot be true of rules and marks together."""
    by_number = {rule.number: rule for rule in rules}
    found = []
    for mark in claims:
        rule = by_number.get(mark.number)
        if rule is None:
            found.append(f"{mark.test} proves rule {mark.number}, which tests/rules.yaml lacks")
        elif rule.not_applicable:
            found.append(f"{mark.test} proves rule {mark.number}, which is not applicable")
        if mark.server not in SERVERS:
            found.append(f"{mark.test} names the server {mark.server}; use {', '.join(SERVERS)}")
    return found


def render() -> str:
    """Return docs/conformance.md."""
    claims = marks()
    by_chapter = chapters()
    every = [rule for rules in by_chapter.values() for rule in rules]
    wrong = faults(every, claims)
    if wrong:
        raise BadRules("; ".join(wrong))
    by_number: dict[str, list[Mark]] = {}
    for mark in claims:
        by_number.setdefault(mark.number, []).append(mark)
    lines = [HEAD, *_summary(every, by_number)]
    for chapter, rules in by_chapter.items():
        lines += ["", f"## {chapter}"]
        for rule in rules:
            lines += ["", *_rule_lines(rule, by_number.get(rule.number, []))]
    return "\n".join(lines) + "\n"


def _summary(rules: Sequence[Rule], by_number: Mapping[str, Sequence[Mark]]) -> list[str]:
    counts: dict[str, int] = {}
    for rule in rules:
        state = _state(rule, by_number.get(rule.number, []))
        counts[state] = counts.get(state, 0) + 1
    names = ("proven", "in part", "not yet", "not applicable")
    return [f"{len(rules)} rules: " + ", ".join(f"{counts.get(n, 0)} {n}" for n in names) + "."]


def _state(rule: Rule, claims: Sequence[Mark]) -> str:
    if rule.not_applicable:
        return "not applicable"
    if not claims:
        return "not yet"
    return "in part" if rule.missing else "proven"


def _rule_lines(rule: Rule, claims: Sequence[Mark]) -> Iterator[str]:
    yield f"**{rule.number}** {rule.text}"
    yield ""
    state = _state(rule, claims)
    if state == "not applicable":
        yield f"- *Not applicable:* {rule.not_applicable}."
        return
    if state == "not yet":
        yield f"- *Not yet:* {rule.missing or 'no test bears this number'}."
        return
    servers = ", ".join(server for server in SERVERS if server in {m.server for m in claims})
    missing = f" Missing: {rule.missing}." if rule.missing else ""
    yield f"- *{state.capitalize()}* on {servers}.{missing}"
    tests: dict[str, None] = dict.fromkeys(mark.test for mark in claims)
    for test in tests:
        yield f"  - `{test}`"


def _tests(
    tree: ast.Module | ast.ClassDef, within: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], ast.FunctionDef | ast.ClassDef]]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            yield (*within, node.name), node
            yield from _tests(node, (*within, node.name))
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield (*within, node.name), node


def _rule_calls(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "rule"
            and isinstance(node.func.value, ast.Attribute)
            and node.func.value.attr == "mark"
        ):
            yield node


def _claim(call: ast.Call, name: str) -> tuple[str, list[str]]:
    values = [each.value for each in call.args if isinstance(each, ast.Constant)]
    servers = [
        each.value.value
        for each in call.keywords
        if each.arg == "server" and isinstance(each.value, ast.Constant)
    ]
    if len(values) != 1 or len(call.args) != 1 or len(servers) != 1 or len(call.keywords) != 1:
        raise BadRules(f'{name}:{call.lineno}: write rule("2.2.1", server="openldap")')
    named = str(servers[0]).split(" ")
    if len(set(named)) != len(named):
        raise BadRules(f"{name}:{call.lineno}: a rule's mark names a server twice")
    return str(values[0]), named
