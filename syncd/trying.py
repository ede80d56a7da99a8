"""What an operator is told who tries a token, claims or a provider's address.

Plain values in the shapes of ``--json``; nothing is written. A token itself is never among them,
nor anything of it that was not verified beside what a check quotes.
"""

from __future__ import annotations

import codecs
import time
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from syncd.errors import SignInRefused, StoreError, UsageError
from syncd.identifying import ACCEPTED, REFUSED, Identifying

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syncd.oidc.outcome import Kind, Refusal, Step
    from syncd.oidc.tokens import AccessToken, IdToken, LogoutToken
    from syncd.providers import Provider
    from syncd.records import Arrival, Claims
    from syncd.store.arriving import Foreseen

    Verified = IdToken | AccessToken | LogoutToken


class Trying(Identifying):
    """The part of ``App`` that only says what would be."""

    def verify_token(
        self, org: str, text: str, *, kind: str = "id", nonce: str | None = None
    ) -> dict[str, Any]:
        """Check a token as a sign-in or the API would; say what each check found and what follows.

        ``kind`` is id, access or logout; without ``nonce`` any is taken. What follows is as far as
        it can be told without writing; the store need not be there.

        Raises:
            NotFound: No such organization is configured.
            UsageError: It has no identity provider, or there is no such kind of token.

        """
        from syncd.oidc.outcome import Kind, Refusal

        if kind not in set(Kind):
            raise UsageError(f"--kind takes one of {', '.join(Kind)}")
        provider = self.provider(org)
        steps, found = _checked(provider, text, Kind(kind), nonce=nonce, now=time.time())
        refused = isinstance(found, Refusal)
        report: dict[str, Any] = {
            "organization": org,
            "kind": kind,
            "issuer": provider.options.issuer,
            "outcome": REFUSED if refused else ACCEPTED,
            "reason": None,
            "detail": None,
            "checks": [
                {"check": step.check, "outcome": str(step.outcome), "detail": step.detail}
                for step in steps
            ],
            "verified": None,
            "claims": None,
            "person": None,
            "then": None,
        }
        if isinstance(found, Refusal):
            return {**report, "reason": str(found.reason), "detail": found.detail}
        report["verified"] = _verified(found)
        claims: Claims | None = getattr(found, "claims", None)
        if claims is None:
            return report
        report["claims"] = dict(claims.values)
        if kind == Kind.ACCESS:
            return {**report, "then": self._let_in(org, claims)}
        return {**report, **self._arriving(org, provider, claims)}

    def try_claims(self, org: str, body: bytes) -> dict[str, Any]:
        """Say what the mappers make of a newcomer's claims, which nobody has verified.

        Raises:
            NotFound: No such organization is configured.
            UsageError: It has no identity provider, or these are no claims of anybody.

        """
        from syncd.oidc.compact import peek, read_object
        from syncd.oidc.outcome import Refusal
        from syncd.records import Claims

        provider = self.provider(org)
        if peek(body.decode("ascii", "replace").strip()) is not None:
            raise UsageError(f"this is a token; `syncd token verify {org}` reads one")
        values = read_object(body.removeprefix(codecs.BOM_UTF8), "the file")
        if isinstance(values, Refusal):
            raise UsageError(f"{values.detail}; give the claims as one JSON object")
        subject = values.get("sub")
        if not isinstance(subject, str) or not subject:
            raise UsageError(
                "the claims lack `sub`, a text by which the provider knows the person; every token "
                "has one, so add it"
            )
        claims = Claims(issuer=provider.options.issuer, subject=subject, values=values)
        person, _, refused = _mapped(provider, claims, newcomer=True)
        found = None if refused is None else {"reason": refused.reason, "detail": str(refused)}
        return {"organization": org, "person": person, "refused": found}

    @staticmethod
    def idp_discover(
        url: str,
        *,
        networks: Sequence[str] = (),
        certificates: Sequence[str] = (),
        proxy: str | None = None,
    ) -> dict[str, Any]:
        """Return the settings that a provider publishes of itself; no configuration is needed.

        Args:
            url: The issuer, or the whole address below .well-known.
            networks: Private networks that it may lie in.
            certificates: PEM texts of authorities to trust besides the system's.
            proxy: The URL of the proxy to ask through.

        Raises:
            UsageError: A network, or the proxy's URL, is none.
            ProviderUnavailable: Nothing usable is published there; the message says why.

        """
        from syncd.oidc.discovery import discover
        from syncd.oidc.fetch import Fetcher
        from syncd.oidc.proxy import Proxy

        allowed = []
        for each in networks:
            try:
                allowed.append(ip_network(each, strict=False))
            except ValueError as error:
                raise UsageError(f"{each} is no network; write one such as 10.20.0.0/16") from error
        try:
            # Whoever vouches for the provider may vouch for the proxy: the caller trusts both.
            used = None if proxy is None else Proxy.read(proxy, ca_pem=certificates)
        except ValueError as error:
            raise UsageError(f"the proxy's URL {error}") from None
        fetch = Fetcher(allowed_networks=allowed, ca_pem=certificates, proxy=used)
        found = discover(url, fetch)
        settings = {key: _plain(each) for key, each in found.settings.items()}
        if allowed:
            settings["allowed_networks"] = [str(each) for each in allowed]
        return {
            "issuer": found.issuer,
            "idp": settings,
            "optional": {key: _plain(each) for key, each in found.optional.items()},
            "comments": dict(found.comments),
            "warnings": list(found.warnings),
            "backchannel_logout_supported": found.backchannel_logout_supported,
            "iss_parameter_supported": found.iss_parameter_supported,
            "code_challenge_methods": _plain(found.code_challenge_methods),
        }

    # --- what would follow ----------------------------------------------------------------------

    def _arriving(self, org: str, provider: Provider, claims: Claims) -> dict[str, Any]:
        """Return the person of an ID token, and what his sign-in would do."""
        unread: StoreError | None = None
        known = False
        try:
            known = self._arrivals(org).knows(claims.issuer, claims.subject)
        except StoreError as error:
            unread = error
        person, arrival, refused = _mapped(provider, claims, newcomer=not known)
        if refused is not None:
            then = _then("refuse", refused.reason, str(refused))
        elif unread is not None or arrival is None:
            then = _unread(unread)
        else:
            try:
                then = _foreseen(self._arrivals(org).foresee(arrival), arrival)
            except StoreError as error:
                then = _unread(error)
        return {"person": person, "then": then}

    def _let_in(self, org: str, claims: Claims) -> dict[str, Any]:
        """Say whether the API would let the person of an access token in."""
        from syncd.access.bearers import refusal_of
        from syncd.store.bearers import bearer

        try:
            person = bearer(self.database(), org, claims.issuer, claims.subject)
        except StoreError as error:
            return _unread(error)
        reason = refusal_of(person)
        if person is None:
            detail = f"nobody in {org} is this subject; somebody is known from his first sign-in on"
            return _then("refuse", reason, detail)
        if reason is None:
            return _then("let in", username=person.username, enabled=True)
        detail = f"{person.username} may not sign in; `syncd show {org} {person.username}` says why"
        return _then("refuse", reason, detail, username=person.username, enabled=False)


