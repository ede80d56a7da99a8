"""Signing out at the provider: by the browser, or by syncd itself.

OpenID Connect RP-Initiated Logout 1.0 has the browser go there, so that the provider may ask. With
`backchannel_logout` syncd calls the same address with the ID token, as products do that know the
session by it; the browser stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from syncd.errors import ProviderUnavailable
from syncd.oidc.authorization import with_parameters

if TYPE_CHECKING:
    from syncd.oidc.options import ProviderOptions
    from syncd.oidc.ports import Converse

# P: with more, servers and browsers refuse the whole address; then client_id has to do.
LONGEST_HINT: Final = 6000
_TAKEN: Final = range(200, 400)
# Whoever answers so has no such form; RP-Initiated Logout section 2 has both methods.
_NO_FORM: Final = frozenset({404, 405, 501})


def browser_url(
    options: ProviderOptions,
    *,
    id_token_hint: str | None,
    post_logout_redirect_uri: str | None,
    state: str | None,
) -> str | None:
    """Return where a browser goes to sign out at the provider; None: it stays.

    ``id_token_hint`` is the ID token of the sign-in. The browser comes back to
    ``post_logout_redirect_uri`` with ``state``, where the provider knows that address.
    """
    if options.logout_url is None or options.backchannel_logout:
        return None
    parameters = {"client_id": options.client_id}
    if id_token_hint and len(id_token_hint) <= LONGEST_HINT:
        parameters["id_token_hint"] = id_token_hint
    if post_logout_redirect_uri is not None:
        parameters["post_logout_redirect_uri"] = post_logout_redirect_uri
        if state is not None:
            parameters["state"] = state
    return with_parameters(options.logout_url, parameters)


def call(options: ProviderOptions, fetch: Converse, id_token_hint: str) -> None:
    """Tell the provider to end the session of an ID token, where the organization wants that.

    Raises:
        ProviderUnavailable: The provider was not reached, or has refused; syncd's session is over
            all the same.

    """
    if options.logout_url is None or not options.backchannel_logout:
        return
    form = {"id_token_hint": id_token_hint, "client_id": options.client_id}
    status = fetch.call(options.logout_url, form)
    if status in _NO_FORM:
        status = fetch.call(with_parameters(options.logout_url, form), None)
    if status not in _TAKEN:
        raise ProviderUnavailable(
            f"The provider's logout URL answers with status {status}; its session may go on: see "
            "whether logout_url ends sessions without a browser, or set backchannel_logout to "
            "false to send the browser there."
        )
