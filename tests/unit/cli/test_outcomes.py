"""Exit codes, errors and the discipline of ``--json``."""

from __future__ import annotations

import io
import itertools
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from syncd.cli import exits, main
from syncd.errors import (
    BindRejected,
    ConfigurationError,
    DirectoryUnavailable,
    Fault,
    Interrupted,
    LeaseHeld,
    NotFound,
    OrganizationPaused,
    StoreUnavailable,
    SyncdError,
)
from tests.unit.cli import recorded

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Call

ALL = [
    ("check",),
    ("plan", "acme"),
    ("sync", "acme"),
    ("approve", "r-1"),
    ("pause", "acme"),
    ("resume", "acme"),
    ("status",),
    ("users", "acme"),
    ("roles", "acme"),
    ("runs", "acme"),
    ("runs", "show", "r-1"),
    ("show", "acme", "ada"),
    ("explain", "acme", "ada"),
    ("quarantine", "acme"),
    ("config", "show"),
    ("config", "schema"),
    ("mappers",),
    ("mappers", "try", "acme", "--user", "x"),
    ("idp", "discover", "https://login.example.org"),
    ("db", "upgrade"),
    ("db", "prune"),
]
METHODS = {
    ("runs", "show", "r-1"): "run",
    ("config", "show"): "config_show",
    ("config", "schema"): "config_schema",
    ("mappers", "try", "acme", "--user", "x"): "try_mappers",
    ("idp", "discover", "https://login.example.org"): "idp_discover",
    ("db", "upgrade"): "db_upgrade",
    ("db", "prune"): "db_prune",
}


def method(words: tuple[str, ...]) -> str:
    """Return the application's method behind a command."""
    return METHODS.get(words, words[0])


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_json_is_one_document_and_nothing_else(words: tuple[str, ...], call: Call) -> None:
    """With --json standard output is the application's report and standard error is empty."""
    result = call(*words, "--json")
    assert json.loads(result.out) == recorded.ANSWERS[method(words)]
    assert result.err == ""


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_the_report_is_the_same_exit_code_with_and_without_json(
    words: tuple[str, ...], call: Call
) -> None:
    """--json changes what is printed, never the exit code."""
    assert call(*words).code == call(*words, "--json").code


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_a_pipe_gets_no_escape_sequence(words: tuple[str, ...], call: Call) -> None:
    """What is written to a pipe is plain text that ends with a line end."""
    result = call(*words)
    assert "\x1b" not in result.out
    assert result.out.endswith("\n")


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (recorded.DONE, 5),
        (recorded.NOTHING, 0),
        (recorded.TRUNCATED, 4),
        (recorded.BLOCKED, 3),
        (recorded.FAILED, 4),
        (recorded.INTERRUPTED, 130),
    ],
    ids=lambda value: value["run"] if isinstance(value, dict) else str(value),
)
@pytest.mark.parametrize("json_words", [(), ("--json",)])
def test_a_sync_exits_with_its_reports_code(
    report: Any, code: int, json_words: tuple[str, ...], call: Call
) -> None:
    """A sync's exit code is that of its report."""
    assert call("sync", "acme", *json_words, sync=report).code == code
    assert call("approve", "r-1", *json_words, approve=report).code == code


@pytest.mark.parametrize(
    ("report", "code"), [(recorded.PLANNED, 1), (recorded.IN_STEP, 0), (recorded.BLOCKED, 3)]
)
def test_a_plan_exits_with_its_reports_code(report: Any, code: int, call: Call) -> None:
    """A plan exits 1 with changes, 0 without, 3 when blocked."""
    assert call("plan", "acme", plan=report).code == code


def test_looking_at_a_blocked_run_is_fine(call: Call) -> None:
    """Listing what went wrong earlier exits 0."""
    assert call("runs", "show", "r-1", run=recorded.BLOCKED).code == 0
    assert call("status").code == 0
    assert call("quarantine", "acme").code == 0