def _checked(
    provider: Provider, text: str, kind: Kind, *, nonce: str | None, now: float
) -> tuple[list[Step], Verified | Refusal]:
    """Return each check of a token in order, and what came of it.

    An ID token is taken as one that came directly from the token endpoint, as at a sign-in.
    """
    from syncd.oidc.outcome import Kind

    told: list[Step] = []
    validator = provider.validator
    found: Verified | Refusal
    if kind is Kind.ID:
        found = validator.id_token(
            text, now=now, nonce=nonce, any_nonce=nonce is None, direct=True, told=told
        )
    elif kind is Kind.ACCESS:
        found = validator.access_token(text, now=now, told=told)
    else:
        found = validator.logout_token(text, now=now, told=told)
    return told, found


def _verified(token: Verified) -> dict[str, Any]:
    """Return what a token says beside the person, as far as its kind has it."""
    claims, scope = getattr(token, "claims", None), getattr(token, "scope", None)
    return {
        "subject": getattr(token, "subject", None) if claims is None else claims.subject,
        "issued_at": _time(getattr(token, "issued_at", None)),
        "expires_at": _time(token.expires_at),
        "authenticated_at": _time(getattr(token, "authenticated_at", None)),
        "session_id": getattr(token, "session_id", None),
        "client_id": getattr(token, "client_id", None),
        "scope": None if scope is None else sorted(scope),
    }


