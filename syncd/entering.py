"""The last step of every sign-in, and the one way in which sign-ins fail.

The part of ``syncd.app`` that opens sessions, counts attempts, and tells the log why somebody was
kept out; the person is shown a reference instead.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from datetime import timedelta
from hmac import digest
from typing import TYPE_CHECKING, Final, NamedTuple

from syncd.access.visits import Destination, Entered, Session, Visitor, Way, hash_of, new_secret
from syncd.errors import (
    ConstraintViolated,
    DirectoryError,
    ProviderUnavailable,
    Refused,
    SignInRefused,
    SyncdError,
    TooManyAttempts,
)
from syncd.handing_on import HandingOn
from syncd.identifying import ACCEPTED, NO_REASON, REFUSED
from syncd.records import fold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from syncd.access.throttling import Throttle
    from syncd.oidc.tokens import IdToken

SIGN_INS: Final = "sign_ins"
UNAVAILABLE: Final = "unavailable"
_OF_THIS_PROCESS: Final = secrets.token_bytes(32)


class Entering(HandingOn):
    """Opens sessions."""

    def _enter(
        self,
        org: str,
        visitor: Visitor,
        user_id: int,
        way: Way,
        *,
        destination: Destination | None,
        replaced: str | None,
        token: IdToken | None = None,
        provider_mark: bytes | None = None,
        sealed: bytes | None = None,
        refresh_in: timedelta | None = None,
    ) -> Entered:
        """Open the session; whoever may not sign in at this moment is refused by the store."""
        from syncd.store.sessions import NewSession, open_session

        lifetimes, secret = self.settings.daemon.sessions, new_secret()
        live = open_session(
            self.database(),
            org,
            NewSession(
                hash=hash_of(secret),
                user_id=user_id,
                way=way,
                address=visitor.address,
                agent=visitor.agent,
                idle=timedelta(seconds=lifetimes.idle),
                absolute=timedelta(seconds=lifetimes.absolute),
                issuer=None if token is None else token.claims.issuer,
                subject=None if token is None else token.claims.subject,
                sid=None if token is None else token.session_id,
                provider_mark=provider_mark,
                sealed=sealed,
                refresh_in=refresh_in,
                replaced=None if replaced is None else hash_of(replaced),
            ),
        )
        session = Session(**live.shown())
        location = None if destination is None else self.go_on(session, destination)
        self.counted(SIGN_INS, org, ACCEPTED, NO_REASON)
        self._log(
            "signed_in",
            org,
            f"{session.username} signed in",
            way=way,
            user=session.user_id,
            address=visitor.address,
        )
        return Entered(secret, session, location)

    def _throttle(self, org: str) -> Throttle:
        from syncd.access.throttling import Limits, Throttle
        from syncd.store.attempts import Attempts

        limits = self.settings.daemon.sign_in
        organization = self.settings.organizations.get(org)
        return Throttle(
            Attempts(self.database(), None if organization is None else org),
            Limits(
                account=limits.attempts_per_account,
                address=limits.attempts_per_address,
                organization=limits.attempts_per_organization,
                window=timedelta(seconds=limits.window),
            ),
            org,
            lockout=organization is not None and organization.provider == "ldap",
        )

    @contextmanager
    def _watched(
        self, org: str, visitor: Visitor, way: Way, username: str | None = None
    ) -> Iterator[None]:
        """Tell, count and give a reference to whatever keeps somebody out."""
        comer = _Comer(org, visitor, way, username)
        try:
            yield
        except SignInRefused as error:
            self._kept_out(error, comer, REFUSED, str(error.reason))
            raise
        except TooManyAttempts as error:
            self._kept_out(error, comer, REFUSED, error.code)
            raise
        except (DirectoryError, ProviderUnavailable) as error:
            self._kept_out(error, comer, UNAVAILABLE, error.code)
            raise
        except (ConstraintViolated, Refused) as error:
            # A rule of the model: a deleted organization, say.
            refusal = SignInRefused(error.code, str(error))
            self._kept_out(refusal, comer, REFUSED, error.code)
            raise refusal from error

    def _kept_out(self, error: SyncdError, comer: _Comer, outcome: str, reason: str) -> None:
        from syncd.logging import get_logger

        error.reference = secrets.token_hex(4)
        # What a stranger typed is no label.
        known = comer.org if comer.org in self.settings.organizations else ""
        self.counted(SIGN_INS, known, outcome, reason)
        # Some type their password there by mistake; the account is told apart without its name.
        account = {} if comer.username is None else {"account": _told_apart(comer.username)}
        tell = get_logger().warning if outcome == UNAVAILABLE else get_logger().info
        tell(
            f"a sign-in was refused: {error}",
            action="sign_in_refused",
            organization=known,
            reason=reason,
            reference=error.reference,
            way=comer.way,
            address=comer.visitor.address,
            **account,
        )


class _Comer(NamedTuple):
    """Who wants to come in."""

    org: str
    visitor: Visitor
    way: Way
    username: str | None


def _told_apart(username: str) -> str:
    """Return what one process tells names apart by; from a log alone nobody finds them out."""
    return digest(
        _OF_THIS_PROCESS, fold(username).encode("utf-8", "surrogatepass"), "sha256"
    ).hex()[:12]
