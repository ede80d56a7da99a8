"""Every page that people see, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncd.permissions import operator
from tests.browser.driving import SIGNED_IN, choose, fill_in, heading
from tests.browser.world import ANN, DIRECTORY, OWN, PROVIDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from tests.browser.world import BrowserWorld

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


def sights(world: BrowserWorld, chromium: Browser, page: Page) -> Iterator[str]:
    """Go from page to page; yield the name of each while it is there."""
    page.goto("/sign-in")
    heading(page, "Sign in")
    yield "sign-in-organization"
    page.get_by_label("Organization ID").fill("Acme Corp")
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("alert").wait_for()
    yield "sign-in-no-organization"
    choose(page, DIRECTORY)
    page.get_by_label("Password").wait_for()
    yield "sign-in-password"
    fill_in(page, ANN, "wrong")
    page.get_by_role("alert").wait_for()
    yield "sign-in-refused"
    page.goto(f"/sign-in/{PROVIDER}")
    heading(page, "Sign in")
    yield "sign-in-provider"
    page.goto(f"/sign-in/{PROVIDER}/callback?error=access_denied")
    heading(page, "You are not signed in")
    yield "sign-in-failed"
    page.goto("/sign-in/acme?client_id=unknown")
    heading(page, "This link does not work")
    yield "unknown-portal"
    page.goto("/nothing")
    heading(page, "There is nothing here")
    yield "nothing-here"
    _sign_in_elsewhere(world, chromium)
    choose(page, DIRECTORY)
    fill_in(page, ANN)
    heading(page, SIGNED_IN)
    yield "session"
    page.goto("/sign-out")
    heading(page, "Sign out?")
    yield "sign-out"
    page.get_by_role("button", name="Sign out").click()
    heading(page, "You are signed out")
    yield "signed-out"
    users = world.app.manage(OWN, operator("test")).users
    made = users.create(email="new@example.test", username="new")
    page.goto(made["mail"]["link"])
    page.get_by_role("button", name="Set the password").wait_for()
    yield "link"
    users.delete(made["id"])


def _sign_in_elsewhere(world: BrowserWorld, chromium: Browser) -> None:
    context = chromium.new_context(base_url=world.url, user_agent=FIREFOX)
    page = context.new_page()
    choose(page, DIRECTORY)
    fill_in(page, ANN)
    heading(page, SIGNED_IN)
    context.close()
