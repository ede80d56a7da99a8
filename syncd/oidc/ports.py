"""What the parts of the bridge need of each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syncd.oidc.keys import Key
    from syncd.oidc.outcome import Refusal


class Keys(Protocol):
    """A provider's keys; the one part of validation that may go over the network."""

    def find(self, key_id: str | None, algorithm: str) -> Key | Refusal:
        """Return the key of a token's header, or key_unknown, key_unsuitable, keys_unavailable."""


class Fetch(Protocol):
    """The one way out to a provider: https only, no redirects, bounded in time and size."""

    def get(self, url: str) -> bytes:
        """Return the body of a JSON answer with status 200.

        Raises:
            ProviderUnavailable: Nothing of the kind could be had; the message says why and what
                to do, without the body.

        """


class Answered(NamedTuple):
    """What an endpoint answers, as far as OAuth 2.0 has a meaning for it."""

    # 200, or one of those that stand with an error's name: 400, 401, 403.
    status: int
    # JSON, by its content type.
    body: bytes


class Converse(Protocol):
    """The way out for sign-ins: secrets go out, and errors come back that mean something."""

    def get(self, url: str, *, bearer: str) -> bytes:
        """Return the body of a JSON answer with status 200 to who has an access token."""

    def post(self, url: str, form: Mapping[str, str], *, basic: tuple[str, str] | None) -> Answered:
        """Send a form, with HTTP basic authentication where given; return what is answered.

        Raises:
            ProviderUnavailable: Nothing of the kind could be had.

        """

    def call(self, url: str, form: Mapping[str, str] | None) -> int:
        """Send a form, or ask without one, and return the status, whatever that is."""
