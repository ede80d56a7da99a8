"""One request of a browser, as the pages see it, and what its forms have to bring along."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from functools import cached_property
from hmac import compare_digest
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode, urlsplit

from syncd.access.visits import LONGEST_AGENT, Visitor, derived, new_secret
from syncd.web.sign_in import cookies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import Request

    from syncd.access.visits import Session
    from syncd.app import App

FORM: Final = "form"
# Sent by the browser itself, and out of reach of scripts (Fetch Metadata).
_OWN_SITE: Final = frozenset({"same-origin", "none"})


@dataclass(frozen=True)
class Visit:
    """Who asks, by the browser's cookies."""

    app: App
    request: Request
    browser: str
    # Whether the browser had its secret already; else this answer gives it.
    known: bool
    session_secret: str | None

    @classmethod
    def of(cls, app: App, request: Request) -> Visit:
        """Return what a request brought."""
        had = cookies.secret_of(request, cookies.VISIT)
        session_secret = cookies.secret_of(request, cookies.SESSION)
        return cls(app, request, had or new_secret(), had is not None, session_secret)

    @property
    def visitor(self) -> Visitor:
        """The browser, as sign-in knows it."""
        agent = self.request.headers.get("user-agent", "")[:LONGEST_AGENT]
        client = self.request.client
        return Visitor(self.browser, _address(client.host if client else ""), agent)

    @cached_property
    def session(self) -> Session | None:
        """The session that holds now."""
        return None if self.session_secret is None else self.app.session(self.session_secret)

    def at(self, *parts: Any, **query: str) -> str:  # noqa: ANN401 - words and numbers
        """Return the address of one of our pages, behind the path that the base URL may have."""
        base = urlsplit(self.app.settings.daemon.http.base_url).path
        path = "".join(f"/{quote(str(part), safe='')}" for part in parts)
        return f"{base}{path or '/'}" + (f"?{urlencode(query)}" if query else "")

    @property
    def may_have_cookie(self) -> bool:
        """Whether a browser without a secret is given one.

        A form of another site comes without the cookie that there is, which is not to be replaced.
        """
        return self.request.method != "POST" or self._own_site

    @property
    def form(self) -> str:
        """What a form for somebody who has not signed in carries."""
        return token(self.browser)

    @property
    def session_form(self) -> str:
        """What a form of a session carries."""
        return token(self.session_secret or "")

    def own_form(self, given: Mapping[str, str], *, session: bool = False) -> bool:
        """Tell whether a form is one of ours, sent by the browser that it was made for."""
        expected = self.session_form if session else self.form
        sent = given.get(FORM, "").encode("utf-8", "surrogatepass")
        had = self.session_secret is not None if session else self.known
        return had and self._own_site and compare_digest(sent, expected.encode())

    @property
    def _own_site(self) -> bool:
        """Whether the browser says that one of our own pages has sent this.

        Our pages have no referrer, so browsers give "null" as their origin; the form's token
        decides about that, as about browsers that say nothing.
        """
        headers = self.request.headers
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site in _OWN_SITE
        base = urlsplit(self.app.settings.daemon.http.base_url)
        return headers.get("origin", "null") in {"null", f"{base.scheme}://{base.netloc}".lower()}


def token(secret: str) -> str:
    """Return what only a page for the owner of a secret has in its forms."""
    return urlsafe_b64encode(derived(secret, "form")).rstrip(b"=").decode()


def _address(text: str) -> str:
    """Return an address in its one form; IPv4 by an IPv6 socket is IPv4."""
    try:
        address = ip_address(text)
    except ValueError:
        return ""
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(address)
