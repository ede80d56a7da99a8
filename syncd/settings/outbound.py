"""Owns the keys of the way out to identity providers, where a proxy is the only one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, WithJsonSchema

from syncd.settings.certificates import Certificates
from syncd.settings.conflict import Conflict, warning
from syncd.settings.values import (
    TEXTS_SCHEMA,
    FileName,
    Kind,
    SecretUrl,
    Section,
    Text,
    read_list,
)

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_PRINTABLE = re.compile(r"[!-~]+")
# The last label of a name has a letter in it; what has none is meant as an address.
_HOST = re.compile(r"\.?([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9-]*[a-z][a-z0-9-]*")


def _read_proxy(value: object) -> SecretUrl:
    if isinstance(value, SecretUrl):
        return value
    allowed = (
        "must be http://HOST:PORT or https://HOST:PORT, with USER:PASSWORD@ before the host where "
        "the proxy wants them (other signs than letters and digits there as %XX)"
    )
    if not isinstance(value, str) or not _PRINTABLE.fullmatch(value.strip()):
        raise ValueError(allowed)
    try:
        parts = urlsplit(value.strip())
        usable = bool(parts.hostname and parts.port)
    except ValueError:
        # Without its cause, which repeats the text.
        raise ValueError(allowed) from None
    if not usable or parts.scheme not in {"http", "https"}:
        raise ValueError(allowed)
    if parts.path.strip("/") or parts.query or parts.fragment or parts.netloc.count("@") > 1:
        raise ValueError(allowed)
    return SecretUrl(f"{parts.scheme}://{parts.netloc}")


def _direct(value: str) -> str:
    try:
        return str(ip_network(value, strict=False))
    except ValueError:
        pass
    if not _HOST.fullmatch(value.lower()):
        raise ValueError(
            "must be a host (sso.example.org), a domain for all that is below it (.example.org), "
            "or a network (10.0.0.0/8)"
        )
    return value.lower()


class Outbound(Section):
    """The way out to identity providers. Directories, the store and mail servers have their own."""

    proxy: (
        Annotated[
            SecretUrl,
            PlainValidator(_read_proxy),
            WithJsonSchema({"type": "string", "writeOnly": True}),
            Kind("URL"),
        ]
        | None
    ) = Field(
        default=None,
        examples=["http://proxy.example.org:3128"],
        description=(
            "The HTTP proxy for requests to identity providers. Proxies that the environment "
            "names (`HTTPS_PROXY`) are never used."
        ),
    )
    proxy_file: FileName | None = Field(
        default=None, description="A file that holds the URL, when it has a password in it."
    )
    no_proxy: Annotated[
        tuple[Annotated[Text, AfterValidator(_direct)], ...],
        BeforeValidator(read_list),
        WithJsonSchema(TEXTS_SCHEMA),
        Kind("list of hosts, domains and networks"),
    ] = Field(
        default=(),
        examples=[["sso.example.org", ".corp.example.org", "10.0.0.0/8"]],
        description="What is reached without the proxy; this machine always is.",
    )
    certificates: Certificates = Field(
        default=(),
        examples=[["certs/proxy-ca.pem"]],
        description="Authorities that vouch for an `https://` proxy, beside the system's.",
    )

    def conflicts(self) -> Iterator[Conflict]:
        """Yield what contradicts itself."""
        if self.proxy is None:
            for key in ("no_proxy", "certificates"):
                if getattr(self, key):
                    yield warning(key, "proxy", because="has no effect without outbound.proxy")
            return
        parts = urlsplit(self.proxy.get_secret_value())
        if parts.scheme == "https":
            return
        if self.certificates:
            yield warning(
                "certificates", "proxy", because="has no effect: the proxy's URL is not https://"
            )
        if parts.password and parts.hostname not in LOOPBACK:
            yield warning(
                "proxy", because="is not https://: its password travels in the clear; use https://"
            )
