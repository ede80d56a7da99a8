"""The words of the mails."""

from __future__ import annotations

from email import message_from_bytes, policy

import pytest

from syncd.mail.wording import BODIES, letter

VALUES = {
    "organization": "acme",
    "organization_name": "Acme Corp",
    "username": "mia",
    "first_name": "Mia",
    "link": "https://syncd.example.org/links/" + "A" * 43,
    "expires_at": "2026-11-29T11:00:00Z",
}


def read(**values: str) -> tuple[list[tuple[str, str]], str]:
    """Return headers and body of an invitation as a mail program reads them."""
    message = letter(
        sender="syncd@example.org",
        to="mia@example.org",
        purpose="invitation",
        values=VALUES | values,
    )
    parsed = message_from_bytes(bytes(message), policy=policy.default)
    return [(name, str(value)) for name, value in parsed.items()], parsed.get_content()


@pytest.mark.parametrize("purpose", sorted(BODIES))
def test_each_mail_has_what_its_reader_needs(purpose: str) -> None:
    """Organization, username, the whole link on a line of its own, and until when it works."""
    message = letter(
        sender="syncd@example.org", to="mia@example.org", purpose=purpose, values=VALUES
    )
    body = message.get_content()
    assert body.startswith("Hello Mia,")
    assert f"\n{VALUES['link']}\n" in body
    assert "2026-11-29 11:00:00 UTC" in body
    for word in ("acme", "Acme Corp", "mia"):
        assert word in body
    assert "Acme Corp" in message["Subject"]
    # Longer lines are broken on the way by servers that keep to the standard.
    assert max(map(len, body.splitlines())) < 100


@pytest.mark.parametrize(
    "hostile",
    [
        "Acme\r\nBcc: eve@example.org",
        "Acme\nBcc: eve@example.org",
        "Acme\u2028Bcc: eve@example.org",
        "Acme {link} {0} %s",
        "Ac\x00me\x1b[2J",
    ],
    ids=["crlf", "lf", "separator", "braces", "control"],
)
def test_no_value_breaks_out_of_its_place(hostile: str) -> None:
    """A value can neither add a header nor a line, nor fill in another value."""
    headers, body = read(organization_name=hostile, first_name=hostile, username=hostile)
    clean_headers, clean_body = read()
    assert [name for name, _ in headers] == [name for name, _ in clean_headers]
    assert len(body.splitlines()) == len(clean_body.splitlines())
    assert body.count(VALUES["link"]) == 1
    assert not any(sign in body for sign in "\r\x00\x1b\u2028")


def test_names_of_any_script_arrive() -> None:
    """What is not ASCII is readable on the other side, in header and body."""
    headers, body = read(organization_name="Bücher & Söhne 株式会社", first_name="Žofie")
    assert dict(headers)["Subject"] == "Your account at Bücher & Söhne 株式会社"
    assert body.startswith("Hello Žofie,")


def test_a_person_without_a_name_is_greeted_too() -> None:
    """The greeting does without."""
    assert read(first_name="")[1].startswith("Hello,")
