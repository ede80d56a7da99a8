"""Whether a token is what it says: the checks of each kind, in order.

Size, form and header first, which cost little; then the key, which may go over the network; then
the signature; and the claims, of which nothing is concluded before. The first check that fails ends
it. Pure but for the keys; nothing is kept from one token to the next, so that any thread may ask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncd.errors import ConfigurationError, Fault
from syncd.oidc import claims as said
from syncd.oidc import header, moments
from syncd.oidc.checks import Check, Examined, Rules
from syncd.oidc.keys import shared_secret
from syncd.oidc.outcome import Outcome, Reason, Refusal, Step
from syncd.oidc.signature import ALGORITHMS, SHARED
from syncd.oidc.tokens import AccessToken, IdToken, LogoutToken
from syncd.records import Claims

if TYPE_CHECKING:
    from syncd.oidc.options import ProviderOptions
    from syncd.oidc.ports import Keys
    from syncd.oidc.tokens import Identified

ID_CHECKS = (
    *header.CHECKS,
    *(said.ISSUER, said.AUDIENCE, said.AUTHORIZED_PARTY, said.SUBJECT),
    *(moments.EXPIRY, moments.NOT_BEFORE, moments.ISSUED_AT, moments.AGE),
    *(said.NONCE, moments.AUTHENTICATION_TIME, said.HASH),
    *(said.NO_LOGOUT, said.SESSION),
)
REFRESH_CHECKS = (*ID_CHECKS, said.IDENTITY)
ACCESS_CHECKS = (
    *header.CHECKS,
    *(said.ISSUER, said.API_AUDIENCE, said.SUBJECT),
    *(moments.EXPIRY, moments.NOT_BEFORE, moments.ISSUED_AT),
    *(said.CLIENT, said.TOKEN_ID, said.SCOPE),
)
LOGOUT_CHECKS = (
    *header.CHECKS,
    *(said.ISSUER, said.AUDIENCE),
    *(moments.EXPIRY, moments.NOT_BEFORE, moments.ISSUED_AT, moments.AGE),
    *(said.SOMEBODY, said.SESSION, said.EVENTS, said.NO_NONCE, said.TOKEN_ID),
)


class Validator:
    """Judges the tokens of one organization's provider."""

    def __init__(self, options: ProviderOptions, keys: Keys) -> None:
        """Take the provider and its keys.

        Raises:
            ConfigurationError: There is no issuer or no client id to hold tokens against.

        """
        missing = [name for name in ("issuer", "client_id") if not getattr(options, name)]
        if missing:
            raise ConfigurationError(
                [
                    Fault(options.organization_id, None, f"idp.{name}", "must be provided")
                    for name in missing
                ]
            )
        allowed = options.allowed_algorithms & ALGORITHMS.keys()
        self._options = options
        self._id = Rules(
            keys=keys,
            secrets={name: shared_secret(options.client_secret, name) for name in allowed & SHARED},
            algorithms=allowed,
            types=frozenset({"jwt"}),
            untyped=True,
        )
        # Whoever may verify these with the client secret could make them.
        self._access = self._id._replace(
            algorithms=allowed - SHARED, types=frozenset({"at+jwt"}), untyped=False
        )
        self._logout = self._id._replace(types=frozenset({"jwt", "logout+jwt"}))

    def id_token(
        self,
        text: str,
        *,
        now: float,
        nonce: str | None = None,
        any_nonce: bool = False,
        max_age: int | None = None,
        access_token: str | None = None,
        code: str | None = None,
        direct: bool = False,
        previous: Identified | None = None,
        told: list[Step] | None = None,
    ) -> IdToken | Refusal:
        """Return who signed in, or why the token is not taken (Core section 3.1.3.7).

        ``nonce`` is the one that was sent; without it a token with one is refused, unless
        ``any_nonce``. ``max_age`` is the one that was sent. ``access_token`` and ``code`` are what
        came with the token. ``direct`` says that it came from the token endpoint itself, whose
        tokens need no signature when Validate Signatures is off. ``previous`` is whom the token of
        the sign-in named, when this one came of a refresh (Core section 12.2). ``told`` receives
        each check.
        """
        token = Examined(
            text,
            now,
            self._id,
            self._options,
            nonce,
            any_nonce,
            max_age,
            access_token,
            code,
            direct,
            previous,
        )
        refusal = _judge(token, ID_CHECKS if previous is None else REFRESH_CHECKS, told)
        if refusal is not None:
            return refusal
        values = token.claims
        return IdToken(
            claims=Claims(values["iss"], values["sub"], values),
            expires_at=values["exp"],
            issued_at=values["iat"],
            authenticated_at=values.get("auth_time"),
            session_id=values.get("sid"),
            nonce=values.get("nonce"),
        )

    def access_token(
        self, text: str, *, now: float, told: list[Step] | None = None
    ) -> AccessToken | Refusal:
        """Return who calls the API, or why the token is not taken (RFC 9068 section 4)."""
        if self._options.api_audience is None:
            detail = "access tokens of this provider are not taken: set api_audience"
            if told is not None:
                told.append(Step("audience", Outcome.FAILED, detail))
            return Refusal(Reason.WRONG_AUDIENCE, detail)
        token = Examined(text, now, self._access, self._options)
        refusal = _judge(token, ACCESS_CHECKS, told)
        if refusal is not None:
            return refusal
        values = token.claims
        return AccessToken(
            claims=Claims(values["iss"], values["sub"], values),
            client_id=values["client_id"],
            scope=said.scope_of(values),
            token_id=values["jti"],
            expires_at=values["exp"],
        )

    def logout_token(
        self, text: str, *, now: float, told: list[Step] | None = None
    ) -> LogoutToken | Refusal:
        """Return whose sessions end, or why the token is not taken (Back-Channel Logout 2.6).

        That it was not used before is the caller's to see.
        """
        token = Examined(text, now, self._logout, self._options)
        refusal = _judge(token, LOGOUT_CHECKS, told)
        if refusal is not None:
            return refusal
        values = token.claims
        return LogoutToken(
            issuer=values["iss"],
            subject=values.get("sub"),
            session_id=values.get("sid"),
            token_id=values["jti"],
            expires_at=values["exp"],
        )


def _judge(token: Examined, checks: tuple[Check, ...], told: list[Step] | None) -> Refusal | None:
    """Make the checks in order; return the first refusal."""
    if told is not None:
        return _judge_aloud(token, checks, told)
    for _, find, _ in checks:
        found = find(token)
        if found is not None and isinstance(found, Refusal):
            return found
    return None


def _judge_aloud(token: Examined, checks: tuple[Check, ...], told: list[Step]) -> Refusal | None:
    for check in checks:
        found = check.find(token)
        told.append(check.step(token, found))
        if isinstance(found, Refusal):
            return found
    return None
