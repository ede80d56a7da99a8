"""Signing in: the organization's ID, its provider or a password, and on to the portal."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from syncd.errors import Refused, SignInRefused, TooManyAttempts
from syncd.web.sign_in import cookies, pages
from syncd.web.sign_in.answers import (
    AWAY,
    NO_FORM,
    NOT_NOW,
    REFUSED,
    nothing_here,
    reference,
    retry_after,
    see,
    too_many,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

    from syncd.access.visits import Destination, Entered
    from syncd.web.sign_in.visit import Visit

_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
_NO_ID: Final = "An organization ID has letters, digits and hyphens only, such as acme"
_WRONG: Final = (
    "This did not work: the username or the password is wrong, or this account may not sign in"
)


def asked(visit: Visit) -> Response:
    """Answer whoever wants to sign in, from a portal's link or by himself."""
    query = visit.request.query_params
    carried = _carried(query)
    if query.get("organization"):
        org = _org(query["organization"])
        if org is None:
            return pages.organization(visit, carried, typed=query["organization"], wrong=_NO_ID)
        return see(visit.at("sign-in", org, **carried))
    return _straight_on(visit, None, carried) or pages.organization(visit, carried)


def chosen(visit: Visit, given: Mapping[str, str]) -> Response:
    """Answer whoever has typed an organization's ID."""
    carried, typed = _carried(given), given.get("organization", "")
    if not visit.own_form(given):
        return _again(pages.organization(visit, carried, typed=typed, wrong=NO_FORM))
    org = _org(typed)
    if org is None:
        return pages.organization(visit, carried, typed=typed, wrong=_NO_ID)
    straight_on = _straight_on(visit, org, carried)
    if straight_on is not None:
        return straight_on
    destination = _destination(visit, org, carried)
    if visit.app.way_in(org) == "idp":
        return _to_provider(visit, org, destination)
    return see(visit.at("sign-in", org, **carried))


def shown(visit: Visit, org: str) -> Response:
    """Answer whoever comes to an organization's own address."""
    if _ID.fullmatch(org) is None:
        return nothing_here()
    carried = _carried(visit.request.query_params)
    straight_on = _straight_on(visit, org, carried)
    if straight_on is not None:
        return straight_on
    _destination(visit, org, carried)
    if visit.app.way_in(org) == "idp":
        return pages.provider(visit, org, carried)
    return pages.password(visit, org, carried)


def entered(visit: Visit, org: str, given: Mapping[str, str]) -> Response:
    """Answer whoever goes on to the provider, or has typed a password."""
    if _ID.fullmatch(org) is None:
        return nothing_here()
    carried, typed = _carried(given), given.get("username", "")
    by_provider = visit.app.way_in(org) == "idp"
    if not visit.own_form(given):
        if by_provider:
            return _again(pages.provider(visit, org, carried, wrong=NO_FORM))
        return _again(pages.password(visit, org, carried, typed=typed, wrong=NO_FORM))
    destination = _destination(visit, org, carried)
    if by_provider:
        return _to_provider(visit, org, destination)
    try:
        found = visit.app.enter_with_password(
            org,
            visit.visitor,
            typed,
            given.get("password", ""),
            destination,
            replaced=visit.session_secret,
        )
    except (SignInRefused, TooManyAttempts, *AWAY) as error:
        text, status, headers = _told(error, _WRONG)
        return pages.password(
            visit,
            org,
            carried,
            typed=typed,
            wrong=text,
            reference=reference(error),
            status=status,
            headers=headers,
        )
    return _in(visit, found)


def returned(visit: Visit, org: str) -> Response:
    """Answer whom the provider has sent back."""
    if _ID.fullmatch(org) is None:
        return nothing_here()
    try:
        found = visit.app.finish_at_provider(
            org,
            visit.visitor,
            visit.request.query_params.multi_items(),
            replaced=visit.session_secret,
        )
    except (SignInRefused, TooManyAttempts, *AWAY) as error:
        return _refused(visit, org, error)
    return _in(visit, found)


def _to_provider(visit: Visit, org: str, destination: Destination | None) -> Response:
    try:
        url = visit.app.start_at_provider(org, visit.visitor, destination)
    except (SignInRefused, TooManyAttempts, *AWAY) as error:
        return _refused(visit, org, error)
    return pages.going_on(url)


def _in(visit: Visit, found: Entered) -> Response:
    response = (
        see(visit.at("session")) if found.location is None else pages.going_on(found.location)
    )
    cookies.keep(response, cookies.SESSION, found.secret)
    return response


def _straight_on(visit: Visit, org: str | None, carried: Mapping[str, str]) -> Response | None:
    """Return the answer to somebody who has signed in already, there or anywhere; else None."""
    session = visit.session
    if session is None or org not in {None, session.organization_id}:
        return None
    try:
        destination = _destination(visit, session.organization_id, carried)
    except Refused:
        if org is not None:
            raise
        # The portal may belong to another organization, which is to be typed then.
        return None
    if destination is None:
        return see(visit.at("session"))
    return pages.going_on(visit.app.go_on(session, destination))


def _destination(visit: Visit, org: str, carried: Mapping[str, str]) -> Destination | None:
    """Return where the portal wants its person back, if a portal's link led here.

    Raises:
        Refused: It is not registered so.

    """
    if not carried:
        return None
    return visit.app.destination(
        org, carried.get("client_id", ""), carried.get("redirect_uri", ""), carried.get("state")
    )


def _carried(given: Mapping[str, str]) -> dict[str, str]:
    """Return what a portal's link says; nothing where there is no portal in it."""
    found = {name: given[name] for name in pages.CARRIED if name in given}
    return found if found.keys() & {"client_id", "redirect_uri"} else {}


def _org(typed: str) -> str | None:
    """Return the ID that was typed in whatever letter case; None for what cannot be one."""
    org = typed.strip().lower()
    return org if _ID.fullmatch(org) else None


def _again(response: Response) -> Response:
    response.status_code = HTTPStatus.FORBIDDEN
    return response


def _refused(visit: Visit, org: str, error: Exception) -> Response:
    text, status, headers = _told(error, REFUSED)
    return pages.refused(visit, org, text, status, reference=reference(error), headers=headers)


def _told(error: Exception, refused: str) -> tuple[str, HTTPStatus, Mapping[str, str] | None]:
    """Return what a page says of a failure: never which of the many it was."""
    if isinstance(error, TooManyAttempts):
        return too_many(error), HTTPStatus.TOO_MANY_REQUESTS, retry_after(error)
    if isinstance(error, SignInRefused):
        return refused, HTTPStatus.FORBIDDEN, None
    return NOT_NOW, HTTPStatus.SERVICE_UNAVAILABLE, None
