"""The reference of mapper types is complete, true, and what the documentation shows."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from syncd.mappers.catalog import CATALOG, render_catalog, render_reasons
from syncd.mappers.checks import contradictions
from syncd.mappers.options import OPTIONS, from_keys
from syncd.mappers.reasons import SENTENCES, Reason

ROOT = Path(__file__).parents[3]
# Set by the provider and not by whoever writes a mapper.
INTERNAL = {kind: {"uuid_attribute", "primary_group_by"} for kind in ("role", "group")}


def between(text: str, start: str, end: str) -> str:
    """Return what stands between two markers."""
    return text.partition(f"<!-- {start} -->\n\n")[2].partition(f"\n<!-- {end} -->")[0]


def test_the_documentation_shows_the_catalog() -> None:
    """docs/mappers.md has the rendered reference and reasons, word for word."""
    text = (ROOT / "docs" / "mappers.md").read_text(encoding="utf-8")
    assert between(text, "types: written by render_catalog()", "end of types") == render_catalog()
    assert (
        between(text, "reasons: written by render_reasons()", "end of reasons") == render_reasons()
    )


@pytest.mark.parametrize("type_", CATALOG)
def test_every_key_is_described(type_: str) -> None:
    """Each field of the options has its line, and nothing else has."""
    described = {option.name for option in CATALOG[type_].options}
    assert described == {each.name for each in fields(OPTIONS[type_])} - INTERNAL.get(type_, set())
    assert all(option.doc.endswith(".") for option in CATALOG[type_].options)


def test_every_type_is_in_the_catalog() -> None:
    """The catalog knows the types that there are, and can be written as JSON."""
    assert CATALOG.keys() == OPTIONS.keys()
    assert json.loads(json.dumps([each.to_json() for each in CATALOG.values()]))


@pytest.mark.parametrize("type_", CATALOG)
def test_examples_work(type_: str) -> None:
    """Each example is YAML that makes options without a contradiction."""
    example: Any = yaml.safe_load(CATALOG[type_].example)
    keys = example["mappers"][0] if "mappers" in example else example["ldap"]["import_roles"]
    assert keys.get("type", "role") == type_
    assert set(keys) - {"type"} <= {option.name for option in CATALOG[type_].options}
    assert contradictions(from_keys(type_, keys)) == []


def test_every_reason_has_a_sentence() -> None:
    """The list of reasons is closed, and each is explained in one sentence."""
    assert list(SENTENCES) == list(Reason)
    assert all(sentence.endswith(".") for sentence in SENTENCES.values())


def test_reasons_of_the_decoder_are_in_the_list() -> None:
    """The room that decodes entries uses words of the same list, or words that become others."""
    sources = (ROOT / "syncd" / "ldap").glob("*.py")
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    raised = set(re.findall(r'DecodeError\(\s*"(\w+)"', text))
    raised |= set(re.findall(r'^(?:NOT_TEXT|BAD_ID|BAD_TIME) = "(\w+)"', text, re.MULTILINE))
    # A bad time of a person counts as missing.
    assert raised - {"bad_time"} <= set(Reason)
    assert "not_text" in raised
