"""A real SMTP server for tests: it takes mails over TCP, after STARTTLS and a sign-in."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from tests.servers.authority import Authority
from tests.servers.slapd import free_port

if TYPE_CHECKING:
    from email.message import EmailMessage
    from pathlib import Path
    from typing import Self

    from aiosmtpd.smtp import SMTP, Envelope, Session

USERNAME, PASSWORD = "syncd", "mail secret"


@dataclass
class Taken:
    """A mail that the server took, and how it came."""

    sender: str
    recipients: list[str]
    message: EmailMessage
    tls: bool
    signed_in: bool


@dataclass
class MailServer:
    """An SMTP server on loopback; as a context manager it runs in a thread of its own."""

    folder: Path
    # Whose mail it refuses.
    refused: set[str] = field(default_factory=set)
    starttls: bool = True
    # Whom its certificate is for.
    names: str = "DNS:localhost"
    taken: list[Taken] = field(default_factory=list)
    port: int = 0

    def __enter__(self) -> Self:
        self.authority = Authority(self.folder)
        certificate, key = self.authority.issue("mail", names=self.names)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        # The library asks itself whether it runs, at the port that it was given.
        self.port = free_port()
        self._controller = Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            tls_context=context if self.starttls else None,
            require_starttls=self.starttls,
            authenticator=self._authenticate,
            auth_required=self.starttls,
            auth_require_tls=self.starttls,
        )
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    @staticmethod
    def _authenticate(
        server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        del server, session, envelope, mechanism
        expected = LoginPassword(USERNAME.encode(), PASSWORD.encode())
        # "handled" would leave a refusal without an answer.
        return AuthResult(success=data == expected, handled=False)

    async def handle_RCPT(  # noqa: N802 - the library's name
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        """Take a recipient, or refuse him."""
        del server, session, options
        if address in self.refused:
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - the library's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Keep a mail."""
        del server
        content = envelope.original_content or b""
        self.taken.append(
            Taken(
                envelope.mail_from or "",
                list(envelope.rcpt_tos),
                message_from_bytes(content.replace(b"\r\n", b"\n"), policy=policy.default),
                session.ssl is not None,
                bool(session.authenticated),
            )
        )
        return "250 taken"

    def settings(self, **more: object) -> dict[str, object]:
        """Return what syncd.yaml says of this server."""
        return {
            "host": "localhost",
            "port": self.port,
            "username": USERNAME,
            "password": PASSWORD,
            "from": "syncd@example.org",
            **more,
        }

    def to(self, address: str) -> list[Taken]:
        """Return the mails to an address."""
        return [each for each in self.taken if address in each.recipients]
