"""What the command line needs of ``syncd.app``: the shapes are those of ``--json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from syncd.cli.progress import Report
from syncd.permissions import Principal

Document = dict[str, Any]


class BuiltIn(Protocol):
    """What the program itself knows, before any configuration."""

    @staticmethod
    def mappers() -> list[Document]:
        """Return the mapper types."""

    @staticmethod
    def config_schema() -> Document:
        """Return the JSON Schema of the settings."""

    @staticmethod
    def idp_discover(
        url: str,
        *,
        networks: Sequence[str] = (),
        certificates: Sequence[str] = (),
        proxy: str | None = None,
    ) -> Document:
        """Return the settings that an identity provider publishes of itself."""


class Application(Protocol):
    """The composition root, as the commands see it."""

    def check(self, *, connect: bool) -> Document:
        """Validate the configuration, and probe the directories when asked to."""

    def plan(
        self,
        org: str,
        *,
        changed: bool = False,
        progress: Report | None = None,
        limit: int | None = None,
    ) -> Document:
        """Say what a sync would change."""

    def sync(
        self,
        org: str,
        *,
        changed: bool = False,
        user: str | None = None,
        progress: Report | None = None,
    ) -> Document:
        """Sync everybody, or one person."""

    def manage(self, org: str, principal: Principal) -> Any:  # noqa: ANN401 - the areas are several
        """Return what can be done in an organization by hand on somebody's behalf."""

    def approve(self, run: str, progress: Report | None = None) -> Document:
        """Apply a blocked plan."""

    def undo(
        self,
        change_set: str,
        *,
        dry: bool = False,
        why: str | None = None,
        progress: Report | None = None,
    ) -> Document:
        """Take a change set back, or say what that would change."""

    def journal(
        self,
        org: str,
        *,
        limit: int = 50,
        after: str | None = None,
        filters: Mapping[str, str | None] | None = None,
    ) -> Document:
        """Return the newest change sets."""

    def change_set(
        self, org: str, change_set: str, *, limit: int = 1_000, after: str | None = None
    ) -> Document:
        """Return one change set with what it changed."""

    def show_at(self, org: str, username: str, at: str) -> Document:
        """Return one person as of a time."""

    def provider_switch(
        self,
        org: str,
        *,
        link: str | None = None,
        owners: Sequence[str] = (),
        dry: bool = False,
        sure: bool = False,
        progress: Report | None = None,
    ) -> Document:
        """Make the configured provider the organization's."""

    def provider_link(
        self, org: str, username: str, *, external_id: str | None = None, why: str | None = None
    ) -> Document:
        """Let somebody of a former provider be the present one's."""

    def rekey(
        self, org: str, *, by: str = "username", dry: bool = False, progress: Report | None = None
    ) -> Document:
        """Pair people with entries under new ids."""

    def organization_forget(self, org: str) -> Document:
        """Let the id of a deleted organization be used anew."""

    def pause(self, org: str, why: str | None) -> Document:
        """Let no sync of an organization start."""

    def resume(self, org: str) -> Document:
        """Let syncs start again."""

    def status(self, org: str | None = None) -> list[Document]:
        """Return how each organization is."""

    def users(self, org: str) -> list[Document]:
        """Return the people."""

    def roles(self, org: str) -> list[Document]:
        """Return the roles."""

    def groups(self, org: str) -> list[Document]:
        """Return the groups."""

    def quarantine(self, org: str) -> list[Document]:
        """Return the entries that could not be taken."""

    def runs(self, org: str) -> list[Document]:
        """Return the runs."""

    def run(self, run: str) -> Document:
        """Return one run with its changes."""

    def show(self, org: str, username: str) -> Document:
        """Return one person."""

    def explain(
        self,
        org: str,
        username: str,
        *,
        role: str | None = None,
        group: str | None = None,
        stored: bool = False,
    ) -> Document:
        """Return where each value, role and group of a person comes from, or why he is absent."""

    def try_mappers(self, org: str, user: str) -> Document:
        """Return what the mappers make of one entry."""

    def try_claims(self, org: str, body: bytes) -> Document:
        """Return what the mappers make of a JSON object of claims."""

    def verify_token(
        self, org: str, text: str, *, kind: str = "id", nonce: str | None = None
    ) -> Document:
        """Return each check of a token, the person in it, and what would follow."""

    def config_show(self) -> Document:
        """Return the effective settings, secrets masked."""

    def db_upgrade(self) -> Document:
        """Bring the store to this version's schema."""

    def db_prune(self) -> Document:
        """Remove what is older than the settings keep it."""
