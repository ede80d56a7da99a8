"""The session's own page, ending sessions, and signing out."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from syncd.access.visits import new_secret
from syncd.errors import NotFound, Refused
from syncd.web.sign_in import cookies, pages, session_pages
from syncd.web.sign_in.answers import NO_FORM, see

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

    from syncd.web.sign_in.visit import Visit

# What a portal's link for signing out says.
CARRIED: Final = ("organization", "client_id", "post_logout_redirect_uri", "state")
LONGEST_STATE: Final = 8_000
LONGEST_NUMBER: Final = 18


def shown(visit: Visit, wrong: str | None = None) -> Response:
    """Answer with the session's page."""
    session = visit.session
    if session is None:
        return _nobody(visit)
    return session_pages.own(visit, session, visit.app.sessions_of(session), wrong)


def ended(visit: Visit, session_id: str, given: Mapping[str, str]) -> Response:
    """Answer whoever ends one of his sessions."""
    session = visit.session
    if session is None:
        return _nobody(visit)
    if not visit.own_form(given, session=True):
        return _again(shown(visit, NO_FORM))
    if not (session_id.isascii() and session_id.isdecimal() and len(session_id) <= LONGEST_NUMBER):
        raise NotFound("there is no such session")
    # One that has ended meanwhile is what was wanted.
    with suppress(NotFound):
        visit.app.end_session(session, int(session_id))
    return see(visit.at("session"))


def asked_to_leave(visit: Visit) -> Response:
    """Answer whoever comes by a link for signing out: a link alone signs nobody out."""
    carried = _carried(visit.request.query_params)
    if visit.session is None:
        return _gone(visit, _way_back(visit, carried))
    _way_back(visit, carried)
    return session_pages.leaving(visit, visit.session, carried)


def left(visit: Visit, given: Mapping[str, str]) -> Response:
    """Answer whoever signs out."""
    carried = _carried(given)
    if visit.session_secret is None:
        return _gone(visit, None)
    if not visit.own_form(given, session=True):
        return _again(shown(visit, NO_FORM))
    back = _way_back(visit, carried)
    location = visit.app.sign_out(
        visit.session_secret,
        everywhere=given.get("everywhere") == "yes",
        state=None if back is None else _packed(carried),
    ).location
    return _gone(visit, back if location is None else location)


def signed_out(visit: Visit) -> Response:
    """Answer whoever has signed out, also when the provider sends him back."""
    carried = _unpacked(visit.request.query_params.get("state", ""))
    try:
        back = _way_back(visit, carried)
    except (Refused, UnicodeEncodeError):
        back = None
    return session_pages.left(visit) if back is None else pages.going_on(back)


def _way_back(visit: Visit, carried: Mapping[str, str]) -> str | None:
    """Return where a portal wants the browser now, if a portal's link led here.

    Raises:
        Refused: It is not registered so.

    """
    if "client_id" not in carried:
        return None
    org = carried.get("organization")
    if org is None and visit.session is not None:
        org = visit.session.organization_id
    uri = visit.app.way_back(
        org or "", carried["client_id"], carried.get("post_logout_redirect_uri", "")
    )
    if "state" not in carried:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}{urlencode({'state': carried['state']})}"


def _gone(visit: Visit, location: str | None) -> Response:
    """Return the answer to somebody without a session, whose browser begins anew."""
    response = see(visit.at("signed-out")) if location is None else pages.going_on(location)
    # Nothing is taken from a browser that sent nothing: another site's form comes without cookies.
    if visit.session_secret is not None:
        cookies.forget(response, cookies.SESSION)
        cookies.keep(response, cookies.VISIT, new_secret())
    return response


def _nobody(visit: Visit) -> Response:
    response = see(visit.at("sign-in"))
    if visit.session_secret is not None:
        cookies.forget(response, cookies.SESSION)
    return response


def _again(response: Response) -> Response:
    response.status_code = 403
    return response


def _carried(given: Mapping[str, str]) -> dict[str, str]:
    return {name: given[name] for name in CARRIED if name in given}


def _packed(carried: Mapping[str, str]) -> str:
    """Return what a provider brings back after its own sign-out; it is looked up again then."""
    return urlsafe_b64encode(json.dumps(dict(carried)).encode()).rstrip(b"=").decode()


def _unpacked(state: str) -> dict[str, str]:
    if len(state) > LONGEST_STATE:
        return {}
    try:
        found = json.loads(urlsafe_b64decode(state + "=" * (-len(state) % 4)))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: found[name] for name in CARRIED if isinstance(found.get(name), str)}
