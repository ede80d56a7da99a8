from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.settings.document import Document, displayed, dotted, parse_into, read_document

SCALARS = [
    ("text", "text"),
    ("yes", True),
    ("Off", False),
    ("~", None),
    ("", None),
    ("8480", 8480),
    ("-1", -1),
    ("1.5", 1.5),
    ("'no'", "no"),
    ('"0123"', "0123"),
    ("|\n  two\n  lines", "two\nlines"),
    ("10.0.0.1", "10.0.0.1"),
    ("y", "y"),
]


def parsed(text: str) -> Document:
    """Return what a text reads as."""
    document = Document("f.yaml", Path("/nowhere"))
    parse_into(document, text)
    return document


@pytest.mark.parametrize(("text", "value"), SCALARS)
def test_plain_scalars_are_read_as_yaml_1_1_reads_them(text: str, value: object) -> None:
    """Quoted scalars are text, the others what every YAML 1.1 reader takes them for."""
    assert parsed(f"key: {text}").tree == {"key": value}


@pytest.mark.parametrize(
    "text",
    ["0123", "0o17", "0x1f", "0b1", "12:30", "1_000", "2026-01-01", ".inf", "1e3", "9" * 20],
)
def test_scalars_that_readers_disagree_on_are_faults_that_do_not_repeat_them(text: str) -> None:
    """Octal, hexadecimal, times, dates and the like must be quoted or written plainly."""
    (fault,) = parsed(f"key: {text}").faults
    assert fault.key == "key"
    assert "put it in quotes" in fault.message
    assert text not in fault.message


def test_each_key_has_its_line() -> None:
    """Lines are those of the keys, in lists those of the items."""
    lines = parsed("a:\n  b: 1\nc:\n  - x\n  - y\n").lines
    assert {dotted(key): line for key, line in lines.items()} == {
        "": 1,
        "a": 1,
        "a.b": 2,
        "c": 3,
        "c[0]": 4,
        "c[1]": 5,
    }


def test_keys_are_always_text() -> None:
    """A key such as ``no`` or ``1`` is the text that was written."""
    assert parsed("{no: 1, 2: 3}").tree == {"no": 1, "2": 3}


def test_an_alias_is_a_copy() -> None:
    """An anchor may be used again below."""
    assert parsed("a: &x [1]\nb: *x").tree == {"a": [1], "b": [1]}


def test_a_file_that_multiplies_itself_is_stopped() -> None:
    """Nested aliases do not fill the memory."""
    lines = ["a0: &a0 [x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    assert "repeats itself" in parsed("\n".join(lines)).faults[0].message


@pytest.mark.parametrize("text", ["key: *hunter2", "key: !hunter2", "a: &hunter2 1\nb: &hunter2 2"])
def test_a_secret_that_looks_like_yaml_is_not_repeated(text: str) -> None:
    """An unquoted password that starts with a special character stays out of the message."""
    for fault in parsed(text).faults:
        assert "hunter2" not in str(fault)


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    """Files of Windows editors are read."""
    path = tmp_path / "f.yaml"
    path.write_bytes(b"\xef\xbb\xbfkey: 1\n")
    assert read_document(path).tree == {"key": 1}


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    """A configuration is small."""
    path = tmp_path / "f.yaml"
    path.write_text("# " + "x" * 1_048_576)
    assert "is larger than" in read_document(path).faults[0].message


def test_paths_below_the_working_directory_are_shown_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages name files as one would type them."""
    monkeypatch.chdir(tmp_path)
    assert displayed(tmp_path / "a" / "b.yaml") == "a/b.yaml"
    assert displayed(Path("a/../c.yaml")) == "c.yaml"
    assert displayed(Path("/etc/x")) == "/etc/x"


@given(st.text(max_size=80))
def test_no_text_breaks_the_reader(text: str) -> None:
    """Whatever a file holds, it is a tree or a fault."""
    document = parsed(text)
    assert document.faults or isinstance(document.tree, dict)


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text("abc: #'", max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc", min_size=1, max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text("xyz", min_size=1, max_size=4), VALUES, max_size=4))
def test_what_json_says_is_what_is_read(tree: dict[str, Any]) -> None:
    """A tree written as JSON, which is YAML, comes back unchanged."""
    import json  # noqa: PLC0415 - only this test writes

    assert parsed(json.dumps(tree)).tree == tree
