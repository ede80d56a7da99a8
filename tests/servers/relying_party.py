"""A scripted client of an OpenID Connect provider: the code flow with PKCE, as a browser has it."""

from __future__ import annotations

import hashlib
import json
import secrets
import urllib.error
import urllib.request
from base64 import b64encode, urlsafe_b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, quote_plus, urlencode, urljoin, urlsplit

from tests.servers.authority import ToolError

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_SECONDS = 30
MOST_PAGES = 12


class SignedIn(NamedTuple):
    """What a sign-in brought."""

    id_token: str
    access_token: str
    refresh_token: str | None
    nonce: str


class Page(NamedTuple):
    """An answer, redirects included."""

    status: int
    url: str
    # Where it redirects to, whole.
    location: str | None
    text: str


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Follow no redirect: whoever asks wants to see each."""


class Browser:
    """Keeps cookies, shows redirects, and goes to loopback directly."""

    def __init__(self) -> None:
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(), _Stay()
        )

    def ask(
        self,
        method: str,
        url: str,
        *,
        form: dict[str, str] | None = None,
        document: object = None,
        basic: tuple[str, str] | None = None,
    ) -> Page:
        """Send a request, with a form or a JSON document where given."""
        request = urllib.request.Request(url, method=method)
        if form is not None:
            request.data = urlencode(form).encode()
            request.add_header("Content-Type", "application/x-www-form-urlencoded")
        if document is not None:
            request.data = json.dumps(document).encode()
            request.add_header("Content-Type", "application/json")
        if basic is not None:
            # RFC 6749 section 2.3.1: each half is written as in a form first.
            halves = ":".join(quote_plus(half) for half in basic)
            request.add_header("Authorization", f"Basic {b64encode(halves.encode()).decode()}")
        try:
            answer = self._opener.open(request, timeout=PATIENCE_SECONDS)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            location = answer.headers.get("Location")
            return Page(
                answer.status,
                url,
                None if location is None else urljoin(url, location),
                answer.read().decode(),
            )


def metadata(issuer: str) -> dict[str, Any]:
    """Return what a provider says of itself."""
    page = Browser().ask("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if page.status != 200:
        raise ToolError(f"{page.url} answers {page.status}")
    found: dict[str, Any] = json.loads(page.text)
    return found


def walk(
    browser: Browser,
    start: str,
    callback: str,
    turn_page: Callable[[Page], Page] | None = None,
) -> str:
    """Return where a browser comes back to; ``turn_page`` fills in pages that are no redirect."""
    page = browser.ask("GET", start)
    for _ in range(MOST_PAGES):
        if page.location is None:
            if turn_page is None or page.status != 200:
                raise ToolError(f"the provider shows a page: {page.text[:2000]}")
            page = turn_page(page)
        elif page.location.startswith(callback):
            return page.location
        else:
            page = browser.ask("GET", page.location)
    raise ToolError(f"the provider comes to no end: {page.url}")


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """One registration with a provider."""

    metadata: dict[str, Any]
    client_id: str
    secret: str
    callback: str

    def sign_in(
        self,
        browser: Browser,
        turn_page: Callable[[Page], Page] | None = None,
        *,
        scope: str,
        **asked: str,
    ) -> SignedIn:
        """Go through the code flow; ``turn_page`` fills in each page that is no redirect."""
        verifier, nonce, state = (secrets.token_urlsafe(48) for _ in range(3))
        hashed = hashlib.sha256(verifier.encode()).digest()
        words = {
            "client_id": self.client_id,
            "response_type": "code",
            "scope": scope,
            "redirect_uri": self.callback,
            "state": state,
            "nonce": nonce,
            "code_challenge": urlsafe_b64encode(hashed).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        start = f"{self.metadata['authorization_endpoint']}?{urlencode(words | asked)}"
        back = walk(browser, start, self.callback, turn_page)
        returned = dict(parse_qsl(urlsplit(back).query))
        if returned.get("state") != state or "code" not in returned:
            raise ToolError(f"the provider answers {returned}")
        resource = {"resource": asked["resource"]} if "resource" in asked else {}
        tokens = self.tokens(
            grant_type="authorization_code",
            code=returned["code"],
            redirect_uri=self.callback,
            code_verifier=verifier,
            **resource,
        )
        return SignedIn(
            tokens["id_token"], tokens["access_token"], tokens.get("refresh_token"), nonce
        )

    def tokens(self, **form: str) -> dict[str, Any]:
        """Return the token endpoint's answer to a form."""
        registration = (self.client_id, self.secret)
        page = Browser().ask("POST", self.metadata["token_endpoint"], form=form, basic=registration)
        if page.status != 200:
            raise ToolError(f"the token endpoint answers {page.status}: {page.text}")
        found: dict[str, Any] = json.loads(page.text)
        return found
