"""Portals that people are handed on to once they have signed in.

The part of ``syncd.app`` for the programs that rely on syncd: a one-time code by the browser, then
who that is, whether he still is, and the end.
"""

from __future__ import annotations

from datetime import UTC
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from syncd.access.tokens import SESSION_PREFIX
from syncd.access.visits import Destination, Session, hash_of, new_secret
from syncd.errors import NotAuthenticated, Refused
from syncd.signed_in import SignedIn

if TYPE_CHECKING:
    from datetime import datetime

    from syncd.store.sessions import LiveSession

LONGEST_STATE: Final = 2_000
NO_CLIENT: Final = "no portal is registered with this client_id and secret; see `portals:`"
NO_CODE: Final = (
    "the code is not valid: it was used, is older than a minute, or was made for another portal or "
    "redirect URI; send the person to sign in anew"
)


class HandingOn(SignedIn):
    """Hands people on to portals, and answers those."""

    def destination(
        self, org: str, client_id: str, redirect_uri: str, state: str | None = None
    ) -> Destination:
        """Return where a portal wants its person back.

        Raises:
            Refused: ``unknown_portal``: nothing of the kind is registered; the browser must not be
                sent there.

        """
        organization = self.settings.organizations.get(org)
        portal = None if organization is None else organization.portal(client_id)
        if portal is None or redirect_uri not in portal.redirect_uris:
            raise Refused(
                f"no portal is registered in {org} with this client_id and redirect_uri; "
                "write both into `portals:` as the portal sends them",
                "unknown_portal",
            )
        if state is not None and (len(state) > LONGEST_STATE or "\0" in state):
            raise Refused(
                f"the portal's state is longer than {LONGEST_STATE} characters, or has a NUL in it",
                "unknown_portal",
            )
        return Destination(client_id, redirect_uri, state)

    def way_back(self, org: str, client_id: str, post_logout_redirect_uri: str) -> str:
        """Return where a portal wants the browser after a sign-out.

        Raises:
            Refused: ``unknown_portal``: that is not registered.

        """
        organization = self.settings.organizations.get(org)
        portal = None if organization is None else organization.portal(client_id)
        if portal is None or post_logout_redirect_uri not in portal.post_logout_redirect_uris:
            raise Refused(
                f"no portal is registered in {org} with this client_id and "
                "post_logout_redirect_uri; write both into `portals:` as the portal sends them",
                "unknown_portal",
            )
        return post_logout_redirect_uri

    def go_on(self, session: Session, destination: Destination) -> str:
        """Return the portal's address with a new code for the person of a session.

        Raises:
            Refused: ``unknown_portal``: it is not registered in the session's organization.

        """
        from syncd.store import handoffs

        org = session.organization_id
        self.destination(org, *destination)
        code = new_secret()
        handoffs.make(
            self.database(),
            org,
            hash=hash_of(code),
            session_id=session.id,
            user_id=session.user_id,
            client_id=destination.client_id,
            redirect_uri=destination.redirect_uri,
        )
        answer = {"code": code, "iss": self._base_url}
        if destination.state is not None:
            answer["state"] = destination.state
        joint = "&" if "?" in destination.redirect_uri else "?"
        return f"{destination.redirect_uri}{joint}{urlencode(answer)}"

    def redeem(
        self, client_id: str, client_secret: str, code: str, redirect_uri: str
    ) -> dict[str, Any]:
        """Return who signed in, for the portal that a code was made for; a code works once.

        Raises:
            NotAuthenticated: No portal has this client_id and secret.
            Refused: ``expired``: the code is not, or not any more, one of this portal's.

        """
        from syncd.store import handoffs, sessions

        fitting = self._clients(client_id, client_secret)
        token = f"{SESSION_PREFIX}{new_secret()}"
        found = handoffs.redeem(
            self.database(),
            hash_of(code),
            client_id=client_id,
            redirect_uri=redirect_uri,
            organization_ids=fitting,
            token=hash_of(token),
        )
        if found is None:
            raise Refused(NO_CODE, "expired")
        org = found.organization_id
        if found.reused:
            self._log(
                "code_reused",
                org,
                f"a code of the portal {client_id} came a second time; its session was ended",
                level="warning",
            )
            raise Refused(NO_CODE, "expired")
        live = sessions.get(self.database(), org, found.session_id)
        if live is None:
            raise Refused(NO_CODE, "expired")
        portal = self.settings.organizations[org].portal(client_id)
        calls = portal is not None and portal.api_access
        person = self._person_of(Session(**live.shown()))
        return {**person, "access_token": token if calls else None}

    def check_sign_in(
        self, org: str, client_id: str, client_secret: str, session: str
    ) -> dict[str, Any]:
        """Say for a portal whether a session still holds, and who its person is now.

        That counts as use of the session. Of one that does not hold, or was never this portal's,
        it says ``{"active": False}`` and nothing else.

        Raises:
            NotAuthenticated: No portal has this client_id and secret.

        """
        live = self._handed(org, client_id, client_secret, session)
        held = None if live is None else self._held(live)
        return {"active": False} if held is None else {"active": True, **self._person_of(held)}

    def end_sign_in(
        self,
        org: str,
        client_id: str,
        client_secret: str,
        session: str,
        *,
        everywhere: bool = False,
    ) -> dict[str, Any]:
        """End a session for a portal; ``location`` is where its browser has to go, or None.

        Raises:
            NotAuthenticated: No portal has this client_id and secret.

        """
        live = self._handed(org, client_id, client_secret, session)
        if live is None:
            return {"ended": False, "location": None}
        return {"ended": True, "location": self._sign_out(live, everywhere=everywhere).location}

    def _handed(
        self, org: str, client_id: str, client_secret: str, session: str
    ) -> LiveSession | None:
        from syncd.store import handoffs, sessions

        if org not in self._clients(client_id, client_secret):
            raise NotAuthenticated(NO_CLIENT)
        if not (session.isascii() and session.isdecimal() and len(session) <= len(str(2**63))):
            return None
        number = int(session)
        if number >= 2**63 or not handoffs.is_known(self.database(), org, number, client_id):
            return None
        return sessions.get(self.database(), org, number)

    def _clients(self, client_id: str, client_secret: str) -> frozenset[str]:
        """Return the organizations in which a portal is registered so.

        Raises:
            NotAuthenticated: There is none.

        """
        given, fitting = client_secret.encode("utf-8", "surrogatepass"), set()
        for org, organization in self.settings.organizations.items():
            portal = organization.portal(client_id)
            if portal is None or portal.client_secret is None:
                continue
            if compare_digest(portal.client_secret.get_secret_value().encode(), given):
                fitting.add(org)
        if not fitting:
            raise NotAuthenticated(NO_CLIENT)
        return frozenset(fitting)

    def _person_of(self, session: Session) -> dict[str, Any]:
        """Return what a portal may know of the person of a session, as of now."""
        org = session.organization_id
        people = self._people(org)
        with people.database.read_by_key() as connection:
            shapes = people.of_ids(connection, [session.user_id])
        if not shapes:
            raise Refused(NO_CODE, "expired")
        levels = people.levels(session.user_id)
        return {
            "organization": {"id": org, "name": session.organization_name},
            "session": {
                "id": str(session.id),
                "way": session.way,
                "started_at": _iso(session.started_at),
                "idle_until": _iso(session.idle_until),
                "expires_at": _iso(session.expires_at),
            },
            "user": shapes[0],
            "permissions": {section: level.word for section, level in levels.items()},
        }


def _iso(time_: datetime) -> str:
    return time_.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