@pytest.mark.parametrize(("known", "code"), [(True, 0), (False, 7)])
def test_explaining_somebody_whom_nobody_knows_exits_7(
    known: object, code: int, call: Call
) -> None:
    """A reason is an answer; 7 is for a name that neither store nor directory has."""
    assert call("explain", "acme", "x", explain={**recorded.ABSENT, "known": known}).code == code


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (recorded.CHECKED, 0),
        (recorded.CHECK_FAILED, 4),
        ({"ok": False, "organizations": [{"id": "acme", "faults": ["wrong"]}]}, 2),
        ({"ok": False, "organizations": [{"id": "a", "connect": {"error": "no answer"}}]}, 4),
        (
            {
                "ok": False,
                "organizations": [
                    {"id": "a", "connect": {"error": {"code": "bind_rejected", "message": "no"}}}
                ],
            },
            2,
        ),
        (
            {
                "ok": False,
                "organizations": [
                    recorded.CHECK_FAILED["organizations"][0],
                    {"id": "b", "faults": ["wrong"]},
                ],
            },
            2,
        ),
    ],
)
def test_check_exits_with_the_largest_problem(report: Any, code: int, call: Call) -> None:
    """A fault is 2, a directory that does not answer 4, and 1 is never returned."""
    assert call("check", check=report).code == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 0),
        ({"then": None}, 0),
        ({"then": {"would": "unknown", "reason": "store_unavailable"}}, 0),
        ({"then": {"would": "refuse", "reason": "excluded"}}, 1),
        ({"then": {"would": "keep", "enabled": False}}, 1),
        ({"outcome": "refused", "reason": "expired", "then": None}, 1),
        ({"outcome": "refused", "reason": "keys_unavailable", "then": None}, 4),
    ],
    ids=["right", "logout", "no store", "person", "shut out", "token", "keys"],
)
def test_a_verified_token_exits_with_what_became_of_it(
    changes: dict[str, Any], code: int, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token or person that would be refused is 1, and 4 is that nobody can tell."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a.b.c")))
    report = {**recorded.VERIFIED, **changes}
    assert call("token", "verify", "acme", verify_token=report).code == code


def test_the_largest_problem_comes_first() -> None:
    """Of several exit codes the contract's order picks one."""
    order = [70, 130, 2, 4, 3, 6, 5, 7, 1, 0]
    for first, second in itertools.combinations(order, 2):
        assert exits.largest([second, first]) == first
    assert exits.largest([]) == 0


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFound("there is no organization nope; see syncd status"), 7),
        (DirectoryUnavailable("ldap.example.org:636 refused the connection; is it up?"), 4),
        (BindRejected("the directory refused the password of cn=reader; check it"), 2),
        (StoreUnavailable("the store is locked; try again"), 4),
        (LeaseHeld("run r-000016 holds acme; wait for it"), 6),
        (OrganizationPaused("acme is paused; start it with syncd resume acme"), 3),
        (Interrupted("interrupted; nothing is lost"), 130),
        (SyncdError("something of ours"), 70),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_an_error_is_one_sentence(
    words: tuple[str, ...], error: SyncdError, code: int, call: Call
) -> None:
    """Each command tells an error on standard error and exits with the error's own code."""
    result = call(*words, **{method(words): error})
    assert (result.code, result.out) == (code, "")
    assert result.err == f"syncd: {error}.\n" if str(error)[-1] not in "?." else True
    assert result.err.startswith("syncd: ")
    assert "Traceback" not in result.err


def test_an_error_with_json_is_a_document(call: Call) -> None:
    """With --json an error has code, message and whether a retry can help."""
    result = call("sync", "acme", "--json", sync=LeaseHeld("run r-1 holds acme; wait for it"))
    assert result.code == 6
    assert json.loads(result.out) == {
        "error": {
            "code": "lease_held",
            "message": "run r-1 holds acme; wait for it",
            "retryable": True,
        }
    }
    assert result.err == "syncd: run r-1 holds acme; wait for it.\n"


