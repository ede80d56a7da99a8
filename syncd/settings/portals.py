"""Owns the keys of the portals that people sign in for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, Field, StringConstraints

from syncd.settings.conflict import Conflict, conflict
from syncd.settings.daemon import LOOPBACK
from syncd.settings.values import FileName, Flag, Kind, SecretText, Section, Several, Text

# As many characters of hex digits have 128 bits.
SHORTEST_SECRET = 32
LONGEST_URI = 2_000
# What the hand-off adds to a redirect URI (RFC 6749 section 4.1.2, RFC 9207).
ADDED_PARAMETERS = frozenset({"code", "state", "iss", "error", "error_description"})
# The characters of URIs without those that browsers and other readers take for different things.
_URI = re.compile(r"[A-Za-z0-9\-._~:/?\[\]!$&'()*+,;=%]+")


def _return_uri(uri: str) -> str:
    allowed = "must be a URL that starts with https://"
    if len(uri) > LONGEST_URI:
        raise ValueError(f"must be at most {LONGEST_URI} characters long")
    if not _URI.fullmatch(uri):
        raise ValueError(f"{allowed}, without blanks, #, @ and other characters that need escapes")
    try:
        parts = urlsplit(uri)
        local = parts.scheme == "http" and parts.hostname in LOOPBACK
        usable = (parts.scheme == "https" or local) and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    else:
        taken = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
        if taken & ADDED_PARAMETERS:
            raise ValueError(
                f"must not have {', '.join(sorted(taken & ADDED_PARAMETERS))} in its query: "
                "sign-in adds that"
            )
    if not usable:
        raise ValueError(f"{allowed}, or with http:// on this machine")
    return uri


def _return_uris(uris: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_return_uri(uri) for uri in uris)


ReturnUris = Annotated[Several, AfterValidator(_return_uris), Kind("https URL, or a list of them")]


class Portal(Section):
    """An application that people sign in for."""

    client_id: Annotated[
        Text,
        StringConstraints(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,62}\z"),
        Kind("name of 1 to 63 of a-z, A-Z, 0-9, ., _ and -"),
    ] = Field(
        examples=["intranet"],
        description="How the portal names itself; one portal may be registered with several "
        "organizations.",
    )
    client_secret: SecretText | None = Field(
        default=None,
        description="Its secret, of 32 characters at least (`openssl rand -hex 32` makes one); "
        "better in a file.",
    )
    client_secret_file: FileName | None = Field(
        default=None, examples=["acme-intranet.secret"], description="A file that holds it."
    )
    redirect_uris: ReturnUris = Field(
        min_length=1,
        examples=[["https://intranet.example.org/signed-in"]],
        description="Where people may be sent back to after sign-in: exactly these, character by "
        "character; http:// on this machine only.",
    )
    post_logout_redirect_uris: ReturnUris = Field(
        default=(),
        examples=[["https://intranet.example.org/"]],
        description="Where people may be sent to after sign-out, as exactly.",
    )
    api_access: Flag = Field(
        default=False,
        description="Give it an access token with each redeemed code, so that it calls the API as "
        "the person, with the person's own permissions, while the session holds.",
    )

    def conflicts(self) -> Iterator[Conflict]:
        """Yield what contradicts itself."""
        if self.client_secret is None:
            yield conflict("client_secret", because="is required (or client_secret_file)")
        elif len(self.client_secret.get_secret_value()) < SHORTEST_SECRET:
            yield conflict(
                "client_secret",
                because=f"has fewer than {SHORTEST_SECRET} characters; `openssl rand -hex 32` "
                "makes a good one",
            )


def portal_conflicts(portals: tuple[Portal, ...]) -> Iterator[Conflict]:
    """Yield what contradicts itself in an organization's portals."""
    known: dict[str, int] = {}
    for at, portal in enumerate(portals):
        yield from (found.below(f"portals.{at}") for found in portal.conflicts())
        first = known.setdefault(portal.client_id, at)
        if first != at:
            yield conflict(
                f"portals.{at}.client_id",
                f"portals.{first}.client_id",
                because=f'is "{portal.client_id}", as that of portals[{first}]; every portal of '
                "an organization has its own",
            )
