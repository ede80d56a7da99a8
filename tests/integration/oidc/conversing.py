"""Sign-ins at the bent provider, by the rooms alone: browser, exchange, validator, userinfo."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from syncd.oidc.authorization import Answer, authorization_url, read_answer
from syncd.oidc.exchange import TokenAnswer, redeem_code
from syncd.oidc.failed import SignInFailed
from syncd.oidc.fetch import Fetcher
from syncd.oidc.jwks import JwksCache
from syncd.oidc.options import ProviderOptions
from syncd.oidc.outcome import Refusal
from syncd.oidc.userinfo import with_userinfo
from syncd.oidc.validate import Validator
from tests.servers.relying_party import Browser

if TYPE_CHECKING:
    from syncd.oidc.tokens import IdToken
    from tests.servers.bent_provider import BentProvider

CALLBACK = "https://syncd.example.test/sign-in/acme/callback"


def options(provider: BentProvider, **changes: Any) -> ProviderOptions:
    """Return the registration with a provider."""
    values = provider.settings() | changes
    return ProviderOptions(organization_id="acme", **values)


@dataclass
class Party:
    """Syncd's side of a sign-in, as the application puts it together."""

    provider: BentProvider
    options: ProviderOptions
    fetch: Fetcher
    verifier: str = ""
    nonce: str = ""

    @classmethod
    def of(cls, provider: BentProvider, *, seconds: float = 30.0, **changes: Any) -> Party:
        """Return a party that is registered so."""
        return cls(provider, options(provider, **changes), Fetcher(seconds=seconds))

    @property
    def validator(self) -> Validator:
        """The judge of its tokens."""
        return Validator(self.options, JwksCache(self.options.jwks_url, self.fetch))

    def answer(self) -> Answer | SignInFailed:
        """Send a browser to the provider and read what it comes back with."""
        self.verifier, self.nonce = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        url = authorization_url(
            self.options,
            redirect_uri=CALLBACK,
            state=secrets.token_urlsafe(32),
            nonce=self.nonce,
            verifier=self.verifier,
        )
        back = Browser().ask("GET", url).location
        assert back is not None
        return read_answer(self.options, parse_qsl(urlsplit(back).query, keep_blank_values=True))

    def redeem(self, answer: Answer, **changes: Any) -> TokenAnswer | SignInFailed:
        """Exchange a code."""
        words: dict[str, Any] = {"redirect_uri": CALLBACK, "verifier": self.verifier}
        return redeem_code(self.options, self.fetch, code=answer.code, **words | changes)

    def tokens(self) -> TokenAnswer:
        """Go as far as to the tokens, which come."""
        answer = self.answer()
        assert isinstance(answer, Answer)
        tokens = self.redeem(answer)
        assert isinstance(tokens, TokenAnswer)
        return tokens

    def judge(self, tokens: TokenAnswer) -> IdToken | Refusal:
        """Say whether the ID token of an answer is true."""
        return self.validator.id_token(
            tokens.id_token or "",
            now=time.time(),
            nonce=self.nonce,
            access_token=tokens.access_token,
            direct=True,
        )

    def sign_in(self) -> IdToken | Refusal | SignInFailed:
        """Go all the way."""
        answer = self.answer()
        if isinstance(answer, SignInFailed):
            return answer
        tokens = self.redeem(answer)
        if isinstance(tokens, SignInFailed):
            return tokens
        token = self.judge(tokens)
        if isinstance(token, Refusal):
            return token
        return with_userinfo(self.options, self.fetch, token, tokens.access_token)
