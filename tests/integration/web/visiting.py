"""A browser without scripts, as far as the sign-in pages are concerned: cookies, forms, hops."""

from __future__ import annotations

import http.client
import re
from dataclasses import dataclass, field
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.integration.web.served import Served

PATIENCE_SECONDS = 60
PASSWORD = "correct horse battery staple"
FORM = "application/x-www-form-urlencoded"
VISIT, SESSION = "__Host-syncd-visit", "__Host-syncd-session"
_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')
_REFERENCE = re.compile(r"<code>([^<]+)</code>")


@dataclass(frozen=True)
class Page:
    """What came back."""

    status: int
    headers: list[tuple[str, str]]
    text: str

    def header(self, name: str) -> str:
        """Return a header's one value; nothing if it is not there."""
        return ", ".join(value for found, value in self.headers if found.lower() == name)

    @property
    def hidden(self) -> dict[str, str]:
        """The hidden fields of its first form."""
        form = self.text.partition("<form")[2].partition("</form>")[0]
        return {name: unescape(value) for name, value in _HIDDEN.findall(form)}

    @property
    def reference(self) -> str:
        """What the log is to be searched for."""
        (found,) = _REFERENCE.findall(self.text)
        return str(found)

    @property
    def goes_on(self) -> str:
        """Where it sends the browser to, outside of syncd."""
        refresh = self.header("refresh")
        assert refresh.startswith("0;url="), (self.status, self.headers, self.text)
        return refresh.removeprefix("0;url=")


@dataclass
class Visiting:
    """One browser; ``cookies`` is its jar."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)
    # Sent each time.
    headers: dict[str, str] = field(default_factory=dict)

    def ask(
        self,
        method: str,
        path: str,
        form: Mapping[str, str] | str | bytes | None = None,
        **headers: str,
    ) -> Page:
        """Send a request; underscores in the names of headers are hyphens."""
        given = {name.replace("_", "-"): value for name, value in headers.items()} | self.headers
        if self.cookies:
            jar = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
            given.setdefault("Cookie", jar)
        body: str | bytes | None = form if isinstance(form, str | bytes) else None
        if body is None and form is not None:
            assert not isinstance(form, str | bytes)
            body = urlencode(form)
        if body is not None:
            given.setdefault("Content-Type", FORM)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        try:
            connection.request(method, path, body, given)
            answer = connection.getresponse()
            page = Page(answer.status, answer.getheaders(), answer.read().decode())
        finally:
            connection.close()
        self._keep(page)
        return page

    def get(self, path: str, **headers: str) -> Page:
        """Open a page."""
        return self.ask("GET", path, **headers)

    def press(self, shown: Page, path: str, **fields: str) -> Page:
        """Send the form of a page, filled in."""
        return self.ask("POST", path, shown.hidden | fields)

    def sign_in(self, org: str, username: str, password: str, query: str = "") -> Page:
        """Sign in with a password."""
        path = f"/sign-in/{org}"
        return self.press(self.get(path + query), path, username=username, password=password)

    def _keep(self, page: Page) -> None:
        for name, value in page.headers:
            if name.lower() == "set-cookie":
                cookie, _, attributes = value.partition(";")
                key, _, secret = cookie.partition("=")
                # What RFC 6265bis section 4.1.3.2 demands of such a name.
                assert key in {VISIT, SESSION}, value
                words = {word.strip().lower() for word in attributes.split(";")}
                assert {"httponly", "secure", "samesite=lax", "path=/"} <= words, value
                assert not any(word.startswith("domain") for word in words), value
                if "max-age=0" in words:
                    self.cookies.pop(key, None)
                else:
                    self.cookies[key] = secret


def person(served: Served, username: str) -> str:
    """Make somebody of acme with a password; return the username."""
    made = served.manage().users.create(
        email=f"{username}@example.test", username=username, first_name="<Ann>"
    )
    served.app.redeem_link(made["mail"]["link"].rpartition("/")[2], PASSWORD)
    return username


def told(page: Page) -> str:
    """Return what a page says, without what is another at each sight of it."""
    return re.sub(r'value="[^"]*"|<code>[^<]*</code>|acme|nowhere', "", page.text)
