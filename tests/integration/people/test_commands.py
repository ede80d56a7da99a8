"""What the commands about people print for people, over a real store and in this process."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from syncd.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., str]

BOSS, MIA = "boss@example.org", "mia@example.org"


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command on an organization of the admin provider; return what it printed."""
    names = {"id": "acme", "name": "Acme Corp"}
    (tmp_path / "acme.yaml").write_text(
        yaml.safe_dump({"organization": names, "provider": "admin"})
    )
    daemon = {"store": {"url": f"sqlite:///{tmp_path}/s.db"}, "organizations": "acme.yaml"}
    (tmp_path / "syncd.yaml").write_text(yaml.safe_dump(daemon))

    def command(*words: str, code: int = 0, error: bool = False) -> str:
        found = main.run(["--config", str(tmp_path / "syncd.yaml"), *words])
        out, err = capsys.readouterr()
        assert found == code, f"{words}: {found}\n{out}\n{err}"
        return " ".join((err if error else out).split())

    command("db", "upgrade")
    return command


def test_each_command_says_what_it_did_and_what_comes_next(run: Run, tmp_path: Path) -> None:
    """From the first owner to the last deletion, each answer names the person and the next step."""
    assert "Nobody in acme waits" in run("invitations", "acme")
    assert "pass over nobody" in run("exclusions", "acme")
    assert f"{BOSS} is an owner now" in run("owners", "add", "acme", "--email", BOSS)
    made = run("user", "create", "acme", MIA, "--first-name", "Mia", "--no-invite")
    assert f"{MIA} is made." in made
    assert "/links/" not in made
    listed = run("invitations", "acme")
    assert "2 open invitations" in listed
    assert f"{MIA} {MIA}" in listed
    assert "never no link" in listed
    sent = run("user", "invite", "acme", MIA)
    assert "no mail server is configured (smtp)" in sent
    assert f"Hand this link on to {MIA}" in sent
    assert "http://127.0.0.1:8480/links/" in sent
    assert f"{BOSS}" in run("owners", "list", "acme")
    shown = run("user", "disable", "acme", MIA, "--why", "on leave")
    assert "disabled here (admin)" in shown
    assert "not verified yet (invitation)" in shown
    assert "disabled here" not in run("user", "enable", "acme", MIA)
    assert "Admin by hand" in run("user", "grant", "acme", MIA, "admin")
    assert "Admin" not in run("user", "revoke", "acme", MIA, "Admin")
    edited = run("user", "edit", "acme", MIA, "--username", "mia", "--last-name", "Lee")
    assert "mia, Mia Lee, in acme" in edited
    (tmp_path / "people.txt").write_text("ann@example.org, nobody, mia@example.org")
    told = run("user", "import", "acme", str(tmp_path / "people.txt"), "--dry-run", code=5)
    assert "1 person would be made, 1 there already, 1 row invalid." in told
    told = run("user", "import", "acme", "--email", "ann@example.org")
    assert "1 person made" in told
    assert "hand these links on" in told
    assert "mia is deleted for good." in run("user", "delete", "acme", "mia", "--yes")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("user", "import", "acme"), 2, "give a FILE, or addresses with --email"),
        (("user", "import", "acme", "/nowhere.csv"), 2, "cannot be read"),
        (("user", "edit", "acme", BOSS), 2, "give what to change"),
        (("user", "edit", "acme", BOSS, "--email", "x"), 2, "no e-mail address"),
        (("user", "create", "acme", BOSS), 2, "already"),
        (("user", "disable", "acme", "nobody"), 7, "there is no person nobody in acme"),
        (("user", "grant", "acme", BOSS, "King"), 7, "there is no role King"),
        (("user", "password", "acme", BOSS), 2, "has not taken the invitation yet"),
        (("owners", "add", "acme"), 2, "give a USERNAME"),
        (("owners", "add", "acme", BOSS, "--email", "a@example.org"), 2, "give a USERNAME"),
        (("owners", "add", "acme", BOSS, "--first-name", "X"), 2, "beside --email"),
        (("exclusions", "remove", "acme", "nobody"), 7, "nobody called nobody is excluded"),
        (("user", "create", "other", MIA), 7, "there is no organization other"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_cannot_be_done_is_one_sentence(
    run: Run, words: tuple[str, ...], code: int, said: str
) -> None:
    """A wrong call changes nothing, and its sentence says what is wrong."""
    run("owners", "add", "acme", "--email", BOSS)
    assert said in run(*words, code=code, error=True)


@pytest.mark.parametrize(
    ("typed", "code"), [(MIA, 0), ("yes", 2), ("", 2)], ids=["username", "yes", "nothing"]
)
def test_deleting_on_a_terminal_asks_for_the_username(
    run: Run, monkeypatch: pytest.MonkeyPatch, typed: str, code: int
) -> None:
    """Only the username itself, typed again, deletes the person."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    run("user", "create", "acme", MIA)
    monkeypatch.setattr(sys, "stdin", Terminal(f"{typed}\n"))
    run("user", "delete", "acme", MIA, code=code)
    run("show", "acme", MIA, code=7 if code == 0 else 0)
