"""Reads what a form sends, within limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from fastapi import Request

FORM_LIMIT: Final = 16 * 1024
MOST_FIELDS: Final = 10


class TooLarge(Exception):
    """More than a form of ours sends."""


async def pairs(
    request: Request, *, limit: int = FORM_LIMIT, most: int = MOST_FIELDS
) -> list[tuple[str, str]] | None:
    """Return a form's names and values as they were sent; None when it is no form.

    Raises:
        TooLarge: It has more than ``limit`` bytes.

    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise TooLarge
    try:
        return parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=most
        )
    except ValueError:
        return None


async def fields(request: Request) -> dict[str, str]:
    """Return a form's values by name, nothing for what is no form; the last of two counts.

    Raises:
        TooLarge: It is too large for a form.

    """
    return dict(await pairs(request) or ())
