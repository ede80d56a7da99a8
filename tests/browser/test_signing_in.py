"""Signing in and out in a real browser, with a directory, with own passwords, with providers."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from syncd.permissions import operator
from tests.browser.driving import (
    SIGNED_IN,
    at_provider,
    choose,
    fill_in,
    heading,
    reference,
    sign_in,
)
from tests.browser.world import ANN, BEA, BENT, DIRECTORY, KIM, OWN, PASSWORD, PROVIDER

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page, Request

    from tests.browser.conftest import OpenContext
    from tests.browser.world import BrowserWorld

SESSION = "__Host-syncd-session"


def cookie(context: BrowserContext, name: str = SESSION) -> str | None:
    """Return the secret in a browser's cookie."""
    return next((each["value"] for each in context.cookies() if each["name"] == name), None)


@pytest.mark.rule("H1", server="chromium")
@pytest.mark.parametrize(
    ("org", "username", "scripts"), [(DIRECTORY, ANN, False), (OWN, BEA, True)]
)
def test_with_a_password(
    org: str, username: str, *, scripts: bool, open_context: OpenContext
) -> None:
    """The ID, the password, one's own page, and out; going back shows nothing of it."""
    context = open_context(java_script_enabled=scripts)
    page = context.new_page()
    page.goto("/")
    page.get_by_label("Organization ID").fill(f" {org.upper()} ")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text(f"Organization ID: {org}")).to_be_visible()
    fill_in(page, username)
    heading(page, SIGNED_IN)
    expect(page.get_by_text(f"{username}@example.test")).to_be_visible()
    kept = {each["name"]: each for each in context.cookies()}
    assert set(kept) == {SESSION, "__Host-syncd-visit"}
    for each in kept.values():
        flags = (each["secure"], each["httpOnly"], each["sameSite"], each["path"], each["expires"])
        assert flags == (True, True, "Lax", "/", -1)
    page.get_by_role("button", name="Sign out", exact=True).click()
    heading(page, "You are signed out")
    assert cookie(context) is None
    page.go_back()
    expect(page.get_by_text(f"{username}@example.test")).to_have_count(0)


def test_by_keyboard_alone(page: Page) -> None:
    """The field is ready, Enter sends it, and every step on is in reach by Tab."""
    page.goto("/sign-in")
    expect(page.get_by_label("Organization ID")).to_be_focused()
    page.keyboard.type(DIRECTORY)
    page.keyboard.press("Enter")
    expect(page.get_by_label("Username")).to_be_focused()
    page.keyboard.type(ANN)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Sign in")).to_be_focused()
    page.keyboard.press("Enter")
    heading(page, SIGNED_IN)
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Sign out", exact=True)).to_be_focused()
    page.keyboard.press("Space")
    heading(page, "You are signed out")


def test_a_wrong_password(world: BrowserWorld, page: Page) -> None:
    """One sentence for all reasons, read out first; the log has the reason by its reference."""
    choose(page, DIRECTORY)
    for username, password, reason in (
        (BEA, PASSWORD, "unknown_user"),
        ("a*", PASSWORD, "unknown_user"),
        (ANN, "wrong", "wrong_password"),
    ):
        fill_in(page, username, password)
        said = page.get_by_role("alert")
        expect(said).to_contain_text("the username or the password is wrong")
        expect(page.get_by_label("Username")).to_have_value(username)
        expect(page.get_by_label("Password")).to_have_value("")
        assert page.title() == "Error: Sign in"
        (told,) = world.daemon.events("sign_in_refused", reference=reference(page))
        assert told["reason"] == reason
    fill_in(page, ANN)
    heading(page, SIGNED_IN)


def test_with_the_provider(world: BrowserWorld, open_context: OpenContext) -> None:
    """On to the provider, back with a session, and out of both, without a script."""
    context = open_context(java_script_enabled=False)
    page = context.new_page()
    choose(page, PROVIDER)
    page.wait_for_url(f"{world.provider.issuer}/**")
    # Back from there is the form again, without a question whether to send it once more.
    page.go_back()
    heading(page, "Sign in")
    page.get_by_label("Organization ID").fill(PROVIDER)
    page.get_by_role("button", name="Continue").click()
    at_provider(page, KIM)
    heading(page, SIGNED_IN)
    expect(page.get_by_text("Kim King")).to_be_visible()
    assert urlsplit(page.url).query == ""
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.wait_for_url(f"{world.provider.issuer}/**")
    assert cookie(context) is None
    page.get_by_role("button", name="Yes, sign me out").click()
    heading(page, "You are signed out")


@pytest.mark.rule("R7", server="chromium")
def test_two_tabs(world: BrowserWorld, open_context: OpenContext) -> None:
    """Two sign-ins under way in one browser both come to an end, the first one last."""
    context = open_context()
    first, second = context.new_page(), context.new_page()
    world.bent.page = True
    try:
        for tab in (first, second):
            choose(tab, BENT)
            heading(tab, "Provider")
        secrets = []
        for tab in (second, first):
            tab.get_by_role("button", name="ada").click()
            heading(tab, SIGNED_IN)
            secrets.append(cookie(context))
    finally:
        world.bent.page = False
    assert None not in secrets
    assert secrets[0] != secrets[1]


