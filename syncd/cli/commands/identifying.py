"""``token verify`` and ``idp discover``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from syncd.cli.commands.arguments import Org
from syncd.cli.exits import verify_exit_code
from syncd.cli.program import command, family
from syncd.cli.render.identifying import discovered_blocks, verified_blocks
from syncd.cli.session import Outcome, Session
from syncd.errors import UsageError, cut

app = family()
# More than any token that is taken, so that one that is too long is told as such.
MOST_TOKEN_BYTES = 2**20
MOST_CERTIFICATE_BYTES = 2**20
MOST_PROXY_BYTES = 2**16


@command(app, "token verify")
def verify(
    session: Session,
    org: Org,
    *,
    kind: Annotated[
        str,
        typer.Option("--kind", metavar="KIND", help="what it is shown as: id, access or logout"),
    ] = "id",
    nonce: Annotated[
        str | None,
        typer.Option(
            "--nonce", metavar="NONCE", help="the one that an ID token has to have; else any"
        ),
    ] = None,
) -> Outcome:
    """Validate the token on standard input, and tell each check and what it would lead to.

    The token is one of the organization's identity provider. It is read from standard input alone,
    because others see a command's arguments, and it is never shown. Nothing is written: neither
    is anybody signed in, nor does the token count as used. Keys are fetched from the provider.

    The exit code is 1 when the token, or the person, would be refused, and 4 when that cannot be
    told because the provider's keys cannot be had.
    """
    text = _token(org)
    report = session.app.verify_token(org, text, kind=kind, nonce=nonce)
    return Outcome(report, lambda: verified_blocks(report), verify_exit_code(report))


@command(app, "idp discover")
def discover(
    session: Session,
    url: Annotated[
        str,
        typer.Argument(metavar="URL", help="the issuer, or its whole .well-known address"),
    ],
    *,
    network: Annotated[
        list[str] | None,
        typer.Option(
            "--network",
            metavar="NETWORK",
            help="a private network that it may lie in; may be given several times",
        ),
    ] = None,
    certificate: Annotated[
        list[str] | None,
        typer.Option(
            "--certificate",
            metavar="FILE",
            help="a PEM file of an authority to trust too; may be given several times",
        ),
    ] = None,
    proxy_file: Annotated[
        str | None,
        typer.Option(
            "--proxy-file",
            metavar="FILE",
            help="a file with the URL of the proxy to ask through; else it is asked directly",
        ),
    ] = None,
) -> Outcome:
    """Read an OpenID Connect provider's metadata and write the `idp:` settings that it gives.

    The issuer in it has to be the one that was asked. Client ID and secret are yours to add, as
    the provider registered syncd. No configuration is read.
    """
    report = session.built_in.idp_discover(
        url,
        networks=network or (),
        certificates=[_certificate(each) for each in certificate or ()],
        proxy=None if proxy_file is None else _proxy(proxy_file),
    )
    return Outcome(report, lambda: discovered_blocks(report))


def _proxy(name: str) -> str:
    # From a file, because others see a command's arguments, and a password may be in it.
    try:
        with Path(name).open("rb") as file:
            return file.read(MOST_PROXY_BYTES).decode("ascii", "replace").strip()
    except OSError as error:
        raise UsageError(
            f"{name} cannot be read ({error.strerror}); name a file that holds the proxy's URL"
        ) from error


def _token(org: str) -> str:
    if sys.stdin.isatty():
        # A terminal would show it, keep it, and cut it after 4,095 characters.
        raise UsageError(
            f"give the token on standard input, such as: syncd token verify {org} < token.txt"
        )
    try:
        text = sys.stdin.buffer.read(MOST_TOKEN_BYTES).decode("utf-8", "replace").strip()
    except OSError as error:
        raise UsageError(f"standard input cannot be read: {cut(error)}") from error
    if not text:
        raise UsageError("there is no token on standard input; pipe one in, without anything else")
    return text


def _certificate(name: str) -> str:
    try:
        with Path(name).open("rb") as file:
            text = file.read(MOST_CERTIFICATE_BYTES).decode("latin-1")
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {cut(error)}") from error
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise UsageError(f"{name} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
    return text
