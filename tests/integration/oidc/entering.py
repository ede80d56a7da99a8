"""People who sign in with an identity provider, through the application."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml
from sqlalchemy import create_engine, text

from syncd.access.visits import Visitor, new_secret
from syncd.app import App
from syncd.errors import Refused, SignInRefused
from tests.servers.relying_party import Browser

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from syncd.access.visits import Entered, Session
    from tests.servers.bent_provider import BentProvider

    # Takes a browser from the URL that it is sent to, as far as back to the redirect URI.
    Walk = Callable[[str], str]

ORGANIZATION = "acme"
BASE_URL = "https://syncd.example.test"
CALLBACK = f"{BASE_URL}/sign-in/{ORGANIZATION}/callback"
SIGNED_OUT = f"{BASE_URL}/signed-out"
ADDRESS = "192.0.2.7"
ADA = {"email": "ada@example.test", "given_name": "Ada", "family_name": "Lovelace"}
Parameters = list[tuple[str, str]]


@dataclass
class Entering:
    """One organization with a provider, and whoever comes to sign in."""

    folder: Path
    store_url: str
    idp: dict[str, Any]
    walk: Walk = field(default=lambda url: str(Browser().ask("GET", url).location))
    # What was counted: of which organization, outcome and reason.
    counted: list[tuple[str, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.folder / "organizations").mkdir(parents=True)
        daemon = {
            "store": {"url": self.store_url},
            "organizations": "organizations/*.yaml",
            "http": {"base_url": BASE_URL},
            # Those who are refused here are many, and from one address.
            "sign_in": {"attempts_per_address": 10_000, "attempts_per_organization": 10_000},
        }
        (self.folder / "syncd.yaml").write_text(yaml.safe_dump(daemon))
        self._apps: list[App] = []
        self.configure()

    def configure(self, org: str = ORGANIZATION, **idp: Any) -> None:
        """Write an organization's file anew with these keys over the others, and load it."""
        document = {
            "organization": {"id": org, "name": org.title()},
            "provider": "idp",
            "idp": {key: value for key, value in (self.idp | idp).items() if value is not None},
        }
        path = self.folder / "organizations" / f"{org}.yaml"
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        self.app = App.load(str(self.folder / "syncd.yaml"), environ={})
        self.app.counted = lambda *told: self.counted.append(told)
        self._apps.append(self.app)

    def close(self) -> None:
        """Close the store."""
        for app in self._apps:
            app.close()

    def visitor(self) -> Visitor:
        """Return a new browser."""
        return Visitor(new_secret(), ADDRESS, "a test")

    def answer(self, visitor: Visitor, org: str = ORGANIZATION) -> Parameters:
        """Send a browser to the provider; return what it comes back to the callback with."""
        back = self.walk(self.app.start_at_provider(org, visitor, None))
        assert back.startswith(f"{BASE_URL}/sign-in/{org}/callback?")
        return parse_qsl(urlsplit(back).query, keep_blank_values=True)

    def enter(self, visitor: Visitor | None = None, org: str = ORGANIZATION) -> Entered:
        """Sign somebody in."""
        comer = visitor or self.visitor()
        return self.app.finish_at_provider(org, comer, self.answer(comer, org))

    def refusal(
        self,
        visitor: Visitor | None = None,
        parameters: Parameters | None = None,
        org: str = ORGANIZATION,
    ) -> SignInRefused:
        """Return why somebody is not let in, with this answer or with that of the provider."""
        comer = visitor or self.visitor()
        brought = self.answer(comer, org) if parameters is None else parameters
        with pytest.raises(SignInRefused) as caught:
            self.app.finish_at_provider(org, comer, brought)
        assert caught.value.reference
        assert ("sign_ins", org, "refused", caught.value.reason) in self.counted
        return caught.value

    def holds(self, entered: Entered) -> Session | None:
        """Return the session as the next request finds it."""
        return self.app.session(entered.secret)

    def sql(self, statement: str, **values: Any) -> list[Any]:
        """Run a statement on the store, as another program that shares it would."""
        engine = create_engine(self.store_url)
        try:
            with engine.begin() as connection:
                result = connection.execute(text(statement), values)
                return list(result.scalars()) if result.returns_rows else []
        finally:
            engine.dispose()


def reset(provider: BentProvider) -> None:
    """Forget what a test has had the provider do."""
    provider.fault, provider.userinfo, provider.users = None, {}, {"ada": dict(ADA)}
    provider.subject = "ada"
    provider.requests.clear()


def sessions(world: Entering) -> int:
    """Return how many sessions have not ended."""
    (found,) = world.sql("select count(*) from sessions where ended_at is null")
    return int(found)


def at_once(count: int, each: Callable[[], object]) -> list[object]:
    """Call something in threads that begin together; return what each came to, or why not."""
    came: list[object] = []
    gate = threading.Barrier(count)

    def run() -> None:
        gate.wait()
        try:
            came.append(each())
        except (SignInRefused, Refused) as error:
            came.append(error.reason)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return came
