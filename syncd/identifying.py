"""Who somebody is by a token of the organization's identity provider.

The part of ``syncd.app`` that composes ``oidc``, the claim mappers and the store: access tokens
that open the API, and people who arrive by what their provider says of them.
"""

from __future__ import annotations

import json
import threading
import time
from hashlib import sha256
from typing import TYPE_CHECKING

from syncd.errors import (
    ConstraintViolated,
    InsufficientScope,
    NotAuthenticated,
    ProviderUnavailable,
    SignInRefused,
    cut,
)
from syncd.looking import Looking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from syncd.oidc.tokens import IdToken
    from syncd.permissions import Principal
    from syncd.providers import Provider
    from syncd.settings import OrganizationSettings, Settings
    from syncd.store.arriving import Arrivals, Arrived
    from syncd.store.bearers import Bearer

    # What is counted, of which organization, its outcome and the reason.
    Counted = Callable[[str, str, str, str], None]

# What is counted here; the metrics know them by these words.
TOKENS, JWKS = "tokens", "jwks"
ACCEPTED, REFUSED, NO_REASON = "accepted", "refused", "none"
# How often the log tells of refusals of one kind: anybody can send tokens.
TOLD_SECONDS = 60.0
# Refusals of the mappers that are a rule of the organization and no fault of what is said.
UNWANTED = frozenset({"essential_claim", "disabled"})
# Somebody who was deleted between two looks is mapped anew as a newcomer, and the other way round.
MOST_ATTEMPTS = 3