def test_an_error_with_a_report_prints_both(call: Call) -> None:
    """A report that an error carries is printed, with the error in it."""
    error = Interrupted("interrupted; the next sync does the rest")
    error.report = recorded.INTERRUPTED
    result = call("sync", "acme", "--json", sync=error)
    assert result.code == 130
    document = json.loads(result.out)
    assert document["run"] == recorded.INTERRUPTED["run"]
    assert document["error"]["code"] == "interrupted"


def test_all_faults_of_the_configuration_are_listed(call: Call) -> None:
    """Each fault stands on a line of its own, and in the document as a value."""
    faults = [
        Fault("syncd.yaml", 3, "store.url", "is no URL"),
        Fault("acme.yaml", None, "ldap.users_dn", "is missing"),
    ]
    result = call("check", "--json", check=ConfigurationError(faults))
    assert result.code == 2
    assert result.err.splitlines() == [
        "syncd: the configuration has 2 faults:",
        "  syncd.yaml:3: store.url: is no URL",
        "  acme.yaml: ldap.users_dn: is missing",
    ]
    assert json.loads(result.out)["error"]["faults"] == [
        {"file": "syncd.yaml", "line": 3, "key": "store.url", "message": "is no URL"},
        {"file": "acme.yaml", "line": None, "key": "ldap.users_dn", "message": "is missing"},
    ]


def test_one_fault_is_one_line(call: Call) -> None:
    """A single fault needs no list."""
    fault = Fault("syncd.yaml", 3, "store.url", "is no URL")
    assert call("check", check=ConfigurationError([fault])).err == (
        "syncd: syncd.yaml:3: store.url: is no URL.\n"
    )


@pytest.mark.parametrize("words", [("users", "acme"), ("users", "acme", "--json")])
def test_an_unexpected_exception_is_an_internal_error(words: tuple[str, ...], call: Call) -> None:
    """A bug exits 70 with one sentence and no traceback."""
    result = call(*words, users=ZeroDivisionError("division by zero"))
    assert result.code == 70
    assert result.err == (
        "syncd: internal error (ZeroDivisionError: division by zero); run it again with --debug.\n"
    )
    if "--json" in words:
        assert json.loads(result.out)["error"]["code"] == "internal_error"


@pytest.mark.parametrize("error", [ZeroDivisionError("bug"), NotFound("no such person; look")])
def test_debug_shows_the_traceback(error: Exception, call: Call) -> None:
    """--debug adds the traceback, before or behind the command."""
    for words in (("--debug", "show", "acme", "x"), ("show", "acme", "x", "--debug")):
        result = call(*words, show=error)
        assert "Traceback (most recent call last)" in result.err
        assert result.err.splitlines()[-1].startswith("syncd: ")


def test_an_interrupt_exits_130(call: Call) -> None:
    """Ctrl-C is told in one sentence, and the application is closed."""
    result = call("sync", "acme", "--json", sync=KeyboardInterrupt())
    assert result.code == 130
    assert result.err.startswith("syncd: interrupted; ")
    assert json.loads(result.out)["error"]["code"] == "interrupted"
    assert result.app.closed


def test_foreign_text_in_an_error_cannot_reach_the_terminal(call: Call) -> None:
    """Escape sequences in a message are written out."""
    result = call("users", "acme", users=NotFound("no \x1b[31mred\x07 person; look again"))
    assert result.err == "syncd: no \\x1b[31mred\\x07 person; look again.\n"


class Closed(io.StringIO):
    """A pipe whose reader went away."""

    def write(self, _text: str) -> int:
        """Fail as a closed pipe does."""
        raise BrokenPipeError


@pytest.mark.parametrize("words", [["users", "acme"], ["users", "acme", "--json"], ["--help"]])
def test_a_reader_that_went_away_is_no_error(
    words: list[str], call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``syncd users acme | head`` says nothing and keeps the exit code."""
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", Closed())
        result = call(*words)
    assert (result.code, result.err) == (0, "")


def test_main_leaves_with_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry point ends the process with the code of the run."""
    monkeypatch.setattr(sys, "argv", ["syncd", "nonsense"])
    with pytest.raises(SystemExit) as left:
        main.main()
    assert left.value.code == 2
