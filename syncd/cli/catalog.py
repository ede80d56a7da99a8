"""The commands and the options that all of them take: names, arguments, one line each.

``syncd --help`` is made from this table alone. Importing typer takes several times as long as
starting Python, and whoever asks for help should not wait for it.
"""

from __future__ import annotations

from typing import NamedTuple

PURPOSE = "Keeps an organization's people in step with where they are managed."


class Entry(NamedTuple):
    """One command."""

    path: str
    arguments: str
    summary: str
    # The module of syncd.cli.commands that holds it.
    family: str


class GlobalOption(NamedTuple):
    """An option that is accepted before and after every command."""

    names: tuple[str, ...]
    metavar: str
    text: str


SECTIONS: tuple[tuple[str, tuple[Entry, ...]], ...] = (
    (
        "Set up",
        (
            Entry(
                "check",
                "[--connect]",
                "validate all configuration; with --connect also try the directories",
                "configuring",
            ),
            Entry("config show", "", "print the effective settings, secrets masked", "configuring"),
            Entry("config schema", "", "print the JSON Schema of the settings", "configuring"),
            Entry("db upgrade", "", "bring the store to this version's schema", "configuring"),
            Entry("db prune", "", "remove what is older than `retention` keeps", "configuring"),
            Entry("mappers", "", "list the mapper types with options and example", "configuring"),
            Entry(
                "mappers try",
                "ORG --user NAME",
                "show what the mappers make of one entry",
                "configuring",
            ),
        ),
    ),
    (
        "Sync",
        (
            Entry(
                "plan",
                "ORG",
                "say what a sync would change, most dangerous first",
                "syncing",
            ),
            Entry("sync", "ORG", "sync everybody, or one person", "syncing"),
            Entry("run", "[--only HALF]", "run the daemon: syncs on a schedule", "syncing"),
            Entry("approve", "RUN", "apply a plan that the guard blocked", "syncing"),
            Entry("pause", "ORG", "let no sync of an organization start", "syncing"),
            Entry("resume", "ORG", "let its syncs start again", "syncing"),
        ),
    ),
    (
        "Look",
        (
            Entry("status", "[ORG]", "last runs, blocked plans, lease, quarantine", "looking"),
            Entry("users", "ORG", "list the people", "looking"),
            Entry("roles", "ORG", "list the roles", "looking"),
            Entry("groups", "ORG", "list the groups", "looking"),
            Entry("show", "ORG USERNAME", "show one person, roles and groups", "looking"),
            Entry(
                "explain",
                "ORG USERNAME",
                "say where values, roles and groups come from, or why not",
                "looking",
            ),
            Entry("quarantine", "ORG", "list the entries that could not be taken", "looking"),
            Entry("runs", "ORG", "list the runs", "looking"),
            Entry("runs show", "RUN", "show what one run did", "looking"),
        ),
    ),
)

COMMANDS: dict[str, Entry] = {entry.path: entry for _, entries in SECTIONS for entry in entries}

GLOBAL_OPTIONS: dict[str, GlobalOption] = {
    "config": GlobalOption(
        ("--config",),
        "FILE",
        "the daemon's file; else $SYNCD_CONFIG, ./config/syncd.yaml, /etc/syncd/syncd.yaml",
    ),
    "json": GlobalOption(("--json",), "", "print the report as one JSON document"),
    "verbose": GlobalOption(
        ("--verbose", "-v"), "", "log more, such as each search; -vv logs everything"
    ),
    "debug": GlobalOption(("--debug",), "", "log everything, and show tracebacks"),
    "no_color": GlobalOption(("--no-color",), "", "no colours, as with $NO_COLOR"),
}

EXIT_CODES: tuple[tuple[str, str], ...] = (
    ("0", "fine"),
    ("1", "a plan has changes"),
    ("2", "the configuration or the call is wrong"),
    ("3", "the guard blocked the plan"),
    ("4", "the directory or the store is unavailable, or a listing was cut short"),
    ("5", "done, with entries in quarantine"),
    ("6", "another run holds the organization"),
    ("7", "no such person, run or organization"),
    ("70", "internal error"),
    ("130", "interrupted"),
)


def words_below(first: str) -> list[Entry]:
    """Return the commands whose first of two words is ``first``."""
    return [entry for entry in COMMANDS.values() if entry.path.startswith(f"{first} ")]