def _mapped(
    provider: Provider, claims: Claims, *, newcomer: bool
) -> tuple[dict[str, Any], Arrival | None, SignInRefused | None]:
    """Return the person whom the mappers make of claims, and why they refuse him if they do."""
    mapping = provider.mapping
    arrival: Arrival | None = None
    refused: SignInRefused | None = None
    try:
        arrival = mapping(claims, newcomer=newcomer)
    except SignInRefused as error:
        refused = error
    person = {
        "source": claims.issuer,
        "external_id": claims.subject,
        "newcomer": newcomer,
        "fields": [
            {
                "field": origin.field,
                "value": origin.value,
                "mapper": origin.mapper,
                "attribute": origin.attribute,
                "raw": list(origin.raw),
            }
            for origin in mapping.explain(claims, newcomer=newcomer)
        ],
        "mappers": [
            {
                "mapper": finding.mapper,
                "type": finding.type,
                "target": finding.target,
                "outcome": str(finding.outcome),
                "gives": finding.gives,
            }
            for finding in mapping.findings(claims, newcomer=newcomer)
        ],
        "record": None if arrival is None else _record(arrival),
    }
    return person, arrival, refused


def _record(arrival: Arrival) -> dict[str, Any]:
    """Return a person as the mappers made him: only what is said."""
    return {
        "username": arrival.username,
        **arrival.fields,
        "attributes": {name: list(values) for name, values in arrival.attributes.items()},
        "roles": _sources(arrival, "role"),
        "groups": _sources(arrival, "group"),
    }


def _sources(arrival: Arrival, kind: str) -> list[dict[str, Any]]:
    found: dict[str, list[str]] = {}
    for each in arrival.granted:
        if each.kind == kind:
            found.setdefault(each.name, []).append(each.mapper)
    return [{"name": name, "sources": sorted(found[name])} for name in sorted(found)]


def _foreseen(found: Foreseen, arrival: Arrival) -> dict[str, Any]:
    """Say what the store would make of an arrival."""
    if found.refusal is not None and found.refusal.reason == "not_configured":
        # Whoever is the first to sign in makes the store know the organization.
        return _then("create", username=arrival.username)
    if found.refusal is not None:
        return _then("refuse", found.refusal.reason, str(found.refusal), username=found.username)
    would = "create" if found.created else "update" if found.changed else "keep"
    return {
        **_then(would, username=found.username, enabled=found.enabled),
        "linked": found.linked,
        "roles": list(found.roles),
        "groups": list(found.groups),
        "remarks": [
            {"kind": each.kind, "mapper": each.mapper, "detail": each.detail}
            for each in found.remarks
        ],
    }


def _then(
    would: str,
    reason: str | None = None,
    detail: str | None = None,
    *,
    username: str | None = None,
    enabled: bool | None = None,
) -> dict[str, Any]:
    return {
        "would": would,
        "reason": reason,
        "detail": detail,
        "username": username,
        "enabled": enabled,
        "linked": None,
        "roles": [],
        "groups": [],
        "remarks": [],
    }


def _unread(error: StoreError | None) -> dict[str, Any]:
    """Say that nobody can tell what would follow."""
    return _then(
        "unknown", None if error is None else error.code, None if error is None else str(error)
    )


def _plain(value: object) -> object:
    """Return a value as JSON has it."""
    if isinstance(value, frozenset | set):
        return sorted(value)
    return list(value) if isinstance(value, tuple) else value


def _time(seconds: float | None) -> str | None:
    """Return a token's time as it is shown; as a number where no calendar reaches."""
    if seconds is None:
        return None
    try:
        moment = datetime.fromtimestamp(int(seconds), UTC)
    except (OverflowError, OSError, ValueError):
        return str(seconds)
    return moment.isoformat().replace("+00:00", "Z")
