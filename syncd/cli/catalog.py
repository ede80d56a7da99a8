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
                "validate all configuration; with --connect also try what it names",
                "configuring",
            ),
            Entry("config show", "", "print the effective settings, secrets masked", "configuring"),
            Entry("config schema", "", "print the JSON Schema of the settings", "configuring"),
            Entry("db upgrade", "", "bring the store to this version's schema", "configuring"),
            Entry("db prune", "", "remove what is older than `retention` keeps", "configuring"),
            Entry("mappers", "", "list the mapper types with options and example", "configuring"),
            Entry(
                "mappers try",
                "ORG --user NAME|--claims FILE",
                "show what the mappers make of one entry, or of claims",
                "configuring",
            ),
            Entry(
                "idp discover",
                "URL",
                "write a provider's settings from its metadata",
                "identifying",
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
            Entry("undo", "CHANGE_SET", "take a change, or what a run did, back", "journaling"),
            Entry("pause", "ORG", "let no sync of an organization start", "syncing"),
            Entry("resume", "ORG", "let its syncs start again", "syncing"),
        ),
    ),
    (
        "Organization",
        (
            Entry(
                "organization show",
                "ORG",
                "provider, certificates, how much there is",
                "organizing",
            ),
            Entry(
                "organization delete",
                "ORG --name NAME --owner USERNAME",
                "delete everything of it for good",
                "organizing",
            ),
            Entry(
                "organization forget", "ORG", "let a deleted one's id be used anew", "organizing"
            ),
            Entry("provider switch", "ORG", "make the configured provider its own", "organizing"),
            Entry("provider link", "ORG USERNAME", "take a person left behind over", "organizing"),
            Entry("rekey", "ORG", "give people the new ids of a rebuilt directory", "organizing"),
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
            Entry("journal", "ORG", "list who changed what, when and why", "journaling"),
            Entry("journal show", "ORG CHANGE_SET", "show one change set in full", "journaling"),
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
    (
        "Roles and groups",
        (
            Entry("permissions", "ORG [USERNAME]", "show what people may do, and by what", "books"),
            Entry("role create", "ORG ROLE", "create a role with permission sets", "roles"),
            Entry("role edit", "ORG ROLE", "rename a role, give or take permission sets", "roles"),
            Entry("role delete", "ORG ROLE", "delete a role", "roles"),
            Entry("permission-set list", "ORG", "list the permission sets", "roles"),
            Entry("permission-set create", "ORG SET", "create a permission set", "roles"),
            Entry("permission-set edit", "ORG SET", "change what a set allows", "roles"),
            Entry("permission-set delete", "ORG SET", "delete a permission set", "roles"),
            Entry("group create", "ORG NAME", "create a group with roles", "groups"),
            Entry("group edit", "ORG GROUP", "rename or describe a group", "groups"),
            Entry("group delete", "ORG GROUP", "delete a group", "groups"),
            Entry("group add-member", "ORG GROUP USERNAME", "put somebody into a group", "groups"),
            Entry("group remove-member", "ORG GROUP USERNAME", "take somebody out again", "groups"),
            Entry("group add-role", "ORG GROUP ROLE", "give a group's members a role", "groups"),
            Entry("group remove-role", "ORG GROUP ROLE", "take the role away again", "groups"),
            Entry("group add-child", "ORG GROUP CHILD", "put a group below another", "groups"),
            Entry("group remove-child", "ORG GROUP CHILD", "take it away from there", "groups"),
        ),
    ),
    (
        "Address books",
        (
            Entry("book list", "ORG", "list the shared address books", "books"),
            Entry("book create", "ORG BOOK", "create a shared address book", "books"),
            Entry("book delete", "ORG BOOK", "delete one with all that is in it", "books"),
            Entry("book entries", "ORG BOOK", "list its entries", "books"),
            Entry("book add", "ORG BOOK", "add an entry", "books"),
            Entry("book edit", "ORG BOOK ENTRY", "change an entry", "books"),
            Entry("book remove", "ORG BOOK ENTRY", "remove an entry", "books"),
        ),
    ),
    (
        "People",
        (
            Entry("user create", "ORG EMAIL", "make a person and invite him", "people"),
            Entry("user import", "ORG [FILE]", "make many from CSV or addresses", "people"),
            Entry("user edit", "ORG USERNAME", "change names or e-mail address", "people"),
            Entry("user disable", "ORG USERNAME", "shut a person out", "people"),
            Entry("user enable", "ORG USERNAME", "let a disabled person in again", "people"),
            Entry("user delete", "ORG USERNAME", "delete a person for good", "people"),
            Entry("user grant", "ORG USERNAME ROLE", "give a person a role", "people"),
            Entry("user revoke", "ORG USERNAME ROLE", "take it away again", "people"),
            Entry("user invite", "ORG USERNAME", "send an invitation once more", "people"),
            Entry("user password", "ORG USERNAME", "send a link for a new password", "people"),
            Entry("sessions", "ORG", "list who is signed in", "sessions"),
            Entry(
                "sessions end",
                "ORG SESSION|--user NAME",
                "end one session, or a person's",
                "sessions",
            ),
            Entry("invitations", "ORG", "list who has not taken his invitation", "inviting"),
            Entry("invitations send", "ORG USERNAME", "send one once more", "inviting"),
            Entry("exclusions", "ORG", "list deleted people whom syncs pass over", "inviting"),
            Entry("exclusions remove", "ORG USERNAME|ID", "let syncs bring one again", "inviting"),
            Entry("owners list", "ORG", "list the owners", "inviting"),
            Entry("owners add", "ORG [USERNAME]", "make somebody an owner", "inviting"),
        ),
    ),
    (
        "API",
        (
            Entry(
                "token create",
                "ORG --name TEXT",
                "make a token for the API and print it, once",
                "tokens",
            ),
            Entry("token list", "ORG", "list the tokens for the API", "tokens"),
            Entry("token revoke", "ORG TOKEN", "end a token at once", "tokens"),
            Entry(
                "token verify",
                "ORG",
                "check an identity provider's token from standard input",
                "identifying",
            ),
            Entry("changes", "ORG", "list what was changed, or follow it", "following"),
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
    ("1", "a plan has changes, or a token is refused"),
    ("2", "the configuration or the call is wrong"),
    ("3", "the guard blocked the plan"),
    ("4", "directory, provider or store is unavailable, or a listing was cut short"),
    ("5", "done, with entries in quarantine"),
    ("6", "another run holds the organization"),
    ("7", "no such person, run or organization"),
    ("70", "internal error"),
    ("130", "interrupted"),
)


def words_below(first: str) -> list[Entry]:
    """Return the commands whose first of two words is ``first``."""
    return [entry for entry in COMMANDS.values() if entry.path.startswith(f"{first} ")]
