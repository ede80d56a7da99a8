"""Owns a provider's metadata: found, checked, and told as settings (OpenID Connect Discovery 1.0).

The document says who the provider is, so it counts only when it names exactly the issuer that was
asked for: else one provider could describe itself as another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from syncd.oidc.addresses import target
from syncd.oidc.compact import quoted, read_object
from syncd.oidc.failure import Cause, FetchFailed
from syncd.oidc.outcome import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syncd.oidc.options import ProviderOptions
    from syncd.oidc.ports import Fetch

WELL_KNOWN: Final = "/.well-known/openid-configuration"
# Of the algorithms that a provider may sign with, those that settings take without more ado.
ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
)
AUTHENTICATION: Final = ("client_secret_basic", "client_secret_post")
SCOPES: Final = ("openid", "profile", "email")
MOST_MEMBERS: Final = 5000
# Microsoft's documents for all tenants name no single issuer.
_PLACEHOLDER: Final = "{tenantid}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """What a provider says of itself, as far as syncd has settings for it."""

    issuer: str
    # Keys of idp: in their order, but for client_id and client_secret, which it does not know.
    settings: Mapping[str, object]
    # Keys that it makes possible and nobody has asked for.
    optional: Mapping[str, object]
    # A remark on a key of either.
    comments: Mapping[str, str]
    # What an operator should look at, a sentence each.
    warnings: tuple[str, ...]
    # Whether it tells its clients when somebody signs out (Back-Channel Logout 1.0).
    backchannel_logout_supported: bool
    # Whether its answers to browsers name it (RFC 9207).
    iss_parameter_supported: bool
    code_challenge_methods: tuple[str, ...]

    def differences(self, options: ProviderOptions) -> tuple[str, ...]:
        """Return where a configuration differs from what the provider says, a sentence each."""
        found = []
        for name in ("issuer", "authorization_url", "token_url", "userinfo_url", "jwks_url"):
            theirs, ours = self.settings.get(name), getattr(options, name)
            # Without validate_signatures there is no jwks_url, and without need no userinfo_url.
            if ours is not None and ours != theirs:
                said = "names none" if theirs is None else f"says {theirs}"
                found.append(f"{name} is {ours}, and the provider {said}.")
        offered = self.settings["allowed_algorithms"]
        if isinstance(offered, list) and not options.allowed_algorithms.intersection(offered):
            found.append(
                f"allowed_algorithms has {', '.join(sorted(options.allowed_algorithms))}, and the "
                f"provider signs with {', '.join(offered)}."
            )
        if options.sends_issuer not in {None, self.iss_parameter_supported}:
            wanted = "true" if options.sends_issuer else "false"
            says = "says" if self.iss_parameter_supported else "does not say"
            found.append(
                f"sends_issuer is {wanted}, and the provider {says} that its answers have an iss."
            )
        return tuple(found)


def discover(url: str, fetch: Fetch) -> Discovered:
    """Fetch a provider's metadata and return it as settings.

    Args:
        url: The issuer exactly as the provider writes it, or the full URL of its document.
        fetch: The way out.

    Raises:
        FetchFailed: It cannot be had, names another issuer, or lacks what syncd needs.

    """
    address, issuers = _places(url)
    document = read_object(fetch.get(address), "the document", members=MOST_MEMBERS)
    if isinstance(document, Refusal):
        raise _unusable(address, f"{document.detail}; check the URL")
    _check_issuer(address, document.get("issuer"), issuers)
    return _described(address, document)


def _places(url: str) -> tuple[str, tuple[str, ...]]:
    """Return where the document is, and the issuers that it may name."""
    target(url)
    parts = urlsplit(url)
    if parts.query:
        raise FetchFailed(Cause.BAD_URL, "An issuer has no ? in it; leave out what begins there.")
    origin = f"{parts.scheme}://{parts.netloc}"
    before, known, after = parts.path.partition(WELL_KNOWN)
    if not known:
        return f"{origin}{parts.path.rstrip('/')}{WELL_KNOWN}", (url,)
    # Some put the path of the issuer behind (RFC 8414 section 3.1).
    base = f"{origin}{before}{after}".rstrip("/")
    return url, (base, f"{base}/")


def _check_issuer(address: str, named: object, issuers: tuple[str, ...]) -> None:
    if named in issuers:
        return
    if isinstance(named, str) and _PLACEHOLDER in named:
        raise _unusable(
            address,
            f"it names the issuer {quoted(named)}, which is none: write your tenant's id in "
            "place of common or organizations",
        )
    raise _unusable(
        address,
        f"it names the issuer {quoted(named)}, and {quoted(issuers[0])} was asked for: ask for "
        "that one if it is the provider that you mean",
    )


def _described(address: str, document: Mapping[str, Any]) -> Discovered:
    urls = {
        "authorization_url": _url(address, document, "authorization_endpoint"),
        "token_url": _url(address, document, "token_endpoint"),
        "userinfo_url": _url(address, document, "userinfo_endpoint", required=False),
        "jwks_url": _url(address, document, "jwks_uri"),
        "logout_url": _url(address, document, "end_session_endpoint", required=False),
    }
    if not any(
        set(kind.split()) == {"code"} for kind in _texts(document, "response_types_supported")
    ):
        raise _unusable(address, "the provider has no authorization code flow, which syncd uses")
    warnings: list[str] = []
    comments: dict[str, str] = {}
    settings: dict[str, object] = {
        "issuer": document["issuer"],
        "client_authentication": _authentication(document, warnings),
        **{name: urls[name] for name in ("authorization_url", "token_url")},
    }
    if urls["userinfo_url"] is not None:
        settings["userinfo_url"] = urls["userinfo_url"]
    named = document.get("authorization_response_iss_parameter_supported") is True
    if named:
        settings["sends_issuer"] = True
    settings["default_scopes"] = _scopes(document, comments)
    settings["jwks_url"] = urls["jwks_url"]
    settings["allowed_algorithms"] = _algorithms(address, document, comments)
    optional: dict[str, object] = {}
    if urls["logout_url"] is not None:
        optional = {"backchannel_logout": True, "logout_url": urls["logout_url"]}
        comments["backchannel_logout"] = (
            "to end the provider's session on sign-out, too; false sends the browser there"
        )
    methods = tuple(_texts(document, "code_challenge_methods_supported"))
    _warn(document, methods, warnings)
    return Discovered(
        issuer=str(document["issuer"]),
        settings=settings,
        optional=optional,
        comments=comments,
        warnings=tuple(warnings),
        backchannel_logout_supported=document.get("backchannel_logout_supported") is True,
        iss_parameter_supported=named,
        code_challenge_methods=methods,
    )


def _url(
    address: str, document: Mapping[str, Any], member: str, *, required: bool = True
) -> str | None:
    value = document.get(member)
    if value is None and not required:
        return None
    if not isinstance(value, str) or not value:
        raise _unusable(address, f"it has no {member}, which syncd needs")
    try:
        place = target(value)
    except FetchFailed as error:
        raise _unusable(address, f"its {member}: {str(error).rstrip('.')}") from error
    if place.local and not target(address).local:
        raise _unusable(address, f"its {member} leads to this machine: check the URL")
    return value


def _texts(document: Mapping[str, Any], member: str) -> list[str]:
    value = document.get(member)
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _authentication(document: Mapping[str, Any], warnings: list[str]) -> str:
    member = "token_endpoint_auth_methods_supported"
    # client_secret_basic is what holds where nothing is said.
    offered = _texts(document, member) or [AUTHENTICATION[0]]
    for way in AUTHENTICATION:
        if way in offered:
            return way
    warnings.append(
        f"The provider wants clients to authenticate with {quoted(', '.join(offered))}, and syncd "
        f"has {' and '.join(AUTHENTICATION)}; allow one of them for this client."
    )
    return AUTHENTICATION[0]


def _scopes(document: Mapping[str, Any], comments: dict[str, str]) -> list[str]:
    offered = _texts(document, "scopes_supported")
    if not offered:
        return list(SCOPES)
    further = [scope for scope in offered if scope.isascii() and scope not in SCOPES]
    if further:
        comments["default_scopes"] = f"also offered: {quoted(', '.join(further), 200)[1:-1]}"
    return [scope for scope in SCOPES if scope in offered or scope == "openid"]


def _algorithms(address: str, document: Mapping[str, Any], comments: dict[str, str]) -> list[str]:
    offered = _texts(document, "id_token_signing_alg_values_supported")
    taken: list[str] = [algorithm for algorithm in ALGORITHMS if algorithm in offered]
    if not taken:
        said = quoted(", ".join(offered)) if offered else "nothing that it says"
        raise _unusable(
            address,
            f"it signs ID tokens with {said}, and syncd takes {', '.join(ALGORITHMS)}: have the "
            "provider sign with one of them",
        )
    if len(taken) > 1:
        comments["allowed_algorithms"] = "all that it offers; keep those that this client gets"
    return taken


def _warn(document: Mapping[str, Any], methods: tuple[str, ...], warnings: list[str]) -> None:
    if "S256" not in methods:
        warnings.append(
            "The provider does not say that it checks S256 code challenges (RFC 7636); syncd sends "
            "them all the same."
        )
    if document.get("require_pushed_authorization_requests") is True:
        warnings.append(
            "The provider wants pushed authorization requests (RFC 9126), which syncd does not "
            "send; switch that off for this client."
        )
    kinds = _texts(document, "subject_types_supported")
    if not kinds:
        warnings.append("The document lacks subject_types_supported, which providers have to name.")
    elif "public" not in kinds:
        warnings.append(
            "The provider's subjects are pairwise: registered anew at another host, syncd would "
            "see everybody as a new person."
        )


def _unusable(address: str, because: str) -> FetchFailed:
    return FetchFailed(Cause.UNUSABLE, f"{address}: {because}.")
