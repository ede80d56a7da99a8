"""Owns the keys of the daemon's file: store, HTTP, metrics, log, sign-in, retention, e-mail."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
)

from syncd.settings.conflict import Conflict, conflict, warning
from syncd.settings.outbound import Outbound
from syncd.settings.store import Store
from syncd.settings.values import (
    Duration,
    EnvironmentText,
    FileName,
    Flag,
    Kind,
    Networks,
    Period,
    Port,
    Positive,
    SecretText,
    Section,
    Several,
    Text,
)

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def _web_url(value: object) -> object:
    if isinstance(value, str):
        parts = urlsplit(value.strip())
        if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
            raise ValueError("must be a URL such as https://syncd.example.org")
        if parts.query or parts.fragment:
            raise ValueError("must be a URL without ? and #")
        return str(value.strip()).rstrip("/")
    return value


def _address(value: str) -> str:
    name, separator, domain = value.rpartition("@")
    if not (name and separator and domain) or any(sign.isspace() for sign in value):
        raise ValueError("must be an e-mail address")
    return value


class Http(Section):
    """The web process: sign-in pages and API."""

    host: Text = Field(
        default="127.0.0.1",
        description="Address to listen on; only this machine by default, for a proxy in front.",
    )
    port: Port = Field(default=8480, description="TCP port to listen on.")
    base_url: Annotated[Text, BeforeValidator(_web_url), Kind("URL")] = Field(
        default="http://127.0.0.1:8480",
        description="How browsers reach syncd; redirect URIs and links in e-mails start with it.",
    )
    trusted_proxies: Networks = Field(
        default=(),
        description="Networks whose X-Forwarded-* headers are believed; nobody's by default.",
    )
    tls_certificate: FileName | None = Field(
        default=None, description="PEM chain, when syncd itself serves HTTPS."
    )
    tls_key: FileName | None = Field(default=None, description="PEM key of the certificate.")

    def conflicts(self) -> Iterator[Conflict]:
        """Yield what contradicts itself."""
        for given, other in (("tls_certificate", "tls_key"), ("tls_key", "tls_certificate")):
            path = getattr(self, given)
            if path is not None and getattr(self, other) is None:
                yield conflict(given, other, because=f"needs http.{other} beside it")
            if path is not None and not Path(path).is_file():
                yield conflict(given, because="names a file that is not there; check the path")
        parts = urlsplit(self.base_url)
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            yield warning(
                "base_url",
                because="is not https: passwords travel in the clear, and browsers keep no session",
            )


class Metrics(Section):
    """The Prometheus endpoint."""

    host: Text = Field(default="127.0.0.1", description="Address to listen on.")
    port: Port = Field(default=9480, description="TCP port to listen on.")


class Log(Section):
    """The log, on standard error."""

    format: Literal["auto", "console", "json"] = Field(
        default="auto", description="`auto` is console on a terminal and JSON otherwise."
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least severe level that is written."
    )
    searches: Flag = Field(
        default=False,
        description="Log each search as the `ldapsearch` command that repeats it, without secrets.",
    )


class Sync(Section):
    """How much is done at once."""

    workers: Positive = Field(
        default=2, description="Sync processes; one organization is synced by one at a time."
    )
    searches_per_directory: Positive = Field(
        default=2, description="Searches that run at once against one directory, to spare it."
    )
    drain: Duration = Field(
        default=30,
        examples=["30s"],
        description="How long runs may still end by themselves on SIGTERM; then interrupted.",
    )


class Sessions(Section):
    """How long a sign-in lasts."""

    idle: Period = Field(
        default=1800, examples=["30m"], description="A session ends after this long without use."
    )
    absolute: Period = Field(
        default=43_200, examples=["12h"], description="A session ends after this long in any case."
    )

    def conflicts(self) -> Iterator[Conflict]:
        """Yield what contradicts itself."""
        if self.idle > self.absolute:
            yield conflict("idle", "absolute", because="must not be longer than sessions.absolute")


class SignIn(Section):
    """How often passwords may be tried; all processes of the daemon count together."""

    attempts_per_account: Positive = Field(
        default=4,
        description="Wrong passwords for one username until it has to wait; keep it below the "
        "directory's own lockout.",
    )
    attempts_per_address: Positive = Field(
        default=40, description="Wrong passwords from one network address until it has to wait."
    )
    attempts_per_organization: Positive = Field(
        default=1000, description="Wrong passwords in one organization until it has to wait."
    )
    window: Period = Field(
        default=900, examples=["15m"], description="The time within which they count."
    )

    def conflicts(self) -> Iterator[Conflict]:
        """Yield what contradicts itself."""
        names = ("attempts_per_account", "attempts_per_address", "attempts_per_organization")
        for narrow, wide in pairwise(names):
            if getattr(self, narrow) > getattr(self, wide):
                yield conflict(narrow, wide, because=f"must not be above sign_in.{wide}")


class Tokens(Section):
    """Tokens for the API."""

    longest: Period = Field(
        default=31_536_000,
        examples=["365d"],
        description="The longest that a new token may live; each has an end.",
    )


class Retention(Section):
    """How long the store keeps its books."""

    journal: Duration = Field(
        default=31_536_000,
        examples=["365d"],
        description="Who changed what and when; undo and answers about the past reach this far.",
    )
    runs: Duration = Field(
        default=7_776_000, examples=["90d"], description="Reports and plans of runs."
    )
    stage: Duration = Field(
        default=86_400, examples=["1d"], description="What an unfinished run had read."
    )
    quarantine: Duration = Field(
        default=7_776_000, examples=["90d"], description="Entries that could not be taken."
    )
    sessions: Duration = Field(
        default=86_400, examples=["1d"], description="Sessions that have ended."
    )


class Smtp(Section):
    """The server that sends invitations."""

    host: Text = Field(examples=["mail.example.org"], description="Name of the mail server.")
    port: Port = Field(default=587, description="TCP port; 587 is mail submission.")
    starttls: Flag = Field(default=True, description="Refuse to send without TLS.")
    username: Text | None = Field(default=None, description="Account to sign in with.")
    password: SecretText | None = Field(default=None, description="Its password.")
    password_file: FileName | None = Field(
        default=None, description="A file that holds the password."
    )
    sender: Annotated[Text, AfterValidator(_address), Kind("e-mail address")] = Field(
        alias="from",
        examples=["syncd@example.org"],
        description="Address that mails come from.",
    )

    def conflicts(self) -> Iterator[Conflict]:
        """Yield what contradicts itself."""
        if (self.username is None) != (self.password is None):
            given, missing = ("username", "password") if self.username else ("password", "username")
            yield conflict(given, missing, because=f"needs smtp.{missing} beside it")
        if self.username and not self.starttls and self.host not in LOOPBACK:
            yield warning("starttls", "username", because="is off: the password is sent in clear")


def _as_text(value: object) -> object:
    # Globs stay as written; loading knows against which folder they are resolved.
    if isinstance(value, EnvironmentText):
        return tuple(str(Path.cwd() / part.strip()) for part in value.split(",") if part.strip())
    return value


class DaemonSettings(Section):
    """The keys of `syncd.yaml`; each may also come from the environment as `SYNCD_<KEY>__<KEY>`."""

    store: Store = Field(default_factory=Store, description="The management store.")
    organizations: Annotated[
        Several, BeforeValidator(_as_text), Kind("path or pattern, or a list")
    ] = Field(
        default=("organizations/*.yaml",),
        min_length=1,
        description="The organizations' files; patterns are relative to this file's folder.",
    )
    http: Http = Field(default_factory=Http, description="The web process.")
    metrics: Metrics = Field(default_factory=Metrics, description="The Prometheus endpoint.")
    log: Log = Field(default_factory=Log, description="The log, on standard error.")
    sync: Sync = Field(default_factory=Sync, description="How much is done at once.")
    sessions: Sessions = Field(default_factory=Sessions, description="How long a sign-in lasts.")
    sign_in: SignIn = Field(default_factory=SignIn, description="How often passwords may be tried.")
    tokens: Tokens = Field(default_factory=Tokens, description="Tokens for the API.")
    retention: Retention = Field(
        default_factory=Retention,
        description="How long the store keeps its books; 0 is not at all.",
    )
    outbound: Outbound = Field(
        default_factory=Outbound, description="The way out to identity providers."
    )
    smtp: Smtp | None = Field(
        default=None, description="The mail server for invitations; `null` sends none."
    )

    def conflicts(self) -> Iterator[Conflict]:
        """Yield what contradicts itself in any group."""
        for name in ("store", "http", "sessions", "sign_in", "outbound", "smtp"):
            section: Any = getattr(self, name)
            if section is not None:
                yield from (found.below(name) for found in section.conflicts())
