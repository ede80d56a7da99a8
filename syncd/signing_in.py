"""Getting in: through the identity provider, by the directory's password, or by one kept here.

The part of ``syncd.app`` that composes ``oidc``, ``ldap``, ``access`` and the store for a sign-in.
Every refusal is told once in the log, with a reference that the person's page shows instead of the
reason.
"""

from __future__ import annotations

import threading
import time
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from syncd.access.visits import (
    Destination,
    Entered,
    Visitor,
    Way,
    callback_url,
    derived,
    hash_of,
    new_secret,
)
from syncd.entering import Entering
from syncd.errors import (
    DirectoryError,
    ProviderUnavailable,
    SignInRefused,
    TooManyAttempts,
)
from syncd.identifying import facts_of, mark_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from syncd.directories import Directory
    from syncd.oidc.failed import SignInFailed
    from syncd.oidc.outcome import Refusal
    from syncd.oidc.tokens import IdToken
    from syncd.providers import Provider
    from syncd.settings import OrganizationSettings, Settings

T = TypeVar("T")

UNKNOWN: Final = "unknown_organization"
# Why the journal says that a person was changed.
WHY: Final = "signed in"


class SigningIn(Entering):
    """Lets people in."""

    def __init__(self, settings: Settings, *, log_searches: bool = False) -> None:
        super().__init__(settings, log_searches=log_searches)
        self._directories: dict[str, Directory] = {}
        self._composing_directory = threading.Lock()

    def way_in(self, org: str) -> Literal["idp", "password"]:
        """Return how people of an organization sign in; one that is not there looks like any."""
        organization = self.settings.organizations.get(org)
        return "idp" if organization is not None and organization.provider == "idp" else "password"

    # --- with the identity provider ---------------------------------------------------------

    def start_at_provider(
        self, org: str, visitor: Visitor, destination: Destination | None = None
    ) -> str:
        """Begin a sign-in at the organization's provider; return where the browser has to go.

        Raises:
            SignInRefused: The organization has no identity provider.
            TooManyAttempts: This address has begun too many that came to nothing.

        """
        from syncd.oidc.authorization import authorization_url
        from syncd.store import sign_ins

        with self._watched(org, visitor, "idp"):
            provider = self._active_provider(org)
            self._throttle(org).begin(visitor.address)
            state = new_secret()
            sign_ins.start(
                self.database(),
                org,
                state=hash_of(state),
                browser=hash_of(visitor.browser),
                destination=_as_tuple(destination),
            )
            return authorization_url(
                provider.options,
                redirect_uri=callback_url(self._base_url, org),
                state=state,
                nonce=_word(visitor, f"nonce {state}"),
                verifier=_word(visitor, f"verifier {state}"),
            )

    def finish_at_provider(
        self,
        org: str,
        visitor: Visitor,
        parameters: Sequence[tuple[str, str]],
        *,
        replaced: str | None = None,
    ) -> Entered:
        """Let in whom the provider sends back; ``parameters`` are the pairs of its query.

        Args:
            org: The organization of the redirect URI.
            visitor: The browser, which has to be the one that began.
            parameters: The answer of the provider (RFC 6749 section 4.1.2).
            replaced: The secret of the session that this browser has had.

        Raises:
            SignInRefused: Nobody is let in.
            ProviderUnavailable: The provider cannot be asked.

        """
        from syncd.store.organizations import Organizations

        with self._watched(org, visitor, "idp"):
            provider = self._active_provider(org)
            destination, token, sealed, refresh_in = self._proven(
                org, provider, visitor, parameters
            )
            arrived = self.arrive(org, token, why=WHY)
            if not arrived.enabled:
                raise SignInRefused("disabled", f"{arrived.username} is shut out")
            Organizations(self.database(), org).note_idp(facts_of(provider))
            entered = self._enter(
                org,
                visitor,
                arrived.user_id,
                "idp",
                destination=destination,
                replaced=replaced,
                token=token,
                provider_mark=mark_of(provider),
                sealed=sealed,
                refresh_in=refresh_in,
            )
            self._throttle(org).finish(visitor.address)
            return entered

    def _proven(
        self,
        org: str,
        provider: Provider,
        visitor: Visitor,
        parameters: Sequence[tuple[str, str]],
    ) -> tuple[Destination | None, IdToken, bytes, timedelta | None]:
        """Return whom an answer of the provider is about, and what is kept of its tokens."""
        from syncd.access.sessions import refresh_in
        from syncd.oidc import authorization, exchange, userinfo
        from syncd.oidc.kept import Kept
        from syncd.store import sign_ins

        options = provider.options
        state = authorization.state_of(parameters)
        if state is None:
            raise SignInRefused("missing_state", "the provider's answer has not exactly one state")
        under_way = sign_ins.take(
            self.database(), org, state=hash_of(state), browser=hash_of(visitor.browser)
        )
        if under_way is None:
            raise SignInRefused(
                "unknown_state",
                "no sign-in of this browser is under way with this state: it took longer than ten "
                "minutes, was used already, or was begun elsewhere",
            )
        answer = _taken(authorization.read_answer(options, parameters))
        tokens = _taken(
            exchange.redeem_code(
                options,
                provider.fetch,
                code=answer.code,
                redirect_uri=callback_url(self._base_url, org),
                verifier=_word(visitor, f"verifier {state}"),
            )
        )
        verified = provider.validator.id_token(
            tokens.id_token or "",
            now=time.time(),
            nonce=_word(visitor, f"nonce {state}"),
            access_token=tokens.access_token,
            code=answer.code,
            direct=True,
        )
        token = _taken(
            userinfo.with_userinfo(options, provider.fetch, _taken(verified), tokens.access_token)
        )
        kept = Kept.of(tokens, token)
        lasts = None if tokens.expires_in is None else int(tokens.expires_in)
        due = None if kept.refresh_token is None else refresh_in(lasts)
        destination = under_way.destination
        return (
            None if destination is None else Destination(*destination),
            token,
            self._sealing(provider, org).seal(kept.pack()),
            due,
        )

    def _active_provider(self, org: str) -> Provider:
        organization = self.settings.organizations.get(org)
        if organization is None or organization.provider != "idp" or organization.idp is None:
            raise SignInRefused(UNKNOWN, "there is no such organization with an identity provider")
        return self.provider(org)

    # --- with a password --------------------------------------------------------------------

    def enter_with_password(
        self,
        org: str,
        visitor: Visitor,
        username: str,
        password: str,
        destination: Destination | None = None,
        *,
        replaced: str | None = None,
    ) -> Entered:
        """Let in who has the right password: the directory's, or the one that is kept here.

        Raises:
            SignInRefused: Nobody is let in; the person reads one and the same sentence for all.
            TooManyAttempts: Of this account, from this address, or in this organization.
            DirectoryError: The directory cannot be asked.

        """
        organization = self.settings.organizations.get(org)
        way: Way = (
            "ldap" if organization is not None and organization.provider == "ldap" else "admin"
        )
        with self._watched(org, visitor, way, username):
            throttle = self._throttle(org)
            attempt = throttle.attempt(username, visitor.address)
            try:
                user_id = self._by_password(organization, username, password)
            except (DirectoryError, TooManyAttempts):
                # Nothing was tried: nobody could be asked, or there was no turn.
                throttle.forgive(attempt)
                raise
            entered = self._enter(
                org, visitor, user_id, way, destination=destination, replaced=replaced
            )
            throttle.succeeded(attempt)
            return entered

    def _by_password(
        self, organization: OrganizationSettings | None, username: str, password: str
    ) -> int:
        from syncd.access import password_entry
        from syncd.store.passwords import Passwords

        if organization is None or organization.provider == "idp":
            # It takes as long as elsewhere, and says as little.
            password_entry.enter(None, username, password)
            raise SignInRefused(UNKNOWN, "there is no such organization with passwords")
        if organization.provider == "ldap":
            return self._by_directory(organization, username, password)
        store = Passwords(self.database(), organization.id)
        return password_entry.enter(store, username, password)

    def _by_directory(
        self, organization: OrganizationSettings, username: str, password: str
    ) -> int:
        from syncd.store.arriving_entries import EntryArrivals

        org = organization.id
        arrivals = EntryArrivals(self.database(), org, name=organization.organization.name)
        before = arrivals.position()
        proven = self._directory(organization).prove(username, password)
        if proven.warning is not None:
            said = f"{proven.record.username}: {proven.warning}"
            self._log("sign_in_warning", org, said, level="warning")
        self.found(org)
        arrived = arrivals.arrive(proven.record, after=before, why=WHY)
        if not arrived.enabled:
            raise SignInRefused("disabled", f"{arrived.username} is shut out")
        return arrived.user_id

    def _directory(self, organization: OrganizationSettings) -> Directory:
        found = self._directories.get(organization.id)
        if found is None:
            from syncd.directories import compose_directory

            with self._composing_directory:
                found = self._directories.setdefault(
                    organization.id, compose_directory(organization)
                )
        return found


def _as_tuple(destination: Destination | None) -> tuple[str, str, str | None] | None:
    if destination is None:
        return None
    return (destination.client_id, destination.redirect_uri, destination.state)


def _word(visitor: Visitor, purpose: str) -> str:
    """Return 43 characters of base64url that this browser alone can know (RFC 7636 section 4.1)."""
    return urlsafe_b64encode(derived(visitor.browser, purpose)).rstrip(b"=").decode()


def _taken(found: T | Refusal | SignInFailed) -> T:
    """Return what a step of the protocol came to.

    Raises:
        SignInRefused: It lets nobody in.
        ProviderUnavailable: Without the provider's keys nothing can be said.

    """
    from syncd.oidc.failed import SignInFailed, SignInFault
    from syncd.oidc.outcome import Reason, Refusal

    if not isinstance(found, Refusal | SignInFailed):
        return found
    if found.reason in {Reason.KEYS_UNAVAILABLE, SignInFault.PROVIDER_FAILING}:
        raise ProviderUnavailable(found.detail)
    raise SignInRefused(str(found.reason), found.detail)
