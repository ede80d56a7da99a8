"""What ``syncd --help`` and its like say, and what they load."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import typer

from syncd import __version__
from syncd.cli import catalog, layout

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Call

HEAVY = ("typer", "rich", "pydantic", "sqlalchemy", "ldap3", "structlog", "yaml")


def test_help_names_every_command(call: Call) -> None:
    """The help lists each command with its arguments and exits 0."""
    result = call("--help")
    assert result.code == 0
    for entry in catalog.COMMANDS.values():
        assert f"  {layout.call(entry)}" in result.out


def test_help_loads_nothing_heavy() -> None:
    """``syncd --help`` imports none of the libraries that take long to load."""
    script = (
        "import sys\n"
        "from syncd.cli import main\n"
        "code = main.run(['--help'])\n"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "sys.exit(f'loaded {loaded}' if loaded else code)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("Usage: syncd")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_help_fits_the_width(width: int, monkeypatch: pytest.MonkeyPatch, call: Call) -> None:
    """No line of the help is longer than the terminal."""
    monkeypatch.setenv("COLUMNS", str(width))
    for words in (["--help"], *([*path.split(), "--help"] for path in catalog.COMMANDS)):
        result = call(*words)
        assert max(map(len, result.out.splitlines())) <= width


def test_the_table_of_commands_is_what_the_modules_offer() -> None:
    """Each command of the table is in its module, and no module has another one."""
    families = {entry.family for entry in catalog.COMMANDS.values()}
    offered = {}
    for family in families:
        module = importlib.import_module(f"syncd.cli.commands.{family}")
        group = typer.main.get_command(module.app)
        # A family of one command is no group.
        names = getattr(group, "commands", (group.name,))
        offered.update(dict.fromkeys(names, family))
    assert offered == {path: entry.family for path, entry in catalog.COMMANDS.items()}


@pytest.mark.parametrize("path", catalog.COMMANDS)
def test_each_command_has_help_with_its_arguments(path: str, call: Call) -> None:
    """``syncd COMMAND --help`` shows usage, its own arguments and the options of all."""
    result = call(*path.split(), "--help")
    entry = catalog.COMMANDS[path]
    assert result.code == 0
    assert result.out.startswith(f"Usage: syncd {path} [OPTIONS]")
    for word in entry.arguments.split():
        assert word.strip("[]") in result.out
    assert "--json" in result.out


def test_help_of_a_first_word_lists_its_commands(call: Call) -> None:
    """``syncd config --help`` names the commands that begin with config."""
    result = call("config", "--help")
    assert result.code == 0
    assert "config show" in result.out
    assert "config schema" in result.out


def test_help_of_runs_points_at_runs_show(call: Call) -> None:
    """Commands that share a word name each other."""
    assert "runs show RUN" in call("runs", "--help").out
    assert "mappers try ORG --user NAME" in call("mappers", "-h").out
    assert "token verify ORG" in call("token", "-h").out


def test_help_behind_a_global_option_is_the_same(call: Call) -> None:
    """``syncd --json --help`` is ``syncd --help``."""
    assert call("--json", "--help").out == call("--help").out


@pytest.mark.parametrize("words", [["--version"], ["--json", "--version"]])
def test_version(words: list[str], call: Call) -> None:
    """``--version`` prints name and version."""
    result = call(*words)
    assert (result.code, result.out) == (0, f"syncd {__version__}\n")


def test_no_words_show_the_help_as_an_error(call: Call) -> None:
    """``syncd`` alone is a usage error that shows the help on standard error."""
    result = call()
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("Usage: syncd")


@pytest.mark.parametrize("name", ["session"])
def test_commands_of_later_versions_are_not_offered(name: str, call: Call) -> None:
    """A command that does nothing yet is unknown, not a stub."""
    result = call(name)
    assert result.code == 2
    assert f"no command '{name}'" in result.err
