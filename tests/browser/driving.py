"""What people do in the pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.browser.world import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

SIGNED_IN = "You are signed in"


def heading(page: Page, text: str) -> Locator:
    """Return the page's one heading, once it says this."""
    found = page.get_by_role("heading", level=1, name=text, exact=True)
    expect(found).to_be_visible()
    return found


def choose(page: Page, organization: str) -> None:
    """Type the organization's ID."""
    page.goto("/sign-in")
    page.get_by_label("Organization ID").fill(organization)
    page.get_by_role("button", name="Continue").click()


def fill_in(page: Page, username: str, password: str = PASSWORD) -> None:
    """Fill the form with the password in, and send it."""
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def sign_in(page: Page, organization: str, username: str) -> None:
    """Sign in with a password."""
    choose(page, organization)
    fill_in(page, username)
    heading(page, SIGNED_IN)


def at_provider(page: Page, login: str) -> None:
    """Sign in at the real provider's own page."""
    page.get_by_placeholder("Enter any login").fill(login)
    page.get_by_placeholder("and password").fill("any")
    page.get_by_role("button", name="Sign-in").click()


def reference(page: Page) -> str:
    """Return what the log is to be searched for."""
    found = page.get_by_text(re.compile("give this reference")).locator("code").text_content()
    assert found
    return found
