"""Handing mails to the SMTP server.

The server's certificate is checked against the system's authorities and its name; ``starttls``
means that nothing is sent without TLS. Port 465 speaks TLS from the first byte (RFC 8314).
"""

from __future__ import annotations

import smtplib
import ssl
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from syncd.errors import MailNotSent, MailServerLost, cut
from syncd.mail.wording import letter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

IMPLICIT_TLS_PORT = 465
TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The mail server and how to sign in there."""

    host: str
    port: int
    tls: bool
    username: str | None
    password: str | None
    sender: str


class Mail:
    """Sends mails by one server; without a server none is sent."""

    def __init__(self, server: Server | None) -> None:
        self._server = server
        self._connection: smtplib.SMTP | None = None

    @property
    def configured(self) -> bool:
        """Whether there is a server."""
        return self._server is not None

    @contextmanager
    def opened(self) -> Iterator[Mail]:
        """Keep one connection for several mails; it is made anew where the server ends it.

        Raises:
            MailServerLost: There is no connection to be had.

        """
        sending = Mail(self._server)
        sending._connect()
        try:
            yield sending
        finally:
            sending._close()

    def send(self, *, to: str, purpose: str, values: Mapping[str, str]) -> None:
        """Send the mail of a purpose.

        Raises:
            MailNotSent: The server has not taken it; MailServerLost: it is not there.

        """
        server = self._required()
        message = letter(sender=server.sender, to=to, purpose=purpose, values=values)
        kept = self._connection is not None
        try:
            connection = self._connection or self._connect()
            try:
                connection.send_message(message)
            except smtplib.SMTPServerDisconnected:
                # Servers take so many mails a connection, or wait only so long.
                self._close()
                connection = self._connect()
                connection.send_message(message)
        except (OSError, smtplib.SMTPException, UnicodeError) as error:
            self._close()
            # The library's own errors are OSErrors, too, and all but one are answers.
            answered = isinstance(error, smtplib.SMTPException | UnicodeError)
            gone = isinstance(error, smtplib.SMTPServerDisconnected) or not answered
            kind = MailServerLost if gone else MailNotSent
            raise kind(f"{server.host} has not taken the mail: {_said(error)}") from error
        finally:
            if not kept:
                self._close()

    def _required(self) -> Server:
        if self._server is None:
            raise MailNotSent("no mail server is configured; set smtp in syncd.yaml")
        return self._server

    def _connect(self) -> smtplib.SMTP:
        server = self._required()
        context = client_context()
        try:
            if server.tls and server.port == IMPLICIT_TLS_PORT:
                connection: smtplib.SMTP = smtplib.SMTP_SSL(
                    server.host, server.port, timeout=TIMEOUT_SECONDS, context=context
                )
            else:
                connection = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_SECONDS)
        except (OSError, smtplib.SMTPException) as error:
            raise MailServerLost(_unreachable(server, error)) from error
        self._connection = connection
        try:
            if server.tls and server.port != IMPLICIT_TLS_PORT:
                # Raises where the server does not offer it: a mail in clear is none.
                connection.starttls(context=context)
        except (OSError, smtplib.SMTPException) as error:
            self._close()
            raise MailServerLost(_unreachable(server, error)) from error
        try:
            if server.username is not None and server.password is not None:
                connection.login(server.username, server.password)
        except smtplib.SMTPNotSupportedError as error:
            self._close()
            raise MailServerLost(_unreachable(server, error)) from error
        except (OSError, smtplib.SMTPException) as error:
            # Some close the connection instead of an answer.
            self._close()
            step = "check smtp.username and smtp.password"
            raise MailServerLost(_unreachable(server, error, step)) from error
        return connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with suppress(OSError, smtplib.SMTPException):
            connection.quit()
        connection.close()


def client_context() -> ssl.SSLContext:
    """Return the TLS that a mail server has to speak: the system's authorities, and its name."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    return context


def _unreachable(
    server: Server, error: Exception, step: str = "check smtp.host and smtp.port"
) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        step = "let this machine trust the authority of its certificate, and name it as that does"
    elif isinstance(error, smtplib.SMTPNotSupportedError):
        step = "let it offer STARTTLS and AUTH, or use a port that does"
    place = f"{server.host}:{server.port}"
    return f"the mail server {place} cannot be used ({_said(error)}); {step}"


def _said(error: Exception) -> str:
    """Return what the server said, on one line."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "; ".join(
            cut(f"{code} {text.decode('utf-8', 'replace')}")
            for code, text in error.recipients.values()
        )
    if isinstance(error, smtplib.SMTPResponseException):
        text = error.smtp_error
        shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        return cut(f"{error.smtp_code} {shown}")
    return cut(error) or type(error).__name__
