"""The words of the mails: plain text, from templates and values that cannot break out of them."""

from __future__ import annotations

import unicodedata
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST = 255
SUBJECTS: Mapping[str, str] = {
    "invitation": "Your account at {organization_name}",
    "verification": "Confirm your e-mail address for {organization_name}",
    "password": "Choose a new password for {organization_name}",
}
BODIES: Mapping[str, str] = {
    "invitation": """{greeting}

an account was made for you at {organization_name}.

To confirm this e-mail address and choose your password, open this link:

{link}

It works once, until {expires_at}. Then sign in with

    Organization ID: {organization}
    Username:        {username}

If you did not expect this mail, ignore it: without the link nobody can use the account.
""",
    "verification": """{greeting}

this e-mail address was entered for your account at {organization_name} (organization ID
{organization}, username {username}).

To confirm that it is yours, open this link:

{link}

It works once, until {expires_at}. If you did not expect this mail, ignore it.
""",
    "password": """{greeting}

a new password was asked for your account at {organization_name}.

To choose one, open this link:

{link}

It works once, until {expires_at}. Then sign in with

    Organization ID: {organization}
    Username:        {username}

If you did not ask for it, ignore this mail: your password stays as it is.
""",
}


def letter(*, sender: str, to: str, purpose: str, values: Mapping[str, str]) -> EmailMessage:
    """Return the mail of a purpose.

    Args:
        sender: The address that it comes from.
        to: The address that it goes to.
        purpose: invitation, verification or password.
        values: organization, organization_name, username, first_name, link, expires_at.

    """
    words = {name: one_line(value) for name, value in values.items()}
    name = words.get("first_name")
    words["greeting"] = f"Hello {name}," if name else "Hello,"
    words["expires_at"] = words["expires_at"].replace("T", " ").replace("Z", " UTC")
    message = EmailMessage()
    message["Subject"] = one_line(SUBJECTS[purpose].format_map(words))
    message["From"] = _address(sender)
    message["To"] = _address(to)
    message["Date"] = formatdate(usegmt=True)
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    # No vacation notice or ticket system shall answer it (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    # Quoted-printable would break links in programs that do not undo it.
    body = BODIES[purpose].format_map(words)
    message.set_content(body, cte="7bit" if body.isascii() else "8bit")
    return message


def one_line(text: str) -> str:
    """Return a text without line breaks and control characters, cut."""
    shown = "".join(" " if unicodedata.category(sign)[0] in "CZ" else sign for sign in text)
    return " ".join(shown.split())[: LONGEST * 4]


def _address(text: str) -> Address:
    """Return an address in parts: read as a whole, one with letters of other scripts is refused."""
    local, _, domain = text.rpartition("@")
    return Address(username=local, domain=domain)
