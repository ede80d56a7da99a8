"""What may be a username, an e-mail address and a name. Pure."""

from __future__ import annotations

import re

from syncd.errors import Refused

LONGEST_EMAIL, LONGEST_LOCAL, LONGEST_NAME = 254, 64, 255
# RFC 5321's unquoted local parts, and letters of other scripts (RFC 6531). Whoever has a quoted one
# is left out: most mail servers do not take them either.
_LOCAL = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*")
_LABEL = re.compile(r"[^\W_](?:[\w-]{0,61}[^\W_])?")


def checked_email(value: str | None) -> str:
    """Return an e-mail address without spaces around it.

    Raises:
        Refused: It is none that mail could be sent to.

    """
    text = (value or "").strip()
    local, at, domain = text.rpartition("@")
    if not text:
        raise Refused("the e-mail address is missing")
    labels = domain.split(".")
    if (
        not at
        or len(text) > LONGEST_EMAIL
        or len(local.encode()) > LONGEST_LOCAL
        or not text.isprintable()
        or not _LOCAL.fullmatch(local)
        or len(labels) < 2
        or not all(_LABEL.fullmatch(label) for label in labels)
    ):
        raise Refused(f"{text[:LONGEST_NAME]!r} is no e-mail address such as mia@example.org")
    return text


def checked_username(value: str | None) -> str:
    """Return a username without spaces around it.

    Raises:
        Refused: It is none.

    """
    text = (value or "").strip()
    if not text:
        raise Refused("the username is missing")
    if len(text) > LONGEST_NAME or not text.isprintable():
        raise Refused(
            f"a username has at most {LONGEST_NAME} characters, and no control characters"
        )
    return text


def checked_name(value: str | None, what: str) -> str | None:
    """Return a first or last name without spaces around it; None for none.

    Raises:
        Refused: It is too long, or has control characters.

    """
    text = (value or "").strip()
    if len(text) > LONGEST_NAME or not text.isprintable():
        raise Refused(f"a {what} has at most {LONGEST_NAME} characters, and no control characters")
    return text or None
