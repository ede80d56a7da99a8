"""What may be an e-mail address."""

from __future__ import annotations

import pytest

from syncd.errors import Refused
from syncd.people.addresses import checked_email


@pytest.mark.parametrize(
    "address",
    [
        "mia@example.org",
        "mia.lee+syncd@mail.example.org",
        "o'brien@example.org",
        "müller@bücher.example",
        "x_y@a-b.example",
    ],
)
def test_addresses_are_taken_as_they_are(address: str) -> None:
    """What mail can be sent to passes, without the spaces around it."""
    assert checked_email(f"  {address} ") == address


@pytest.mark.parametrize(
    "address",
    [
        None,
        "",
        "mia",
        "@example.org",
        "mia@",
        "mia@localhost",
        "mia@example..org",
        "mia@-example.org",
        "mia@example.org.",
        "mia..lee@example.org",
        ".mia@example.org",
        "mia lee@example.org",
        "mia@example.org, eve@example.org",
        "Mia <mia@example.org>",
        '"mia"@example.org',
        "mia@example.org\r\nBcc: eve@example.org",
        "mia@[127.0.0.1]",
        "m" * 65 + "@example.org",
        "m@" + "a." * 130 + "org",
    ],
)
def test_what_is_no_address_is_refused(address: str | None) -> None:
    """Nothing passes that a header or a mail server would read as something else."""
    with pytest.raises(Refused):
        checked_email(address)
