"""Owns the types of LDAP URLs and DNs, checked lightly; the ldap room parses them whole."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from syncd.settings.values import TEXTS_SCHEMA, Kind, Text


def _check_dn(value: object) -> object:
    """Refuse a text that cannot be a DN; the ldap room parses it whole."""
    if isinstance(value, str) and "=" not in value.partition(",")[0]:
        raise ValueError("must be a DN such as ou=people,dc=example,dc=org")
    return value


Dn = Annotated[Text, BeforeValidator(_check_dn), Kind("DN")]


def _split_urls(value: object) -> object:
    if isinstance(value, str):
        return tuple(value.replace(",", " ").split())
    return tuple(value) if isinstance(value, list) else value


def _check_url(url: str) -> str:
    allowed = "must be ldaps://HOST or ldap://HOST, with :PORT if it is not the usual one"
    try:
        parts = urlsplit(url.strip())
        hosted = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ValueError(allowed) from None
    if parts.scheme not in {"ldap", "ldaps"} or not hosted or "@" in url:
        raise ValueError(allowed)
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(f"{allowed}, and nothing behind it; the base goes to users_dn")
    return f"{parts.scheme}://{parts.netloc}"


Urls = Annotated[
    tuple[Annotated[Text, AfterValidator(_check_url)], ...],
    Field(min_length=1),
    BeforeValidator(_split_urls),
    WithJsonSchema(TEXTS_SCHEMA),
    Kind("LDAP URL, or a list"),
]
Dns = Annotated[
    tuple[Dn, ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value),
    WithJsonSchema(TEXTS_SCHEMA),
    Kind("DN, or a list"),
]
