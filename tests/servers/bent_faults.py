"""What the bent provider can do wrong, and logout tokens that are each wrong in one way."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from base64 import b64decode
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from tests.minting import encoded, signer

if TYPE_CHECKING:
    from tests.servers.bent_provider import BentProvider

PATIENCE_SECONDS = 30
EVENT = "http://schemas.openid.net/event/backchannel-logout"
# What the browser is sent back with.
ANSWERS = (
    *("no_state", "other_state", "two_states", "two_codes", "no_code"),
    *("no_iss", "other_iss", "access_denied", "server_error", "error_and_code"),
)
# Claims of the ID token, None: left out.
CLAIMS: dict[str, dict[str, Any]] = {
    "other_nonce": {"nonce": "another nonce"},
    "no_nonce": {"nonce": None},
    "other_issuer": {"iss": "https://evil.example.test/"},
    "other_audience": {"aud": "somebody-else"},
    "other_party": {"azp": "somebody-else"},
    "expired": {"exp": 1_700_000_000},
    "no_subject": {"sub": None},
    "other_at_hash": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
}
# Members of the token endpoint's answer, None: left out.
TOKENS: dict[str, dict[str, Any]] = {
    "no_id_token": {"id_token": None},
    "mac": {"token_type": "mac"},
    "no_token_type": {"token_type": None},
    "no_access_token": {"access_token": None},
    # Right, if seldom.
    "BEARER": {"token_type": "BEARER"},
    "no_expires_in": {"expires_in": None},
}
SIGNATURES = ("other_key", "unsigned")
# Errors of the token endpoint by status.
ERRORS = {"invalid_grant": 400, "invalid_client": 401, "invalid_request": 400}
# Whole answers of the token endpoint.
WHOLE = ("down", "redirect", "html", "too_large", "twice", "slow")
USERINFO = ("userinfo_other_subject", "userinfo_html", "userinfo_down", "userinfo_twice")
REFRESH: dict[str, dict[str, Any]] = {
    "refresh_other_subject": {"sub": "mallory"},
    "refresh_other_audience": {"aud": "somebody-else"},
    "refresh_other_nonce": {"nonce": "another nonce"},
}
REFRESHES = (*REFRESH, "refresh_refused", "refresh_down", "refresh_without_id_token")
SIGN_OUT = ("logout_down", "logout_by_get")
FAULTS = frozenset(
    {*ANSWERS, *CLAIMS, *TOKENS, *SIGNATURES, *ERRORS, *WHOLE, *USERINFO, *REFRESHES, *SIGN_OUT}
)


def wrong_logout_tokens(provider: BentProvider, subject: str, sid: str) -> dict[str, str]:
    """Return by name logout tokens that are each wrong in one way (2.4 to 2.6)."""
    now = int(time.time())
    claims: dict[str, dict[str, Any]] = {
        "nobody": {"sub": None, "sid": None},
        "no_events": {"events": None},
        "events_list": {"events": [EVENT]},
        "other_event": {"events": {"http://schemas.openid.net/event/other": {}}},
        "event_text": {"events": {EVENT: "yes"}},
        "expired": {"exp": now - 60},
        "no_exp": {"exp": None},
        "no_iat": {"iat": None},
        "future": {"iat": now + 3600},
        "old": {"iat": now - 7 * 86400},
        "no_jti": {"jti": None},
        "other_issuer": {"iss": "https://evil.example.test/"},
        "other_audience": {"aud": "somebody-else"},
        "nonce": {"nonce": "n"},
    }
    made = {
        name: provider.logout_token(subject, **{"sid": sid} | change)
        for name, change in claims.items()
    }
    good = json.loads(_decoded(provider.logout_token(subject, sid=sid).split(".")[1]))
    header = encoded(json.dumps({"alg": "none"}).encode())
    return made | {
        "id_token": provider.id_token(subject, sid=sid, nonce="n"),
        "unsigned": f"{header}.{encoded(json.dumps(good).encode())}.",
        "other_key": signer(key_id="another").token(good, kid=provider.key.key_id),
        "access_type": provider.key.token(good, typ="at+jwt"),
        "no_token": "logout",
    }


def send(url: str, token: str, **more: str) -> tuple[int, dict[str, str], bytes]:
    """Send a logout token as providers do; return status, headers in lower case, and body."""
    return post_form(url, [("logout_token", token), *more.items()])


def post_form(
    url: str, fields: list[tuple[str, str]], kind: str = "application/x-www-form-urlencoded"
) -> tuple[int, dict[str, str], bytes]:
    """Post fields; return status, headers in lower case, and body."""
    request = urllib.request.Request(url, urlencode(fields).encode(), {"Content-Type": kind})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        answer = opener.open(request, timeout=PATIENCE_SECONDS)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return answer.status, headers, answer.read()


def _decoded(segment: str) -> bytes:
    return b64decode(segment + "=" * (-len(segment) % 4), altchars=b"-_")
