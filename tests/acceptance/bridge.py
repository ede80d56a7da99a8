"""An organization whose people come from an identity provider, with its store and commands."""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml
from sqlalchemy import create_engine, text

from syncd.app import App
from syncd.oidc.outcome import Reason, Refusal
from tests.acceptance.world import ORGANIZATION, SYNCD

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from syncd.store.arriving import Arrived
    from tests.acceptance.preloaded import Commands
    from tests.acceptance.world import Answer
    from tests.servers.relying_party import SignedIn


class TokenRefused(Exception):
    """A sign-in ended at its token; ``refusal`` says why."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(refusal.detail)


@dataclass
class Bridge:
    """One organization with the provider idp, in one temporary folder."""

    folder: Path
    store_url: str
    commands: Commands
    # The section `idp:`, as each configuration begins with it.
    idp: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.folder / "organizations").mkdir(parents=True)
        daemon = {"store": {"url": self.store_url}, "organizations": "organizations/*.yaml"}
        self.config.write_text(yaml.safe_dump(daemon))

    @property
    def config(self) -> Path:
        """The daemon's file."""
        return self.folder / "syncd.yaml"

    def configure(self, *mappers: dict[str, Any], **idp: Any) -> None:
        """Write the organization's file anew: these mappers, and these keys over the others."""
        document = {
            "organization": {"id": ORGANIZATION, "name": "Acme Corp"},
            "provider": "idp",
            "idp": self.idp | idp,
            "mappers": list(mappers),
        }
        path = self.folder / "organizations" / f"{ORGANIZATION}.yaml"
        path.write_text(yaml.safe_dump(document, sort_keys=False))

    def command(self, *words: str) -> list[str]:
        """Return the words that start the installed command here."""
        return [str(SYNCD), "--config", str(self.config), *words]

    def syncd(self, *words: str, code: int | None = 0, stdin: str = "") -> Answer:
        """Run a command; check its exit code when one is expected."""
        answer = self.commands.run(self.command(*words)[1:], self.folder, {}, stdin)
        told = f"{words}: {answer.code}\n{answer.out}\n{answer.err}"
        assert code is None or answer.code == code, told
        return answer

    def json(self, *words: str, code: int | None = 0, stdin: str = "") -> Any:
        """Run a command with --json; return its document."""
        return self.syncd("--json", *words, code=code, stdin=stdin).document

    @contextmanager
    def app(self) -> Iterator[App]:
        """Open the application here, as a process that stays does."""
        with closing(App.load(str(self.config), environ={})) as app:
            yield app

    def sign_in(self, token: str, nonce: str | None, *, later: float = 0.0) -> Arrived:
        """Do what a sign-in does with its ID token: verify it, map its claims, write the person.

        Raises:
            TokenRefused: The token is not what it says.
            SignInRefused: The mappers or the store do not let this person in.

        """
        with self.app() as app:
            provider = app.provider(ORGANIZATION)
            found = provider.validator.id_token(token, now=time.time() + later, nonce=nonce)
            if isinstance(found, Refusal):
                raise TokenRefused(found)
            return app.arrive(ORGANIZATION, found, why="signed in")

    def refusal(self, tokens: SignedIn, *, access_token: str) -> Reason | None:
        """Return why an ID token that came with this access token is refused, if it is."""
        with self.app() as app:
            found = app.provider(ORGANIZATION).validator.id_token(
                tokens.id_token, now=time.time(), nonce=tokens.nonce, access_token=access_token
            )
        return found.reason if isinstance(found, Refusal) else None

    def user(self, username: str) -> dict[str, Any]:
        """Return one person."""
        found: dict[str, Any] = self.json("show", ORGANIZATION, username)
        return found

    def sql(self, statement: str, **values: Any) -> list[Any]:
        """Run a statement on the store, as another program that shares it would."""
        engine = create_engine(self.store_url)
        try:
            with engine.begin() as connection:
                result = connection.execute(text(statement), values)
                return list(result.scalars()) if result.returns_rows else []
        finally:
            engine.dispose()


def sources(user: dict[str, Any], kind: str) -> dict[str, list[str]]:
    """Return a person's ``roles`` or ``groups`` with their sources, without the default role."""
    return {each["name"]: each["sources"] for each in user[kind] if each["name"] != "User"}
