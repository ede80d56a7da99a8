"""How words become calls of the application."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING

import pytest

from tests.unit.cli import recorded

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.conftest import Call


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["check"], ("check", (), {"connect": False})),
        (["check", "--connect"], ("check", (), {"connect": True})),
        (["plan", "acme"], ("plan", ("acme",), {"limit": 1000})),
        (["plan", "acme", "--json"], ("plan", ("acme",), {"limit": None})),
        (["sync", "acme"], ("sync", ("acme",), {"user": None})),
        (["sync", "acme", "--user", "x"], ("sync", ("acme",), {"user": "x"})),
        (["approve", "r-1"], ("approve", ("r-1",), {})),
        (["pause", "acme", "--reason", "why"], ("pause", ("acme", "why"), {})),
        (["pause", "acme"], ("pause", ("acme", None), {})),
        (["resume", "acme"], ("resume", ("acme",), {})),
        (["status"], ("status", (None,), {})),
        (["status", "acme"], ("status", ("acme",), {})),
        (["users", "acme"], ("users", ("acme",), {})),
        (["roles", "acme"], ("roles", ("acme",), {})),
        (["groups", "acme"], ("groups", ("acme",), {})),
        (["runs", "acme"], ("runs", ("acme",), {})),
        (["runs", "show", "r-1"], ("run", ("r-1",), {})),
        (["runs", "--json", "show", "r-1"], ("run", ("r-1",), {})),
        (["runs", "--config", "x.yaml", "show", "r-1"], ("run", ("r-1",), {})),
        (["show", "acme", "ada"], ("show", ("acme", "ada"), {})),
        (
            ["explain", "acme", "ada"],
            ("explain", ("acme", "ada"), {"role": None, "group": None, "stored": False}),
        ),
        (
            ["explain", "acme", "ada", "--role", "Engineers", "--group", "/Staff", "--stored"],
            ("explain", ("acme", "ada"), {"role": "Engineers", "group": "/Staff", "stored": True}),
        ),
        (["quarantine", "acme"], ("quarantine", ("acme",), {})),
        (["config", "show"], ("config_show", (), {})),
        (["config", "schema"], ("config_schema", (), {})),
        (["mappers"], ("mappers", (), {})),
        (["mappers", "try", "acme", "--user", "x"], ("try_mappers", ("acme", "x"), {})),
        (
            ["idp", "discover", "https://login.example.org", "--network", "10.0.0.0/8"],
            (
                "idp_discover",
                ("https://login.example.org",),
                {"networks": ["10.0.0.0/8"], "certificates": [], "proxy": None},
            ),
        ),
        (["db", "upgrade"], ("db_upgrade", (), {})),
        (["db", "prune"], ("db_prune", (), {})),
        (["show", "acme", "--", "-ada"], ("show", ("acme", "-ada"), {})),
        (["show", "acme", "müller"], ("show", ("acme", "müller"), {})),
    ],
)
def test_words_become_a_call(
    words: list[str], asked: tuple[str, object, object], call: Call
) -> None:
    """Each command asks the application one question, with its arguments."""
    result = call(*words)
    assert result.app.calls[-1] == asked
    assert result.app.closed == (result.app.calls[0][0] == "load")


@pytest.mark.parametrize(
    "words",
    [
        ["--config", "other.yaml", "--json", "users", "acme"],
        ["users", "acme", "--json", "--config", "other.yaml"],
        ["users", "--json", "--config=other.yaml", "acme"],
        ["--json", "users", "--config", "other.yaml", "acme"],
    ],
)
def test_global_options_stand_before_and_behind_the_command(words: list[str], call: Call) -> None:
    """--config and --json mean the same wherever they stand."""
    result = call(*words)
    assert result.app.calls[0] == ("load", ("other.yaml",), {"log_searches": False})
    assert json.loads(result.out) == recorded.USERS


@pytest.mark.rule("K12", server="pure")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["plann", "acme"], "There is no command 'plann'. Did you mean 'plan'"),
        (["plan"], "Missing argument 'ORG'. See 'syncd plan --help'."),
        (["plan", "acme", "extra"], "unexpected extra argument"),
        (["plan", "acme", "--nope"], "No such option: --nope"),
        (["sync", "acme", "--everything"], "No such option: --everything"),
        (["config"], "'config' takes one of: show, schema."),
        (["db", "downgrade"], "'db' takes one of: upgrade, prune."),
        (["runs", "show"], "Missing argument 'RUN'"),
        (["mappers", "try", "acme"], "give --user NAME for a directory, or --claims FILE"),
        (["mappers", "try", "acme", "--user", "x", "--claims", "y"], "or --claims FILE"),
        (["mappers", "try", "acme", "--claims", "/nowhere/claims.json"], "cannot be read"),
        (["idp", "discover", "https://x.test", "--certificate", "/nowhere.pem"], "cannot be read"),
        (["idp", "discover", "https://x.test", "--proxy-file", "/nowhere"], "cannot be read"),
        (["idp"], "'idp' takes one of: discover."),
        (["sessions", "end", "acme"], "name one session, or a person with --user"),
        (["sessions", "end", "acme", "7", "--user", "x"], "name one session, or a person"),
        (["sessions", "end", "acme", "x"], "x is no session's id; `syncd sessions acme` shows"),
    ],
)
def test_a_wrong_call_is_told_in_one_sentence(words: list[str], message: str, call: Call) -> None:
    """A usage error exits 2, says what is wrong and prints nothing on standard output."""
    result = call(*words)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("syncd: ")
    assert message in result.err
    assert result.err.count("\n") == 1
    assert result.app.calls == []


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["token", "verify", "acme"], {"kind": "id", "nonce": None}),
        (
            ["token", "verify", "acme", "--kind", "access", "--nonce", "n"],
            {"kind": "access", "nonce": "n"},
        ),
    ],
)
def test_a_token_comes_from_standard_input(
    words: list[str], asked: object, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands there is asked about without the white space around it."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b" a.b.c\n\n")))
    assert call(*words).app.calls[-1] == ("verify_token", ("acme", "a.b.c"), asked)


def test_claims_come_from_a_file_or_from_standard_input(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The file's bytes are asked about as they are."""
    (tmp_path / "claims.json").write_bytes(b'{"sub": "x"}')
    for name in (str(tmp_path / "claims.json"), "-"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"sub": "x"}')))
        result = call("mappers", "try", "acme", "--claims", name)
        assert result.app.calls[-1] == ("try_claims", ("acme", b'{"sub": "x"}'), {})


