"""What is shown to whoever has not signed in."""

from __future__ import annotations

from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from syncd.web.frame import POLICY, alert, page
from syncd.web.sign_in.visit import FORM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

    from syncd.web.sign_in.visit import Visit

TITLE: Final = "Sign in"
# What a portal's link says, from page to page; believed only after it was looked up.
CARRIED: Final = ("client_id", "redirect_uri", "state")
LONGEST_ID: Final = 63
_PLAIN: Final = 'autocapitalize="none" autocorrect="off" spellcheck="false" required autofocus'


def organization(
    visit: Visit, carried: Mapping[str, str], *, typed: str = "", wrong: str | None = None
) -> Response:
    """Return the page that asks for the organization's ID."""
    body = (
        f"{alert(wrong) if wrong else ''}"
        f"{_form(visit.at('sign-in'), visit.form, carried)}"
        '<label for="organization">Organization ID</label>'
        '<span class="soft" id="hint">Your administrator can tell you what it is.</span>'
        f'<input id="organization" name="organization" value="{escape(typed)}" '
        f'maxlength="{LONGEST_ID}" autocomplete="organization" {_PLAIN} '
        f"{_described('hint', wrong)}>"
        '<button type="submit">Continue</button></form>'
    )
    return page(TITLE, body, _status(wrong), wrong=wrong is not None)


def password(
    visit: Visit,
    org: str,
    carried: Mapping[str, str],
    *,
    typed: str = "",
    wrong: str | None = None,
    reference: str | None = None,
    status: HTTPStatus | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the page that asks for username and password; it is the same for any ID."""
    described = 'aria-invalid="true" aria-describedby="wrong"' if wrong else ""
    body = (
        f"{alert(wrong) if wrong else ''}{reference_line(reference)}"
        f"{_chosen(visit, org, carried)}"
        f"{_form(visit.at('sign-in', org), visit.form, carried)}"
        '<label for="username">Username</label>'
        f'<input id="username" name="username" value="{escape(typed)}" autocomplete="username" '
        f"{_PLAIN} {described}>"
        '<label for="password">Password</label>'
        '<input id="password" name="password" type="password" autocomplete="current-password" '
        f"required {described}>"
        '<button type="submit">Sign in</button></form>'
    )
    shown = status or _status(wrong)
    return page(TITLE, body, shown, wrong=wrong is not None, headers=headers)


def provider(
    visit: Visit, org: str, carried: Mapping[str, str], *, wrong: str | None = None
) -> Response:
    """Return the page whose one button leads to the organization's identity provider."""
    body = (
        f"{alert(wrong) if wrong else ''}{_chosen(visit, org, carried)}"
        "<p>Your organization signs you in itself.</p>"
        f"{_form(visit.at('sign-in', org), visit.form, carried)}"
        '<button type="submit" autofocus>Continue to your organization</button></form>'
    )
    return page(TITLE, body, _status(wrong), wrong=wrong is not None)


def going_on(url: str) -> Response:
    """Return the page that sends the browser to another site.

    It is no redirect, because browsers hold each redirect after a form against the form's policy
    (`form-action`), and where a provider or a portal redirects to next is known to nobody here.
    A refresh is no part of the form, needs no script, and leaves no page to come back to.
    """
    body = f'<p>Your browser goes on by itself. If it does not: <a href="{escape(url)}">go on</a>.'
    policy = POLICY.replace("form-action 'self'", "form-action 'none'")
    return page(
        "One moment",
        f"{body}</p>",
        headers={"Refresh": f"0;url={url}", "Content-Security-Policy": policy},
    )


def refused(
    visit: Visit,
    org: str,
    text: str,
    status: HTTPStatus,
    *,
    reference: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the page that says that nobody was signed in."""
    again = f'<p><a href="{escape(visit.at("sign-in", org))}">Try again</a></p>'
    body = f"{alert(text)}{reference_line(reference)}{again}"
    return page("You are not signed in", body, status, wrong=True, headers=headers)


def reference_line(reference: str | None) -> str:
    """Return what an administrator finds the reason by, in the log."""
    if reference is None:
        return ""
    return (
        "<p>If you ask your administrator for help, give this reference: "
        f"<code>{escape(reference)}</code></p>"
    )


def _chosen(visit: Visit, org: str, carried: Mapping[str, str]) -> str:
    other = escape(visit.at("sign-in", **carried))
    return f'<p>Organization ID: <strong>{escape(org)}</strong> (<a href="{other}">change</a>)</p>'


def _form(action: str, token: str, carried: Mapping[str, str]) -> str:
    hidden = {FORM: token, **carried}
    fields = (
        f'<input type="hidden" name="{name}" value="{escape(value)}">'
        for name, value in hidden.items()
    )
    return f'<form method="post" action="{escape(action)}">{"".join(fields)}'


def _described(hint: str, wrong: str | None) -> str:
    if wrong:
        return f'aria-invalid="true" aria-describedby="wrong {hint}"'
    return f'aria-describedby="{hint}"'


def _status(wrong: str | None) -> HTTPStatus:
    return HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.OK
