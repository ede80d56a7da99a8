"""Sessions of people who have signed in: whether they hold, and how they end.

The part of ``syncd.app`` that composes ``access`` and ``oidc`` with the store for sessions. Each
answer is of this moment: whoever was shut out, by whatever door, has no session any more.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from syncd.access.visits import (
    Ending,
    Session,
    SignedOut,
    hash_of,
    signed_out_url,
)
from syncd.errors import (
    NotFound,
    ProviderUnavailable,
    Refused,
    SignInRefused,
)
from syncd.identifying import ACCEPTED, NO_REASON, REFUSED, TOKENS
from syncd.managing import Managing

if TYPE_CHECKING:
    from syncd.oidc.kept import Kept
    from syncd.oidc.tokens import IdToken
    from syncd.providers import Provider
    from syncd.settings import Settings
    from syncd.store.sessions import LiveSession
    from syncd.store.shutting_out import Sweep

# Whoever could not ask a provider for its word asks again so much later.
ASKED_AGAIN: Final = timedelta(minutes=1)
# Requests that may ask one provider about sessions at a time: a slow one keeps no more waiting.
ASKING_AT_ONCE: Final = 3
# Of a logout token that comes a second time.
USED_BEFORE: Final = "used_before"
# How often what nobody needs any more is removed.
TIDIED_SECONDS: Final = 60.0


class SignedIn(Managing):
    """Sessions: whether they hold, who has them, and how they end."""

    def __init__(self, settings: Settings, *, log_searches: bool = False) -> None:
        super().__init__(settings, log_searches=log_searches)
        self._sweep: Sweep | None = None
        self._asking: dict[str, threading.BoundedSemaphore] = {}
        self._unanswered: dict[str, float] = {}
        self._tidied = time.monotonic()

    def session(self, secret: str) -> Session | None:
        """Return the session of a cookie, if it holds; that counts as its use.

        Where the provider gave a refresh token it is asked from time to time whether the person
        still belongs; while it cannot be asked, its last word counts.
        """
        from syncd.store import sessions

        found = sessions.find(self.database(), hash_of(secret))
        return None if found is None else self._held(found)

    def _held(self, found: LiveSession) -> Session | None:
        from syncd.store import sessions

        organization = self.settings.organizations.get(found.organization_id)
        if organization is None:
            return None
        if not self._same_provider(organization.id, found.way, found.provider_mark):
            # Whom another provider has sent is nobody that this one stands for.
            self._end(organization.id, "shut_out", session_id=found.id)
            return None
        if found.refresh_due and not self._still_belongs(found):
            return None
        if found.touch_due:
            sessions.note_seen(self.database(), found.organization_id, found.id)
        return Session(**found.shown())

    def sessions_of(self, session: Session) -> list[Session]:
        """Return all sessions of the person of a session, the newest first."""
        from syncd.store import sessions

        found = sessions.of_person(self.database(), session.organization_id, session.user_id)
        return [Session(**each.shown()) for each in found]

    def end_session(self, session: Session, session_id: int) -> None:
        """End one of the sessions of the person of a session.

        Raises:
            NotFound: He has no such session.

        """
        because: Ending = "ended_by_person"
        if not self._end(
            session.organization_id, because, session_id=session_id, user_id=session.user_id
        ):
            raise NotFound("this session has ended already")

    def sign_out(
        self, secret: str, *, everywhere: bool = False, state: str | None = None
    ) -> SignedOut:
        """End a session, or all of its person; the provider's, too.

        With Backchannel Logout the provider's Logout URL is called from here; without, the browser
        has to go there, and comes back with ``state``.
        """
        from syncd.store import sessions

        found = sessions.find(self.database(), hash_of(secret))
        if found is None:
            sessions.end_by_hash(self.database(), hash_of(secret), "signed_out")
            return SignedOut(None)
        return self._sign_out(found, everywhere=everywhere, state=state)

    def _sign_out(
        self, found: LiveSession, *, everywhere: bool = False, state: str | None = None
    ) -> SignedOut:
        from syncd.oidc import logging_out

        org = found.organization_id
        kept = self._kept(found)
        if everywhere:
            self._end(org, "signed_out", user_id=found.user_id)
        else:
            self._end(org, "signed_out", session_id=found.id)
        self._log("signed_out", org, f"{found.username} signed out", way=found.way)
        if found.way != "idp" or self.settings.organizations[org].idp is None:
            return SignedOut(None)
        provider, hint = self.provider(org), None if kept is None else kept.id_token
        if provider.options.backchannel_logout:
            try:
                if hint is not None:
                    logging_out.call(provider.options, provider.fetch, hint)
            except ProviderUnavailable as error:
                # Here the person is signed out in any case.
                self._log(
                    "provider_logout_failed",
                    org,
                    f"the provider could not be told that {found.username} signed out: {error}",
                    level="warning",
                )
            return SignedOut(None)
        return SignedOut(
            logging_out.browser_url(
                provider.options,
                id_token_hint=hint,
                post_logout_redirect_uri=signed_out_url(self._base_url),
                state=state,
            )
        )

    def _end(
        self,
        org: str,
        because: Ending,
        *,
        session_id: int | None = None,
        user_id: int | None = None,
    ) -> int:
        from syncd.store import sessions

        return sessions.end(self.database(), org, because, session_id=session_id, user_id=user_id)

    @property
    def _base_url(self) -> str:
        return str(self.settings.daemon.http.base_url)

    # --- what the provider says afterwards --------------------------------------------------

    def _still_belongs(self, found: LiveSession) -> bool:
        """Ask the provider for its word of today; end the session if it does not give it.

        One that does not answer is left alone for a while, whoever's session it is about: else its
        people would keep the threads busy that everybody's requests need.
        """
        org = found.organization_id
        silent = self._unanswered.get(org)
        if silent is not None and time.monotonic() - silent < ASKED_AGAIN.total_seconds():
            return True
        turn = self._asking.setdefault(org, threading.BoundedSemaphore(ASKING_AT_ONCE))
        if not turn.acquire(blocking=False):
            return True
        try:
            return self._asked_again(found)
        finally:
            turn.release()

    def _asked_again(self, found: LiveSession) -> bool:
        from syncd.store import sessions

        org, settings = found.organization_id, self.settings.organizations
        sealed = sessions.claim_refresh(self.database(), org, found.id, again=ASKED_AGAIN)
        if sealed is None or settings[org].idp is None:
            # Another request asks just now, or what was kept belongs to a provider that is gone.
            return True
        provider = self.provider(org)
        kept = self._opened(provider, org, sealed)
        if kept is None or kept.refresh_token is None:
            sessions.set_sealed(self.database(), org, found.id, sealed, refresh_in=None)
            return True
        try:
            refusal = self._refreshed(provider, found, kept)
        except ProviderUnavailable as error:
            self._unanswered[org] = time.monotonic()
            self._log(
                "refresh_failed",
                org,
                f"the provider could not be asked about {found.username}: {error}",
                level="warning",
            )
            return True
        if refusal is not None:
            self._end(org, "ended_by_provider", session_id=found.id)
            self._log(
                "session_ended",
                org,
                f"the provider does not stand for {found.username} any more: {refusal}",
            )
            return False
        return sessions.get(self.database(), org, found.id) is not None

    def _refreshed(self, provider: Provider, found: LiveSession, kept: Kept) -> str | None:
        """Return why the provider's word of today ends a session; None if it does not."""
        from syncd.access.sessions import refresh_in
        from syncd.oidc.exchange import Ended, refresh
        from syncd.oidc.failed import SignInFailed
        from syncd.oidc.kept import renewed
        from syncd.oidc.outcome import Reason, Refusal
        from syncd.oidc.userinfo import with_userinfo
        from syncd.store import sessions

        org = found.organization_id
        answer = refresh(provider.options, provider.fetch, str(kept.refresh_token))
        if isinstance(answer, Ended):
            return answer.detail
        # At once: many providers take a refresh token only once.
        sessions.set_sealed(
            self.database(),
            org,
            found.id,
            self._sealing(provider, org).seal(kept.after(answer).pack()),
            refresh_in=refresh_in(None if answer.expires_in is None else int(answer.expires_in)),
        )
        token: IdToken | Refusal | SignInFailed | None
        token = renewed(provider.validator, kept, answer, now=time.time())
        if token is None:
            return None
        if not isinstance(token, Refusal):
            token = with_userinfo(provider.options, provider.fetch, token, answer.access_token)
        if isinstance(token, Refusal | SignInFailed):
            if token.reason is Reason.KEYS_UNAVAILABLE:
                raise ProviderUnavailable(token.detail)
            return token.detail
        try:
            self.arrive(org, token, why="refresh")
        except SignInRefused as error:
            return str(error)
        return None

    def logout_token(self, org: str, text: str) -> int:
        """End the sessions that a provider's logout token names; return how many.

        Raises:
            Refused: ``invalid``: it is no logout token for this organization, or was used before.
            NotFound: There is no organization of this id with an identity provider.
            ProviderUnavailable: The provider's keys cannot be had, so that nothing can be said.

        """
        from syncd.oidc.outcome import Reason, Refusal
        from syncd.store import logout_tokens

        organization = self.settings.organizations.get(org)
        if organization is None or organization.idp is None or organization.provider != "idp":
            raise NotFound("no identity provider signs people in here")
        options = self.provider(org).options
        found = self.provider(org).validator.logout_token(text, now=time.time())
        if isinstance(found, Refusal):
            self._refused(org, found.reason, found.detail, "a logout token")
            # Where there are no keys to be had at all, trying again does not help.
            if found.reason is Reason.KEYS_UNAVAILABLE and options.jwks_url is not None:
                raise ProviderUnavailable(
                    "the identity provider's keys cannot be had at the moment; try again soon"
                )
            raise Refused(f"the logout token is not valid: {found.detail}")
        # As long as it would be taken.
        skew = options.allowed_clock_skew_seconds
        until = min(found.expires_at + skew, time.time() + options.longest_age_seconds + 2 * skew)
        ended = logout_tokens.end_once(
            self.database(),
            org,
            issuer=found.issuer,
            jti=found.token_id,
            expires_at=datetime.fromtimestamp(until + 1, UTC),
            sid=found.session_id,
            subject=found.subject,
        )
        if ended is None:
            self.counted(TOKENS, org, REFUSED, USED_BEFORE)
            raise Refused("the logout token was used before")
        self.counted(TOKENS, org, ACCEPTED, NO_REASON)
        self._log("provider_signed_out", org, f"the provider ended {ended} sessions", ended=ended)
        return ended

    def _kept(self, found: LiveSession) -> Kept | None:
        from syncd.store import sessions

        org = found.organization_id
        if found.way != "idp" or self.settings.organizations[org].idp is None:
            return None
        sealed = sessions.sealed(self.database(), org, found.id)
        return None if sealed is None else self._opened(self.provider(org), org, sealed)

    def _opened(self, provider: Provider, org: str, sealed: bytes) -> Kept | None:
        """Return what was kept of a provider's tokens; None once the client secret is another."""
        from syncd.oidc.kept import Kept

        packed = self._sealing(provider, org).open(sealed)
        kept = None if packed is None else Kept.unpack(packed)
        if kept is None or kept.identified.issuer != provider.options.issuer:
            # One provider's tokens are never shown to another.
            return None
        return kept

    @staticmethod
    def _sealing(provider: Provider, org: str) -> Any:  # noqa: ANN401 - of a room that is loaded late
        from syncd.oidc.sealing import Sealing

        return Sealing(provider.options.client_secret, org)

    # --- the sweep --------------------------------------------------------------------------

    def sweep_sessions(self) -> list[tuple[str, float]]:
        """Write down which sessions have ended; to be called each second by one thread.

        Returns (organization, seconds since then) of each whose person was shut out. They have let
        nobody in since that moment: this is when it stands in the store as well.
        """
        from syncd.store.shutting_out import Sweep

        if self._sweep is None:
            self._sweep = Sweep(self.database())
        found = [(each.organization_id, each.seconds) for each in self._sweep.shut_out()]
        if time.monotonic() - self._tidied >= TIDIED_SECONDS:
            self._tidied = time.monotonic()
            self._sweep.expired()
            self._sweep.tidy()
        return found

    def _log(
        self, action: str, org: str, sentence: str, *, level: str = "info", **more: object
    ) -> None:
        from syncd.logging import get_logger

        getattr(get_logger(), level)(sentence, action=action, organization=org, **more)