def test_a_token_is_not_typed_on_a_terminal(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal would show and keep it, so it is to be piped."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    result = call("token", "verify", "acme")
    assert (result.code, result.app.calls) == (2, [])
    assert "syncd token verify acme < token.txt" in result.err


def test_a_wrong_call_with_json_is_a_document(call: Call) -> None:
    """With --json a usage error is a document, too."""
    result = call("plan", "--json")
    assert result.code == 2
    error = json.loads(result.out)["error"]
    assert error["code"] == "usage"
    assert error["retryable"] is False


def test_json_behind_two_dashes_is_a_word(call: Call) -> None:
    """What stands behind ``--`` is an argument, not an option."""
    result = call("show", "acme", "--", "--json")
    assert result.app.calls[-1] == ("show", ("acme", "--json"), {})
    assert result.out.startswith("grace.hopper")


@pytest.mark.parametrize("word", ["-v", "-vv", "--debug"])
def test_verbose_logs_each_search(word: str, call: Call) -> None:
    """-v asks for the commands that repeat each search."""
    assert call("users", "acme", word).app.calls[0] == ("load", (None,), {"log_searches": True})


@pytest.mark.parametrize("words", [["mappers"], ["config", "schema"], ["idp", "discover", "x"]])
def test_what_the_program_knows_needs_no_configuration(words: list[str], call: Call) -> None:
    """Mapper types, schema and a provider's metadata are printed without any file being read."""
    assert [name for name, _, _ in call(*words).app.calls] == ["_".join(words[:2])]
