"""What is shown to whoever has signed in, and after that."""

from __future__ import annotations

from datetime import UTC
from html import escape
from typing import TYPE_CHECKING, Final

from syncd.web.frame import alert, page
from syncd.web.sign_in.agents import browser_name
from syncd.web.sign_in.visit import FORM

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from starlette.responses import Response

    from syncd.access.visits import Session
    from syncd.web.sign_in.visit import Visit

MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
_WAYS: Final = {
    "idp": "through your organization",
    "ldap": "with your directory password",
    "admin": "with your password",
}
# Nobody looks through more.
MOST_SHOWN: Final = 100


def own(
    visit: Visit, session: Session, sessions: Sequence[Session], wrong: str | None = None
) -> Response:
    """Return the page of a session: whose it is, where else he is signed in, and ways out."""
    others = [each for each in sessions[:MOST_SHOWN] if each.id != session.id]
    rows = [_row(visit, session, current=True), *(_row(visit, each) for each in others)]
    body = (
        f"{alert(wrong) if wrong else ''}<p>{_name(session)}<br>{escape(session.organization_name)}"
        f'</p><p class="soft">{_terms(session)}</p>{_form(visit, "Sign out", "sign-out")}'
        f'<h2>Your sessions</h2><ul class="rows">{"".join(rows)}</ul>'
    )
    if others:
        form = _form(
            visit, "Sign out everywhere", "sign-out", plain=True, hidden={"everywhere": "yes"}
        )
        body += f"<h2>All at once</h2><p>This ends all {len(rows)} sessions.</p>{form}"
    return page("You are signed in", body, wrong=wrong is not None)


def leaving(visit: Visit, session: Session, carried: Mapping[str, str]) -> Response:
    """Return the page that asks whoever comes by a portal's link whether to sign out."""
    body = f"<p>{_name(session)}<br>{escape(session.organization_name)}</p>"
    back = f'<p><a href="{escape(visit.at("session"))}">Stay signed in</a></p>'
    return page("Sign out?", body + _form(visit, "Sign out", "sign-out", hidden=carried) + back)


def left(visit: Visit) -> Response:
    """Return the page after a sign-out."""
    link = escape(visit.at("sign-in"))
    return page("You are signed out", f'<p><a href="{link}">Sign in again</a></p>')


def _row(visit: Visit, session: Session, *, current: bool = False) -> str:
    name = browser_name(session.agent)
    where = f", from {escape(session.address)}" if session.address else ""
    lines = (
        f"<strong>{name}</strong>{' (this one)' if current else ''}<br>"
        f'<span class="soft">Since {_moment(session.started_at)}{where}.<br>'
        f"Last used {_moment(session.seen_at)}.</span>"
    )
    if current:
        return f"<li>{lines}</li>"
    label = f"End the session of {name}, since {_text(session.started_at)}"
    end = _form(visit, "End", "session", str(session.id), "end", plain=True, label=label)
    return f"<li>{lines}{end}</li>"


def _terms(session: Session) -> str:
    unused = min(session.idle_until, session.expires_at)
    return (
        f"You signed in {_WAYS[session.way]}. If you do not use it, this session ends on "
        f"{_moment(unused)}; at the latest on {_moment(session.expires_at)}."
    )


def _name(session: Session) -> str:
    whole = " ".join(filter(None, (session.first_name, session.last_name)))
    name = f"<strong>{escape(whole or session.username)}</strong>"
    told = [session.username if whole else None, session.email]
    return ", ".join([name, *(escape(each) for each in told if each)])


def _form(
    visit: Visit,
    text: str,
    *path: str,
    plain: bool = False,
    label: str | None = None,
    hidden: Mapping[str, str] | None = None,
) -> str:
    fields = {FORM: visit.session_form, **(hidden or {})}
    inputs = (
        f'<input type="hidden" name="{name}" value="{escape(value)}">'
        for name, value in fields.items()
    )
    look = ' class="plain"' if plain else ""
    named = f' aria-label="{escape(label)}"' if label else ""
    return (
        f'<form method="post" action="{escape(visit.at(*path))}">{"".join(inputs)}'
        f'<button type="submit"{look}{named}>{text}</button></form>'
    )


def _moment(time: datetime) -> str:
    return f'<time datetime="{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}">{_text(time)}</time>'


def _text(time: datetime) -> str:
    utc = time.astimezone(UTC)
    return f"{utc.day} {MONTHS[utc.month - 1]} {utc.year}, {utc:%H:%M} UTC"