@pytest.mark.rule("R1", server="chromium")
@pytest.mark.rule("I13", server="chromium")
def test_an_answer_is_taken_once(
    world: BrowserWorld, page: Page, open_context: OpenContext
) -> None:
    """The provider's answer works in the browser that began, and there once; nothing is asked."""
    answers: list[str] = []

    def note(request: Request) -> None:
        if "/callback?" in request.url:
            answers.append(request.url)

    page.on("request", note)
    choose(page, BENT)
    heading(page, SIGNED_IN)
    (answer,) = answers
    asked = world.bent.count("/token")
    stranger = open_context().new_page()
    for tab in (page, stranger):
        tab.goto(answer)
        expect(tab.get_by_role("alert")).to_contain_text("You could not be signed in")
        (told,) = world.daemon.events("sign_in_refused", reference=reference(tab))
        assert told["reason"] == "unknown_state"
    assert world.bent.count("/token") == asked
    assert cookie(stranger.context) is None
    page.goto("/session")
    heading(page, SIGNED_IN)


@pytest.mark.rule("R4", server="chromium")
@pytest.mark.parametrize("fault", ["access_denied", "other_nonce"])
def test_what_the_provider_does_wrong(fault: str, world: BrowserWorld, page: Page) -> None:
    """Nobody is let in, and the page repeats nothing of what the provider said."""
    with world.bent.bent(fault):
        choose(page, BENT)
        heading(page, "You are not signed in")
    assert "denied" not in page.content()
    assert world.daemon.events("sign_in_refused", reference=reference(page))
    assert cookie(page.context) is None
    page.get_by_role("link", name="Try again").click()
    page.get_by_role("button", name="Continue to your organization").click()
    heading(page, SIGNED_IN)


def test_sessions_are_seen_and_ended(page: Page, open_context: OpenContext) -> None:
    """Somebody sees where he is signed in, and ends it there, or everywhere."""
    other = open_context(user_agent="Firefox/1 (Windows)").new_page()
    sign_in(other, DIRECTORY, ANN)
    sign_in(page, DIRECTORY, ANN)
    rows = page.get_by_role("listitem")
    expect(rows.first).to_contain_text("Chrome on Linux (this one)")
    # The newest stands first.
    page.get_by_role("button", name="End the session of Firefox on Windows").first.click()
    heading(page, SIGNED_IN)
    other.reload()
    heading(other, "Sign in")
    sign_in(other, DIRECTORY, ANN)
    page.reload()
    page.get_by_role("button", name="Sign out everywhere").click()
    heading(page, "You are signed out")
    other.reload()
    heading(other, "Sign in")


def test_who_is_put_out_is_out(world: BrowserWorld, page: Page) -> None:
    """A person who is disabled has no session at the next look."""
    sign_in(page, OWN, BEA)
    users = world.app.manage(OWN, operator("test")).users
    bea = users.id_of(BEA)
    users.disable(bea)
    try:
        page.goto("/session")
        heading(page, "Sign in")
        fill = page.get_by_label("Organization ID")
        fill.fill(OWN)
        page.get_by_role("button", name="Continue").click()
        fill_in(page, BEA)
        expect(page.get_by_role("alert")).to_be_visible()
    finally:
        users.enable(bea)


def test_the_provider_signs_out(world: BrowserWorld, page: Page) -> None:
    """What the provider ends by its back channel is over here, too."""
    choose(page, PROVIDER)
    at_provider(page, KIM)
    heading(page, SIGNED_IN)
    page.context.clear_cookies(domain="127.0.0.1")
    before = len(world.daemon.events("provider_signed_out"))
    world.provider.log_out(KIM, world.provider_session(KIM))
    world.daemon.wait_for("provider_signed_out", before + 1)
    page.reload()
    heading(page, "Sign in")


@pytest.mark.parametrize("org", [DIRECTORY, PROVIDER])
def test_for_a_portal(org: str, world: BrowserWorld, page: Page) -> None:
    """A portal's person signs in here once, is known there, and signs out of both."""
    portal = world.portals[org]
    page.goto(f"{portal.url}/sign-in")
    if org == PROVIDER:
        page.get_by_role("button", name="Continue to your organization").click()
        at_provider(page, KIM)
    else:
        fill_in(page, ANN)
    page.wait_for_url(f"{portal.url}/**")
    assert portal.told[-1].status == 200, portal.told[-1]
    expect(page.get_by_text("Signed in as")).to_be_visible()
    assert page.url == f"{portal.url}/"
    # Who has a session here is not asked again.
    page.context.clear_cookies(name="portal")
    page.goto(f"{portal.url}/sign-in")
    expect(page.get_by_text("Signed in as")).to_be_visible()
    leave = f"/sign-out?client_id={portal.client_id}&organization={org}&state=ours"
    page.goto(f"{world.url}{leave}&post_logout_redirect_uri={portal.url}/")
    page.get_by_role("button", name="Sign out", exact=True).click()
    if org == PROVIDER:
        page.get_by_role("button", name="Yes, sign me out").click()
    page.wait_for_url(f"{portal.url}/?state=ours")
    expect(page.get_by_text("Nobody is signed in.")).to_be_visible()