class Identifying(Looking):
    """Opens identity providers, and answers who somebody is."""

    def __init__(self, settings: Settings, *, log_searches: bool = False) -> None:
        super().__init__(settings, log_searches=log_searches)
        # Whoever has metrics puts his own in place before anybody asks.
        self.counted: Counted = _not_counted
        self._providers: dict[str, Provider] = {}
        self._composing = threading.Lock()
        self._takers: Mapping[str, Mapping[str, str]] | None = None
        self._told: dict[tuple[str, str], float] = {}

    def provider(self, org: str) -> Provider:
        """Return an organization's identity provider, composed when it is first asked for.

        It need not be the active one, so that it can be tried before a switch.

        Raises:
            NotFound: No such organization is configured.
            UsageError: It has no identity provider.

        """
        found = self._providers.get(org)
        if found is not None:
            return found
        from syncd.providers import compose_provider

        organization = self._organization(org)

        def fetched(outcome: str, reason: str) -> None:
            self.counted(JWKS, org, outcome, reason)

        with self._composing:
            if org not in self._providers:
                outbound = self.settings.daemon.outbound
                self._providers[org] = compose_provider(organization, outbound, fetched=fetched)
            return self._providers[org]

    def keep_providers(self, old: Identifying) -> None:
        """Go on with the providers of organizations that are as before.

        Their keys count on while they cannot be fetched: another organization's file, or none at
        all, is no reason to let nobody in.
        """
        if old.settings.daemon.outbound != self.settings.daemon.outbound:
            return
        before, now = old.settings.organizations, self.settings.organizations
        kept = dict(old._providers)
        kept = {org: each for org, each in kept.items() if now.get(org) == before[org]}
        self._providers = kept | self._providers

    # --- tokens at the API ----------------------------------------------------------------------

    def authenticate(self, token: str, org: str | None = None) -> tuple[str, Principal]:
        """Return the organization that a token opens the API of, and on whose behalf it speaks.

        It is one of syncd's own, or an access token of an identity provider; ``org``, which is
        asked for, decides where several organizations have one provider.

        Raises:
            NotAuthenticated: It does not let anybody in.
            InsufficientScope: The provider's token was not made for this API.
            ProviderUnavailable: The provider's keys cannot be had.

        """
        from syncd.access import tokens
        from syncd.store.tokens import shown

        if tokens.is_foreign(token):
            return self.authenticate_bearer(token, org)
        if tokens.is_of_session(token):
            return self._of_session(token)
        read = tokens.read(token)
        if read is None:
            raise NotAuthenticated(tokens.REFUSED)
        token_id, secret = read
        found = shown(self.database(), token_id)
        principal = tokens.principal_of(token_id, secret, found)
        return ("" if found is None else found.organization_id), principal

    def _of_session(self, token: str) -> tuple[str, Principal]:
        """Return whose session a token is of that a portal has got."""
        from syncd.access import bearers, tokens
        from syncd.access.visits import hash_of
        from syncd.store.bearers import session_bearer

        found = session_bearer(self.database(), hash_of(token))
        org = None if found is None else self.settings.organizations.get(found.organization_id)
        portal = None if found is None or org is None else org.portal(found.client_id)
        # The portal may have lost its access, and the provider its word, since it was given.
        if (
            found is None
            or portal is None
            or not portal.api_access
            or not self._same_provider(found.organization_id, found.way, found.provider_mark)
        ):
            raise NotAuthenticated(tokens.REFUSED)
        return found.organization_id, bearers.principal_of(found.bearer)

    def _same_provider(self, org: str, way: str, mark: bytes | None) -> bool:
        """Return whether a session was begun by the provider that the organization has by now."""
        if way != "idp":
            return True
        return self.settings.organizations[org].idp is not None and mark == mark_of(
            self.provider(org)
        )

    def note_token_use(self, token_ids: Iterable[int]) -> None:
        """Write down that these tokens are used now."""
        from syncd.store.tokens import note_use

        note_use(self.database(), token_ids)

    def authenticate_bearer(self, text: str, org: str | None) -> tuple[str, Principal]:
        """Return the organization and the person of an identity provider's access token.

        Args:
            text: The token (RFC 9068).
            org: The organization that the request's path names; it decides where several have the
                same provider and audience.

        Raises:
            NotAuthenticated: It lets nobody in. Why is in the log and not in the message.
            InsufficientScope: It was not made for this API.
            ProviderUnavailable: The provider's keys cannot be had, so that nothing can be said.

        """
        from syncd.access import bearers

        candidate = self._candidate(text, org)
        person = None if candidate is None else self._bearer(text, candidate)
        if candidate is None or person is None:
            raise NotAuthenticated(bearers.REFUSED)
        return candidate, bearers.principal_of(person)

    def _candidate(self, text: str, org: str | None) -> str | None:
        """Return the one organization that a token may be for, by what it says unverified.

        One alone is asked, so that a stranger's token does not make all of them look for keys.
        """
        from syncd.oidc.compact import peek

        if self._takers is None:
            self._takers = _takers(self.settings.organizations)
        told = peek(text) if self._takers else None
        if told is None:
            return None
        issuer, audience = told
        takers = self._takers.get(issuer, {}) if isinstance(issuer, str) else {}
        audiences = audience if isinstance(audience, list) else [audience]
        fitting = [name for name, wanted in takers.items() if wanted in audiences]
        if org in fitting:
            return org
        if not fitting and any(org in names for names in self._takers.values()):
            # It fits nobody, and is refused by the one that was asked, and counted there.
            return org
        return fitting[0] if len(fitting) == 1 else None

    def _bearer(self, text: str, org: str) -> Bearer | None:
        """Return the person of an access token of this organization, or None."""
        from syncd.access.bearers import refusal_of
        from syncd.oidc.outcome import Reason, Refusal
        from syncd.store.bearers import bearer

        provider = self.provider(org)
        found = provider.validator.access_token(text, now=time.time())
        if isinstance(found, Refusal):
            self._refused(org, found.reason, found.detail)
            if found.reason is Reason.INSUFFICIENT_SCOPE:
                scope = provider.options.api_scope or ""
                raise InsufficientScope(
                    f"the access token lacks the scope {scope}; ask the identity provider for one "
                    "that has it",
                    scope,
                )
            if found.reason is Reason.KEYS_UNAVAILABLE:
                raise ProviderUnavailable(
                    "the identity provider's keys cannot be had at the moment; try again soon"
                )
            return None
        claims = found.claims
        person = bearer(self.database(), org, claims.issuer, claims.subject)
        if (reason := refusal_of(person)) is not None:
            who = "nobody is known here as" if person is None else f"{person.username} is shut out,"
            self._refused(org, reason, f"{who} the subject {cut(claims.subject)!r}")
            return None
        self.counted(TOKENS, org, ACCEPTED, NO_REASON)
        return person

    def _refused(self, org: str, reason: str, detail: str, what: str = "an access token") -> None:
        """Count a refusal; the log tells of the first of its kind in a while."""
        self.counted(TOKENS, org, REFUSED, str(reason))
        now, kind = time.monotonic(), (org, str(reason))
        if now - self._told.get(kind, -TOLD_SECONDS) < TOLD_SECONDS:
            return
        self._told[kind] = now
        from syncd.logging import get_logger

        get_logger().info(
            f"{what} was refused: {detail}",
            action="access_refused",
            organization=org,
            reason=str(reason),
        )

    # --- arriving -------------------------------------------------------------------------------

    def arrive(self, org: str, token: IdToken, *, why: str | None = None) -> Arrived:
        """Write the person of a verified ID token as the organization's mappers make him.

        Raises:
            SignInRefused: He is not taken; where what is said of him is at fault, the quarantine
                tells why until it is put right.

        """
        claims, provider = token.claims, self.provider(org)
        audience = claims.values["aud"]
        for_us = provider.options.client_id in (audience if type(audience) is list else [audience])
        if claims.issuer != provider.options.issuer or not for_us:
            # Verified for another organization, or by the settings of before.
            raise SignInRefused(
                "other_provider",
                f"the token is not of the provider that {org} has by now; sign in again",
            )
        arrivals = self._arrivals(org)
        self.found(org)
        for attempt in range(1, MOST_ATTEMPTS + 1):
            known = arrivals.knows(claims.issuer, claims.subject)
            try:
                arrival = provider.mapping(claims, newcomer=not known)
            except SignInRefused as refusal:
                if refusal.reason not in UNWANTED:
                    arrivals.quarantine(claims.issuer, claims.subject, refusal)
                raise
            try:
                return arrivals.arrive(arrival, why=why)
            except ConstraintViolated:
                if attempt == MOST_ATTEMPTS:
                    raise
        raise AssertionError  # pragma: no cover - the last attempt returns or raises

    def found(self, org: str) -> None:
        """Write an organization down in the store; without syncs nobody else does."""
        if org in self.founded:
            return
        organization = self._organization(org)
        name, provider = organization.organization.name, organization.provider
        self._people(org).create_organization(name, provider)
        self.founded.add(org)

    def _arrivals(self, org: str) -> Arrivals:
        from syncd.store.arriving import Arrivals

        organization = self._organization(org)
        return Arrivals(self.database(), org, name=organization.organization.name)


def _not_counted(*_: str) -> None:
    """Count nothing: a command has no metrics."""


def _takers(organizations: Mapping[str, OrganizationSettings]) -> dict[str, dict[str, str]]:
    """Return by issuer which organizations take its access tokens, for which audience."""
    found: dict[str, dict[str, str]] = {}
    for name, each in organizations.items():
        if each.provider == "idp" and each.idp is not None and each.idp.api_audience is not None:
            found.setdefault(str(each.idp.issuer), {})[name] = str(each.idp.api_audience)
    return found


def facts_of(provider: Provider) -> dict[str, str | None]:
    """Return what makes a provider this one and no other, for the journal."""
    options = provider.options
    return {
        "issuer": options.issuer,
        "client_id": options.client_id,
        "authorization_url": options.authorization_url,
        "token_url": options.token_url,
        "jwks_url": options.jwks_url,
    }


def mark_of(provider: Provider) -> bytes:
    """Return by what the sessions of a provider are told from those of another."""
    return sha256(json.dumps(facts_of(provider), sort_keys=True).encode()).digest()
